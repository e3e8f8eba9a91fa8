"""Tests that an artifact still answers here as it did where it was exported.

Runs the golden vectors inside the file: images with the answers they must get.
Exit code 0 when every engine asked for gives them, identically or within the
tolerance that was measured at export; 1 when one differs or cannot run it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .selftest import EngineTest, SelfTest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `edgestitch selftest`."""
    parser.add_argument("artifact", type=Path, metavar="ARTIFACT", help="a .tflite, .onnx or .so")
    parser.add_argument(
        "--engine",
        default="auto",
        metavar="E",
        help="the engine that is tested, or all that are installed here (default: auto, the one "
        "that classify would take)",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Tests and prints; returns the exit code."""
    from .selftest import selftest

    found = selftest(args.artifact, engine=args.engine)
    print(json.dumps(found.to_json(), indent=2) if args.json else as_text(found))
    return 0 if found.passed else 1


def as_text(found: SelfTest) -> str:
    """The self-test as text, a line an engine."""
    lines = [
        f"{found.artifact}: golden vectors of {found.golden_engine} on {found.golden_cpu}",
        *(_line(one) for one in found.engines),
    ]
    if found.absent:
        lines.append(f"not installed here: {', '.join(found.absent)}")
    return "\n".join([*lines, "passed" if found.passed else "FAILED"])


def _line(one: EngineTest) -> str:
    told = f"cannot run it: {one.reason}" if one.check is None else one.check.line()
    return f"  {one.engine} {one.engine_version}: {told} ({one.seconds:.2f} s)"
