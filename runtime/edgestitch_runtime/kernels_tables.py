"""Kernels of SOFTMAX, LOGISTIC, TANH and HARD_SWISH, and the table that most pointwise ones end in.

LiteRT's reference kernels take LOGISTIC and TANH of int8 from a table of float32 values, HARD_SWISH
through 16-bit and SOFTMAX through 32-bit fixed-point arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from .fixed_point import INT32_MAX, high_product, multiplier_of, shifted_right
from .operator_fields import operand, scale_of, zero_point_of

if TYPE_CHECKING:
    from .graph import Node
    from .reference_kernels import Kernel

Whole = TypeVar("Whole", int, np.ndarray)

CODES = np.arange(256).astype(np.int8).astype(np.int64)  # 0 to 127, -128 to -1: as bytes count
_FEW = 24  # up to so many codes Python's own numbers are quicker than arrays
_INT16 = (-(1 << 15), (1 << 15) - 1)


def looked_up(table: np.ndarray) -> Kernel:
    """The kernel that takes each code, int8 or uint8, to its entry in `table`, (256,) int8.

    Entry k is for the code whose byte is k, as in CODES.
    """
    entries = table.astype(np.int8).tobytes()

    def kernel(codes: np.ndarray) -> np.ndarray:
        # bytes.translate: half the time of numpy's take, which makes 64-bit indices first.
        found = np.frombuffer(codes.tobytes().translate(entries), np.int8)
        return found.reshape(codes.shape)

    return kernel


def logistic(node: Node) -> Kernel:
    """LOGISTIC. Source: SigmoidPrepare in tflite/kernels/activations.cc."""

    def of(reals: np.ndarray) -> np.ndarray:
        one = np.float32(1)
        return one / (one + _rounded_each(_exp, -reals))

    return looked_up(_float_table(node, of))


def tanh(node: Node) -> Kernel:
    """TANH. Source: TanhPrepare in tflite/kernels/activations.cc."""
    return looked_up(_float_table(node, lambda reals: _rounded_each(math.tanh, reals)))


def hard_swish(node: Node) -> Kernel:
    """HARD_SWISH: x * min(max(x + 3, 0), 6) / 6 in 16-bit fixed point.

    Source: HardSwishPrepare in tflite/kernels/activations.cc and HardSwish in
    tflite/kernels/internal/reference/hard_swish.h: the input times 128 is scaled once to the
    output and once so that 3 is 2**15; the two are multiplied, towards zero, and shifted.
    """
    source = operand(node, 0)
    fine_scale = np.float32(1 / 128) * scale_of(source)
    to_output, output_shift = _multiplier_16(fine_scale / scale_of(node.output))
    to_gate, gate_shift = _multiplier_16(fine_scale / (np.float32(3) / np.float32(1 << 15)))
    fine = (CODES - zero_point_of(source)) << 7
    value = _high_product_16(fine, to_output)
    gate = (_gate(fine, to_gate, gate_shift) + (1 << 15)) >> 1
    product = gate * value
    product = np.where(product < 0, -(-product >> 15), product >> 15)
    codes = _shifted_right_16(product, -output_shift) + zero_point_of(node.output)
    return looked_up(np.clip(codes, -128, 127))


def _gate(fine: np.ndarray, mantissa: int, shift: int) -> np.ndarray:
    """`fine` scaled so that 3 is 2**15, saturating. A left shift is made in two parts."""
    if shift <= 0:
        return _shifted_right_16(_high_product_16(fine, mantissa), -shift)
    most = np.clip(fine << (shift - 1), *_INT16)
    return np.clip(_high_product_16(most, mantissa) << 1, *_INT16)


def softmax(node: Node) -> Kernel:
    """SOFTMAX over the last axis, in 32-bit fixed point.

    Source: PreprocessSoftmaxScaling and CalculateInputRadius in
    tflite/kernels/internal/quantization_util.cc, Softmax in
    tflite/kernels/internal/reference/softmax.h, GetReciprocal in tflite/kernels/internal/common.h.
    Its exponentials have 31 bits after the point, their sum 19.
    """
    step = float(node.options["beta"]) * float(scale_of(operand(node, 0)))
    exponentials = _exponentials(step)
    summands = shifted_right(exponentials, 12)
    of_few = _softmax_of_few(exponentials.tolist(), summands.tolist())

    def kernel(codes: np.ndarray) -> np.ndarray:
        if codes.size <= _FEW:
            rows = codes.reshape(-1, codes.shape[-1]).tolist()
            return np.array([of_few(row) for row in rows], np.int8).reshape(codes.shape)
        below_top = codes.max(axis=-1, keepdims=True).view(np.uint8) - codes.view(np.uint8)
        sums = summands.take(below_top).sum(axis=-1, keepdims=True)
        # frexp's exponent is the length in bits: a sum is far below 2**53.
        bits = np.frexp(sums.astype(np.float64))[1].astype(np.int64)
        inverses, shifts = _reciprocal(sums, bits)
        shares = high_product(exponentials.take(below_top), inverses)
        shares = (shares + (1 << (shifts - 1))) >> shifts
        return (np.minimum(shares, 255) - 128).astype(np.int8)

    return kernel


def _softmax_of_few(
    exponentials: list[int], summands: list[int]
) -> Callable[[list[int]], list[int]]:
    """The same for one row in Python's own numbers: for ten classes, half the time of arrays."""

    def of_few(row: list[int]) -> list[int]:
        top = max(row)
        total = sum([summands[top - code] for code in row])
        inverse, shift = _reciprocal(total, total.bit_length())
        half = 1 << (shift - 1)
        shares = [(exponentials[top - code] * inverse + (1 << 30)) >> 31 for code in row]
        return [min((share + half) >> shift, 255) - 128 for share in shares]

    return of_few


