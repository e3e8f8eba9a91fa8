"""How two latencies compare: a ratio with its 95 % interval, and a verdict that may be "cannot
tell".

The unit of chance is the block: calls within one share the machine's mood, so that thousands of
them are not thousands of observations. The bootstrap draws blocks. Two processes that run the same
artifact differ by PROCESS_SPREAD, for good: memory lies elsewhere. Two measurements at different
times differ by TIME_SPREAD more. The blocks of one process show neither, so both are added.

Few blocks tell little of their own spread: Student's t, with the degrees of freedom of a sum of
spreads of which some are known (Welch and Satterthwaite), takes the place of the normal quantile.
Neighbouring blocks that are alike count for less than blocks that are not.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Standard deviations of the logarithm of a p50 of one artifact, measured on the machines of the
# project: `make figures` (tests/end_to_end/test_verdict_figures.py) prints them.
PROCESS_SPREAD = 0.01
TIME_SPREAD = 0.01
# The same of classify over bare, each pair in one process, at two times.
OVERHEAD_SPREAD = 0.015
FASTER, SLOWER, CANNOT_TELL = "faster", "slower", "cannot tell"
_DRAWS = 4000
_Z95 = 1.959964
# Student's t at 97.5 % for 1, 2, ... degrees of freedom.
_T95 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)
# How alike neighbours are can be told from so many blocks; fewer are taken to be as alike as this.
_ENOUGH_BLOCKS = 8
_LIKENESS_OF_FEW = 0.25
_MOST_LIKENESS = 0.8
_MOST_HALF = 20.0  # of an interval of logarithms: two blocks that differ wildly tell nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """The latency of one thing over that of another, with its 95 % interval; 2 is twice as slow."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """faster, slower or cannot tell: of the first thing, at 95 %."""
        if self.high < 1:
            return FASTER
        return SLOWER if self.low > 1 else CANNOT_TELL


@dataclass(frozen=True, slots=True, kw_only=True)
class _Middle:
    """The median of blocks, its standard deviation, and the degrees of freedom of that."""

    value: float
    spread: float
    freedom: int


def interleaved_ratio(first_p50: Sequence[float], second_p50: Sequence[float]) -> Ratio:
    """`first` over `second`: medians of blocks that went round, block k of both at the same time.

    Raises ValueError unless there are as many of both, at least two, all above 0 and finite.
    """
    difference = _middle(_paired(first_p50, second_p50))
    return _ratio(difference.value, (difference,), (PROCESS_SPREAD, PROCESS_SPREAD))


def separate_ratio(first_p50: Sequence[float], second_p50: Sequence[float]) -> Ratio:
    """`first` over `second`: medians of blocks of two measurements, each at a time of its own.

    Raises ValueError unless there are at least two of each, all above 0 and finite.
    """
    first, second = _middle(_logarithms(first_p50)), _middle(_logarithms(second_p50))
    known = (PROCESS_SPREAD, PROCESS_SPREAD, TIME_SPREAD, TIME_SPREAD)
    return _ratio(first.value - second.value, (first, second), known)


def overhead(classify_p50: Sequence[float], bare_p50: Sequence[float]) -> Ratio:
    """The whole call over the bare one, of one process: block k of both at the same time.

    Raises ValueError as `interleaved_ratio` does.
    """
    quotient = _middle(_paired(classify_p50, bare_p50))
    return _ratio(quotient.value, (quotient,), (OVERHEAD_SPREAD,))


def overhead_growth(
    new: tuple[Sequence[float], Sequence[float]], old: tuple[Sequence[float], Sequence[float]]
) -> Ratio:
    """The overhead of `new` over that of `old`: each classify's blocks and those of bare beside it.

    1.25 is an overhead that grew by 25 %. Raises ValueError as `interleaved_ratio` does.
    """
    after, before = _middle(_paired(*new)), _middle(_paired(*old))
    known = (OVERHEAD_SPREAD, OVERHEAD_SPREAD)
    return _ratio(after.value - before.value, (after, before), known)


def repeat_interval(p50: float, block_p50: Sequence[float]) -> tuple[float, float]:
    """The 95 % prediction interval of the p50 of another measurement on the same machine."""
    ratio = separate_ratio(block_p50, block_p50)
    return p50 * ratio.low, p50 * ratio.high


def _logarithms(block_p50: Sequence[float]) -> np.ndarray:
    values = np.asarray(block_p50, np.float64)
    if len(values) < 2 or not ((values > 0) & np.isfinite(values)).all():
        raise ValueError("at least two blocks with a p50 above 0 are needed")
    return np.log(values)


def _paired(first_p50: Sequence[float], second_p50: Sequence[float]) -> np.ndarray:
    first, second = _logarithms(first_p50), _logarithms(second_p50)
    if len(first) != len(second):
        raise ValueError("the blocks of the two are not as many")
    return first - second


def _middle(values: np.ndarray) -> _Middle:
    """The median of blocks, and by bootstrap what chance it has.

    The variance of a bootstrap is (n - 1) / n of the sample's; blocks that follow each other as an
    autoregressive series with correlation r have (1 + r) / (1 - r) times the variance.
    """
    count, in_order = len(values), np.sort(values)
    low, high = _middle_of_draws(count)
    spread = float(((in_order[low] + in_order[high]) / 2).std())
    likeness = _likeness(values)
    return _Middle(
        value=float(np.median(values)),
        spread=spread * math.sqrt(count / (count - 1) * (1 + likeness) / (1 - likeness)),
        freedom=count - 1,
    )


@functools.lru_cache(maxsize=16)
def _middle_of_draws(count: int) -> tuple[np.ndarray, np.ndarray]:
    """For each draw of `count` out of so many sorted values, which two its median lies between."""
    drawn = np.sort(np.random.default_rng(0).integers(count, size=(_DRAWS, count)), axis=1)
    return drawn[:, (count - 1) // 2].copy(), drawn[:, count // 2].copy()


def _likeness(values: np.ndarray) -> float:
    """The correlation of neighbours, of their ranks, since outliers would hide it; 0 or more.

    Its bias of -(1 + 3 r) / n is put back. Source: Kendall 1954, Biometrika 41:403.
    """
    if len(values) < _ENOUGH_BLOCKS:
        return _LIKENESS_OF_FEW
    _, place, equal = np.unique(values, return_inverse=True, return_counts=True)
    if len(equal) == 1:
        return 0.0
    ranks = (np.cumsum(equal) - equal / 2)[place]
    ranks -= ranks.mean()
    found = float((ranks[1:] * ranks[:-1]).sum() / (ranks * ranks).sum())
    return min(max(found + (1 + 3 * found) / len(values), 0.0), _MOST_LIKENESS)


def _ratio(value: float, middles: Sequence[_Middle], known: Sequence[float]) -> Ratio:
    """The interval from spreads that were estimated and others that are known."""
    variance = sum(m.spread**2 for m in middles) + sum(s**2 for s in known)
    doubt = sum(m.spread**4 / m.freedom for m in middles)
    freedom = variance**2 / doubt if doubt > 0 else math.inf
    half = min(_t95(freedom) * math.sqrt(variance), _MOST_HALF)
    return Ratio(value=math.exp(value), low=math.exp(value - half), high=math.exp(value + half))


def _t95(freedom: float) -> float:
    """Student's t at 97.5 %, for degrees of freedom rounded down, or more than the table has.

    Source of the series: Abramowitz and Stegun 26.7.5, two terms.
    """
    if freedom < len(_T95) + 1:
        return _T95[max(int(freedom), 1) - 1]
    z = _Z95
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
