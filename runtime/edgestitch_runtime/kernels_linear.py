"""Kernels of FULLY_CONNECTED, CONV_2D and DEPTHWISE_CONV_2D: sums of products, scaled to codes.

The products are taken of the codes themselves, in floats that hold every sum exactly; what the
zero point adds to a sum is the same for all images, and the border holds the zero point.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .fixed_point import multipliers_of
from .operator_fields import clamp_of, constant_of, factors_of, operand, window_of, zero_point_of
from .requantize import Finish, Sums, Target, exact_float, rounded_as_reals, rounded_twice
from .sliding_window import bordered, shifted, unrolled

if TYPE_CHECKING:
    from .graph import Node
    from .reference_kernels import Kernel


def fully_connected(node: Node) -> Kernel:
    """FULLY_CONNECTED. The reference kernel scales in float64, and not in fixed point: see
    `rounded_as_reals`.
    """
    weights = constant_of(node, 1)
    out, depth = weights.shape
    sums, finish = finished(node)
    dtype = exact_float(int(sums.most.max()))
    matrix = np.ascontiguousarray(weights.T, dtype)
    keeps = bool(node.options["keep_num_dims"])

    def kernel(values: np.ndarray) -> np.ndarray:
        codes = finish(values.reshape(-1, depth).astype(dtype) @ matrix)
        return codes.reshape(*values.shape[:-1], out) if keeps else codes

    return kernel


def conv(node: Node) -> Kernel:
    """CONV_2D, in groups where the weights have fewer channels than the images.

    Rounded twice. Source: ConvPerChannel in
    tflite/kernels/internal/reference/integer_ops/conv.h.
    """
    weights = constant_of(node, 1)
    out, height, width, depth = weights.shape
    window = window_of(node, (height, width))
    zero_point = zero_point_of(operand(node, 0))
    sums, finish = finished(node)
    dtype = exact_float(int(sums.most.max()))
    groups = operand(node, 0).shape[-1] // depth
    size = height * width * depth
    # (groups, size, filters of a group)
    matrix = np.ascontiguousarray(weights.reshape(groups, -1, size).swapaxes(1, 2), dtype)

    def kernel(images: np.ndarray) -> np.ndarray:
        seen = unrolled(bordered(images, window, zero_point, dtype), window)
        codes = finish(seen.reshape(-1, size) @ matrix[0])
        return codes.reshape(-1, *window.out, out)

    def kernel_in_groups(images: np.ndarray) -> np.ndarray:
        seen = unrolled(bordered(images, window, zero_point, dtype), window)
        apart = seen.reshape(*seen.shape[:-1], groups, depth)
        rows = np.moveaxis(apart, -2, 0).reshape(groups, -1, size)
        codes = finish(np.moveaxis(rows @ matrix, 0, 1).reshape(-1, out))
        return codes.reshape(-1, *window.out, out)

    return kernel if groups == 1 else kernel_in_groups


def depthwise_conv(node: Node) -> Kernel:
    """DEPTHWISE_CONV_2D: every channel of the images gives as many as the multiplier says.

    Rounded twice. Source: DepthwiseConvPerChannel in
    tflite/kernels/internal/reference/integer_ops/depthwise_conv.h.
    """
    weights = constant_of(node, 1)[0]
    height, width, out = weights.shape
    window = window_of(node, (height, width))
    zero_point = zero_point_of(operand(node, 0))
    sums, finish = finished(node)
    dtype = exact_float(int(sums.most.max()))
    channels = operand(node, 0).shape[-1]
    shape = (channels,) if out == channels else (channels, out // channels)
    # The weights stand there once for each pixel of a row: numpy then walks along whole rows.
    rows = np.empty((height, width, window.out[1], *shape), dtype)
    rows[:] = weights.reshape(height, width, 1, *shape)

    def kernel(images: np.ndarray) -> np.ndarray:
        wide = bordered(images, window, zero_point, dtype)
        if out > channels:
            wide = wide[..., None]
        total = np.zeros((len(images), *window.out, *shape), dtype)
        product = np.empty_like(total)
        for y in range(height):
            seen = shifted(wide, window, 0, y)
            for x in range(width):
                total += np.multiply(shifted(seen, window, 1, x), rows[y, x], out=product)
        return finish(total.reshape(-1, out)).reshape(-1, *window.out, out)

    return kernel


def rows_of(node: Node) -> np.ndarray:
    """The weights of a layer, (channels, products of a sum) int8: what makes one output each."""
    weights = constant_of(node, 1)
    out = node.output.shape[-1]
    return (
        weights.reshape(-1, out).T
        if node.operator == "DEPTHWISE_CONV_2D"
        else weights.reshape(out, -1)
    )


def finished(node: Node) -> tuple[Sums, Finish]:
    """What a layer with weights sums up of raw int8 codes, and what makes codes of these sums."""
    sums = _sums(node, rows_of(node))
    if node.operator == "FULLY_CONNECTED":
        return sums, rounded_as_reals(sums, factors_of(node), _target(node))
    return sums, rounded_twice(sums, *multipliers_of(factors_of(node)), _target(node))


def _sums(node: Node, weights: np.ndarray) -> Sums:
    whole = weights.astype(np.int64)
    offsets = -zero_point_of(operand(node, 0)) * whole.sum(axis=1)
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is not None:
        offsets += constant_of(node, 2)
    return Sums(most=128 * np.abs(whole).sum(axis=1), offsets=offsets)


def _target(node: Node) -> Target:
    low, high = clamp_of(node)
    return Target(zero_point=zero_point_of(node.output), low=low, high=high)
