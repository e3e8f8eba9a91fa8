"""Trains a model and leaves a run: the model, its figures and pictures.

    edgestitch train --model dscnn             Fashion-MNIST, a few minutes
    edgestitch train --pretrained dscnn        the same, trained already
    edgestitch train --dataset pictures/       a folder of pictures a class
    edgestitch train --model my_network.py:build

Fashion-MNIST is looked for in EDGESTITCH_DATA, the caches of edgestitch and
Keras, and Debian's place, and downloaded when it is nowhere; --dataset
fashion-mnist-mini is a bundled sample that needs no network. Ctrl-C ends a
training early and keeps the best weights so far; the same command with
--resume goes on where it was interrupted or killed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, fields
from pathlib import Path

from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.native_output import quiet_native_output

from .duration import duration
from .model_list import as_json, table
from .models import ARCHITECTURES
from .recipes import RECIPES, Recipe, changed, flag, usual
from .shipped import expected, pretrained
from .summary import accuracy_of, row, summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `edgestitch train` takes."""
    parser.add_argument(
        "--list", action="store_true", help="list the models with their figures, and do no more"
    )
    parser.add_argument(
        "--model",
        default="mlp",
        metavar="NAME|FILE.py:FUNCTION",
        help=f"{', '.join(ARCHITECTURES)} (default mlp), or a function of your own that returns a "
        "Keras model; it may take height, width and classes",
    )
    parser.add_argument(
        "--pretrained",
        choices=list(ARCHITECTURES),
        help="lay down the run of a model that was trained already on fashion-mnist",
    )
    parser.add_argument(
        "--dataset",
        default="fashion-mnist",
        metavar="NAME|PATH",
        help="fashion-mnist (default), fashion-mnist-mini, a folder of IDX files, a folder with a "
        "folder of pictures a class (or train/ and test/ of such), or an .npz file",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="the only place to look for the files of --dataset NAME: nothing is downloaded then",
    )
    own = parser.add_argument_group("data of your own")
    own.add_argument("--labels", type=Path, metavar="FILE", help="class names, one a line")
    own.add_argument(
        "--size",
        type=_size,
        metavar="HxW",
        help="the pixels that pictures are scaled to (default 28x28)",
    )
    own.add_argument(
        "--background",
        choices=["dark", "bright"],
        default="dark",
        help="what surrounds the object in every picture (default dark)",
    )
    own.add_argument(
        "--strict", action="store_true", help="refuse what is otherwise skipped and told"
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
        "--resume",
        action="store_true",
        help="go on with the same training, interrupted or killed, to the same weights",
    )
    parser.add_argument(
        "--tensorboard",
        type=Path,
        metavar="FOLDER",
        help="write TensorBoard's event files to FOLDER/NAME while training",
    )
    parser.add_argument(
        "--progress",
        choices=["bar", "lines", "none"],
        help="on stderr (default: bar on a terminal, else a line an epoch)",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    recipe = parser.add_argument_group("recipe")
    recipe.add_argument(
        "--recipe",
        choices=list(RECIPES),
        help="whose recipe the flags below change (default: the model's own; mlp for your own)",
    )
    for field in fields(Recipe):
        help_ = f"{field.metadata['help']} (default {_usual(field.name)})"
        if "choices" in field.metadata:
            recipe.add_argument(flag(field.name), choices=field.metadata["choices"], help=help_)
        else:
            recipe.add_argument(
                flag(field.name),
                type=int if field.type == "int" else float,
                metavar=field.metadata["metavar"],
                help=help_,
            )


def _usual(name: str) -> str:
    """The default of a recipe's field, with the models that have it when they differ."""
    of: dict[str, list[str]] = {}
    for model, recipe in RECIPES.items():
        of.setdefault(f"{getattr(recipe, name)}", []).append(model)
    if len(of) == 1:
        return next(iter(of))
    return ", ".join(f"{value} for {' and '.join(models)}" for value, models in of.items())


def _size(text: str) -> tuple[int, int]:
    height, x, width = text.partition("x")
    if not (height.isdecimal() and (width.isdecimal() or not x)):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: 28x28, height first, or 28")
    return int(height), int(width or height)


def run(args: argparse.Namespace) -> int:
    """Trains, prints what came of it, and returns the exit code: 130 after Ctrl-C."""
    if args.list:
        print(as_json() if args.json else table())
        return 0
    if args.pretrained is not None:
        return _pretrained(args)
    recipe = changed(
        RECIPES[args.recipe] if args.recipe else usual(args.model),
        {field.name: getattr(args, field.name) for field in fields(Recipe)},
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
        labels=args.labels,
        size=args.size,
        background=args.background,
        strict=args.strict,
        recipe=recipe,
        name=args.name,
        runs=args.runs,
        overwrite=args.force,
        resume=args.resume,
        tensorboard=args.tensorboard,
        progress=args.progress or ("bar" if sys.stderr.isatty() else "lines"),
    )
    if args.json:
        print(json.dumps(result.to_json(), ensure_ascii=False))
    else:
        print(summary(result, runs=args.runs))
    return {"interrupted": 130, "diverged": 1}.get(result.stopped, 0)


def _pretrained(args: argparse.Namespace) -> int:
    """Lays a shipped run, sees to it that its data is at hand, and says what to do next."""
    fixed = [f.name for f in fields(Recipe)]
    fixed += ["recipe", "resume", "tensorboard", "data", "labels", "size", "strict"]
    values = {name: getattr(args, name) for name in fixed}
    asked = [flag(name) for name, v in values.items() if v is not None and v is not False]
    if args.background != "dark":
        asked.append("--background")
    if args.dataset != "fashion-mnist":
        asked.append("--dataset")
    if args.model != "mlp":
        asked.append("--model")
    if asked:
        raise EdgestitchError(
            f"--pretrained is trained already: {asked[0]} cannot change it",
            hint="leave one of the two out",
        )
    started = time.monotonic()
    folder = pretrained(args.pretrained, name=args.name, runs=args.runs, overwrite=args.force)
    took = time.monotonic() - started
    _see_to_data()
    figures = expected(args.pretrained)
    if args.json:
        print(json.dumps(asdict(figures) | {"folder": str(folder)}))
        return 0
    where = "" if args.runs == Path("runs") else f"{folder} "
    print(
        "\n".join(
            [
                f"{figures.model} on fashion-mnist, trained already",
                row("test", accuracy_of(figures.test_correct, figures.test_n)),
                row("parameters", f"{figures.parameters:,}"),
                row("training took", f"{duration(figures.seconds)} on {figures.device}"),
                row("wrote", f"{folder}: {', '.join(sorted(p.name for p in folder.iterdir()))}"),
                row("time", f"{took:.2f} s"),
                f"next: edgestitch export {where}--format tflite --int8",
            ]
        )
    )
    return 0


def _see_to_data() -> None:
    """Downloads Fashion-MNIST when it is nowhere: export and bench judge the model on it."""
    from edgestitch_runtime.dataset import has_idx_files, places

    from .acquisition import acquire

    if any(has_idx_files(place) for place in places("fashion-mnist")):
        return
    try:
        acquire("fashion-mnist", say=lambda text: print(text, file=sys.stderr))
    except EdgestitchError as error:
        print(f"note: export will need the data: {error.message}", file=sys.stderr)
        print(f"hint: {error.hint}", file=sys.stderr)
