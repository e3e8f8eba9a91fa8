"""Confusion matrices of the float model and of an artifact, and what differs between them.

Of many classes a list of the commonest mistakes takes their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .grid import MISSING
from .page_tables import Cell, Heading, PageTable
from .report import Details

Counts = tuple[tuple[int, ...], ...]
MOST_MATRIX_CLASSES = 16  # more have a list of their commonest mistakes
_MOST_MISTAKES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Shade:
    """A cell of a matrix: its number, how dark it is (0..60 %), and of which of four kinds."""

    text: str
    strength: int
    kind: str  # right, wrong, more, fewer


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """True classes down, answers across; `summary` in one sentence."""

    heading: str
    summary: str
    rows: tuple[tuple[Shade, ...], ...]


def matrices(details: Details, beside: Details | None, name: str) -> tuple[Matrix, ...]:
    """The float model's, the artifact's, which is called `name`, and what the second has more."""
    if beside is None:
        return (_matrix(name, details.confusion, "Right"),)
    own = _matrix("The artifact", details.confusion, name)
    return (
        _matrix("The float model", beside.confusion, "Keras"),
        own,
        _difference(details.confusion, beside.confusion),
    )


def _matrix(heading: str, counts: Counts, of: str) -> Matrix:
    errors = [n for t, row in enumerate(counts) for a, n in enumerate(row) if a != t]
    most = max(errors, default=0)
    right, whole = sum(row[t] for t, row in enumerate(counts)), sum(map(sum, counts))
    return Matrix(
        heading=heading,
        summary=f"{of}: {right:,} of {whole:,} images.",
        rows=tuple(
            tuple(
                Shade(
                    text=f"{n}",
                    strength=_strength(n, sum(row) if t == a else most),
                    kind="right" if t == a else "wrong",
                )
                for a, n in enumerate(row)
            )
            for t, row in enumerate(counts)
        ),
    )


def _difference(counts: Counts, of_float: Counts) -> Matrix:
    changes = [
        [n - m for n, m in zip(row, other, strict=True)]
        for row, other in zip(counts, of_float, strict=True)
    ]
    most = max((abs(n) for row in changes for n in row), default=0)
    moved = sum(n for row in changes for n in row if n > 0)
    return Matrix(
        heading="Artifact minus float",
        summary=f"Counts differ by {moved:,} image{'s' if moved > 1 else ''} net."
        if moved
        else "No count differs.",
        rows=tuple(
            tuple(
                Shade(
                    text=f"{n:+d}" if n else "0",
                    strength=_strength(abs(n), most),
                    # More right answers are good, more wrong ones are not.
                    kind="more" if (n > 0) == (t == a) else "fewer",
                )
                for a, n in enumerate(row)
            )
            for t, row in enumerate(changes)
        ),
    )


def _strength(value: int, most: int) -> int:
    return round(60 * (value / most) ** 0.5) if most and value else 0


def mistakes(
    key: str, details: Details, beside: Details | None, labels: Sequence[str]
) -> PageTable:
    """The commonest mistakes of either, for more classes than a matrix can show."""
    counts = details.confusion
    other = beside.confusion if beside else tuple((0,) * len(labels) for _ in labels)
    pairs = [(t, a) for t in range(len(labels)) for a in range(len(labels)) if t != a]
    pairs.sort(key=lambda p: -max(counts[p[0]][p[1]], other[p[0]][p[1]]))
    return PageTable(
        key=f"mistakes-{key}",
        caption=f"The {_MOST_MISTAKES} commonest mistakes of {len(labels)} classes",
        headings=(
            Heading(text="class", number=False),
            Heading(text="taken for", number=False),
            Heading(text="float", number=True),
            Heading(text="artifact", number=True),
            Heading(text="difference", number=True),
        ),
        rows=tuple(
            (
                Cell(text=labels[t]),
                Cell(text=labels[a]),
                _whole(other[t][a]) if beside else Cell(text=MISSING),
                _whole(counts[t][a]),
                Cell(
                    text=f"{counts[t][a] - other[t][a]:+d}" if beside else MISSING,
                    value=counts[t][a] - other[t][a] if beside else None,
                ),
            )
            for t, a in pairs[:_MOST_MISTAKES]
            if counts[t][a] or other[t][a]
        ),
    )


def _whole(count: int) -> Cell:
    return Cell(text=f"{count:,}", value=count)
