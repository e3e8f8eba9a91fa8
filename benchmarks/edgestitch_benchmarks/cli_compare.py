"""Compares two reports or profiles, and ends with 1 when a row got worse.

Both files are a report.json of bench or a JSON file of profile. Rows are the
same when file name, engine, threads and machine are. Latency is judged on one
machine, accuracy on the same test images. A row is slower when its 95 %
interval says so and it is beyond the limit. A row that ran and fails now is a
regression, one that is gone is told.
"""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path

from edgestitch_runtime.errors import EdgestitchError

_OFF = "none"
_MOST_PERCENT = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `edgestitch compare`."""
    parser.add_argument("old", type=Path, metavar="OLD.json", help="what was measured before")
    parser.add_argument("new", type=Path, metavar="NEW.json", help="what was measured now")
    parser.add_argument(
        "--fail-if-slower",
        default="10%",
        metavar="PERCENT",
        help="by how much classify may get slower (default: 10%%; none judges no latency)",
    )
    parser.add_argument(
        "--fail-if-drop",
        default="0.2",
        metavar="POINTS",
        help="by how many percentage points accuracy may fall (default: 0.2; none judges none)",
    )
    parser.add_argument(
        "--fail-if-overhead",
        default=_OFF,
        metavar="PERCENT",
        help="by how much classify over the bare engine call may grow, for example 25%%, on "
        "whatever machines (default: none)",
    )
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")


def run(args: argparse.Namespace) -> int:
    """Compares and prints; returns 1 when a row got worse."""
    from .changes import Limits

    limits = Limits(
        slower=percent("--fail-if-slower", args.fail_if_slower),
        drop_pp=points("--fail-if-drop", args.fail_if_drop),
        overhead=percent("--fail-if-overhead", args.fail_if_overhead),
    )
    from .comparison import compare

    found = compare(args.old, args.new, limits=limits)
    if args.json:
        import json

        print(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        import shutil

        from .comparison_text import as_text

        print(as_text(found, width=shutil.get_terminal_size((100, 24)).columns))
    return 0 if found.passed else 1


def percent(flag: str, text: str) -> float | None:
    """'10%' or '10 %' as the share 0.1, 'none' as None; EdgestitchError for all else.

    A bare number is refused: 0.1 may be meant as a share or as a percentage.
    """
    if text.strip() == _OFF:
        return None
    number = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text, re.ASCII)
    if number is None or not float(number[1]) <= _MOST_PERCENT:
        bare = _plain(text)
        hint = f"write {flag} 10%, or {_OFF} to judge none"
        if bare is not None:
            hint = f"write {bare:g}% or {100 * bare:g}%, whichever is meant"
        raise EdgestitchError(
            f"{flag} {text!r} is no percentage, 0% to {_MOST_PERCENT}%", hint=hint
        )
    return float(number[1]) / 100


def points(flag: str, text: str) -> float | None:
    """'0.2' as 0.2 percentage points, 'none' as None; EdgestitchError for all else."""
    if text.strip() == _OFF:
        return None
    found = _plain(text)
    if found is None or found > 100:
        hint = f"write {flag} 0.2 for 0.2 points, or {_OFF} to judge none"
        if "%" in text:
            hint = f"points are written without %: {flag} 0.2 lets 88.0 % become 87.8 %"
        raise EdgestitchError(
            f"{flag} {text!r} is no number of percentage points, 0 to 100", hint=hint
        )
    return found


def _plain(text: str) -> float | None:
    if re.fullmatch(r"\s*\d+(?:\.\d+)?\s*", text, re.ASCII) is None:
        return None
    found = float(text)
    return found if math.isfinite(found) else None
