"""`edgestitch train --list`: the models and what to expect of each, from their shipped runs."""

from __future__ import annotations

import json
from dataclasses import asdict

from .duration import duration
from .models import ARCHITECTURES
from .shipped import Expected, expected

HEAD = ("model", "parameters", "MACs", "int8 TFLite", "test accuracy", "training", "network")


def table() -> str:
    """A Markdown table, as README shows it; columns padded so that a terminal reads it too."""
    rows = [HEAD, *(_row(expected(model)) for model in ARCHITECTURES)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(HEAD))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    devices = sorted({expected(model).device for model in ARCHITECTURES})
    note = (
        f"Fashion-MNIST, seed 0, trained on {' and '.join(devices)}; accuracy of the float model "
        "with Keras. MACs: multiply-accumulates for one image.\n"
        "edgestitch train --pretrained NAME lays any of them into runs/ at once."
    )
    return "\n".join([*lines, "", note])


def as_json() -> str:
    """The same as a JSON array, one object a model."""
    return json.dumps([asdict(expected(model)) for model in ARCHITECTURES], indent=2)


def _row(each: Expected) -> tuple[str, ...]:
    return (
        each.model,
        f"{each.parameters:,}",
        f"{each.macs:,}",
        f"{each.int8_bytes:,} bytes",
        f"{100 * each.test_correct / each.test_n:.2f} % of {each.test_n:,}",
        duration(each.seconds),
        each.summary,
    )


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    return "| " + " | ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)) + " |"
