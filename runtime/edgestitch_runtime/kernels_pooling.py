"""Kernels of AVERAGE_POOL_2D, MAX_POOL_2D, MEAN and REDUCE_MAX."""

from __future__ import annotations

import math
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from .fixed_point import multiplier_of
from .operator_fields import clamp_of, operand, reduced_axes, scale_of, window_of, zero_point_of
from .requantize import Sums, Target, exact_float, rounded_twice
from .sliding_window import bordered, shifted

if TYPE_CHECKING:
    from .graph import Node
    from .operator_fields import Window
    from .reference_kernels import Kernel


def average_pool(node: Node) -> Kernel:
    """AVERAGE_POOL_2D: the sum over the pixels of a window that there are, over their number.

    Halves go away from zero. Source: AveragePool in
    tflite/kernels/internal/reference/integer_ops/pooling.h.
    """
    window = _pool_window(node)
    low, high = clamp_of(node)
    dtype = exact_float(128 * math.prod(window.size))
    counts = _counts(node, window).astype(np.float64)
    halves = counts // 2

    def kernel(images: np.ndarray) -> np.ndarray:
        wide = bordered(images, window, 0, dtype)
        sums = _over_windows(np.add, wide, window).astype(np.float64)
        sums += np.copysign(halves, sums)
        sums /= counts
        return np.clip(sums, low, high).astype(np.int8)  # the cast drops the fraction

    return kernel


def max_pool(node: Node) -> Kernel:
    """MAX_POOL_2D. Source: MaxPool in the file of `average_pool`."""
    window = _pool_window(node)
    low, high = (np.int8(code) for code in clamp_of(node))

    def kernel(images: np.ndarray) -> np.ndarray:
        found = _over_windows(np.maximum, bordered(images, window, -128, np.int8), window)
        return np.minimum(np.maximum(found, low), high)

    return kernel


def mean(node: Node) -> Kernel:
    """MEAN: the number of elements goes into the fixed-point factor; rounded twice.

    Source: QuantizedMeanOrSum in tflite/kernels/internal/reference/reduce.h.
    """
    source = operand(node, 0)
    axes = reduced_axes(node)
    count = math.prod(source.shape[k] for k in axes)
    mantissa, shift = multiplier_of(float(scale_of(source)) / float(scale_of(node.output)))
    by = min(count.bit_length() - 1, 32, 31 + shift)
    offset, factor = -zero_point_of(source) * count, (mantissa << by) // count
    finish = rounded_twice(
        Sums(most=np.array([128 * count], np.int64), offsets=np.array([offset], np.int64)),
        np.array([factor], np.int64),
        np.array([shift - by], np.int64),
        Target(zero_point=zero_point_of(node.output), low=-128, high=127),
    )
    shape = node.output.shape[1:]

    def kernel(values: np.ndarray) -> np.ndarray:
        return finish(values.sum(axis=axes, dtype=np.int32)).reshape(-1, *shape)

    return kernel


def reduce_max(node: Node) -> Kernel:
    """REDUCE_MAX. Source: EvalType in tflite/kernels/reduce.cc: codes as they are."""
    axes, shape = reduced_axes(node), node.output.shape[1:]
    return lambda values: values.max(axis=axes).reshape(-1, *shape)


def _pool_window(node: Node) -> Window:
    return window_of(node, (int(node.options["filter_height"]), int(node.options["filter_width"])))


def _over_windows(join: np.ufunc, wide: np.ndarray, window: Window) -> np.ndarray:
    """The sum or the most of each window, first along the width, then along the height."""
    for axis in (1, 0):
        parts = [shifted(wide, window, axis, place) for place in range(window.size[axis])]
        wide = reduce(join, parts)
    return wide


def _counts(node: Node, window: Window) -> np.ndarray:
    """(height out, width out, 1): how many pixels of each window are inside the image."""
    inside = np.ones((1, *operand(node, 0).shape[1:3], 1), np.int64)
    return _over_windows(np.add, bordered(inside, window, 0, np.int64), window)[0]
