"""Trains a model and leaves a run: the model, its figures and pictures.

Fashion-MNIST is looked for in EDGESTITCH_DATA, the caches of edgestitch and
Keras, and Debian's place, and downloaded when it is nowhere; --dataset
fashion-mnist-mini is a bundled sample that needs no network. Ctrl-C ends a
training early and keeps the best weights so far.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from edgestitch_runtime.native_output import quiet_native_output

from .models import ARCHITECTURES
from .recipes import RECIPES, Recipe, changed, flag

if TYPE_CHECKING:
    from .training import TrainResult


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `edgestitch train` takes."""
    parser.add_argument(
        "--model",
        choices=list(ARCHITECTURES),
        default="mlp",
        help="; ".join(f"{k}: {v.summary}" for k, v in ARCHITECTURES.items()) + " (default mlp)",
    )
    parser.add_argument(
        "--dataset",
        default="fashion-mnist",
        metavar="NAME|FOLDER",
        help="fashion-mnist (default), fashion-mnist-mini, or a folder of IDX files",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="the only place to look for the files of --dataset NAME: nothing is downloaded then",
    )
    parser.add_argument("--name", metavar="NAME", help="the run's name (default: the model's)")
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path("runs"),
        metavar="FOLDER",
        help="where runs are kept (default: runs)",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace a run of the same name, its exports and reports included",
    )
    parser.add_argument(
        "--progress",
        choices=["bar", "lines", "none"],
        help="on stderr (default: bar on a terminal, else a line an epoch)",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    recipe = parser.add_argument_group("recipe")
    for field in fields(Recipe):
        usual = ", ".join(
            f"{getattr(r, field.name)}" + (f" for {k}" if len(RECIPES) > 1 else "")
            for k, r in RECIPES.items()
        )
        help_ = f"{field.metadata['help']} (default {usual})"
        if "choices" in field.metadata:
            recipe.add_argument(flag(field.name), choices=field.metadata["choices"], help=help_)
        else:
            recipe.add_argument(
                flag(field.name),
                type=int if field.type == "int" else float,
                metavar=field.metadata["metavar"],
                help=help_,
            )


def run(args: argparse.Namespace) -> int:
    """Trains, prints what came of it, and returns the exit code: 130 after Ctrl-C."""
    recipe = changed(
        RECIPES[args.model], {field.name: getattr(args, field.name) for field in fields(Recipe)}
    )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with quiet_native_output():  # TensorFlow's C++ side logs before it reads its log level
        from .training import device_name, train

        device_name()  # the first look for a GPU logs too

    result = train(
        model=args.model,
        dataset=args.dataset,
        data=args.data,
        recipe=recipe,
        name=args.name,
        runs=args.runs,
        overwrite=args.force,
        progress=args.progress or ("bar" if sys.stderr.isatty() else "lines"),
    )
    if args.json:
        print(json.dumps(result.to_json(), ensure_ascii=False))
    else:
        print(summary(result, runs=args.runs))
    return 130 if result.stopped == "interrupted" else 0


def summary(result: TrainResult, *, runs: Path) -> str:
    """The result as a person reads it, with the command to type next."""
    files = sorted(p.name for p in result.folder.iterdir())
    lines = [
        result.title,
        _row("test", _accuracy(result.test_correct, result.test_n)),
        _row("validation", _accuracy(result.validation_correct, result.validation_n)),
        _row("parameters", f"{result.parameters:,}"),
        _row(
            "kept",
            f"the weights of epoch {result.kept_epoch}, the lowest validation loss, "
            f"of {result.epochs} done"
            + (
                f" and {result.epochs_asked} asked: interrupted"
                if result.stopped == "interrupted"
                else ""
            ),
        ),
        _row("time", f"{result.seconds:.0f} s on {result.device}"),
        _row("wrote", f"{result.folder}: {', '.join(files)}"),
    ]
    if result.dropped:
        lines.append(_row("dropped", f"the old run's {' and '.join(result.dropped)}: out of date"))
    where = "" if runs == Path("runs") else f"{result.folder} "
    return "\n".join([*lines, f"next: edgestitch export {where}--format tflite --int8"])


def _row(what: str, value: str) -> str:
    return f"  {what:<12}{value}"


def _accuracy(correct: int, n: int) -> str:
    return f"{100 * correct / n:.2f} % ({correct:,} of {n:,} right, keras)"
