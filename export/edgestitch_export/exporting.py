"""Exporting: convert, check, judge with the runtime, write, read back."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edgestitch_runtime.agreement import Agreement
from edgestitch_runtime.card import CARD_SCHEMA, Artifact, read_artifact
from edgestitch_runtime.distance import Distance, NoDistance
from edgestitch_runtime.errors import EdgestitchError, os_error
from edgestitch_runtime.inspecting import least_versions
from edgestitch_runtime.picture import BACKGROUNDS, CONVERSION
from edgestitch_runtime.run_folder import check_name
from edgestitch_runtime.writing import write_file

from . import calibration as calibrating
from .formats import lookup
from .judging import judge
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
    distance: Distance | NoDistance  # of the artifact on this engine from it on `reference`
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
    card = _card(source, name, format, precision, content, facts)
    if precision == "int8":
        card["calibration"] = calibration.as_json()
    with tempfile.TemporaryDirectory(prefix="edgestitch-export-") as scratch:
        draft = Path(scratch) / f"{name}-{precision}{record.suffix}"
        _write_draft(draft, record.add_card(content, card))
        judged = judge(source, draft, engine=record.engine, precision=precision)
        card["accuracy"] = judged.accuracy()
        if (format, precision) == ("tflite", "int8"):
            card["reference"] = judged.beside_reference()
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
        engine=judged.engine,
        engine_version=judged.engine_version,
        agreement=judged.agreement,
        distance=judged.distance,
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
) -> dict[str, Any]:
    """The card but for accuracy. docs/card.md says what each entry means."""
    dataset = source.dataset
    digest = hashlib.sha256(content).hexdigest()
    converted = Artifact(
        path=Path(name), format=format_, content=content, weights_sha256=digest, card=None
    )
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
            "weights": digest,
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
        "least_engines": {
            least.engine: least.version
            for least in least_versions(converted)
            if least.version is not None
        },
    }
    if "float_operators" in facts and precision == "int8":
        card["float_operators"] = facts["float_operators"]
    return card


def _write_draft(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise os_error(f"write a draft of {path.name} to {path.parent}", error) from None


def _versions(format_: str) -> dict[str, str]:
    made_with = {
        "tflite": ("edgestitch-export", "tensorflow", "keras"),
        "onnx": ("edgestitch-export", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime"),
    }
    return {package: version(package) for package in made_with[format_]}
