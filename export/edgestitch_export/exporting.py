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
from edgestitch_runtime.errors import EdgestitchError, os_error
from edgestitch_runtime.native_output import quiet_native_output
from edgestitch_runtime.picture import BACKGROUNDS, CONVERSION
from edgestitch_runtime.run_folder import check_name
from edgestitch_runtime.writing import write_file

from . import calibration as calibrating
from .answers import TOLERANCE, as_probabilities
from .formats import Format, lookup
from .slowdown import Slowdown, slowdown
from .source import Source, open_source


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
    slowdown: Slowdown | None  # against float32, of a dynamic artifact that is clearly slower


def export(
    model: str | Path | None = None,
    *,
    format: str,
    precision: str,
    data: str | Path | None = None,
    background: str | None = None,
    name: str | None = None,
    out: str | Path | None = None,
    calibration_images: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Exported:
    """Exports a run folder or a .keras file (None: the newest run) as one artifact.

    `format` is tflite or onnx, `precision` float32, float16, dynamic or int8. `data` overrides
    where the run's data lies; a bare .keras file needs it, and `background`,
    "dark" (None too) or "bright", is of the pictures in it. `calibration_images`, for int8, is 500,
    or all where there are fewer. The file is written whole or not at all to `out` (default: the
    run's export folder) as NAME-PRECISION.EXT. Raises EdgestitchError when
    something does not fit (exit code 2) or the converted file breaks the contract (exit code 1).
    """
    lookup(format, precision)
    if background is not None and background not in BACKGROUNDS:
        raise EdgestitchError(
            f"background is {background!r}", hint=f"choose {' or '.join(BACKGROUNDS)}"
        )
    source = open_source(
        Path(model) if model else None,
        data=Path(data) if data else None,
        background=None if background is None else BACKGROUNDS[background],
    )
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
    calibration_images: int | None,
    seed: int,
    overwrite: bool,
) -> Exported:
    """`export` for a source that is open already: several artifacts load the model once."""
    record = lookup(format, precision)
    name = name or source.name
    check_name(name)
    path = (out or source.folder) / f"{name}-{precision}{record.suffix}"
    calibration = calibrating.choose(
        source.dataset.train.images_u8, source.train_indices, count=calibration_images, seed=seed
    )
    content = record.convert(source.rewritten, precision, calibration, source.kind)
    facts = record.read_back(content, precision)
    record.check(facts, precision)
    card = _card(source, name, format, precision, content, facts, record)
    if precision == "int8":
        card["calibration"] = calibration.as_json()
    with tempfile.TemporaryDirectory(prefix="edgestitch-export-") as scratch:
        draft = Path(scratch) / f"{name}-{precision}{record.suffix}"
        _write_draft(draft, record.add_card(content, card))
        agreement, judge = _judge(source, draft, record, precision)
        card["accuracy"] = _accuracy(agreement, judge)
        artifact = record.add_card(content, card)
        _write_draft(draft, artifact)
        if read_artifact(draft).card != card:
            raise EdgestitchError(
                "the artifact does not give its card back as it was put in",
                hint="this is a defect in edgestitch: please report it",
            )
        slower = None
        if precision == "dynamic":
            slower = slowdown(
                draft,
                record.convert(source.rewritten, "float32", calibration, source.kind),
                source.dataset.test.images_u8,
                engine=record.engine,
            )
    status = write_file(path, artifact, overwrite=overwrite)
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
        slowdown=slower,
    )


def _card(
    source: Source,
    name: str,
    format_: str,
    precision: str,
    content: bytes,
    facts: dict[str, Any],
    record: Format,
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
        "output": facts["output"] | {"kind": source.kind},
        "preprocessing": {
            "pixels": "uint8 0..255; scaling is inside the model",
            "background": dataset.background,
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


def _write_draft(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise os_error(f"write a draft of {path.name} to {path.parent}", error) from None


def _judge(
    source: Source, draft: Path, record: Format, precision: str
) -> tuple[Agreement, Classifier]:
    """Classifies every test image with the draft, through the runtime and nothing else."""
    with quiet_native_output():  # an engine says which delegate it made
        classifier = Classifier.open(draft, engine=record.engine)
    dataset = source.dataset
    try:
        rows = classifier.probabilities(dataset.test.images_u8)
    except Exception as error:  # each engine raises what it likes
        raise EdgestitchError(
            f"{record.engine} opens the {precision} artifact but cannot run it: {error}",
            hint="nothing was written; a layer of this model does not run in batches",
            exit_code=1,
        ) from None
    expected = as_probabilities(source.float_rows, source.kind)
    furthest = float(np.abs(rows - expected).max())
    if not furthest <= (TOLERANCE if precision == "float32" else 1):  # also for nan
        raise EdgestitchError(
            f"the {precision} artifact answers probabilities that are {furthest:.3g} away from the "
            "float model's",
            hint="the converter changed the model: compare it layer by layer",
            exit_code=1,
        )
    answers = classifier.scores(dataset.test.images_u8).argmax(axis=1)
    return compare(dataset.test.labels, source.float_rows.argmax(axis=1), answers), classifier


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
