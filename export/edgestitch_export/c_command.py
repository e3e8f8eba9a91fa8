"""What `edgestitch export` does for C beyond an export: from an int8 .tflite, and `--check`."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgestitch_runtime.card import model_bytes, read_artifact
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.run_folder import check_name
from edgestitch_runtime.writing import write_files, write_json

from .c_check import check
from .c_check_report import TargetReport
from .c_target import look_up_target
from .exported_text import written_line
from .made_of_tflite import MADE
from .pairs import NATIVE, PLAIN_C

CHECKED_IMAGES = 60  # of the test part, over which instructions are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFromTflite:
    """C, a native library or C for TensorFlow Lite Micro, made of an artifact. See `Exported`."""

    path: Path
    status: str
    format: str
    precision: str
    bytes: int
    sha256: str
    arena_bytes: int | None
    card: dict[str, Any]


# The flags that say how a float model is converted and judged, by their names in argparse.
_OF_A_MODEL = frozenset(
    (
        "data", "background", "labels", "input_range", "code", "trust_code", "calibration_images",
        "max_drop", "max_changed", "mixed", "qat",
    )
)  # fmt: skip


def export_tflite(
    artifact: Path,
    *,
    format: str,
    name: str | None = None,
    out: Path | None = None,
    target: str | None = None,
    overwrite: bool = False,
) -> MadeFromTflite:
    """Makes `format`, c, native or tflm, of an int8 .tflite that edgestitch exported.

    The files go beside it, or to `out`. Raises EdgestitchError for another file or format.
    """
    made = MADE.get(format)
    if made is None:
        raise EdgestitchError(
            f"{format} cannot be made of {artifact}",
            hint=f"of a .tflite are made {', '.join(MADE)}; the others of a run or a .keras file",
        )
    read = read_artifact(artifact)
    card = read.card
    if card is None or not read.golden:
        raise EdgestitchError(
            f"{artifact} has no card with golden vectors: edgestitch did not make it",
            hint="edgestitch export FILE.keras --format c --int8 makes C of a model of your own",
        )
    if card["precision"] != "int8":
        raise EdgestitchError(
            f"{artifact} is {card['precision']}; {format} is made of int8",
            hint="edgestitch export --format tflite --int8 first",
        )
    named = str(name or card["name"])
    check_name(named)
    card = card | {"name": named}
    made.check_asked(named, target)
    model = model_bytes(read.format, read.content)
    made.check_model(named, model, {"operators": card["operators"]})
    stem = (out or artifact.parent) / f"{named}-int8"
    written = made.write(stem, model, card, read.golden, target)
    return MadeFromTflite(
        path=next(iter(written.files)),
        status=write_files(written.files, overwrite=overwrite),
        format=format,
        precision="int8",
        bytes=len(written.held),
        sha256=hashlib.sha256(written.held).hexdigest(),
        arena_bytes=written.arena_bytes,
        card=written.card,
    )


def check_targets(targets: Iterable[str]) -> None:
    """Raises EdgestitchError for a target of --check that there is not."""
    for target in targets:
        look_up_target(target)


def check_c(
    source: Path, targets: Iterable[str], images_u8: np.ndarray | None
) -> list[TargetReport]:
    """Checks NAME-int8.c, its .h beside it, on each target, and writes NAME-int8-check.json.

    `images_u8`, (n, height, width) uint8, are run, or the golden vectors. Raises EdgestitchError
    when a check cannot be made; those before it stand in the file.
    """
    header = source.with_suffix(".h")
    reports: list[TargetReport] = []
    for target in targets:
        reports.append(check(source, header, target, images_u8=images_u8))
        write_json(
            source.with_name(f"{source.stem}-check.json"),
            [report.as_json() for report in reports],
            overwrite=True,
        )
    return reports


def run_tflite(args: argparse.Namespace, wanted: list[tuple[str, str]]) -> int:
    """`edgestitch export FILE.tflite`: no TensorFlow, no data, nothing judged anew."""
    given = [name for name, value in vars(args).items() if name in _OF_A_MODEL and value]
    if given:
        raise EdgestitchError(
            f"--{given[0].replace('_', '-')} was given with {args.model}, which is converted as it "
            "is",
            hint="leave it out; it is for a run or a model of Keras's",
        )
    done = []
    for format_, _ in wanted:
        made = export_tflite(
            args.model,
            format=format_,
            name=args.name,
            out=args.out,
            target=args.target if format_ == NATIVE else None,
            overwrite=args.force,
        )
        if not args.json:
            print(written_line(made), flush=True)
        done.append(asdict(made) | {"path": str(made.path)})
    code = run_checks(args, done, None) if args.check else 0
    if args.json:
        print(json.dumps(done, indent=2))
    return code


def run_checks(
    args: argparse.Namespace, done: list[dict[str, Any]], images_u8: np.ndarray | None
) -> int:
    """Checks the C among `done`, which gets what was found; returns the exit code."""
    code = 0
    for one in done:
        if one["format"] != PLAIN_C:
            continue
        print(f"checking on {', '.join(args.check)} ...", file=sys.stderr)
        images = None if images_u8 is None else images_u8[:CHECKED_IMAGES]
        reports = check_c(Path(one["path"]), args.check, images)
        one["checks"] = [report.as_json() for report in reports]
        for report in reports:
            if not args.json:
                print("\n".join(report.lines()), flush=True)
            for problem, hint in report.hints.items():
                print(f"edgestitch: {problem}\nhint: {hint}", file=sys.stderr)
            code = max(code, report.exit_code)
    return code
