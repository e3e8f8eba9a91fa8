"""What a card must hold for its readers to rely on it. docs/card.md documents the schema."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from .errors import EdgestitchError
from .json_shape import Shape, count, labels, misfit, null, number, sha256, word

CARD_SCHEMA = 1
_MOST_DIGITS = 20  # of a whole number: what has hundreds is no float any more
_TENSOR = {
    "shape": [(null, count)],
    "dtype": word,
    "scale": (null, number),
    "zero_point": (null, lambda v: isinstance(v, int)),
}
_COUNTED = {"correct": count, "n": lambda v: count(v) and v > 0, "engine": word}
_SHAPE = {
    "name": word,
    "title": word,
    "format": word,
    "precision": word,
    "labels": labels,
    "input": _TENSOR,
    "output": _TENSOR | {"kind": lambda v: v in ("probabilities", "logits")},
    "preprocessing": {"pixels": word, "background": lambda v: v in (0, 255)},
    "hashes": {"source_model": sha256, "weights": sha256},
    "data": {"name": word, "counts": {"train": count, "validation": count, "test": count}},
    "versions": lambda v: isinstance(v, dict) and all(word(x) for x in v.values()),
    "least_engines": lambda v: isinstance(v, dict) and all(word(x) for x in v.values()),
}
_ACCURACY = {
    "float": _COUNTED,
    "artifact": _COUNTED,
    "changed": count,
    "drop_pp": number,
    "drop_interval_pp": lambda v: isinstance(v, list) and len(v) == 2 and all(map(number, v)),
}
_DISTANCE = {"n": count, "rows_equal": count, "largest_step": count, "flips": count}


def _counted(value: Any) -> bool:
    fits = misfit(value, _DISTANCE) is None
    return fits and max(value["rows_equal"], value["flips"]) <= value["n"]


def _tolerance(value: Any) -> bool:
    return number(value) and value >= 0


_REFERENCE = (
    {"engine": word, "refuses": word},
    {"engine": word, "distances": lambda v: _each(v, _counted)},
)
_MEMORY = {
    "arena_bytes": count,
    "weight_bytes": count,
    "steps": [word],
    "titles": [word],
    "blocks": [
        {
            "offset": count,
            "bytes": count,
            "first": count,
            "last": count,
            "holds": ([word], lambda v: v == "scratch"),
        }
    ],
    "scores": [word],
}


def _memory(value: Any) -> bool:
    return (
        misfit(value, _MEMORY) is None
        and len(value["steps"]) == len(value["titles"]) > 0
        and all(
            one["first"] <= one["last"] < len(value["steps"])
            and 0 < one["bytes"] <= value["arena_bytes"] - one["offset"]
            and one["holds"]
            for one in value["blocks"]
        )
    )


_OPTIONAL = {
    "accuracy": _ACCURACY,
    "calibration": (null, {"count": count, "seed": count}),
    "float_operators": (null, [word]),
    "reference": _REFERENCE,
    "memory": _memory,
    "native": {"target": word, "isa": word, "faster": [word]},
    "golden": {
        "gate": lambda v: count(v) and v > 0,
        "close_calls": count,
        "engine": word,
        "cpu": word,
        "tolerance": _tolerance,
        "recorded": (null, {"engine": word, "tolerance": _tolerance}),
    },
}


class NewerSchema(EdgestitchError):
    """A card that a newer edgestitch-runtime reads: the file may be whole."""


def card_text(card: dict[str, Any]) -> str:
    """The card as it stands in a file: one line of JSON, keys in the order they were put in."""
    return json.dumps(card, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def parse_card(path: Path, text: bytes) -> dict[str, Any]:
    """The card in `text`. Raises EdgestitchError when it is damaged, or of a newer schema."""
    try:
        card = json.loads(text.decode(), parse_int=_whole_number)
    except (ValueError, RecursionError):
        raise damaged_card(path, "it is no JSON") from None
    schema = card.get("schema") if isinstance(card, dict) else None
    if isinstance(schema, int) and schema > CARD_SCHEMA:
        raise NewerSchema(
            f"{path} has a card of schema {schema}, this edgestitch-runtime reads {CARD_SCHEMA}",
            hint="pip install --upgrade edgestitch-runtime",
        )
    return card


def _whole_number(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def check_card(path: Path, card: Any, *, format_: str, weights: str, golden: bytes) -> None:
    """Raises EdgestitchError unless the card has the shape that its readers rely on, is of this
    format, and holds the hashes of the `weights` (their SHA-256) and of the `golden` vectors.
    """
    wrong = misfit(card, _SHAPE)
    for entry, shape in _OPTIONAL.items():
        if wrong is None and entry in card:
            wrong = misfit(card[entry], shape, entry)
    if wrong is None and (card["format"] != format_ or card.get("schema") != CARD_SCHEMA):
        wrong = "format or schema"
    if wrong is None and "golden" in card and format_ != "c":
        wrong = misfit(card["golden"], {"sha256": sha256}, "golden")
    if wrong is None and format_ == "c":
        wrong = misfit(card, {"memory": _memory, "golden": {}})
    if wrong:
        raise damaged_card(path, f"its entry {wrong} is missing or of another kind")
    # The golden vectors of C are among its weights.
    told = card.get("golden", {}).get("sha256", hashlib.sha256(b"").hexdigest())
    for what, alike in (
        ("weights", card["hashes"]["weights"] == weights),
        ("golden vectors", told == hashlib.sha256(golden).hexdigest()),
    ):
        if not alike:
            raise EdgestitchError(
                f"{path} was altered after its export: its {what} do not match the hash in its "
                "card",
                hint="copy it again from where it was exported, or export it again",
            )


def _each(value: Any, shape: Shape) -> bool:
    """Whether `value` is an object, and each value in it fits `shape`."""
    return isinstance(value, dict) and all(misfit(one, shape) is None for one in value.values())


def damaged_card(path: Path, why: str) -> EdgestitchError:
    return EdgestitchError(
        f"{path} has a damaged card: {why}", hint="copy it again, or export it again"
    )
