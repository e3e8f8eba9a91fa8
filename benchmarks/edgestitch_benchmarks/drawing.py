"""What the figures of the page have in common: shapes, colours, axes, and a figure as plain JSON.

A precision is a shape and a dash, an engine a colour, a part of a file a hatch: nothing is said by
colour alone. The colours have a contrast of 3 or more on white and on the dark page. What the page
colours anew when its theme changes carries a tag `property=ink`, `=muted`, `=line` or `=paper`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bokeh.embed import json_item
from bokeh.models import FixedTicker, LogTicker, Model
from bokeh.plotting import figure
from markupsafe import escape

from edgestitch_runtime.engines import ENGINES

INK, MUTED, LINE, PAPER = "#1b1f24", "#59636e", "#d4d9df", "#ffffff"
FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif"
_COLOURS = ("#2f7fd6", "#b8651b", "#23895a", "#9d5fc0", "#cf4a5c", "#7d7f1d", "#178a99")
_GRAY = "#7b8490"
MARKERS = {
    "float32": "circle",
    "float16": "square",
    "dynamic": "diamond",
    "mixed": "hex",
    "int8": "triangle",
}
DASHES = {
    "float32": [],
    "float16": [7, 3],
    "dynamic": [2, 3],
    "mixed": [9, 3, 2, 3],
    "int8": [4, 2],
}
OTHER_MARKER = "star"
# Parts of a file and of a cold start, each with a colour and a hatch of its own.
PART_COLOURS = {
    "weights": (_COLOURS[0], " "),
    "code": (_COLOURS[4], "|"),
    "graph": (_COLOURS[2], "/"),
    "library": (_COLOURS[3], "-"),
    "card": (_COLOURS[1], "\\"),
    "labels": (_COLOURS[5], "x"),
    "golden vectors": (_COLOURS[6], "."),
    "rest": (_GRAY, "+"),
    "model": (_GRAY, " "),
    "interpreter": (_GRAY, " "),
    "imports": (_COLOURS[0], "/"),
    "load": (_COLOURS[1], "\\"),
    "first answer": (_COLOURS[2], "."),
}
_ID = re.compile(r"p\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A figure: its `key` on the page, a heading, one sentence of what it shows, how to read it.

    `numbers` is the key of the table with the same numbers, `legend` what its marks stand for, as
    (kind, name) with kind precision, engine or part.
    """

    key: str
    heading: str
    summary: str
    caption: str
    numbers: str
    height: int
    item: dict[str, Any]
    legend: tuple[tuple[str, str], ...] = ()


def engine_colour(engine: str) -> str:
    """The colour of an engine; Keras, which is the baseline, is gray."""
    names = list(ENGINES)
    return _COLOURS[names.index(engine) % len(_COLOURS)] if engine in names else _GRAY


def marker(precision: str) -> str:
    """The shape of a precision."""
    return MARKERS.get(precision, OTHER_MARKER)


def new_figure(*, height: int, x_label: str, y_label: str | None = None, **ranges: Any) -> figure:
    """An empty figure as wide as its place, with no toolbar: hovering is all that it does."""
    plot = figure(
        height=height,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="",
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        min_border_left=8,
        min_border_right=14,
        **ranges,
    )
    plot.xaxis.axis_label = x_label
    plot.yaxis.axis_label = y_label
    for axis in plot.axis:
        axis.axis_label_text_font = axis.major_label_text_font = FONT
        axis.axis_label_text_font_size, axis.major_label_text_font_size = "12px", "11px"
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_color = axis.major_label_text_color = MUTED
        axis.axis_line_color = axis.major_tick_line_color = LINE
        axis.minor_tick_line_color = None
        axis.tags = [
            "axis_label_text_color=muted",
            "major_label_text_color=muted",
            "axis_line_color=line",
            "major_tick_line_color=line",
        ]
    for grid in plot.grid:
        grid.grid_line_color = LINE
        grid.tags = ["grid_line_color=line"]
    return plot


def tagged(model: Model, **colours: str) -> None:
    """Names the colours of a model that the page's theme decides, and sets the light ones."""
    of_light = {"ink": INK, "muted": MUTED, "line": LINE, "paper": PAPER}
    for name, colour in colours.items():
        setattr(model, name, of_light[colour])
    model.tags = [f"{name}={colour}" for name, colour in colours.items()]


def tips(name: str | None, rows: Sequence[tuple[str, str]]) -> str:
    """What hovering shows, as Bokeh's template: its fields (@field) come out as text, not as HTML.

    `name` is the field of the title, `rows` are labels and fields.
    """
    title = f'<div style="font-weight: 600; padding-bottom: 3px">@{name}</div>' if name else ""
    lines = "".join(
        f'<tr><td style="padding: 0 10px 0 0; opacity: 0.8">{escape(label)}</td>'
        f"<td>{escape(field)}</td></tr>"
        for label, field in rows
    )
    return f'<div style="font-size: 12px; line-height: 1.4">{title}<table>{lines}</table></div>'


def log_ticks(axis: Any, low: float, high: float, *, unit: str) -> None:
    """Ticks of a logarithmic axis at 1, 2, 5 or at powers of ten, in words of its unit.

    `unit` "us" goes on to ms and s, "ms" to s, "" to thousands.
    """
    decades = math.log10(high / low)
    steps = (1, 2, 5) if decades < 1.6 else (1, 3) if decades < 2.6 else (1,)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    values = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    values = [value for value in values if low <= value <= high]
    axis.ticker = FixedTicker(ticks=values) if values else LogTicker()
    axis.major_label_overrides = {value: _tick(value, unit) for value in values}


def _tick(value: float, unit: str) -> str:
    units = {"us": ("us", "ms", "s"), "ms": ("ms", "s"), "": ("", "k", "M")}[unit]
    scale = 0
    while value >= 1000 and scale + 1 < len(units):
        value, scale = value / 1000, scale + 1
    return f"{value:g} {units[scale]}".strip() if units[0] else f"{value:g}{units[scale]}"


def item_of(plot: Model, key: str) -> dict[str, Any]:
    """The figure as JSON to embed; its ids count from 1, whatever else was drawn before."""
    item = json_item(plot, key)  # pyright: ignore[reportArgumentType]
    names: dict[str, str] = {}
    return _renamed(dict(item), names, key)


def _renamed(value: Any, names: dict[str, str], key: str) -> Any:
    if isinstance(value, dict):
        return {
            name: _name(held, names, key)
            if name in ("id", "root_id") and isinstance(held, str) and _ID.fullmatch(held)
            else _renamed(held, names, key)
            for name, held in value.items()
        }
    if isinstance(value, list | tuple):
        return [_renamed(held, names, key) for held in value]
    return value


def _name(held: str, names: dict[str, str], key: str) -> str:
    return names.setdefault(held, f"{key}-{len(names) + 1}")


def engines_in(names: Sequence[str]) -> list[tuple[str, str]]:
    """A legend of engines, each once; all ways to call Keras are one."""
    told = ["keras" if engine_colour(name) == _GRAY else name for name in names]
    return [("engine", name) for name in dict.fromkeys(told)]


def precisions_in(names: Sequence[str]) -> list[tuple[str, str]]:
    """A legend of precisions, each once."""
    return [("precision", name) for name in dict.fromkeys(names)]
