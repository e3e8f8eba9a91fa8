"""Exporting: convert, check, judge with the runtime, write, read back."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edgestitch_runtime.agreement import Agreement, compare
from edgestitch_runtime.card import CARD_SCHEMA, read_artifact
from edgestitch_runtime.classifier import Classifier
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.native_output import quiet_native_output
from edgestitch_runtime.picture import CONVERSION, DARK
from edgestitch_runtime.writing import write_file

from . import calibration as calibrating
from .formats import Format, lookup
from .inference_model import for_inference, output_kind
from .source import Source, open_source

SPOT_CHECK = 64  # test images that the written file answers once more


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One artifact as it was written. `status` is "written" or "unchanged"."""

    path: Path
    status: str
    format: str
    precision: str
    bytes: int
    sha256: str
    engine: str
    engine_version: str
    agreement: Agreement  # float model against artifact, on all test images
    card: dict[str, Any]


def export(
    model: str | Path | None = None,
    *,
    format: str,
    precision: str,
    data: str | Path | None = None,
    name: str | None = None,
    out: str | Path | None = None,
    calibration_images: int = calibrating.DEFAULT_COUNT,
    seed: int = 0,
    overwrite: bool = False,
) -> Exported:
    """Exports a run folder or a .keras file (None: the newest run) as one artifact.

    `format` is tflite or onnx, `precision` float32, float16, dynamic or int8. `data` overrides
    where the run's data lies; a bare .keras file needs it. The file is written whole or not at all
    to `out` (default: the run's export folder) as NAME-PRECISION.EXT. Raises EdgestitchError when
    something does not fit (exit code 2) or the converted file breaks the contract (exit code 1).
    """
    lookup(format, precision)
    source = open_source(Path(model) if model else None, data=Path(data) if data else None)
    return export_source(
        source,
        format=format,
        precision=precision,
        name=name,
        out=Path(out) if out else None,
        calibration_images=calibration_images,
        seed=seed,
        overwrite=overwrite,
    )


def export_source(
    source: Source,
    *,
    format: str,
    precision: str,
    name: str | None,
    out: Path | None,
    calibration_images: int,
    seed: int,
    overwrite: bool,
) -> Exported:
    """`export` for a source that is open already: several artifacts load the model once."""
    record = lookup(format, precision)
    name = name or source.name
    path = (out or source.folder) / f"{name}-{precision}{record.suffix}"
    calibration = calibrating.choose(
        source.dataset.train.images_u8, source.train_indices, count=calibration_images, seed=seed
    )
    kind = output_kind(source.model)
    content = record.convert(for_inference(source.model), precision, calibration, kind)
    facts = record.read_back(content, precision)
    record.check(facts, precision)
    card = _card(source, name, format, precision, content, facts, record, kind)
    if precision == "int8":
        card["calibration"] = calibration.as_json()
    draft = record.add_card(content, card)
    agreement, judge = _judge(source, draft, record)
    card["accuracy"] = _accuracy(agreement, judge)
    artifact = record.add_card(content, card)
    status = write_file(path, artifact, overwrite=overwrite)
    _read_again(path, source, record, card)
    return Exported(
        path=path,
        status=status,
        format=format,
        precision=precision,
        bytes=len(artifact),
        sha256=hashlib.sha256(artifact).hexdigest(),
        engine=judge.engine,
        engine_version=judge.engine_version,
        agreement=agreement,
        card=card,
    )


def _card(
    source: Source,
    name: str,
    format_: str,
    precision: str,
    content: bytes,
    facts: dict[str, Any],
    record: Format,
    kind: str,
) -> dict[str, Any]:
    """The card but for accuracy. docs/card.md says what each entry means."""
    dataset = source.dataset
    card: dict[str, Any] = {
        "schema": CARD_SCHEMA,
        "name": name,
        "title": source.title,
        "format": format_,
        "precision": precision,
        "labels": list(dataset.labels),
        "input": facts["input"],
        "output": facts["output"] | {"kind": kind},
        "preprocessing": {
            "pixels": "uint8 0..255; scaling is inside the model",
            "background": DARK,
            "conversion": CONVERSION,
        },
        "operators": facts["operators"],
        "hashes": {
            "source_model": source.model_sha256,
            "weights": hashlib.sha256(content).hexdigest(),
        },
        "data": {
            "name": dataset.name,
            "files": {f.name: f.sha256 for f in dataset.files},
            "counts": {
                "train": len(source.train_indices),
                "validation": source.split["validation_count"],
                "test": len(dataset.test.labels),
            },
            "split_seed": source.split["seed"],
        },
        "versions": _versions(format_),
        "least_engines": record.least_engines(facts),
    }
    if "float_operators" in facts and precision == "int8":
        card["float_operators"] = facts["float_operators"]
    return card


def _judge(source: Source, draft: bytes, record: Format) -> tuple[Agreement, Classifier]:
    """Classifies every test image with the draft, through the runtime and nothing else."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"draft{record.suffix}"
        path.write_bytes(draft)
        with quiet_native_output():  # an engine says which delegate it made
            classifier = Classifier.open(path, engine=record.engine)
    answers = classifier.scores(source.dataset.test.images_u8).argmax(axis=1)
    return compare(source.dataset.test.labels, source.float_index, answers), classifier


def _read_again(path: Path, source: Source, record: Format, card: dict[str, Any]) -> None:
    """The file on disk must carry the card and answer; a file that does not is taken away."""
    try:
        artifact = read_artifact(path)
        if artifact.card != card:
            raise EdgestitchError(f"{path} does not hold its card", hint="check the disk")
        images = source.dataset.test.images_u8[:SPOT_CHECK]
        rows = Classifier.open(path, engine=record.engine).probabilities(images)
        if not np.isfinite(rows).all() or not np.allclose(rows.sum(axis=1), 1, atol=1e-5):
            raise EdgestitchError(
                f"{path} answers with rows that are no probabilities",
                hint="the model's weights or the quantizer's ranges overflow",
                exit_code=1,
            )
    except EdgestitchError:
        path.unlink(missing_ok=True)
        raise


def _accuracy(agreement: Agreement, judge: Classifier) -> dict[str, Any]:
    low, high = agreement.drop_interval_pp
    return {
        "float": {
            "correct": agreement.float_correct,
            "n": agreement.n,
            "engine": f"keras {version('keras')}",
        },
        "artifact": {
            "correct": agreement.artifact_correct,
            "n": agreement.n,
            "engine": f"{judge.engine} {judge.engine_version}",
        },
        "changed": agreement.changed,
        "lost": agreement.lost,
        "won": agreement.won,
        "drop_pp": round(agreement.drop_pp, 6),
        "drop_interval_pp": [round(low, 6), round(high, 6)],
        "drop_upper_pp": round(agreement.drop_upper_pp, 6),
        "mcnemar_p": round(agreement.mcnemar_p, 9),
    }


def _versions(format_: str) -> dict[str, str]:
    made_with = {
        "tflite": ("edgestitch-export", "tensorflow", "keras"),
        "onnx": ("edgestitch-export", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime"),
    }
    return {package: version(package) for package in made_with[format_]}
