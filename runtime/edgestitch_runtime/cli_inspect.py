"""Prints what a model file says of itself and holds: its card, layers, bytes, engines.

No engine is needed, and any .tflite or .onnx file will do. The weights of an
artifact are checked against the hash in its card. ONNX files are read with the
`onnx` package where it is installed; else only their card is printed. Of C that
edgestitch wrote, the plan of its memory is drawn.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .inspecting import Inspection


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `edgestitch inspect`."""
    parser.add_argument(
        "artifact", type=Path, metavar="ARTIFACT", help="a .tflite, .onnx, .so or .c file"
    )
    parser.add_argument("--layers", action="store_true", help="list each layer")
    parser.add_argument(
        "--svg", type=Path, metavar="FILE", help="draw the graph, or of C the memory, into FILE"
    )
    parser.add_argument("--force", action="store_true", help="let --svg replace another drawing")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="run the model on the test images of this data set, and count ties at the top",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="only tell whether the file is whole and as exported: exit code 1 when it is not",
    )
    parser.add_argument("--json", action="store_true", help="everything, as JSON")


def run(args: argparse.Namespace) -> int:
    """Inspects, draws and prints; returns the exit code."""
    from .errors import EdgestitchError
    from .inspecting import inspect_artifact

    if args.verify:
        return _verify(args)
    if args.svg is not None and args.svg.suffix.lower() != ".svg":
        raise EdgestitchError(
            f"--svg {args.svg}: a drawing's name ends in .svg", hint=f"--svg {args.svg.name}.svg"
        )
    found = inspect_artifact(args.artifact, data=args.data)
    if found.facts is None and args.layers:
        raise found.unread()
    if args.svg is not None:
        _draw(found, args.svg, overwrite=args.force)
    if args.json:
        print(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        from .inspect_text import as_text

        columns = shutil.get_terminal_size((100, 24)).columns
        print(as_text(found, layers=args.layers, width=columns))
    return 0


def _verify(args: argparse.Namespace) -> int:
    """Checks the hashes that the card holds; raises EdgestitchError when one does not fit."""
    from .array_files import read_regular
    from .card import MAX_ARTIFACT_BYTES, format_of, read_artifact
    from .card_schema import NewerSchema
    from .errors import EdgestitchError
    from .golden import unpack_golden

    if args.layers or args.svg or args.data:
        raise EdgestitchError(
            "--verify goes with none of --layers, --svg and --data", hint="leave them out"
        )
    # What is no artifact, cannot be read, or is of a later version, is not altered: code 2.
    format_of(args.artifact)
    read_regular(args.artifact, limit=MAX_ARTIFACT_BYTES)
    try:
        found = read_artifact(args.artifact)
        if found.card is None:
            raise EdgestitchError(
                f"{found.path} has no card: nothing says what it should be",
                hint="`edgestitch export` writes files that can be verified",
            )
        golden = unpack_golden(found.golden, str(found.path)) if found.golden else None
    except NewerSchema:
        raise
    except EdgestitchError as error:
        raise EdgestitchError(error.message, hint=error.hint, exit_code=1) from None
    count = 0 if golden is None else len(golden.gate)
    if found.format == "c":
        count = found.card["golden"]["gate"]
    if args.json:
        told = {"file": str(found.path), "weights_sha256": found.weights_sha256}
        print(json.dumps(told | {"golden_vectors": count}, indent=2, ensure_ascii=False))
    else:
        what = (
            f"its weights and {count} golden vectors match the hashes"
            if count
            else ("its weights match the hash")
        )
        print(f"{found.path} is as exported: {what} in its card")
    return 0


def _draw(found: Inspection, target: Path, *, overwrite: bool) -> None:
    from .writing import write_file

    outcome = write_file(target, found.svg().encode(), overwrite=overwrite)
    print(f"{target}: {outcome}", file=sys.stderr)
