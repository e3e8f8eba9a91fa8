"""Whether the accuracies of two rows can be told apart, from what a report knows of them.

Of two artifacts of one run the report knows how many images each lost and won beside the float
model, and not which. They differ from each other on the most images when these are all others: the
paired interval of that case is at least as wide as the true one. Artifacts of two runs, and those
of which nobody counted what they lost and won, are compared as if they had answered other images,
which is wider still where the answers go together.
"""

from __future__ import annotations

import math

from edgestitch_runtime.agreement import Z95, paired_interval, wilson

from .report import Row


def cannot_be_told(row: Row, other: Row) -> bool:
    """Whether 0 is in the 95 % interval of the difference; True where an accuracy is not known."""
    found = difference_interval(row, other)
    return found is None or found[0] <= 0 <= found[1]


def difference_interval(row: Row, other: Row) -> tuple[float, float] | None:
    """The 95 % interval of the accuracy of `row` minus that of `other`, -1..1, never too narrow.

    None where one has none, or they are of different numbers of images.
    """
    if row.accuracy is None or other.accuracy is None or not row.n or row.n != other.n:
        return None
    own, others = _flips(row), _flips(other)
    if row.run == other.run and own and others:
        return _of_one_run(round(row.accuracy * row.n), own, others, row.n)
    return _of_two_runs(row.accuracy, other.accuracy, row.n)


def _flips(row: Row) -> tuple[int, int] | None:
    """Lost and won beside the float model, which itself has neither; None where not counted."""
    if row.flips_lost is None or row.flips_won is None:
        return (0, 0) if row.format == "keras" else None
    return row.flips_lost, row.flips_won


def _of_one_run(
    correct: int, own: tuple[int, int], others: tuple[int, int], n: int
) -> tuple[float, float]:
    only_row, only_other = own[1] + others[0], own[0] + others[1]
    both = correct - only_row
    # More than there can be: then some of the images are the same ones for both.
    spare = max(0, -both, only_row + only_other + both - n)
    only_row, only_other, both = only_row - spare, only_other - spare, both + spare
    return paired_interval(both=both, lost=only_row, won=only_other, n=n, z=Z95)


def _of_two_runs(first: float, second: float, n: int) -> tuple[float, float]:
    """Newcombe 1998, Statistics in Medicine 17:873, method 10, of independent proportions."""
    low, high = wilson(correct=round(first * n), n=n)
    other_low, other_high = wilson(correct=round(second * n), n=n)
    difference = first - second
    return (
        difference - math.hypot(first - low, other_high - second),
        difference + math.hypot(high - first, second - other_low),
    )
