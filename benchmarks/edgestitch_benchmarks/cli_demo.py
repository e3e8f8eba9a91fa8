"""Shows the whole chain on real data: train, export, classify, bench.

Runs the commands that you would type and prints each one first. It takes a few
minutes, and leaves the run runs/mlp-demo with its pictures, artifacts and
report. A later demo replaces that run.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `edgestitch demo`."""
    parser.add_argument(
        "--dataset",
        metavar="NAME|FOLDER",
        help="a data set as `edgestitch train` takes it (default: fashion-mnist, and the bundled "
        "fashion-mnist-mini, with a notice, where that cannot be had)",
    )
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path("runs"),
        metavar="FOLDER",
        help="where runs are kept (default: runs)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="train for few epochs and time few runs"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the chain and says what to look at; returns the exit code."""
    from .demo import run_demo

    demo = run_demo(dataset=args.dataset, runs=args.runs, quick=args.quick, say=_say)
    lines = [
        "",
        f"Done in {demo.seconds:.0f} s: {demo.run.title}",
        "",
        "Look at:",
        *(f"  {path}" for path in demo.look_at),
        "",
        "Try next:",
        *(f"  {command}" for command in demo.try_next),
    ]
    _say("\n".join(lines))
    return 0


def _say(text: str) -> None:
    print(text, flush=True)
