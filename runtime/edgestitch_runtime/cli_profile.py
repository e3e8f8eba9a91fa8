"""Times an artifact here: the bare engine call, the whole classify call.

Needs nothing but the slim runtime and one engine. Both calls are timed in one
process in alternating blocks, on real images where there are some: --images,
else the test images of the run that the artifact lies in. The answers to the first
1,000 real ones are compared with those of the engine reference.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .distance import Distance, NoDistance
    from .measuring import Profile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `edgestitch profile`."""
    parser.add_argument("artifact", type=Path, metavar="ARTIFACT", help="a .tflite, .onnx or .so")
    parser.add_argument(
        "--engine", default="auto", metavar="E", help="the engine that runs it (default: auto)"
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="threads in the engine (default: 1)"
    )
    parser.add_argument(
        "--images", type=Path, metavar="FILE", help="uint8 images to time with, .npy or IDX"
    )
    parser.add_argument(
        "--min-seconds",
        type=float,
        default=2.0,
        metavar="SECONDS",
        help="time each call for at least so long, up to 600, and 1,000 runs (default: 2)",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Profiles and prints; returns the exit code."""
    from .measuring import profile

    result = profile(
        args.artifact,
        engine=args.engine,
        threads=args.threads,
        images=args.images,
        min_seconds=args.min_seconds,
    )
    if "generated pixels" in result.images:
        print(
            "notice: timed with generated pixels: the artifact lies in no run whose data is here;\n"
            "        --images FILE times with your own",
            file=sys.stderr,
        )
    if args.json:
        print(json.dumps(result.to_json(), indent=2, ensure_ascii=False))
    else:
        print(as_text(result))
    return 0


def as_text(result: Profile) -> str:
    """The profile as text of at most 80 columns, but for long names of machine and file."""
    from .measuring import TIMED

    threads = f"{result.threads} thread{'s' if result.threads != 1 else ''}"
    lines = [
        f"{result.artifact} on {result.engine} {result.engine_version}, {threads}",
        f"sha256 {result.sha256}",
        "",
        *TIMED,
        f"In every sample: one reading of the clock, {result.timer_ns:.0f} ns. "
        f"Images: {result.images}.",
        "",
        f"{'microseconds':<14}{'p50':>10}{'p90':>10}{'p99':>10}{'runs':>12}",
    ]
    for name, latency in (("bare", result.bare), ("classify", result.classify)):
        lines.append(
            f"{name:<14}{latency.p50_us:>10,.2f}{latency.p90_us:>10,.2f}"
            f"{latency.p99_us:>10,.2f}{latency.runs:>12,}"
        )
    lines += [
        "",
        f"classify costs {result.ratio:.2f} times the bare call (p50 over p50).",
        _distance(result.distance),
        "",
        f"machine: {result.machine.line()}",
        f"versions: {result.engine} {result.engine_version}, numpy {result.numpy_version}",
    ]
    return "\n".join(lines)


def _distance(found: Distance | NoDistance) -> str:
    from .distance import Distance

    if isinstance(found, Distance):
        return f"distance from reference: {found.line()}"
    return f"no distance from reference: {found.reason}"
