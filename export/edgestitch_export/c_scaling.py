"""From a sum of products to an int8 code with few instructions, proved equal to the reference.

A layer's code is a staircase of its sum with at most 255 steps. Where each step lies is asked of
the `reference` engine's own arithmetic; then a multiplier and an offset are sought that put all of
them in the same places:

    code = (high 32 bits of (sum << up) * multiplier  +  offset) >> (down + more)

The bias, the zero points and the half for rounding are in the offset. What is found is right for
every sum that can occur, since both staircases only rise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgestitch_runtime.requantize import Finish

# The bits in a record of 7 bytes: of the multiplier, which goes without its low ones, of `more`, of
# the offset.
_MULTIPLIER, _MORE, _OFFSET = 26, 2, 28
_LOST = 31 - _MULTIPLIER
_TRIED = 24  # multipliers to either side of the nearest
_COARSER = 5  # values of `down` tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Where a layer's codes rise: `least`[k, c] is the least sum of channel c with code k - 127.

    (255, channels) int64; it is `most`[c] + 1 for a code that is never reached, and -`most`[c] for
    one that every sum reaches. `most` is the largest magnitude of a sum, (channels,) int64. Codes
    are clamped to `low` and `high` afterwards: what is beyond them is all one.
    """

    least: np.ndarray
    most: np.ndarray
    low: int = -128
    high: int = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The numbers of the formula above: `up` and `down` for the layer, the others (channels,)."""

    up: int
    down: int
    multipliers: np.ndarray
    more: np.ndarray
    offsets: np.ndarray

    def records(self) -> np.ndarray:
        """(channels * 7,) uint8, as c_kernels/scaling.c reads them."""
        fields = (self.multipliers >> _LOST, self.more, self.offsets & ((1 << _OFFSET) - 1))
        places = (0, _MULTIPLIER, _MULTIPLIER + _MORE)
        word = sum(f << p for f, p in zip(fields, places, strict=True))
        return np.asarray(word, "<u8").view(np.uint8).reshape(-1, 8)[:, :7].ravel()


@dataclass(frozen=True, slots=True, kw_only=True)
class WideLine:
    """code = (sum * multiplier + (offset << up)) >> down in 64 bits, (channels,) int64 both."""

    up: int
    down: int
    multipliers: np.ndarray
    offsets: np.ndarray


def steps_of(finish: Finish, most: np.ndarray, clamp: tuple[int, int] = (-128, 127)) -> Steps:
    """The steps of `finish`, which takes sums of (n, channels) to codes held within `clamp`.

    `most` is the largest magnitude of a sum, (channels,).
    """
    codes = np.arange(-127, 128)[:, None]
    low = np.broadcast_to(-most, (255, len(most))).astype(np.int64)
    high = np.broadcast_to(most + 1, (255, len(most))).astype(np.int64)
    while (low < high).any():
        middle = (low + high) >> 1
        reached = finish(middle.astype(np.float64)) >= codes
        found = low >= high
        high = np.where(reached & ~found, middle, high)
        low = np.where(reached | found, low, middle + 1)
    return Steps(least=low, most=most.astype(np.int64), low=clamp[0], high=clamp[1])


def line_of(steps: Steps, factors: np.ndarray, most_up: int = 31) -> Line | None:
    """A Line whose codes, held within int8, are those of `steps`; None where none was found.

    `factors` are what a sum is scaled by, (channels,) float64: where the search begins.
    `most_up` is the most that `up` may be.
    """
    factors = np.broadcast_to(factors, steps.most.shape)
    top = float(factors.max())
    if top <= 0:
        return None
    up = min(most_up, max(0, 31 - int(steps.most.max()).bit_length()))
    # The multiplier, factor * 2**(32 + down - up), has 31 bits at most.
    finest = up - 1 - int(np.ceil(np.log2(top)))
    for down in range(min(finest, 31 - (1 << _MORE)), max(finest - _COARSER, -1), -1):
        line = _with_shifts(steps, factors, up, down)
        if line is not None:
            return line
    return None


def wide_line_of(steps: Steps, factors: np.ndarray) -> WideLine | None:
    """A WideLine whose codes, held within int8, are those of `steps`; None where none was found."""
    down = 31 - int(np.ceil(np.log2(float(factors.max()))))
    if not 9 <= down < 54:  # codes << down fit 64 bits
        return None
    nearest = np.rint(np.ldexp(factors, down)).astype(np.int64)
    # Offsets of 512 steps fit 32 bits at the first of these, at the last of 2**15.
    for up in range(max(0, down + 10 - 31), max(0, down + 16 - 31) + 1):
        multipliers, offsets = np.zeros_like(nearest), np.zeros_like(nearest)
        left = np.ones(len(nearest), bool)
        for by in sorted(range(-_TRIED, _TRIED + 1), key=abs):
            tried = np.maximum(nearest + by, 0)
            low, high = offsets_between(steps, tried, 0, down)
            offset = np.clip(high >> up, -(1 << 31), (1 << 31) - 1)
            fits = left & (low <= offset << up) & (offset << up <= high) & (tried < 1 << 31)
            multipliers[fits], offsets[fits] = tried[fits], offset[fits]
            left &= ~fits
        if not left.any():
            return WideLine(up=up, down=down, multipliers=multipliers, offsets=offsets)
    return None


def long_line_of(steps: Steps, factors: np.ndarray) -> WideLine | None:
    """As wide_line_of, with as many bits of a multiplier as a product has room for, and `up` 0.

    For dense layers of thousands of inputs: their steps are far apart, and each in its place.
    """
    rising = int(np.ceil(np.log2(float(factors.max()))))
    # Products stay below 2**61, codes << down below 2**60.
    bits = min(61 - int(steps.most.max()).bit_length(), 53 + rising)
    down = bits - rising
    if bits < 31 or down < 0:
        return None
    nearest = np.rint(np.ldexp(factors, down)).astype(np.int64)
    multipliers, offsets = np.zeros_like(nearest), np.zeros_like(nearest)
    left = np.ones(len(nearest), bool)
    for by in sorted(range(-_TRIED, _TRIED + 1), key=abs):
        tried = np.maximum(nearest + by, 0)
        low, high = offsets_between(steps, tried, 0, down)
        fits = left & (low <= high)
        multipliers[fits], offsets[fits] = tried[fits], (low + (high - low >> 1))[fits]
        left &= ~fits
    if left.any():
        return None
    return WideLine(up=0, down=down, multipliers=multipliers, offsets=offsets)


def _with_shifts(steps: Steps, factors: np.ndarray, up: int, down: int) -> Line | None:
    multipliers, more, offsets = (np.zeros(len(factors), np.int64) for _ in range(3))
    left = np.ones(len(factors), bool)
    limit = 1 << (_OFFSET - 1)
    for finer in range((1 << _MORE) - 1, -1, -1):
        nearest = np.rint(np.ldexp(factors, 32 + down + finer - up - _LOST)).astype(np.int64)
        for by in sorted(range(-_TRIED, _TRIED + 1), key=abs):
            some = np.flatnonzero(left & (nearest + by >= 0) & (nearest + by < 1 << _MULTIPLIER))
            if not len(some):
                continue
            tried = (nearest[some] + by) << _LOST
            part = replace(steps, least=steps.least[:, some], most=steps.most[some])
            low, high = offsets_between(part, tried, 32 - up, down + finer)
            offset = (np.maximum(low, -limit) + np.minimum(high, limit - 1)) >> 1
            fits = (low <= offset) & (offset <= high)
            found = some[fits]
            multipliers[found], offsets[found], more[found] = tried[fits], offset[fits], finer
            left[found] = False
    if left.any():
        return None
    return Line(up=up, down=down, multipliers=multipliers, more=more, offsets=offsets)


def offsets_between(
    steps: Steps, multipliers: np.ndarray, lost: int, down: int
) -> tuple[np.ndarray, np.ndarray]:
    """The least and the most offset that puts every step in its place, (channels,) each.

    `lost` are the low bits that a product loses before the offset is added.
    """
    codes = np.arange(steps.low + 1, steps.high + 1, dtype=np.int64)[:, None] << down
    least = steps.least[steps.low + 128 : steps.high + 128]
    at = (least * multipliers) >> lost
    before = ((least - 1) * multipliers) >> lost
    reached = least <= steps.most
    below = least > -steps.most
    far = np.int64(1) << 61
    low = np.where(reached, codes - at, -far).max(axis=0, initial=-far)
    high = np.where(below, codes - 1 - before, far).min(axis=0, initial=far)
    return low, high
