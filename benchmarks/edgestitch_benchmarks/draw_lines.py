"""Figures of lines: images a second over batch sizes, and how far confidence can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bokeh.models import ColumnDataSource, FixedTicker, HoverTool

from .drawing import (
    DASHES,
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
from .report import Bin, Row

_HEIGHT = 340
_FLOAT_COLOUR, _CHOSEN_COLOUR = "#7b8490", "#2f7fd6"


def draw_throughput(rows: Sequence[Row], names: Sequence[str]) -> Drawn | None:
    """Images a second over batch sizes, a line a row; None where none was measured."""
    fast = [(row, name) for row, name in zip(rows, names, strict=True) if row.throughput]
    if not fast:
        return None
    batches = sorted({speed.batch for row, _ in fast for speed in row.throughput})
    speeds = [speed.images_per_s for row, _ in fast for speed in row.throughput]
    low, high = min(speeds) / 1.4, max(speeds) * 1.4
    plot = new_figure(
        height=_HEIGHT,
        x_label="images a call",
        y_label="images/s (log scale)",
        x_axis_type="log",
        y_axis_type="log",
        x_range=(batches[0] / 1.25, batches[-1] * 1.25),
        y_range=(low, high),
    )
    plot.xaxis.ticker = FixedTicker(ticks=[float(batch) for batch in batches])
    plot.xaxis.major_label_overrides = {float(batch): f"{batch}" for batch in batches}
    log_ticks(plot.yaxis[0], low, high, unit="")
    dots = []
    for row, name in fast:
        colour = engine_colour(row.engine)
        source = ColumnDataSource(
            {
                "x": [speed.batch for speed in row.throughput],
                "y": [speed.images_per_s for speed in row.throughput],
                "told": [f"{speed.images_per_s:,.0f}" for speed in row.throughput],
                "name": [name] * len(row.throughput),
            }
        )
        dash = DASHES.get(row.precision, [])
        plot.line("x", "y", source=source, line_color=colour, line_dash=dash, line_width=1.5)
        dots.append(
            plot.scatter(
                "x",
                "y",
                source=source,
                marker=marker(row.precision),
                size=8,
                fill_color=colour,
                line_color=colour,
                fill_alpha=0.0 if row.machine else 0.75,
            )
        )
    shown = tips("name", [("images a call", "@x"), ("images/s", "@told")])
    plot.add_tools(HoverTool(renderers=dots, tooltips=shown, limit=3))
    return Drawn(
        key="throughput",
        heading="Throughput over batch sizes",
        summary=(
            f"Images a second of {len(fast)} rows at {', '.join(map(str, batches))} images a "
            f"call, from {min(speeds):,.0f} to {max(speeds):,.0f}."
        ),
        caption="Shapes and dashes are precisions, colours engines, as in the first figure.",
        numbers="throughput-numbers",
        height=_HEIGHT,
        item=item_of(plot, "throughput"),
        legend=(
            *precisions_in([row.precision for row, _ in fast]),
            *engines_in([row.engine for row, _ in fast]),
        ),
    )


def draw_reliability(of_float: Sequence[Bin], chosen: Sequence[Bin], *, least: float) -> Drawn:
    """The share that is right over the confidence; the page puts another artifact into it.

    `least` is the lowest confidence, 0..1, that the axis need show.
    """
    low = math.floor(10 * least) * 10
    plot = new_figure(
        height=_HEIGHT,
        x_label="mean confidence, %",
        y_label="of these right, %",
        x_range=(low, 102),
        y_range=(-3, 103),
    )
    ideal = plot.line([0, 100], [0, 100], line_dash=[2, 4], line_width=1.5)
    tagged(ideal.glyph, line_color="muted")
    dots = []
    for key, bins, colour, shape, dash in (
        ("float", of_float, _FLOAT_COLOUR, "circle", []),
        ("chosen", chosen, _CHOSEN_COLOUR, "triangle", [5, 3]),
    ):
        source = ColumnDataSource(reliability_data(bins), name=f"reliability-{key}")
        plot.line("x", "y", source=source, line_color=colour, line_dash=dash, line_width=2)
        dots.append(
            plot.scatter(
                "x",
                "y",
                source=source,
                marker=shape,
                size="size",
                fill_color=colour,
                line_color=colour,
                fill_alpha=0.5,
            )
        )
    fields = [("mean confidence", "@x{0.0} %"), ("right", "@y{0.0} %"), ("images", "@n{0,0}")]
    plot.add_tools(HoverTool(renderers=dots, tooltips=tips(None, fields), limit=2))
    return Drawn(
        key="reliability",
        heading="How far confidence can be trusted",
        summary=(
            "Reliability curves of the float model and of the chosen artifact: the share of right "
            "answers over their mean confidence."
        ),
        caption=(
            "On the dotted line confidence is what it says; below it the model is too sure. "
            "Circles: the float model. Triangles: the chosen artifact. A larger mark stands for "
            "more images."
        ),
        numbers="reliability-numbers",
        height=_HEIGHT,
        item=item_of(plot, "reliability"),
    )


def reliability_data(bins: Sequence[Bin]) -> dict[str, list[float]]:
    """The curve's points: percent, percent, count, and a size that grows with the count."""
    there = [one for one in bins if one.confidence is not None and one.accuracy is not None]
    whole = max([one.n for one in there], default=1)
    return {
        "x": [100 * (one.confidence or 0) for one in there],
        "y": [100 * (one.accuracy or 0) for one in there],
        "n": [float(one.n) for one in there],
        "size": [5 + 13 * math.sqrt(one.n / whole) for one in there],
    }