def _exponentials(step: float) -> np.ndarray:
    """exp(-k * step) for k from 0 to 255, (256,) int64 with 31 bits after the point.

    Source: exp_on_negative_values in gemmlowp's fixedpoint/fixedpoint.h: a polynomial for what is
    beyond a multiple of a quarter, then a factor for each bit of that multiple. The argument has
    26 bits after the point; what is below -31 counts as zero.
    """
    # A larger step gives the same codes: already exp(-16) is 0 of 256.
    mantissa, shift = multiplier_of(min(step * (1 << 26), float((1 << 30) - 1)))
    steps = np.arange(256, dtype=np.int64)
    reach = math.floor(31 * (1 << 26) / (1 << shift))
    argument = high_product(-np.minimum(steps, reach) << shift, mantissa)
    quarter = 1 << 24
    part = (argument & (quarter - 1)) - quarter
    multiple = part - argument
    found = _exponential_above_minus_quarter(part << 5)
    factors = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
    for bit, factor in enumerate(factors):  # exp of -1/4, -1/2, -1, -2, -4, -8, -16
        found = np.where(multiple & (quarter << bit), high_product(found, factor), found)
    found = np.where(argument == 0, INT32_MAX, found)
    return np.where(steps > reach, 0, found)


def _exponential_above_minus_quarter(argument: np.ndarray) -> np.ndarray:
    """exp on [-1/4, 0), all with 31 bits after the point: Taylor's polynomial around -1/8."""
    at_middle, third = 1895147668, 715827883
    x = argument + (1 << 28)
    x2 = high_product(x, x)
    x3 = high_product(x2, x)
    x4 = high_product(x2, x2)
    tail = high_product(shifted_right(x4, 2) + x3, third) + x2
    return at_middle + high_product(x + shifted_right(tail, 1), at_middle)


def _reciprocal(total: Whole, bits: Whole) -> tuple[Whole, Whole]:
    """1 / total: an inverse with 31 bits after the point, and the shift that takes it to 256ths.

    `total` is 1 or more, with 19 bits after the point, and has `bits` bits. Source: GetReciprocal,
    and one_over_one_plus_x_for_x_in_0_1 in gemmlowp's fixedpoint/fixedpoint.h: three steps of
    Newton's on half the divisor, with 29 bits after the point.
    """
    nearest = 1 << 30
    half = (total << (32 - bits)) >> 1
    x = 1515870810 + ((half * -1010580540 + nearest) >> 31)
    for _ in range(3):
        error = (1 << 29) - ((half * x + nearest) >> 31)
        x = x + (((x * error + nearest) >> 31) << 2)
    twice = x << 1
    return twice - (twice >> 31), bits + 3  # 2**31 is 2**31 - 1


def _float_table(node: Node, of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The codes of `of` at the real value of each code, (256,), whole numbers in float64.

    Source: LUTPopulate in tflite/kernels/internal/common.h: float32 throughout, the output's scale
    by its inverse, halves away from zero.
    """
    source = operand(node, 0)
    values = (CODES - zero_point_of(source)).astype(np.float32)
    with np.errstate(over="ignore"):  # infinite is what float32 makes of it, there as here
        reals = scale_of(source) * values
        steps = of(reals) * (np.float32(1) / scale_of(node.output))
    codes = np.copysign(np.floor(np.abs(steps.astype(np.float64)) + 0.5), steps)
    return np.clip(codes + zero_point_of(node.output), -128, 127)


def _multiplier_16(real: np.float32) -> tuple[int, int]:
    """`multiplier_of` with a mantissa of 16 bits: real = mantissa / 2**15 * 2**shift.

    Source: DownScaleInt32ToInt16Multiplier in tflite/kernels/internal/common.h.
    """
    mantissa, shift = multiplier_of(float(real))
    return min((mantissa + (1 << 15)) >> 16, _INT16[1]), shift


def _high_product_16(a: np.ndarray, b: int) -> np.ndarray:
    return (a * b + (1 << 14)) >> 15


def _shifted_right_16(values: np.ndarray, by: int) -> np.ndarray:
    """`shifted_right` of 16-bit values, `by` up to 31; the mask wraps, so above 15 it is -1."""
    mask = (((1 << by) - 1 + (1 << 15)) & 0xFFFF) - (1 << 15)
    return (values >> by) + ((values & mask) > (mask >> 1) + (values < 0))


def _exp(real: float) -> float:
    return math.exp(min(real, 700.0))  # beyond the reach of float32, not of float64


def _rounded_each(of: Callable[[float], float], reals: np.ndarray) -> np.ndarray:
    """`of` in float64, then float32: the correctly rounded value, whatever computes it.

    LiteRT calls the C library's expf and tanhf, which may be a unit in the last place off. Of the
    111 million float32 arguments between 2**-10 and 10, that of glibc 2.36 gives another code for
    1 (LOGISTIC) and 52 (TANH at a scale of 1/128).
    """
    return np.array([of(float(real)) for real in reals], np.float32)
