"""Exporting: convert, check, judge with the runtime, write, read back."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgestitch_runtime.agreement import Agreement
from edgestitch_runtime.card import read_artifact
from edgestitch_runtime.distance import Distance, NoDistance
from edgestitch_runtime.errors import EdgestitchError, os_error
from edgestitch_runtime.golden_check import REFERENCE
from edgestitch_runtime.picture import BACKGROUNDS
from edgestitch_runtime.run_folder import check_name
from edgestitch_runtime.writing import write_files

from . import calibration as calibrating
from .budget import Budget, budget_of
from .card_making import card_of, golden_of
from .formats import lookup
from .input_range import parse_range
from .judging import judge
from .ladder import climb
from .made_of_tflite import MADE
from .pairs import MADE_OF_TFLITE
from .slowdown import Slowdown, slowdown
from .source import Source, open_source
from .verdict import BUDGET_PP, Evidence, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One artifact as it was written. `status` is "written" or "unchanged".

    Of tflm and c, `path` is the .c file, with the .h beside it. Of tflm, `bytes` and `sha256` are
    the model's in it, and `card` is that of the same model as TFLite.
    """

    path: Path
    status: str
    format: str
    precision: str
    bytes: int
    sha256: str
    engine: str
    engine_version: str
    agreement: Agreement  # float model against artifact, on all test images
    verdict: Verdict  # of the agreement, in words
    evidence: Evidence  # for each class, and in confidence
    distance: Distance | NoDistance  # of the artifact on this engine from it on `reference`
    card: dict[str, Any]
    slowdown: Slowdown | None  # against float32, of a dynamic artifact that is clearly slower
    arena_bytes: int | None  # of tflm: what TensorFlow Lite Micro needs; of c: what it brings


def export(
    model: str | Path | None = None,
    *,
    format: str,
    precision: str,
    data: str | Path | None = None,
    background: str | None = None,
    labels: str | Path | None = None,
    input_range: str | None = None,
    code: str | Path | None = None,
    trust_code: bool = False,
    name: str | None = None,
    out: str | Path | None = None,
    calibration_images: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
    max_drop: float | None = None,
    max_changed: float | None = None,
    confidence: float = 0.95,
    mixed: bool = False,
    qat: bool = False,
    target: str | None = None,
) -> Exported:
    """Exports a run folder (None: the newest) or a model of your own as one artifact.

    `format` is tflite, onnx, tflm, c or native (these three of int8 alone), `precision` float32,
    float16, dynamic or int8; `target` is the machine that native is for (None: this one). `data`
    overrides where the run's data lies; a model that stands alone, a .keras or .h5 file or a
    SavedModel folder, needs it. For such a model `background`, "dark" (None too) or "bright", is
    of the pictures in the data; `labels` is a file of class names, one a line; `input_range`,
    "0..1", "-1..1" or "mean=M,std=S", is what it takes where its scaling is not a layer of it;
    `code` is the Python file of its own layers, which is run only with `trust_code`, as Lambda
    layers are. `calibration_images`, for int8, is 500, or all where there are fewer. The file is
    written whole or not at all to `out` (default: the run's export folder) as NAME-PRECISION.EXT.
    `max_drop`, for int8, is what may be lost, in points, and `max_changed` how many answers may
    differ from the float model's, in percent: quantizations are tried until the one-sided bounds
    at `confidence` are within what is asked, on images held out for that (ladder). `mixed` allows
    operators to stay float, the precision in the name is then mixed; `qat` begins with
    fine-tuning. Raises EdgestitchError when something does not fit (exit code 2), the converted
    file breaks the contract or nothing stays within the budget (exit code 1).
    """
    lookup(format, precision)
    budget = budget_of(
        max_drop=max_drop, max_changed=max_changed, confidence=confidence, mixed=mixed, qat=qat
    )
    if budget is not None and precision != "int8":
        raise EdgestitchError(
            f"a budget was given for {precision}",
            hint="--max-drop, --max-changed and --qat are for --int8",
        )
    if background is not None and background not in BACKGROUNDS:
        raise EdgestitchError(
            f"background is {background!r}", hint=f"choose {' or '.join(BACKGROUNDS)}"
        )
    source = open_source(
        Path(model) if model else None,
        data=Path(data) if data else None,
        background=None if background is None else BACKGROUNDS[background],
        labels=Path(labels) if labels else None,
        input_range=None if input_range is None else parse_range(input_range),
        code=Path(code) if code else None,
        trust_code=trust_code,
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
        budget=budget,
        target=target,
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
    budget: Budget | None = None,
    target: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Exported:
    """`export` for a source that is open already: several artifacts load the model once.

    `say` hears what the ladder tried for the `budget`, which is for int8.
    """
    record = lookup(format, precision)
    asked, format = format, "tflite" if format in MADE_OF_TFLITE else format
    if asked in MADE_OF_TFLITE and budget is not None and budget.mixed:
        raise EdgestitchError(f"{asked} at mixed is not made", hint="leave out --mixed")
    name = name or source.name
    check_name(name)
    made = MADE.get(asked)
    if made is not None:
        made.check_asked(name, target)
    if budget is None:
        climbed = None
        calibration = calibrating.choose(
            source.dataset.train.images_u8,
            source.train_indices,
            count=calibration_images,
            seed=seed,
        )
        content = record.convert(source.rewritten, precision, calibration, source.kind)
    else:
        climbed = climb(
            source,
            budget,
            format_=format,
            record=record,
            calibration_images=calibration_images,
            seed=seed,
            say=say,
        )
        content, taken = climbed.taken.content, climbed.taken.attempt
        calibration, precision = taken.calibration, taken.precision
    path = (out or source.folder) / f"{name}-{precision}{record.suffix}"
    facts = record.read_back(content, precision)
    record.check(facts, precision)
    if made is not None:
        made.check_model(name, content, facts)
    card = card_of(source, name, format, precision, content, facts)
    if precision in ("int8", "mixed"):
        card["calibration"] = calibration.as_json()
    if climbed is not None:
        card["ladder"] = climbed.as_json()
    with tempfile.TemporaryDirectory(prefix="edgestitch-export-") as scratch:
        draft = Path(scratch) / f"{name}-{precision}{record.suffix}"
        _write_draft(draft, record.add_card(content, card, b""))
        allowed = BUDGET_PP if budget is None else budget.max_drop_pp
        judged = judge(
            source,
            draft,
            engine=record.engine if made is None else made.engine,
            precision=precision,
            budget_pp=BUDGET_PP if allowed is None else allowed,
        )
        card["accuracy"] = judged.accuracy()
        if (format, precision) == ("tflite", "int8") and judged.engine != REFERENCE:
            card["reference"] = judged.beside_reference()
        golden, card["golden"] = golden_of(source, content, judged, record, precision=precision)
        artifact = record.add_card(content, card, golden)
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
    files, held, arena = {path: artifact}, artifact, None
    if made is not None:
        written = made.write(path.with_suffix(""), content, card, golden, target)
        files, held, arena, card = written.files, written.held, written.arena_bytes, written.card
    return Exported(
        path=next(iter(files)),
        status=write_files(files, overwrite=overwrite),
        format=asked,
        precision=precision,
        bytes=len(held),
        sha256=hashlib.sha256(held).hexdigest(),
        engine=judged.engine,
        engine_version=judged.engine_version,
        agreement=judged.agreement,
        verdict=judged.verdict,
        evidence=judged.evidence,
        distance=judged.distance,
        card=card,
        slowdown=slower,
        arena_bytes=arena,
    )


def _write_draft(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise os_error(f"write a draft of {path.name} to {path.parent}", error) from None
