"""Accuracy against latency, with the intervals of both and the Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

from bokeh.core.properties import value
from bokeh.models import ColumnDataSource, HoverTool

from edgestitch_runtime.golden_check import DIFFERS

from .columns import (
    ACCURACY_INTERVAL,
    AGAINST,
    BARE,
    COLD,
    DROP,
    FLIPS,
    P50,
    P90,
    P99,
    PEAK,
    PER_SECOND,
    RUNS,
    SIZE,
    accuracy_interval,
    microseconds,
    percent,
)
from .drawing import (
    FONT,
    Drawn,
    engine_colour,
    engines_in,
    item_of,
    log_ticks,
    marker,
    new_figure,
    precisions_in,
    tagged,
    tips,
)
from .report import Row

_HEIGHT = 420
_TOLD = (
    SIZE, ACCURACY_INTERVAL, DROP, FLIPS, P50, P90, P99, RUNS, BARE, AGAINST, PER_SECOND, COLD,
    PEAK,
)  # fmt: skip


def points_of(rows: Sequence[Row]) -> list[Row]:
    """The rows that have both an accuracy and a latency."""
    return [row for row in rows if row.latency_us and row.accuracy is not None and row.n]


def front_of(rows: Sequence[Row]) -> list[Row]:
    """The rows of this machine that none is both faster and as accurate as, the fastest first.

    A row that differs from its file's golden vectors is left out.
    """
    best, front = -1.0, []
    here = [r for r in points_of(rows) if r.machine is None and r.selftest != DIFFERS]
    for row in sorted(here, key=lambda r: (_p50(r), -(r.accuracy or 0))):
        if (row.accuracy or 0) > best:
            best = row.accuracy or 0
            front.append(row)
    return front


def front_lines(rows: Sequence[Row]) -> list[tuple[str, Row, str]]:
    """The front in words: letter, row, its two numbers."""
    return [
        (letter, row, f"{microseconds(_p50(row))} us, {percent(row.accuracy or 0)} %")
        for letter, row in zip(ascii_uppercase, front_of(rows), strict=False)
    ]


def draw_front(rows: Sequence[Row], names: Sequence[str]) -> Drawn | None:
    """The figure of `rows`, which are called `names`; None where no row has both numbers."""
    called = {id(row): name for row, name in zip(rows, names, strict=True)}
    points = points_of(rows)
    if not points:
        return None
    front = front_of(rows)
    machines = list(dict.fromkeys(row.machine for row in points if row.machine))
    limits = [_interval(row) for row in points]
    x_low = min(min(_repeat(row)) for row in points) / 2
    x_high = max(max(_repeat(row)) for row in points) * 1.3
    y_low, y_high = min(low for low, _ in limits), max(high for _, high in limits)
    room = max(0.05 * (y_high - y_low), 0.05)
    plot = new_figure(
        height=_HEIGHT,
        x_label="p50 of the whole call (log scale)",
        y_label="accuracy %",
        x_axis_type="log",
        x_range=(x_low, x_high),
        y_range=(y_low - room, y_high + room),
    )
    log_ticks(plot.xaxis[0], x_low, x_high, unit="us")
    if front:
        steps = plot.step(
            [_p50(row) for row in front] + [x_high],
            [_percent(row) for row in front] + [_percent(front[-1])],
            mode="after",
            line_dash=[5, 4],
            line_width=1.5,
        )
        tagged(steps.glyph, line_color="muted")
    source = ColumnDataSource(_columns(points, called, limits, machines))
    plot.segment("x", "low", "x", "high", source=source, line_color="colour", line_alpha=0.45)
    plot.segment("left", "y", "right", "y", source=source, line_color="colour", line_alpha=0.8)
    dots = plot.scatter(
        "x",
        "y",
        source=source,
        marker="marker",
        size=11,
        fill_color="colour",
        fill_alpha="fill",
        line_color="colour",
        line_width="width",
    )
    dots.hover_glyph = dots.glyph.clone(size=15)
    told = tips("name", [(column.heading, f"@c{k}") for k, column in enumerate(_TOLD)])
    plot.add_tools(HoverTool(renderers=[dots], tooltips=told, limit=1))
    if front:
        letters = plot.text(
            [_p50(row) for row in front],
            [_percent(row) for row in front],
            text=[letter for letter, _, _ in front_lines(rows)] + [""] * (len(front) - 26),
            y_offset=-9,
            text_align="center",
            text_font=value(FONT),
            text_font_size="13px",
            text_font_style="bold",
        )
        tagged(letters.glyph, text_color="ink")
    whole = f"{len(points)} rows; on the Pareto front: " + "; ".join(
        f"{called[id(row)]}, {told}" for _, row, told in front_lines(rows)
    )
    others = f" Hollow: measured on {', '.join(machines)}." if machines else ""
    return Drawn(
        key="front",
        heading="Accuracy against latency",
        summary=f"Accuracy against latency of {whole}.",
        caption=(
            "A point is one file on one engine; a shape is a precision, a colour an engine. "
            "Upright bars: 95 % interval of the accuracy. Level bars: where the p50 of a repeat on "
            "the same machine lies at 95 %. The dashed line is the Pareto front of this machine, "
            "by measured values: right of it and below, something is faster and as accurate."
            f"{others}"
        ),
        numbers="every-row",
        height=_HEIGHT,
        item=item_of(plot, "front"),
        legend=(
            *precisions_in([row.precision for row in points]),
            *engines_in([row.engine for row in points]),
        ),
    )


def _columns(
    points: Sequence[Row],
    called: dict[int, str],
    limits: Sequence[tuple[float, float]],
    machines: Sequence[str],
) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {
        "x": [_p50(row) for row in points],
        "y": [_percent(row) for row in points],
        "left": [_repeat(row)[0] for row in points],
        "right": [_repeat(row)[1] for row in points],
        "low": [low for low, _ in limits],
        "high": [high for _, high in limits],
        "colour": [engine_colour(row.engine) for row in points],
        "marker": [marker(row.precision) for row in points],
        "fill": [0.0 if row.machine else 0.75 for row in points],
        "width": [1.0 + machines.index(row.machine) if row.machine else 1.0 for row in points],
        "name": [called[id(row)] for row in points],
    }
    for k, column in enumerate(_TOLD):
        columns[f"c{k}"] = [column.cell(row) for row in points]
    return columns


def _p50(row: Row) -> float:
    assert row.latency_us is not None
    return row.latency_us.p50


def _repeat(row: Row) -> tuple[float, float]:
    """The interval of a repeat's p50, no wider than a decade: an axis is no place for more."""
    assert row.latency_us is not None
    low, high = row.latency_us.repeat_p50
    return max(low, row.latency_us.p50 / 10), min(high, row.latency_us.p50 * 10)


def _percent(row: Row) -> float:
    return 100 * (row.accuracy or 0)


def _interval(row: Row) -> tuple[float, float]:
    low, high = accuracy_interval(row) or (0.0, 1.0)
    return 100 * low, 100 * high
