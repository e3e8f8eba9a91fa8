"""Exports a run or a model of your own to TFLite, ONNX or C, and measures what it cost.

    edgestitch export --format tflite --int8      the newest run, integers only
    edgestitch export runs/mlp --all              every format at every precision
    edgestitch export my.keras --data FOLDER --format onnx --float32
    edgestitch export --format c --check cortex-m4   plain C, proved on an emulated core
    edgestitch export mlp-int8.tflite --format c     the same of an int8 artifact

Each artifact is judged on the test images by the runtime itself. A run's data
is found again by its hashes; the calibration images for int8 are taken from
train. With --all, a pair that cannot be made does not keep the others back.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.run_folder import check_name, find_run

from .budget import budget_of
from .input_range import parse_range
from .keras_file import check_model, is_model
from .pairs import NATIVE, PLAIN_C, PRECISIONS_OF, check_pair, precisions_of

if TYPE_CHECKING:
    from .exporting import Exported

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
        help="a run folder, a .keras, .h5 file, or a SavedModel folder (default: the newest run); "
        "for c, native, tflm also an int8 .tflite",
    )
    parser.add_argument(
        "--format",
        action="append",
        metavar="F",
        help="tflite, onnx, or of int8 alone: c (plain C), native (the same, compiled to a shared "
        "library), tflm (C source for TensorFlow Lite Micro); repeatable",
    )
    for precision, meaning in PRECISION_FLAGS.items():
        parser.add_argument(f"--{precision}", action="store_true", help=meaning)
    parser.add_argument(
        "--all",
        action="store_true",
        help="every precision of the format(s), which are tflite and onnx unless named",
    )
    parser.add_argument(
        "--data",
        "--dataset",
        type=Path,
        metavar="PATH",
        help="where the run's data lies, or what a model of your own is judged on: IDX files, a "
        "folder of pictures a class, or an .npz file",
    )
    parser.add_argument(
        "--background",
        choices=["dark", "bright"],
        help="around the objects of the pictures in --data, for your own model (default dark)",
    )
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="class names, one a line, for your own model"
    )
    # argparse takes -1..1 for an option before Python 3.14, whose pattern for numbers this is.
    parser._negative_number_matcher = re.compile(r"-\.?\d")
    parser.add_argument(
        "--input-range",
        metavar="R",
        help="what your own model takes where its scaling is outside: 0..1, -1..1, or "
        "mean=M,std=S (default 0..255, the pixels as they are)",
    )
    parser.add_argument(
        "--code",
        type=Path,
        metavar="FILE",
        help="the Python file of your own model's layers; run only with --trust-code",
    )
    parser.add_argument(
        "--trust-code",
        action="store_true",
        help="run --code, and the Lambda layers in the model",
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
    budget = parser.add_argument_group("a budget for int8")
    budget.add_argument(
        "--max-drop",
        type=float,
        metavar="POINTS",
        help="try other quantizations until the upper bound of the accuracy's drop is within this, "
        "on images held out for it; none does: exit code 1",
    )
    budget.add_argument(
        "--max-changed",
        type=float,
        metavar="PERCENT",
        help="likewise of the answers that differ from the float model's; alone or with --max-drop",
    )
    budget.add_argument(
        "--confidence",
        type=float,
        default=0.95,
        metavar="SHARE",
        help="of those one-sided bounds (default 0.95)",
    )
    budget.add_argument(
        "--mixed",
        action="store_true",
        help="where nothing else does, keep the operators that hurt most float: NAME-mixed",
    )
    budget.add_argument(
        "--qat", action="store_true", help="begin with quantization-aware fine-tuning"
    )
    of_c = parser.add_argument_group("for c and native")
    of_c.add_argument(
        "--check",
        action="append",
        default=[],
        metavar="TARGET",
        help="of c: compile it for a core (cortex-m4, ...) or a board, say what it takes, run "
        "it under QEMU where that is installed; repeatable; exit code 1 when it does not fit",
    )
    of_c.add_argument(
        "--target",
        metavar="MACHINE",
        help="of native: x86_64-linux, aarch64-linux, armv7-linux or armv6-linux (default: this "
        "machine's)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON array on stdout")


def run(args: argparse.Namespace) -> int:
    if (args.calibration_images is not None and args.calibration_images < 1) or args.seed < 0:
        raise EdgestitchError(
            "--calibration-images must be at least 1 and --seed at least 0", hint="leave them out"
        )
    if args.name is not None:
        check_name(args.name)
    input_range = None if args.input_range is None else parse_range(args.input_range)
    budget = budget_of(
        max_drop=args.max_drop,
        max_changed=args.max_changed,
        confidence=args.confidence,
        mixed=args.mixed,
        qat=args.qat,
    )
    wanted = _wanted(args)
    if args.check:
        from .c_command import check_targets

        if not any(format_ == PLAIN_C for format_, _ in wanted):
            raise EdgestitchError("--check was given without --format c", hint="add --format c")
        check_targets(args.check)
    if args.target is not None and not any(format_ == NATIVE for format_, _ in wanted):
        raise EdgestitchError("--target was given without --format native", hint="add it")
    if args.model is not None and args.model.suffix.lower() == ".tflite":
        from .c_command import run_tflite

        return run_tflite(args, wanted)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if budget is not None and not any(precision == "int8" for _, precision in wanted):
        raise EdgestitchError(
            "a budget was given, and no int8 artifact is asked for",
            hint="--max-drop, --max-changed and --qat are for --int8",
        )
    # What cannot be a model is refused before TensorFlow is loaded, which takes seconds.
    if args.model is not None and is_model(args.model):
        check_model(args.model)
    else:
        find_run(args.model)
    print("loading TensorFlow, the model and its data ...", file=sys.stderr)
    from edgestitch_runtime.engines import decline_telemetry
    from edgestitch_runtime.native_output import quiet_native_output
    from edgestitch_runtime.picture import BACKGROUNDS

    decline_telemetry()
    with quiet_native_output():  # TensorFlow looks for a GPU, and says so
        from .exported_text import exported_text, slowdown_text
        from .exporting import export_source
        from .source import open_source

        said: list[str] = []
        source = open_source(
            args.model,
            data=args.data,
            background=None if args.background is None else BACKGROUNDS[args.background],
            labels=args.labels,
            input_range=input_range,
            code=args.code,
            trust_code=args.trust_code,
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
                budget=budget if precision == "int8" else None,
                target=args.target if format_ == NATIVE else None,
                say=lambda line: print(f"  {line}", file=sys.stderr, flush=True),
            )
        except EdgestitchError as error:
            if len(wanted) == 1:
                raise
            failed.append(error)  # the others may well work
            print(f"edgestitch: {format_} at {precision}: {error.message}", file=sys.stderr)
            print(f"hint: {error.hint}", file=sys.stderr)
            continue
        if not args.json:
            print(exported_text(exported), flush=True)
        if exported.slowdown is not None:
            print(slowdown_text(exported.path.name, exported.slowdown), file=sys.stderr)
        done.append(_as_json(exported))
    checked = 0
    if args.check:
        from .c_command import run_checks

        checked = run_checks(args, done, source.dataset.test.images_u8)
    if args.json:
        print(json.dumps(done, indent=2))
    if failed:
        raise EdgestitchError(
            f"{len(failed)} of {len(wanted)} artifacts could not be made",
            hint="the lines above say why",
            exit_code=max(error.exit_code for error in failed),
        )
    return checked


def _wanted(args: argparse.Namespace) -> list[tuple[str, str]]:
    """The (format, precision) pairs that the flags name; asks for nothing that cannot be made."""
    precisions = [p for p in PRECISION_FLAGS if getattr(args, p)]
    if args.all and precisions:
        raise EdgestitchError(
            f"--all and --{precisions[0]} contradict each other", hint="give one of them"
        )
    given = args.format or []
    alone = given and all(len(precisions_of(format_)) == 1 for format_ in given)
    if not args.all and not alone and (not precisions or not args.format):
        raise EdgestitchError(
            "nothing was asked for: a format and a precision are needed",
            hint="--format tflite --int8, or --all",
        )
    formats = args.format or list(PRECISIONS_OF)
    for format_ in formats:
        for precision in precisions or [None]:
            check_pair(format_, precision)
    return [(f, p) for f in dict.fromkeys(formats) for p in (precisions or precisions_of(f))]


def _as_json(exported: Exported) -> dict[str, Any]:
    return asdict(exported) | {"path": str(exported.path)}
