"""Compares two models: whose answers differ, on which images, from which layer on.

    edgestitch diff runs/mlp/model.keras runs/mlp/export/mlp-int8.tflite
    edgestitch diff old.keras new.keras --data FOLDER --picture flips.png

Takes any two of .keras, .tflite and .onnx. The images are the test images of the
run that A lies in, or else B, or those of --data. It ends with 0 also when answers
differ.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .diffing import Compared, Diff
    from .parting import Parting, Row


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `edgestitch diff`."""
    parser.add_argument("a", type=Path, metavar="A", help="a .keras, .tflite or .onnx file")
    parser.add_argument("b", type=Path, metavar="B", help="the file that is compared with it")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="take its test images: IDX files, a folder of pictures a class, or an .npz file",
    )
    parser.add_argument(
        "--images", type=int, metavar="N", help="only N of them, spread evenly (default: all)"
    )
    parser.add_argument(
        "--picture", type=Path, metavar="FILE.png", help="draw the flipped images, at most 24"
    )
    parser.add_argument("--force", action="store_true", help="overwrite a picture that differs")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Compares and prints; returns the exit code."""
    from edgestitch_runtime.engines import decline_telemetry
    from edgestitch_runtime.native_output import quiet_native_output

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    decline_telemetry()
    from .diff_models import check_file

    for path in (args.a, args.b):
        check_file(path)
    if ".keras" in (args.a.suffix, args.b.suffix):
        print("loading TensorFlow and the models ...", file=sys.stderr)
        with quiet_native_output():  # TensorFlow looks for a GPU, and says so
            import keras as keras
    from .diffing import diff

    found = diff(
        args.a,
        args.b,
        data=args.data,
        images=args.images,
        picture=args.picture,
        overwrite=args.force,
    )
    if args.json:
        print(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        print(as_text(found))
    return 0


def as_text(found: Diff) -> str:
    """What was found, as text; the table of layers is as wide as their names."""
    agreement = found.agreement
    both = agreement.changed - agreement.lost - agreement.won
    lines = [
        *_models(found.a, found.b, agreement.n),
        f"images: {found.images}",
        "",
        f"{agreement.changed:,} answers differ ({100 * agreement.changed / agreement.n:.2f} %): "
        f"{agreement.lost:,} lost (A alone is right), {agreement.won:,} won (B alone is right), "
        f"{both:,} wrong in both; exact McNemar p = {agreement.mcnemar_p:.3g}",
        f"a probability changes by {found.largest_change:.3g} at most, "
        f"in test image {found.largest_change_image:,}",
    ]
    if found.picture is not None:
        lines.append(f"{found.picture}: {found.picture_status}")
    return "\n".join([*lines, "", *_layers(found.layers)])


def _models(a: Compared, b: Compared, n: int) -> list[str]:
    widths = [max(len(getattr(m, name)) for m in (a, b)) for name in ("path", "engine")]
    return [
        f"{side}  {m.path:<{widths[0]}}  {m.engine:<{widths[1]}}  "
        f"{100 * m.correct / n:.2f} % right ({m.correct:,} of {n:,})"
        for side, m in (("A", a), ("B", b))
    ]


def _layers(found: Parting) -> list[str]:
    if found.reason is not None:
        return [f"layers cannot be matched: {found.reason}"]
    lines = [_verdict(found)]
    if not found.related:
        lines.append("no layer inside A correlates with one of B: sizes and order alone pair them")
    names = [(row.layer, _span(row.a), _span(row.b)) for row in found.rows]
    widths = [max(len(head), *(len(n[k]) for n in names)) for k, head in ((1, "A"), (2, "B"))]
    head = f"{'A':<{widths[0]}}  {'B':<{widths[1]}}  {'values':>7}  {'SQNR dB':>9}  correlation"
    lines += ["", head]
    for k, (row, (_, a, b)) in enumerate(zip(found.rows, names, strict=True)):
        here = "  <- first" if k == found.first else ""
        lines.append(
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {row.values:>7,}  {_sqnr(row.error):>9}  "
            f"{row.correlation:>11.5f}{here}"
        )
    images = f"{found.images} image{'' if found.images == 1 else 's'}"
    lines += [
        "",
        f"On {images}; SQNR is the power of A's output over that of the difference. "
        f"Normal here: {found.tolerance_db:.0f} dB or more.",
    ]
    return lines


def _verdict(found: Parting) -> str:
    if found.first is None:
        lowest = max(found.rows, key=lambda row: row.error)
        if lowest.error == 0:
            return "no layer parts them: all give the same"
        return f"no layer parts them: the worst is {lowest.layer}, SQNR {_db(lowest.error)}"
    row: Row = found.rows[found.first]
    told = f"{row.layer}: SQNR {_db(row.error)} (before it {_db(row.before)})"
    shown = row.a if row.layer in row.a else row.b
    if len(shown) > 1:
        told += f"; {_span(shown)} are one step in the other file"
    if found.kind == "gradual":
        return f"they part layer by layer, below {found.tolerance_db:.0f} dB first at {told}"
    return f"they part first at {told}"


def _span(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}"


def _sqnr(error: float) -> str:
    from .parting import decibels

    found = decibels(error)
    return "equal" if found is None else f"{found:.1f}"


def _db(error: float) -> str:
    text = _sqnr(error)
    return text if text == "equal" else f"{text} dB"
