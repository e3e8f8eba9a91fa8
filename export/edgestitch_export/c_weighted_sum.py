"""ADD and SUB as one weighted sum in 32 bits, where that gives every answer of the reference.

    code = (first * a + second * b + offset) >> down

The weights are sought near what the scales say. Those pairs of codes that come close to a step of
the output leave the offset an interval; what is found is tried on all pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

CODES = np.arange(-128, 128, dtype=np.int64)
_MOST = (1 << 31) - 1
_TRIED = 12  # weights to either side of the nearest
_CLOSE = 2.0**-9  # of a step: as far as the weights that are tried could move a sum, and more
_LEAST_DOWN = 16  # below, the weights are too coarse for that
_WORK = 2_000_000  # pairs that are looked at, all weights together
_FAR = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedSum:
    """The numbers of the formula above. No sum leaves 32 bits, in whatever order it is made."""

    first: int
    second: int
    offset: int
    down: int


def weighted_sum(
    answers: np.ndarray, first: float, second: float, zero: float
) -> WeightedSum | None:
    """The weighted sum that gives `answers` once held between the least and the most of them.

    `answers` are (256, 256) int64, a row for each a of CODES and a column for each b. In steps of
    the output they are about first * a + second * b + zero. None where no weighted sum was found.
    """
    low, high = int(answers.min()), int(answers.max())
    bound = 128 * (abs(first) + abs(second)) + abs(zero) + 2
    down = min(math.floor(math.log2(_MOST / bound)), 30)
    if down < _LEAST_DOWN:
        return None
    steps = first * CODES[:, None] + second * CODES + (zero + 0.5)
    close = np.abs(steps - np.rint(steps)) < _CLOSE
    a, b = (values[close] for values in np.broadcast_arrays(CODES[:, None], CODES))
    codes = answers[close]
    least = np.where(codes > low, codes << down, -_FAR)
    most = np.where(codes < high, ((codes + 1) << down) - 1, _FAR)
    nearest = round(first * 2.0**down), round(second * 2.0**down)
    for by, second_by in _tries(_WORK // (len(a) + 1)):
        weights = nearest[0] + by, nearest[1] + second_by
        sums = weights[0] * a + weights[1] * b
        lowest = int((least - sums).max(initial=-_FAR))
        highest = int((most - sums).min(initial=_FAR))
        if lowest > highest:
            continue
        found = WeightedSum(
            first=weights[0],
            second=weights[1],
            offset=min(max(round((zero + 0.5) * 2.0**down), lowest), highest),
            down=down,
        )
        if _gives(found, answers, low, high):
            return found
    return None


def _tries(count: int) -> list[tuple[int, int]]:
    """How far from the nearest weights to go, the nearest first; one or more."""
    side = range(-_TRIED, _TRIED + 1)
    pairs = sorted(((a, b) for a in side for b in side), key=lambda p: (abs(p[0]) + abs(p[1]), p))
    return pairs[: max(count, 1)]


def _gives(found: WeightedSum, answers: np.ndarray, low: int, high: int) -> bool:
    most = 128 * (abs(found.first) + abs(found.second)) + abs(found.offset)
    sums = found.first * CODES[:, None] + found.second * CODES + found.offset
    return most <= _MOST and bool((np.clip(sums >> found.down, low, high) == answers).all())
