"""The shape of an entry of NAME-int8-check.json, with bounds: what it holds goes onto a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgestitch_runtime.json_shape import Shape, misfit, null, sha256

_MOST_TEXT = 1000


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high


def _some(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e15


def _text(value: Any) -> bool:
    """Text for a terminal and a page: no control characters, no half of a surrogate pair."""
    return isinstance(value, str) and len(value) <= _MOST_TEXT and value.isprintable()


def _words(value: Any) -> bool:
    return isinstance(value, str)


def plain(words: str) -> str:
    """What a tool said as one line that a terminal and a page can show, cut where it is long."""
    line = "".join(c if c.isprintable() else "?" for c in " ".join(words.split()))
    return line if len(line) <= _MOST_TEXT else f"{line[: _MOST_TEXT - 3]}..."


def _named(value: Any) -> bool:
    return _text(value) and value.strip() != ""


_BYTES = _whole(0, 1 << 40)
_LEFT = _whole(-(1 << 40), 1 << 40)
_SHAPE: Shape = {
    "source": _named,
    "sha256": sha256,
    "target": _named,
    "core": _named,
    "about": _text,
    "compiler": _named,
    "options": [_named],
    "calls": [_named],
    "flash": {
        **dict.fromkeys(("code", "weights", "constants"), _BYTES),
        "library": (null, _BYTES),
    },
    "ram": {**dict.fromkeys(("arena", "static", "stack"), _BYTES), "stack_unsure": _words},
    "ran": (
        null,
        {
            "machine": _named,
            "qemu": _named,
            **dict.fromkeys(("golden", "golden_differing", "instructions_within"), _BYTES),
            "images": _whole(1, 1 << 40),
            "instructions_mean": _some,
            "instructions_most": _whole(1, 1 << 50),
        },
    ),
    "reason": _words,
    "board": (
        null,
        {
            "title": _named,
            "flash_left": _LEFT,
            "ram_left": _LEFT,
            "fits": lambda v: isinstance(v, bool),
        },
    ),
}


def wrong_in(entry: Any, source: str) -> str | None:
    """The key of `entry` that is not as a check of the file `source` writes it, or None."""
    return misfit(entry, _SHAPE) or _contradiction(entry, source)


def _contradiction(entry: dict[str, Any], source: str) -> str | None:
    """The key that what stands beside it denies, or None."""
    ran, board = entry["ran"], entry["board"]
    if entry["source"] != source:
        return "source"
    if ran and ran["golden_differing"] > ran["golden"]:
        return "ran.golden_differing"
    if ran is None and not entry["reason"].strip():
        return "ran"
    if board and board["fits"] != (board["flash_left"] >= 0 and board["ram_left"] >= 0):
        return "board.fits"
    return None
