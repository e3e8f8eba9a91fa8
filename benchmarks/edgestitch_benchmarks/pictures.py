"""The two pictures of a report, as SVG to be put into a page: the page's style gives the colours.

Text stays text, and every colour is a CSS variable, so that one picture serves light and dark. The
same report gives the same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from edgestitch_runtime.agreement import wilson

from .report import Report, Row

_STAIR = 11.0  # points from one name to the next
_NAME_SIZE = 8.0
# Matplotlib wants real colours: each of these stands for a CSS variable of the page.
_INK, _MUTED, _LINE = "#010101", "#020202", "#030303"
_SERIES = ("#040401", "#040402", "#040403", "#040404", "#040405", "#040406", "#040407")
_VARIABLES = {_INK: "--ink", _MUTED: "--muted", _LINE: "--line"} | {
    colour: f"--series-{k}" for k, colour in enumerate(_SERIES)
}
_MARKERS = {"float32": "o", "float16": "s", "dynamic": "D", "mixed": "P", "int8": "^"}
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "edgestitch",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": _INK,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "lines.linewidth": 1.6,
}


def accuracy_against_latency(report: Report) -> str | None:
    """Each measured row as a point with its 95 % interval; None when no row was measured.

    Names stand in stairs below the points (above, for those too far right), one line each, so that
    no name covers another, a point or another's line.
    """
    rows = [r for r in report.rows if r.latency_us is not None and r.accuracy is not None]
    if not rows:
        return None
    engines = list(dict.fromkeys(row.engine for row in rows))
    points = [_point(row, report, engines) for row in rows]
    with _style():
        figure, axes = _figure(height=2.6 + _STAIR / 72 * len(points))
        axes.set_xscale("log")
        for point in points:
            axes.plot([point.x, point.x], [point.low, point.high], color=point.colour, alpha=0.5)
            axes.plot(point.x, point.y, point.marker, color=point.colour, markersize=5.5)
        axes.set_xlabel("p50 of one classify call, us (log): left is faster")
        axes.set_ylabel(f"accuracy, % of {rows[0].n:,} test images", loc="top")
        axes.xaxis.set_major_formatter(
            lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"
        )
        axes.grid(visible=False, which="minor")
        axes.margins(x=0.06)
        _name_points(figure, axes, points)
        return _svg(figure, "accuracy")


def sizes(report: Report) -> str:
    """The size of every file that could be read as a bar with its number."""
    files: dict[str, Row] = {}
    for row in report.rows:
        if row.bytes is not None:
            files.setdefault(row.artifact, row)
    kilobytes = {name: (row.bytes or 0) / 1000 for name, row in files.items()}
    ordered = sorted(files.values(), key=lambda r: (-kilobytes[r.artifact], r.artifact))
    values = [kilobytes[row.artifact] for row in ordered]
    places = range(len(ordered), 0, -1)
    with _style():
        figure, axes = _figure(height=0.7 + 0.27 * len(ordered))
        axes.barh(places, values, color=_SERIES[0], height=0.62)
        for place, value in zip(places, values, strict=True):
            axes.annotate(
                f"{value:,.1f}", (value, place), (4, 0), textcoords="offset points", va="center"
            )
        axes.set_yticks(list(places), [_short(row, report) for row in ordered])
        axes.tick_params(axis="y", length=0, labelcolor=_INK)
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, max(values) * 1.22)
        axes.locator_params(axis="x", nbins=5)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlabel("file size, kB of 1,000 bytes: shorter is smaller")
        return _svg(figure, "size")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    """A row as it is drawn: `x` in microseconds, the others in percent."""

    x: float
    y: float
    low: float
    high: float
    name: str
    colour: str
    marker: str


def _point(row: Row, report: Report, engines: Sequence[str]) -> _Point:
    assert row.latency_us is not None and row.accuracy is not None and row.n is not None
    low, high = wilson(correct=round(row.accuracy * row.n), n=row.n)
    return _Point(
        x=row.latency_us.p50,
        y=100 * row.accuracy,
        low=100 * low,
        high=100 * high,
        name=row.engine if row.format == "keras" else f"{_short(row, report)} · {row.engine}",
        colour=_SERIES[engines.index(row.engine) % len(_SERIES)],
        marker=_MARKERS.get(row.precision, "o"),
    )


def _short(row: Row, report: Report) -> str:
    return row.artifact.removeprefix(f"{report.run.name}-")


def _name_points(figure: Any, axes: Any, points: Sequence[_Point]) -> None:
    """Leaves room under (and over) the intervals and puts the names there, a stair each.

    Below, the leftmost name is lowest and every name runs to the right of its line: a line further
    right ends on a higher stair, so nothing crosses. Above it is the mirror image, for names that
    would leave the picture.
    """
    from matplotlib.ticker import MaxNLocator

    figure.draw_without_rendering()
    frame = axes.get_window_extent()
    pixels = figure.dpi / 72
    below, above = [], []
    for point in sorted(points, key=lambda p: p.x):
        width = 0.62 * _NAME_SIZE * len(point.name) * pixels
        starts_at = axes.transData.transform((point.x, point.y))[0]
        (below if starts_at + width <= frame.x1 else above).append(point)
    low, high = min(p.low for p in points), max(p.high for p in points)
    unit = max(high - low, 1e-6) / (frame.height / pixels - _STAIR * (len(points) + 2))
    axes.set_ylim(low - _STAIR * (len(below) + 1) * unit, high + _STAIR * (len(above) + 1) * unit)
    ticks = [t for t in MaxNLocator(5).tick_values(low, high) if low <= t <= high]
    axes.set_yticks(ticks or [low])
    for stair, point in enumerate(reversed(below), start=1):
        _name_point(axes, point, end=low - stair * _STAIR * unit, start=point.low, side="left")
    for stair, point in enumerate(above, start=1):
        _name_point(axes, point, end=high + stair * _STAIR * unit, start=point.high, side="right")


def _name_point(axes: Any, point: _Point, *, end: float, start: float, side: str) -> None:
    axes.plot([point.x, point.x], [start, end], ":", color=point.colour, linewidth=0.8, alpha=0.8)
    axes.annotate(
        point.name,
        (point.x, end),
        (3 if side == "left" else -3, 0),
        textcoords="offset points",
        color=point.colour,
        fontsize=_NAME_SIZE,
        ha=side,
        va="center",
    )


def _style() -> AbstractContextManager[Any]:
    from matplotlib import rc_context

    return rc_context(_STYLE)


def _figure(*, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.3, height), layout="constrained")
    return figure, figure.subplots()


def _svg(figure: Any, name: str) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    # Two pictures share one page, whose ids must differ; the page's style gives the width.
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    opening, rest = text.split(">", 1)
    opening = re.sub(r' (width|height|version|xmlns|xmlns:xlink)="[^"]*"', "", opening)
    return f"{opening}>{rest}".replace("xlink:href", "href")
