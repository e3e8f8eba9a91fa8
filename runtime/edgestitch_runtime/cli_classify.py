"""Classifies pictures, arrays or IDX files with an exported model.

    edgestitch classify boot.png                      the newest run's int8 model
    edgestitch classify mlp-int8.tflite a.png b.jpg   this model
    edgestitch classify --json --top 3 pictures/      one JSON object a line

Pictures of any size are turned into what the model expects: gray, fitted,
centred. A model trained on bright garments on black needs --invert for a photo
on a white ground.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import EdgestitchError

if TYPE_CHECKING:
    from .classifier import Classifier, Result
    from .picture import Expected, Loaded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="PNG, JPEG, BMP, .npy, IDX, a folder of them, or - for standard input; "
        "a .tflite, .onnx or .so among them is the model",
    )
    parser.add_argument(
        "--model",
        type=Path,
        metavar="ARTIFACT",
        help="the model (default: the newest run's, int8 before others, TFLite before ONNX)",
    )
    parser.add_argument(
        "--engine",
        default="auto",
        metavar="E",
        help="litert, tflite-runtime, onnxruntime, reference, native, or auto: the first that "
        "works (default)",
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="threads in the engine (default 1)"
    )
    parser.add_argument("--top", type=int, default=1, metavar="K", help="show the K best classes")
    parser.add_argument("--invert", action="store_true", help="invert the pixels: 255 - gray")
    parser.add_argument("--json", action="store_true", help="one JSON object a line on stdout")


def run(args: argparse.Namespace) -> int:
    if args.top < 1:
        raise EdgestitchError(f"--top is {args.top}, expected at least 1", hint="try --top 3")
    model, files = _model_among(args.files, args.model)
    model = model or _newest_artifact()

    from .classifier import Classifier
    from .native_output import quiet_native_output

    with quiet_native_output():  # an engine says which delegate it made
        classifier = Classifier.open(model, engine=args.engine, threads=args.threads)
    with classifier:
        if not args.model and model not in map(Path, args.files):
            print(f"model: {model} on {classifier.engine}", file=sys.stderr)
        if classifier.card is None:
            print(
                f"warning: {model} has no card: classes are numbered; raw pixels, and scores that "
                "are probabilities or logits as they look, are assumed",
                file=sys.stderr,
            )
        expected = _expected(classifier)
        invert = "yes" if args.invert else "no"
        for loaded in _load_all(files, expected, invert):
            for warning in loaded.warnings:
                print(f"warning: {warning}", file=sys.stderr)
            results = classifier.classify(loaded.images_u8)
            for position, result in enumerate(results):
                name = loaded.name if len(results) == 1 else f"{loaded.name}[{position}]"
                ranked = _ranked(result, classifier.labels, args.top)
                print(_as_json(name, ranked) if args.json else _as_text(name, ranked))
    return 0


def _model_among(files: list[str], model: Path | None) -> tuple[Path | None, list[str]]:
    from .card import FORMATS

    found = [f for f in files if Path(f).suffix.lower() in FORMATS]
    if len(found) + (model is not None) > 1:
        named = [*found, *([str(model)] if model else [])]
        raise EdgestitchError(
            f"more than one model was named: {', '.join(named)}",
            hint="classify with one model at a time",
        )
    rest = [f for f in files if f not in found]
    keras = next((f for f in rest if Path(f).suffix.lower() in (".keras", ".h5")), None)
    if keras is not None:
        raise EdgestitchError(
            f"{keras} is a Keras model, classify takes what was exported of it",
            hint=f"`edgestitch export {keras} --data DATA --format tflite --int8` makes one",
        )
    if not rest:
        raise EdgestitchError("no image was named", hint="name a picture, for example boot.png")
    return (Path(found[0]) if found else model), rest


def _newest_artifact() -> Path:
    """int8 before others, and TFLite before ONNX, of the newest run."""
    from .run_folder import newest_run

    artifacts = newest_run().artifacts()
    if not artifacts:
        raise EdgestitchError(
            "the newest run has no exported model",
            hint="`edgestitch export --format tflite --int8` makes one, or name one with --model",
        )
    return min(
        artifacts, key=lambda p: (not p.stem.endswith("-int8"), p.suffix != ".tflite", p.name)
    )


def _expected(classifier: Classifier) -> Expected:
    from .picture import DARK, Expected

    height, width = classifier.shape
    background = DARK
    if classifier.card is not None:
        background = int(classifier.card["preprocessing"]["background"])
    return Expected(height=height, width=width, background=background)


def _load_all(files: list[str], expected: Expected, invert: str) -> list[Loaded] | Any:
    from . import picture

    for file in files:
        if file == "-":
            yield picture.decode("-", picture.read_stdin(), expected, invert=invert)
            continue
        for path in picture.files_in([Path(file)]):
            yield picture.load(path, expected, invert=invert)


def _ranked(result: Result, labels: tuple[str, ...], top: int) -> list[tuple[int, str, float]]:
    """(class, label, probability), best first; ties go to the lowest class."""
    row = result.probabilities
    order = sorted(range(len(row)), key=lambda k: (-row[k], k))[:top]
    return [(k, labels[k], float(row[k])) for k in order]


def _as_json(name: str, ranked: list[tuple[int, str, float]]) -> str:
    index, label, confidence = ranked[0]
    record = {
        "file": name,
        "label": label,
        "index": index,
        "confidence": round(confidence, 6),
        "top": [{"label": other, "index": k, "probability": round(p, 6)} for k, other, p in ranked],
    }
    return json.dumps(record, ensure_ascii=False)


def _as_text(name: str, ranked: list[tuple[int, str, float]]) -> str:
    name = name.replace("\n", "\\n")
    return f"{name}: " + ", ".join(f"{label} {100 * p:.1f} %" for _, label, p in ranked)
