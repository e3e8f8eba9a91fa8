"""Kernels that work element by element, or only move elements: arithmetic, joining, requantizing.

One int8 operand has 256 values and two have 65,536 pairs: each operator is a table of its answers,
made once with LiteRT's arithmetic.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .fixed_point import multiplier_of, scaled_twice_rounded
from .kernels_tables import CODES, looked_up
from .operator_fields import clamp_of, concat_axis, operand, paddings_of, scale_of, zero_point_of

if TYPE_CHECKING:
    from .graph import Node
    from .reference_kernels import Kernel

_HEADROOM = 20  # bits that ADD and SUB shift their operands up by, to keep fractions


def add(node: Node) -> Kernel:
    """ADD. Source: Prepare in tflite/kernels/add.cc, AddFunc in
    tflite/kernels/internal/reference/integer_ops/add.h.
    """
    first, second = _on_common_scale(node)
    return _of_pairs(node, _from_common_scale(node, first[:, None] + second))


def sub(node: Node) -> Kernel:
    """SUB. Source: PrepareGeneralSubOp in tflite/kernels/sub.cc, and
    tflite/kernels/internal/reference/sub.h: as ADD.
    """
    first, second = _on_common_scale(node)
    return _of_pairs(node, _from_common_scale(node, first[:, None] - second))


def mul(node: Node) -> Kernel:
    """MUL. Source: Prepare in tflite/kernels/mul.cc, MulElementwise in
    tflite/kernels/internal/reference/integer_ops/mul.h; the factor is made in float32.
    """
    first, second = operand(node, 0), operand(node, 1)
    factor = scale_of(first) * scale_of(second) / scale_of(node.output)
    products = (CODES - zero_point_of(first))[:, None] * (CODES - zero_point_of(second))
    codes = scaled_twice_rounded(products, *multiplier_of(float(factor)))
    return _of_pairs(node, codes + zero_point_of(node.output))


def relu(node: Node) -> Kernel:
    """RELU: requantized, and not below zero. Source: ReluPrepare and QuantizedReluX in
    tflite/kernels/activations.cc.
    """
    codes = _rescaled(node, CODES)
    return looked_up(np.clip(codes, zero_point_of(node.output), 127))


def relu6(node: Node) -> Kernel:
    """RELU6: requantized, and held between 0 and 6. Source: as RELU."""
    zero = zero_point_of(node.output)
    six = zero + math.floor(float(np.float32(6) / scale_of(node.output)) + 0.5)
    return looked_up(np.clip(_rescaled(node, CODES), zero, min(six, 127)))


def leaky_relu(node: Node) -> Kernel:
    """LEAKY_RELU: below zero, a factor of its own. Source: LeakyReluPrepare in
    tflite/kernels/activations.cc, tflite/kernels/internal/reference/leaky_relu.h.
    """
    source = operand(node, 0)
    alpha = np.float32(node.options["alpha"])
    factor = float(scale_of(source) * alpha / scale_of(node.output))
    values = CODES - zero_point_of(source)
    below = scaled_twice_rounded(values, *multiplier_of(abs(factor)))
    if factor < 0:  # the sign is put on after the rounding
        below = -below
    codes = np.where(values < 0, below + zero_point_of(node.output), _rescaled(node, CODES))
    return looked_up(np.clip(codes, -128, 127))


def quantize(node: Node) -> Kernel:
    """QUANTIZE, from float32, int8 or uint8.

    Source: tflite/kernels/quantize.cc; AffineQuantize in
    tflite/kernels/internal/reference/quantize.h divides in float32 and rounds halves away from
    zero, Requantize in requantize.h is integer arithmetic.
    """
    source = operand(node, 0)
    if source.dtype == "float32":
        return _from_reals(node)
    codes = CODES if source.dtype == "int8" else np.arange(256, dtype=np.int64)
    factor = float(scale_of(source)) / float(scale_of(node.output))
    found = scaled_twice_rounded(codes - zero_point_of(source), *multiplier_of(factor))
    return looked_up(np.clip(found + zero_point_of(node.output), -128, 127))


def dequantize(node: Node) -> Kernel:
    """DEQUANTIZE to float32. Source: tflite/kernels/internal/reference/integer_ops/dequantize.h:
    the product in float64.
    """
    source = operand(node, 0)
    reals = float(scale_of(source)) * (CODES - zero_point_of(source))
    table = reals.astype(np.float32)
    return lambda codes: table.take(codes.view(np.uint8))


def concatenation(node: Node) -> Kernel:
    """CONCATENATION of operands quantized alike. Source: tflite/kernels/concatenation.cc, which
    refuses others for int8.
    """
    axis = concat_axis(node)
    constants = [tensor.data if tensor is not None else None for tensor in node.inputs]

    def kernel(*codes: np.ndarray) -> np.ndarray:
        count, given = len(codes[0]), iter(codes)
        parts = [
            next(given) if held is None else np.broadcast_to(held, (count, *held.shape[1:]))
            for held in constants
        ]
        return np.concatenate(parts, axis)

    return kernel


def pad(node: Node) -> Kernel:
    """PAD with the output's zero point. Source: tflite/kernels/pad.cc: codes are copied, whatever
    their scale.
    """
    pairs = paddings_of(node)
    zero = np.int8(zero_point_of(node.output))
    inside = tuple(slice(before, -after or None) for before, after in pairs)
    shape = node.output.shape[1:]

    def kernel(codes: np.ndarray) -> np.ndarray:
        padded = np.full((len(codes), *shape), zero)
        padded[inside] = codes
        return padded

    return kernel


def reshape(node: Node) -> Kernel:
    """RESHAPE and SQUEEZE to the output's shape, image by image: codes stay as they are."""
    shape = node.output.shape[1:]
    return lambda codes: codes.reshape(-1, *shape)


