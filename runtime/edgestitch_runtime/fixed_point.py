"""The integer arithmetic of LiteRT's kernels: a real factor as a 32-bit mantissa and a shift.

Convolutions, sums and means are scaled by it; a kernel that does otherwise says so.
"""

from __future__ import annotations

import math

import numpy as np

INT32_MAX = (1 << 31) - 1


def multiplier_of(real: float) -> tuple[int, int]:
    """(mantissa, shift) with real = mantissa / 2**31 * 2**shift, mantissa 0 or 2**30 to 2**31 - 1.

    Source: QuantizeMultiplier in tflite/kernels/internal/quantization_util.cc. What is below
    2**-32 counts as zero; what is above 2**30 as the largest that there is.
    """
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    mantissa = math.floor(fraction * (1 << 31) + 0.5)
    if mantissa == 1 << 31:
        mantissa, shift = 1 << 30, shift + 1
    if shift < -31:
        return 0, 0
    if shift > 30:
        return INT32_MAX, 30
    return mantissa, shift


def multipliers_of(reals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`multiplier_of` each of (k,) float64: mantissas and shifts, (k,) int64."""
    pairs = [multiplier_of(float(real)) for real in reals]
    mantissas, shifts = zip(*pairs, strict=True)
    return np.array(mantissas, np.int64), np.array(shifts, np.int64)


def high_product(a: np.ndarray, b: np.ndarray | int) -> np.ndarray:
    """int64 a * b / 2**31, halves up.

    Source: SaturatingRoundingDoublingHighMul in gemmlowp's fixedpoint/fixedpoint.h. It saturates
    the square of -2**31 besides, to which nothing here comes.
    """
    return (a * b + (1 << 30)) >> 31


def shifted_right(values: np.ndarray, by: np.ndarray | int) -> np.ndarray:
    """int64 values / 2**by, halves away from zero.

    Source: RoundingDivideByPOT in gemmlowp's fixedpoint/fixedpoint.h.
    """
    half = (1 << by) >> 1
    return (values + half - ((values < 0) & (by > 0))) >> by


def scaled_twice_rounded(
    sums: np.ndarray, mantissa: np.ndarray | int, shift: np.ndarray | int
) -> np.ndarray:
    """int64 `sums` times mantissa / 2**31 * 2**shift, rounded after each.

    Source: MultiplyByQuantizedMultiplier in tflite/kernels/internal/common.cc without
    TFLITE_SINGLE_ROUNDING. The sum fits 32 bits after a left shift, or wraps.
    """
    shifted = sums << np.maximum(shift, 0)
    shifted = (shifted + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
    return shifted_right(high_product(shifted, mantissa), np.maximum(-shift, 0))
