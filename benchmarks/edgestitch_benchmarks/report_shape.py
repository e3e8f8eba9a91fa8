"""The shape of report.json and of a profile's JSON, with bounds: what they hold goes onto a
terminal and a page.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from edgestitch_runtime.json_shape import Shape, count, misfit, null, number, sha256
from edgestitch_runtime.measurement import ABSENT, FAILED, LEVELS, OK

_MOST_TEXT = 4000
_MOST_PROSE = 100_000  # under one of _PROSE
_PROSE = ("command", "answer", "caveats", "not_measured", "reason")
_MOST_DEEP = 12
_MOST_BLOCKS = 1000
_HUGE = 1e18
# Control characters, halves of surrogate pairs, and what turns the direction of a line.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda v: count(v) and low <= v <= high


def _between(low: float, high: float) -> Callable[[Any], bool]:
    return lambda v: number(v) and low <= v <= high


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _named(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _some(value: Any) -> bool:
    return number(value) and 1 / _HUGE < value < _HUGE


def _pair(one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Two numbers, the smaller first."""
    return lambda v: isinstance(v, list) and len(v) == 2 and all(map(one, v)) and v[0] <= v[1]


def _each(one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """An object whose keys are any text, and whose values are all so."""
    return lambda v: isinstance(v, dict) and all(map(one, v.values()))


def _quantiles(value: Any) -> bool:
    # Those of a histogram are rounded, each for itself.
    return (
        isinstance(value, list)
        and len(value) == len(LEVELS)
        and all(map(_some, value))
        and all(a <= b * 1.001 for a, b in pairwise(value))
    )


def _blocks(value: Any) -> bool:
    return isinstance(value, list) and 0 < len(value) <= _MOST_BLOCKS and all(map(_some, value))


def _bool(value: Any) -> bool:
    return isinstance(value, bool)


_BYTES = _whole(0, 1 << 40)
_SHARE = _between(0, 1)
_POINTS = _between(-100, 100)
_LATENCY: Shape = {
    **dict.fromkeys(("p50", "p90", "p99", "mean"), _some),
    "runs": _whole(1, 1 << 50),
    "quantiles": _quantiles,
    "block_p50": _blocks,
    "repeat_p50": _pair(_some),
}
_MS = _between(0, 1e9)
_AGAINST: Shape = {
    **dict.fromkeys(("row", "verdict"), _named),
    **dict.fromkeys(("value", "low", "high"), _between(0, _HUGE)),
}
_DISTANCE: Shape = dict.fromkeys(("n", "rows_equal", "largest_step", "flips"), count)
_MEASUREMENT: dict[str, Any] = {
    **dict.fromkeys(("artifact", "format", "precision", "engine"), _named),
    **dict.fromkeys(("engine_version", "python_version", "numpy_version"), (null, _named)),
    **dict.fromkeys(("reason", "selftest"), (null, _text)),
    "sha256": (null, sha256),
    "status": lambda v: v in (OK, FAILED, ABSENT),
    "bytes": (null, _BYTES),
    "threads": _whole(1, 4096),
    "latency_us": (null, _LATENCY),
    "bare_latency_us": (null, _LATENCY),
    "images_per_s": (null, _some),
    "throughput": [{"batch": _whole(1, 1 << 30), "images_per_s": _some}],
    "cold_start_ms": (null, _MS),
    "cold_start": (
        null,
        dict.fromkeys(("interpreter_ms", "import_ms", "load_ms", "first_ms"), _MS),
    ),
    "peak_rss_mb": (null, _between(0, 1e9)),
    "memory_mb": (null, _between(-1e9, 1e9)),
    "against": (null, _AGAINST),
}
_DETAILS: Shape = {
    "confusion": [[_whole(0, 1 << 40)]],
    "classes": [dict.fromkeys(("n", "float_correct", "artifact_correct", "lost", "won"), count)],
    "reliability": [
        {
            "low": _SHARE,
            "high": _SHARE,
            "n": count,
            "confidence": (null, _SHARE),
            "accuracy": (null, _SHARE),
        }
    ],
    "calibration_error": _SHARE,
    "flips": [
        {
            **dict.fromkeys(("image", "truth", "float_answer", "answer"), count),
            **dict.fromkeys(("float_probability", "probability"), _SHARE),
        }
    ],
}
_ROW: dict[str, Any] = {
    **_MEASUREMENT,
    "distance": (null, _DISTANCE),
    **dict.fromkeys(("run", "machine"), (null, _named)),
    **dict.fromkeys(("changed", "flips_lost", "flips_won"), (null, count)),
    "accuracy": (null, _SHARE),
    "n": (null, _whole(1, 1 << 40)),
    "drop_pp": (null, _POINTS),
    "drop_interval_pp": (null, _pair(_POINTS)),
    "mcnemar_p": (null, _SHARE),
    "parts": (null, _each(_BYTES)),
    "details": (null, _DETAILS),
}
_MACHINE: Shape = {
    **dict.fromkeys(("cpu", "architecture", "os"), _named),
    "cores": _whole(1, 1 << 20),
    "governor": (null, _text),
}
_BOTH: dict[str, Any] = {
    "machine": _MACHINE,
    "versions": _each(_text),
    "command": _text,
    "timed": [_text],
    "caveats": [_text],
}
_RUN: Shape = {
    **dict.fromkeys(("name", "title", "dataset"), _named),
    "model_sha256": sha256,
    "dataset_sha256": _each(sha256),
}
_ADDED: Shape = {
    **dict.fromkeys(("label", "machine_line"), _named),
    "machine": _MACHINE,
    "versions": _each(_text),
    "command": _text,
}


def _added(value: Any) -> bool:
    # Its caveats once were not written.
    return misfit(value, _ADDED) is None and misfit(value.get("caveats", []), [_text]) is None


SHAPES: dict[str, Shape] = {
    "profile": {
        **_BOTH,
        "machine_line": _named,
        "timer_ns": _between(0, 1e9),
        "images": _text,
        "rows": [{**_MEASUREMENT, "distance": ({"reason": _text}, _DISTANCE)}],
    },
    "report": {
        **_BOTH,
        "run": _RUN,
        "runs": [_RUN],
        "labels": [_text],
        "quick": _bool,
        "not_measured": [_text],
        "answer": _text,
        "rows": [_ROW],
        "added": [_added],
    },
}


def wrong_in(content: dict[str, Any], kind: str) -> str | None:
    """The entry of `content` that is not as edgestitch writes a file of this kind, or None."""
    found = _hostile(content) or misfit(content, SHAPES[kind])
    if found:
        return found
    labels = [None, *(one["label"] for one in content["added"])] if kind == "report" else []
    if len(set(labels)) < len(labels):
        return "added"
    for position, row in enumerate(content["rows"]):
        denied = _contradiction(row)
        if kind == "report" and row["machine"] not in labels:
            denied = "machine"  # what that machine is, nothing says
        if denied:
            return f"rows[{position}].{denied}"
    return None


def _hostile(
    value: Any, where: str = "", depth: int = 0, most_text: int = _MOST_TEXT
) -> str | None:
    """Where text that no terminal should show, a number without bounds or endless depth stands."""
    if depth > _MOST_DEEP:
        return where[:200]
    if isinstance(value, dict):
        for key, part in value.items():
            if UNPRINTABLE.search(key) or len(key) > _MOST_TEXT:
                return f"{where}.{key[:40]!a}".lstrip(".")
            most = _MOST_PROSE if key in _PROSE else _MOST_TEXT
            found = _hostile(part, f"{where}.{key}".lstrip("."), depth + 1, most)
            if found:
                return found
    elif isinstance(value, list):
        for position, part in enumerate(value):
            found = _hostile(part, f"{where}[{position}]", depth + 1, most_text)
            if found:
                return found
    elif isinstance(value, str):
        if len(value) > most_text or UNPRINTABLE.search(value):
            return where
    elif isinstance(value, int | float) and not -_HUGE <= value <= _HUGE:
        return where
    return None


def _contradiction(row: dict[str, Any]) -> str | None:
    """The key of a row that what stands beside it denies, or None."""
    for kind in ("latency_us", "bare_latency_us"):
        latency = row[kind]
        if latency and not latency["p50"] <= latency["p90"] * 1.001 <= latency["p99"] * 1.002:
            return f"{kind}.p90"
    if row["status"] != OK and not (row["reason"] or "").strip():
        return "reason"
    if "accuracy" in row and (row["accuracy"] is None) != (row["n"] is None):
        return "n"
    flips: list[Any] = [row.get(name) for name in ("flips_lost", "flips_won", "changed")]
    if None not in flips and flips[0] + flips[1] > flips[2]:
        return "changed"
    return None
