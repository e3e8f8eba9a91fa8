"""The last step of a kernel, prepared once for a node: from integer sums to int8 codes.

A sum is scaled by a real number, rounded, moved to the output's zero point and clamped. Channels
are the last axis. The sums may come as floats that hold integers exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .fixed_point import scaled_twice_rounded

Finish = Callable[[np.ndarray], np.ndarray]
_BELOW_HALF = 0.5 - 2.0**-54  # the largest double below a half
_TOP_BIT = np.uint8(128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Sums of k channels, or of one that stands for all; (k,) int64 each.

    `most` is the largest magnitude that a sum may have, `offsets` are still to be added to it:
    what comes of that fits 32 bits, before and after it is scaled.
    """

    most: np.ndarray
    offsets: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What an output of int8 takes: its zero point, its least and its most code."""

    zero_point: int
    low: int
    high: int


def exact_float(most: int) -> type[np.float32] | type[np.float64]:
    """A float dtype in which sums of integers are exact, in any order, up to a magnitude `most`."""
    return np.float32 if most <= 1 << 24 else np.float64


def rounded_as_reals(sums: Sums, factors: np.ndarray, target: Target) -> Finish:
    """Sum times real in float64, rounded with halves away from zero; `factors` are (k,) float64.

    Source: FullyConnected and FullyConnectedPerChannel with float scales, in
    tflite/kernels/internal/reference/integer_ops/fully_connected.h.
    """
    offsets = sums.offsets.astype(np.float64)

    def finish(values: np.ndarray) -> np.ndarray:
        scaled = values + offsets
        scaled *= factors
        # What is just below a half must not reach one by what is added: hence not 0.5.
        scaled += np.copysign(_BELOW_HALF, scaled)
        return _codes(np.trunc(scaled, out=scaled), target.zero_point, target)

    return finish


def rounded_twice(sums: Sums, mantissas: np.ndarray, shifts: np.ndarray, target: Target) -> Finish:
    """Sum times mantissa / 2**31 * 2**shift as in `scaled_twice_rounded`; both are (k,) int64.

    In float64 where that is exact: all values are multiples of 2**-31 below 2**21.
    """
    left = np.maximum(shifts, 0)
    each = np.broadcast_arrays(sums.most + np.abs(sums.offsets), mantissas, left)
    products = zip(*(values.tolist() for values in each), strict=True)
    if max(bound * mantissa << by for bound, mantissa, by in products) >= 1 << 52:
        return _rounded_twice_in_integers(sums, mantissas, shifts, target)
    # Exponents of 32 bits: those of 64 bits ldexp does not take on every machine.
    factors = np.ldexp(mantissas.astype(np.float64), (left - 31).astype(np.int32))
    starts = sums.offsets * factors + 0.5
    powers = np.ldexp(1.0, np.minimum(shifts, 0).astype(np.int32))
    # Where all below the zero point is clamped, it is all one how a negative half is rounded.
    positive = target.low >= target.zero_point

    def finish(values: np.ndarray) -> np.ndarray:
        scaled = values * factors
        scaled += starts
        np.floor(scaled, out=scaled)
        scaled *= powers
        if positive:
            return _codes(scaled, target.zero_point + 0.5, target)
        scaled += np.copysign(0.5, scaled)
        return _codes(np.trunc(scaled, out=scaled), target.zero_point, target)

    return finish


def _rounded_twice_in_integers(
    sums: Sums, mantissas: np.ndarray, shifts: np.ndarray, target: Target
) -> Finish:
    def finish(values: np.ndarray) -> np.ndarray:
        whole = values.astype(np.int64) + sums.offsets
        scaled = scaled_twice_rounded(whole, mantissas, shifts) + target.zero_point
        return np.clip(scaled, target.low, target.high).astype(np.int8)

    return finish


def _codes(scaled: np.ndarray, add: float, target: Target) -> np.ndarray:
    """floor(scaled + add), clamped, as int8; `scaled` is written over."""
    # From 128 up nothing is negative, so that the cast rounds down.
    scaled += add + 128
    np.maximum(scaled, target.low + 128, out=scaled)
    np.minimum(scaled, target.high + 128.5, out=scaled)
    return (scaled.astype(np.uint8) ^ _TOP_BIT).view(np.int8)