def _of_pairs(node: Node, answers: np.ndarray) -> Kernel:
    """The kernel of two int8 operands, one of which may be a constant.

    `answers` is (256, 256) int64, row for the first operand's byte and column for the second's,
    before the fused activation.
    """
    table = np.clip(answers, *clamp_of(node)).astype(np.int8).ravel()
    constants = [operand(node, k).data for k in (0, 1)]
    if constants[0] is not None:
        rows = _bytes_of(constants[0]) << 8
        return lambda codes: table.take(rows | codes.view(np.uint8))
    if constants[1] is not None:
        columns = _bytes_of(constants[1])
        return lambda codes: table.take(_bytes_of(codes) << 8 | columns)
    return lambda first, second: table.take(_bytes_of(first) << 8 | second.view(np.uint8))


def _bytes_of(codes: np.ndarray) -> np.ndarray:
    return codes.view(np.uint8).astype(np.uint16)


def _on_common_scale(node: Node) -> tuple[np.ndarray, np.ndarray]:
    """Each operand's codes in 2**-20 of twice the larger scale, (256,) int64."""
    tensors = [operand(node, k) for k in (0, 1)]
    largest = 2 * max(float(scale_of(tensor)) for tensor in tensors)
    scaled = []
    for tensor in tensors:
        values = (CODES - zero_point_of(tensor)) << _HEADROOM
        factor = float(scale_of(tensor)) / largest
        scaled.append(scaled_twice_rounded(values, *multiplier_of(factor)))
    return scaled[0], scaled[1]


def _from_common_scale(node: Node, sums: np.ndarray) -> np.ndarray:
    largest = 2 * max(float(scale_of(operand(node, k))) for k in (0, 1))
    factor = largest / ((1 << _HEADROOM) * float(scale_of(node.output)))
    return scaled_twice_rounded(sums, *multiplier_of(factor)) + zero_point_of(node.output)


def _rescaled(node: Node, codes: np.ndarray) -> np.ndarray:
    """`codes` of the input as codes of the output, not clipped; the factor is made in float32."""
    source = operand(node, 0)
    factor = scale_of(source) / scale_of(node.output)
    found = scaled_twice_rounded(codes - zero_point_of(source), *multiplier_of(float(factor)))
    return found + zero_point_of(node.output)


def _from_reals(node: Node) -> Kernel:
    scale, zero = scale_of(node.output), np.float32(zero_point_of(node.output))
    nearly_half = np.nextafter(np.float32(0.5), np.float32(0))

    def kernel(reals: np.ndarray) -> np.ndarray:
        # What is beyond 512 steps is clipped in any case; adding less than a half, and cutting,
        # rounds halves away from zero without taking 0.49999997 for one.
        # fmax takes what is no number for the least.
        steps = np.fmin(np.fmax(reals / scale, -512), 512)
        steps = np.trunc(steps + np.copysign(nearly_half, steps))
        return np.clip(steps + zero, -128, 127).astype(np.int8)

    return kernel
