"""The tables of the page: cells as text with the number that they are sorted by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from edgestitch_runtime.measurement import LEVELS, LatencyUs

from .columns import (
    ACCURACY,
    ACCURACY_INTERVAL,
    AGAINST,
    ARTIFACT,
    BARE,
    CALIBRATION,
    COLD,
    DISTANCE,
    DROP,
    ENGINE,
    FLIPS,
    MCNEMAR,
    OWN_MEMORY,
    P50,
    P90,
    P99,
    PEAK,
    PER_SECOND,
    PRECISION,
    RUN,
    RUNS,
    SELFTEST,
    SIZE,
    THREADS,
    kilobytes,
    microseconds,
    throughput,
)
from .draw_strips import COLD_PARTS
from .grid import MISSING, Column
from .report import Report, Row
from .table import batches

R = TypeVar("R")
_SHORT_HASH = 10
_SHOWN_LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What stands in a cell; `value` sorts a column of numbers, `title` says more on hovering."""

    text: str
    value: float | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A column's heading, and whether numbers stand below it."""

    text: str
    number: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTable:
    """A table: its `key` is its id on the page. The first cell of a row names the row.

    `runs` are the runs that the rows belong to, for a filter; () where there is none.
    """

    key: str
    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Cell, ...], ...]
    runs: tuple[str, ...] = ()


def table_of(key: str, caption: str, columns: Sequence[Column[R]], rows: Sequence[R]) -> PageTable:
    """A table with these columns of these rows."""
    return PageTable(
        key=key,
        caption=caption,
        headings=tuple(Heading(text=c.heading, number=c.number) for c in columns),
        rows=tuple(tuple(_cell(column, row) for column in columns) for row in rows),
    )


def _cell(column: Column[R], row: R) -> Cell:
    return Cell(text=column.cell(row), value=column.value(row) if column.value else None)


def every_row(report: Report, names: Sequence[str]) -> PageTable:
    """The table of everything, with whole names and the hash of each file."""
    run = (RUN,) if len(report.runs) > 1 else ()
    speeds = [throughput(batch) for batch in batches(report)] or [PER_SECOND]
    columns = (
        ARTIFACT, ENGINE, *run, PRECISION, SIZE, ACCURACY_INTERVAL, DROP, FLIPS, MCNEMAR, P50, P90,
        P99, AGAINST, BARE, RUNS, *speeds, COLD, PEAK, OWN_MEMORY, SELFTEST, DISTANCE, CALIBRATION,
        THREADS,
    )  # fmt: skip
    table = table_of("every-row", "Every row", columns, report.rows)
    rows = []
    for row, name, cells in zip(report.rows, names, table.rows, strict=True):
        whole = row.sha256
        digest = Cell(text=whole[:_SHORT_HASH] if whole else MISSING, title=whole)
        first = Cell(text=cells[0].text, title=name)
        rows.append((first, *cells[1:], digest))
    return PageTable(
        key=table.key,
        caption=table.caption,
        headings=(*table.headings, Heading(text="sha256", number=False)),
        rows=tuple(rows),
        runs=tuple(row.run or MISSING for row in report.rows) if run else (),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendedCard:
    """A recommended row: what for, its name, why, its other numbers, its speed in words."""

    kind: str
    name: str
    reason: str
    numbers: str
    speed: str | None


def recommended_cards(report: Report, names: Sequence[str]) -> list[RecommendedCard]:
    """The recommended rows with the numbers that decide."""
    known = {row.name: (row, name) for row, name in zip(report.rows, names, strict=True)}
    cards = []
    for one in report.recommended:
        row, name = known.get(one.row, (None, one.row))
        numbers, speed = [], None
        if row is not None:
            units = ((SIZE, "kB"), (ACCURACY, "% accuracy"), (P50, "us"))
            numbers = [f"{column.cell(row)} {unit}" for column, unit in units]
            if row.against is not None:
                speed = f"{AGAINST.cell(row)}: beside {row.against.row}"
        cards.append(
            RecommendedCard(
                kind=one.kind, name=name, reason=one.reason, numbers=", ".join(numbers), speed=speed
            )
        )
    return cards


def latency_numbers(rows: Sequence[Row], names: Sequence[str]) -> PageTable:
    """The quantiles behind the strips."""

    def cells(told: LatencyUs) -> list[Cell]:
        found = [told.quantiles[LEVELS.index(level)] for level in _SHOWN_LEVELS]
        low, high = told.repeat_p50
        return [
            *(Cell(text=microseconds(value), value=value) for value in found),
            Cell(text=f"{microseconds(low)} to {microseconds(high)}", value=low),
        ]

    return PageTable(
        key="latency-numbers",
        caption="Latency of the whole call, in us",
        headings=(
            Heading(text="row", number=False),
            *(
                Heading(text=f"p{100 * level:g}" if level < 1 else "longest", number=True)
                for level in _SHOWN_LEVELS
            ),
            Heading(text="p50 of a repeat [95 %]", number=True),
            Heading(text="p50 of the bare call", number=True),
        ),
        rows=tuple(
            (Cell(text=name), *cells(row.latency_us), _cell(BARE, row))
            for row, name in zip(rows, names, strict=True)
            if row.latency_us
        ),
    )


def cold_start_numbers(rows: Sequence[Row], names: Sequence[str]) -> PageTable:
    """The parts of the cold starts."""
    return PageTable(
        key="cold-start-numbers",
        caption="From start to first answer, in ms",
        headings=(
            Heading(text="row", number=False),
            *(Heading(text=part, number=True) for part in COLD_PARTS),
            Heading(text="in all", number=True),
        ),
        rows=tuple(
            (
                Cell(text=name),
                *(
                    _number(getattr(row.cold_start, key), "{:,.1f}".format)
                    for key in COLD_PARTS.values()
                ),
                _number(row.cold_start.total_ms, "{:,.1f}".format),
            )
            for row, name in zip(rows, names, strict=True)
            if row.cold_start
        ),
    )


def throughput_numbers(report: Report, names: Sequence[str]) -> PageTable:
    """Images a second over batch sizes."""
    columns = [throughput(batch) for batch in batches(report)]
    return PageTable(
        key="throughput-numbers",
        caption="Images a second",
        headings=(
            Heading(text="row", number=False),
            *(Heading(text=column.heading, number=True) for column in columns),
        ),
        rows=tuple(
            (Cell(text=name), *(_cell(column, row) for column in columns))
            for row, name in zip(report.rows, names, strict=True)
            if row.throughput
        ),
    )


def size_numbers(files: Sequence[tuple[str, dict[str, int]]]) -> PageTable:
    """The parts of the files."""
    parts = list(dict.fromkeys(part for _, sizes in files for part in sizes))
    return PageTable(
        key="size-numbers",
        caption="Bytes of each file by part, in kB",
        headings=(
            Heading(text="file", number=False),
            *(Heading(text=part, number=True) for part in parts),
            Heading(text="in all", number=True),
        ),
        rows=tuple(
            (
                Cell(text=name),
                *(_number(sizes.get(part), kilobytes) for part in parts),
                _number(sum(sizes.values()), kilobytes),
            )
            for name, sizes in files
        ),
    )


def _number(value: float | None, write: Callable[..., str]) -> Cell:
    return Cell(text=MISSING if value is None else write(value), value=value)
