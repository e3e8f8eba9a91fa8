"""Figures with a strip a row under the row's name: latency distributions, cold starts, sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bokeh.core.properties import value
from bokeh.models import ColumnDataSource, HoverTool, LinearScale, Range1d
from bokeh.plotting import figure

from edgestitch_runtime.measurement import LEVELS

from .columns import kilobytes, microseconds
from .drawing import (
    FONT,
    PART_COLOURS,
    Drawn,
    engine_colour,
    engines_in,
    item_of,
    log_ticks,
    new_figure,
    tagged,
    tips,
)
from .report import Row

_PITCH, _AXIS = 34, 56
_UNKNOWN_PART = ("#7b8490", " ")
COLD_PARTS = {
    "interpreter": "interpreter_ms",
    "imports": "import_ms",
    "load": "load_ms",
    "first answer": "first_ms",
}


def _strips(names: Sequence[str], *, x_label: str, **ranges: Any) -> figure:
    """Strip k lies at y = k, counted downwards, its name above it."""
    plot = new_figure(
        height=_PITCH * len(names) + _AXIS,
        x_label=x_label,
        y_range=(len(names) - 0.4, -0.75),
        **ranges,
    )
    plot.yaxis.visible = False
    plot.ygrid.visible = False
    plot.extra_x_ranges = {"names": Range1d(start=0, end=1)}
    plot.extra_x_scales = {"names": LinearScale()}
    told = plot.text(
        [0] * len(names),
        [k - 0.26 for k in range(len(names))],
        text=list(names),
        x_range_name="names",
        text_font=value(FONT),
        text_font_size="11px",
        text_baseline="middle",
        x_offset=2,
    )
    tagged(told.glyph, text_color="ink")
    return plot


def draw_latency(rows: Sequence[Row], names: Sequence[str]) -> Drawn | None:
    """How long single calls took, a strip a row; None where none was timed."""
    timed = [(row, name) for row, name in zip(rows, names, strict=True) if row.latency_us]
    if not timed:
        return None
    at = {level: LEVELS.index(level) for level in (0.01, 0.25, 0.5, 0.75, 0.99, 0.999, 1.0)}
    columns: dict[str, list[Any]] = {f"q{level}": [] for level in at}
    for row, _ in timed:
        assert row.latency_us is not None
        for level, place in at.items():
            columns[f"q{level}"].append(row.latency_us.quantiles[place])
    bare = [row.bare_latency_us.p50 if row.bare_latency_us else None for row, _ in timed]
    low = min([*columns["q0.01"], *filter(None, bare)]) / 1.25
    high = max(columns["q1.0"]) * 1.25
    strips = [k + 0.18 for k in range(len(timed))]
    data = {key.replace(".", "_"): values for key, values in columns.items()} | {
        "y": strips,
        "top": [y - 0.2 for y in strips],
        "bottom": [y + 0.2 for y in strips],
        "bare": [value or float("nan") for value in bare],
        "colour": [engine_colour(row.engine) for row, _ in timed],
        "name": [name for _, name in timed],
    }
    told = {
        f"t{level}".replace(".", "_"): list(map(microseconds, columns[f"q{level}"])) for level in at
    }
    data |= told | {"tbare": [microseconds(value) if value else "-" for value in bare]}
    source = ColumnDataSource(data)
    names_of = [name for _, name in timed]
    plot = _strips(
        names_of,
        x_label="time of a call (log scale)",
        x_axis_type="log",
        x_range=(low, high),
    )
    log_ticks(plot.xaxis[0], low, high, unit="us")
    plot.segment("q0_01", "y", "q0_99", "y", source=source, line_color="colour", line_width=2)
    plot.hbar(
        "y", left="q0_25", right="q0_75", height=0.3, source=source,
        fill_color="colour", line_color="colour", fill_alpha=0.6,
    )  # fmt: skip
    middle = plot.segment("q0_5", "top", "q0_5", "bottom", source=source, line_width=3)
    tagged(middle.glyph, line_color="ink")
    plot.scatter("q0_999", "y", source=source, size=6, line_color="colour", fill_color="colour")
    plot.scatter("q1_0", "y", source=source, marker="x", size=7, line_color="colour", line_width=2)
    inner = plot.scatter("bare", "y", source=source, marker="diamond", size=9, fill_color=None)
    tagged(inner.glyph, line_color="ink")
    hit = plot.hbar(
        "y", left="q0_01", right="q1_0", height=0.7, source=source, fill_alpha=0, line_alpha=0
    )
    fields = [("bare p50 us", "@tbare")]
    fields += [
        (f"p{100 * level:g} us" if level < 1 else "longest us", f"@{key}")
        for level, key in zip(at, told, strict=True)
    ]
    plot.add_tools(HoverTool(renderers=[hit], tooltips=tips("name", fields), limit=1))
    return Drawn(
        key="latency",
        heading="How long a call takes",
        summary=(
            f"Distributions of the latency of {len(timed)} rows, p50 from "
            f"{microseconds(min(columns['q0.5']))} to {microseconds(max(columns['q0.5']))} us."
        ),
        caption=(
            "Each strip is every timed call of one row: the line from p1 to p99, the box from p25 "
            "to p75, the tick the p50, the dot the p99.9, the cross the longest call. The hollow "
            "diamond is the p50 of the engine's own call alone."
        ),
        numbers="latency-numbers",
        height=plot.height or 0,
        item=item_of(plot, "latency"),
        legend=tuple(engines_in([row.engine for row, _ in timed])),
    )


def draw_cold_start(rows: Sequence[Row], names: Sequence[str]) -> Drawn | None:
    """From starting Python to the first answer, in parts; None where none was measured."""
    cold = [
        (name, {part: getattr(row.cold_start, key) for part, key in COLD_PARTS.items()})
        for row, name in zip(rows, names, strict=True)
        if row.cold_start
    ]
    if not cold:
        return None
    sums = [sum(parts.values()) for _, parts in cold]
    # Keras takes as many seconds as others tenths: what a device starts is what must be readable.
    shown = _without_keras(rows, names, cold)
    return Drawn(
        key="cold-start",
        heading="From start to first answer",
        summary=(
            f"Cold starts of {len(cold)} rows in four parts, from {min(sums):,.0f} to "
            f"{max(sums):,.0f} ms."
        ),
        caption=(
            "One start of each row: the interpreter, the imports, opening the file, the first "
            "answer. Keras, which imports TensorFlow, has its numbers in the table."
            if len(shown) < len(cold)
            else "One start of each row: the interpreter, the imports, opening the file, the first "
            "answer."
        ),
        numbers="cold-start-numbers",
        **_stacked(
            "cold-start",
            shown,
            x_label="ms",
            write=lambda value: f"{value:,.0f} ms",
            scale=1,
        ),
    )


def _without_keras(
    rows: Sequence[Row], names: Sequence[str], cold: list[tuple[str, dict[str, float]]]
) -> list[tuple[str, dict[str, float]]]:
    keras = {name for row, name in zip(rows, names, strict=True) if row.format == "keras"}
    return [one for one in cold if one[0] not in keras] or cold


def draw_sizes(files: Sequence[tuple[str, dict[str, int]]]) -> Drawn | None:
    """The bytes of each file by part; None without files."""
    if not files:
        return None
    sums = [sum(parts.values()) for _, parts in files]
    return Drawn(
        key="sizes",
        heading="What the bytes are",
        summary=(
            f"Sizes of {len(files)} files by part, from {kilobytes(min(sums))} to "
            f"{kilobytes(max(sums))} kB."
        ),
        caption="What each file takes on a disk; kB are 1,000 bytes.",
        numbers="size-numbers",
        **_stacked(
            "sizes",
            [(name, {part: float(size) for part, size in parts.items()}) for name, parts in files],
            x_label="kB",
            write=lambda value: f"{value / 1000:,.1f} kB",
            scale=1000,
        ),
    )


def _stacked(
    key: str,
    bars: Sequence[tuple[str, dict[str, float]]],
    *,
    x_label: str,
    write: Any,
    scale: float,
) -> dict[str, Any]:
    longest = max(sum(parts.values()) for _, parts in bars) / scale
    plot = _strips([name for name, _ in bars], x_label=x_label, x_range=(0, longest * 1.18 or 1))
    used = [part for part in PART_COLOURS if any(part in parts for _, parts in bars)]
    used += [p for _, parts in bars for p in parts if p not in PART_COLOURS and p not in used]
    drawn = []
    starts = [0.0] * len(bars)
    for part in dict.fromkeys(used):
        colour, hatch = PART_COLOURS.get(part, _UNKNOWN_PART)
        sizes = [parts.get(part, 0.0) / scale for _, parts in bars]
        ends = [start + size for start, size in zip(starts, sizes, strict=True)]
        there = [k for k, size in enumerate(sizes) if size > 0]
        source = ColumnDataSource(
            {
                "y": [k + 0.18 for k in there],
                "left": [starts[k] for k in there],
                "right": [ends[k] for k in there],
                "name": [bars[k][0] for k in there],
                "part": [part] * len(there),
                "told": [write(bars[k][1][part]) for k in there],
                "sum": [write(sum(bars[k][1].values())) for k in there],
            }
        )
        bar = plot.hbar(
            "y", left="left", right="right", height=0.42, source=source, fill_color=colour,
            hatch_pattern=hatch, hatch_color="#ffffff", hatch_alpha=0.75, hatch_scale=7,
            hatch_weight=1.2,
        )  # fmt: skip
        tagged(bar.glyph, line_color="paper")
        drawn.append(bar)
        starts = ends
    told = plot.text(
        starts,
        [k + 0.18 for k in range(len(bars))],
        text=[write(sum(parts.values())) for _, parts in bars],
        text_font=value(FONT),
        text_font_size="11px",
        text_baseline="middle",
        x_offset=4,
    )
    tagged(told.glyph, text_color="muted")
    fields = tips("name", [("@part", "@told"), ("in all", "@sum")])
    plot.add_tools(HoverTool(renderers=drawn, tooltips=fields, limit=1))
    return {
        "height": plot.height or 0,
        "item": item_of(plot, key),
        "legend": tuple(("part", part) for part in dict.fromkeys(used)),
    }
