"""Exports a run or a .keras file to TFLite or ONNX, and measures what it cost.

    edgestitch export --format tflite --int8      the newest run, integers only
    edgestitch export runs/mlp --all              every format at every precision
    edgestitch export my.keras --data FOLDER --format onnx --float32

Each artifact is judged on the test images by the runtime itself. A run's data
is found again by its hashes; the calibration images for int8 are taken from
train. With --all, a pair that cannot be made does not keep the others back.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.run_folder import check_name, find_run

from .keras_file import check_keras_file
from .pairs import PRECISIONS_OF, check_pair

if TYPE_CHECKING:
    from .exporting import Exported
    from .slowdown import Slowdown

PRECISION_FLAGS = {
    "float32": "as trained",
    "float16": "weights in half precision (tflite)",
    "dynamic": "int8 weights, float activations",
    "int8": "integers only",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        nargs="?",
        type=Path,
        metavar="RUN",
        help="a run folder or a .keras file (default: the newest run)",
    )
    parser.add_argument("--format", action="append", metavar="F", help="tflite or onnx; repeatable")
    for precision, meaning in PRECISION_FLAGS.items():
        parser.add_argument(f"--{precision}", action="store_true", help=meaning)
    parser.add_argument("--all", action="store_true", help="every precision of the format(s)")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="where the run's data lies, or what a .keras file is judged on: IDX files, a folder "
        "of pictures a class, or an .npz file",
    )
    parser.add_argument(
        "--background",
        choices=["dark", "bright"],
        help="around the objects of the pictures in --data, for a .keras file (default dark)",
    )
    parser.add_argument("--name", help="the artifacts' name (default: the run's or the file's)")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where artifacts go (default: export/ in the run or beside the file)",
    )
    parser.add_argument(
        "--calibration-images",
        type=int,
        metavar="N",
        help="for int8 (default 500, or all where there are fewer)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the calibration choice (default 0)"
    )
    parser.add_argument("--force", action="store_true", help="overwrite artifacts that differ")
    parser.add_argument("--json", action="store_true", help="one JSON array on stdout")


def run(args: argparse.Namespace) -> int:
    if (args.calibration_images is not None and args.calibration_images < 1) or args.seed < 0:
        raise EdgestitchError(
            "--calibration-images must be at least 1 and --seed at least 0", hint="leave them out"
        )
    if args.name is not None:
        check_name(args.name)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    wanted = _wanted(args)
    # What cannot be a model is refused before TensorFlow is loaded, which takes seconds.
    if args.model is not None and args.model.suffix == ".keras":
        check_keras_file(args.model)
    else:
        find_run(args.model)
    print("loading TensorFlow, the model and its data ...", file=sys.stderr)
    from edgestitch_runtime.engines import decline_telemetry
    from edgestitch_runtime.native_output import quiet_native_output
    from edgestitch_runtime.picture import BACKGROUNDS

    decline_telemetry()
    with quiet_native_output():  # TensorFlow looks for a GPU, and says so
        from .exporting import export_source
        from .source import open_source

        said: list[str] = []
        source = open_source(
            args.model,
            data=args.data,
            background=None if args.background is None else BACKGROUNDS[args.background],
            say=said.append,
        )
    for line in said:
        print(line, file=sys.stderr)
    logging.getLogger("absl").setLevel(logging.ERROR)  # the converter's advice to its callers
    done: list[dict[str, Any]] = []
    failed: list[EdgestitchError] = []
    for format_, precision in wanted:
        print(f"exporting {format_} at {precision} ...", file=sys.stderr)
        try:
            exported = export_source(
                source,
                format=format_,
                precision=precision,
                name=args.name,
                out=args.out,
                calibration_images=args.calibration_images,
                seed=args.seed,
                overwrite=args.force,
            )
        except EdgestitchError as error:
            if len(wanted) == 1:
                raise
            failed.append(error)  # the others may well work
            print(f"edgestitch: {format_} at {precision}: {error.message}", file=sys.stderr)
            print(f"hint: {error.hint}", file=sys.stderr)
            continue
        if not args.json:
            print(_as_text(exported), flush=True)
        if exported.slowdown is not None:
            print(_slow(exported.path.name, exported.slowdown), file=sys.stderr)
        done.append(_as_json(exported))
    if args.json:
        print(json.dumps(done, indent=2))
    if failed:
        raise EdgestitchError(
            f"{len(failed)} of {len(wanted)} artifacts could not be made",
            hint="the lines above say why",
            exit_code=max(error.exit_code for error in failed),
        )
    return 0


def _wanted(args: argparse.Namespace) -> list[tuple[str, str]]:
    """The (format, precision) pairs that the flags name; asks for nothing that cannot be made."""
    precisions = [p for p in PRECISION_FLAGS if getattr(args, p)]
    if args.all and precisions:
        raise EdgestitchError(
            f"--all and --{precisions[0]} contradict each other", hint="give one of them"
        )
    if not args.all and (not precisions or not args.format):
        raise EdgestitchError(
            "nothing was asked for: a format and a precision are needed",
            hint="--format tflite --int8, or --all",
        )
    formats = args.format or list(PRECISIONS_OF)
    for format_ in formats:
        for precision in precisions or [None]:
            check_pair(format_, precision)
    return [(f, p) for f in dict.fromkeys(formats) for p in (precisions or PRECISIONS_OF[f])]


def _as_text(exported: Exported) -> str:
    found = exported.agreement
    low, high = found.drop_interval_pp
    return (
        f"{exported.path}  {exported.bytes:,} bytes, {exported.status}\n"
        f"  {100 * found.accuracy:.2f} % right ({found.artifact_correct:,} of {found.n:,}, "
        f"{exported.engine} {exported.engine_version}); float {100 * found.float_accuracy:.2f} %\n"
        f"  {found.changed} answers changed ({100 * found.changed / found.n:.2f} %): "
        f"{found.lost} lost, {found.won} won, exact McNemar p = {found.mcnemar_p:.3g}\n"
        f"  drop {found.drop_pp:+.2f} points, 95 % interval {low:+.2f} to {high:+.2f}, "
        f"one-sided upper bound {found.drop_upper_pp:+.2f}{_beside_reference(exported)}"
    )


def _beside_reference(exported: Exported) -> str:
    from edgestitch_runtime.distance import Distance

    if isinstance(exported.distance, Distance):
        return f"\n  distance from reference: {exported.distance.line()}"
    if (exported.format, exported.precision) == ("tflite", "int8"):
        return f"\n  reference cannot run it: {exported.distance.reason}"
    return ""


def _slow(name: str, found: Slowdown) -> str:
    return (
        f"warning: {name} takes {found.ratio:.1f} times as long as float32 here: "
        f"{found.artifact_us:.0f} us against {found.float32_us:.0f} us for one image, medians of "
        "the bare call; it is smaller, not faster: for speed take --int8 or --float32"
    )


def _as_json(exported: Exported) -> dict[str, Any]:
    return asdict(exported) | {"path": str(exported.path)}
