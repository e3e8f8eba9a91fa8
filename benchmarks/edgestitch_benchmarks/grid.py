"""Tables of plain text: columns of any kind of row, as wide as a terminal lets them be."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

MISSING = "-"
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Generic[R]):
    """A column: its heading with the unit, how a row's cell is written, if it is a number.

    `value` is what a number is sorted by, None of a row that has none.
    """

    heading: str
    cell: Callable[[R], str]
    number: bool = True
    value: Callable[[R], float | None] | None = None


def renamed(column: Column[R], heading: str) -> Column[R]:
    """The same cells under another heading."""
    return replace(column, heading=heading)


def fitting(
    layouts: Sequence[Sequence[Sequence[Column[R]]]],
    rows: Sequence[R],
    *,
    names: Sequence[str],
    width: int,
) -> list[list[str]]:
    """The lines of the first layout, one or more tables, that fits `width` columns.

    Where none does, one block a row under its name of `names`, with the columns of the first
    layout but the two that say which row it is.
    """
    for layout in layouts:
        tables = [_grid(columns, rows) for columns in layout]
        if max(len(line) for table in tables for line in table) <= width:
            return tables
    columns = [column for table in layouts[0] for column in table][2:]
    return [_block(name, columns, row, width) for name, row in zip(names, rows, strict=True)]


def wrapped(line: str, width: int) -> list[str]:
    """The line in parts of at most `width` columns, those after the first indented."""
    return textwrap.wrap(line, width, subsequent_indent="  ", break_on_hyphens=False) or [""]


def _grid(columns: Sequence[Column[R]], rows: Sequence[R]) -> list[str]:
    cells = [[column.cell(row) for column in columns] for row in rows]
    widths = [
        max(len(column.heading), *(len(row[k]) for row in cells))
        for k, column in enumerate(columns)
    ]

    def line(values: Sequence[str]) -> str:
        padded = (
            value.rjust(width) if column.number else value.ljust(width)
            for value, width, column in zip(values, widths, columns, strict=True)
        )
        return "  ".join(padded).rstrip()

    return [line([c.heading for c in columns]), *(line(row) for row in cells)]


def _block(name: str, columns: Sequence[Column[R]], row: R, width: int) -> list[str]:
    """A line a column; where that is too long, what it holds stands below its heading."""
    heading_width = max(len(column.heading) for column in columns)
    lines = wrapped(name, width)
    for column in columns:
        line = f"  {column.heading.ljust(heading_width)}  {column.cell(row)}"
        if len(line) > width:
            lines += [
                f"  {column.heading}",
                *(f"    {x}" for x in wrapped(column.cell(row), width - 4)),
            ]
        else:
            lines.append(line)
    return lines
