"""Images as the windows of a convolution or a pool see them: with a border, shifted, or unrolled.

Images are (n, height, width, channels); a Window says size, stride, dilation and padding.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .operator_fields import Window, operand, pair_of, window_of

if TYPE_CHECKING:
    from .graph import Node


def elements_seen(node: Node) -> int:
    """How many elements are made of one image on the way: all its windows, or it with its border.

    1 for an operator without windows.
    """
    pooled = "filter_height" in node.options
    if not pooled and node.operator not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        return 1
    height, width = pair_of(node, "filter") if pooled else operand(node, 1).shape[1:3]
    window = window_of(node, (height, width))
    _, *image, channels = operand(node, 0).shape
    wide = [n + a + b for n, a, b in zip(image, window.before, window.after, strict=True)]
    unrolled_too = math.prod(window.out) * height * width if node.operator == "CONV_2D" else 0
    return channels * max(math.prod(wide), unrolled_too)


def bordered(images: np.ndarray, window: Window, fill: int, dtype: Any) -> np.ndarray:
    """`images` as `dtype` with the window's padding around them, in which stands `fill`."""
    (top, left), (bottom, right) = window.before, window.after
    if not (top or left or bottom or right):
        return np.ascontiguousarray(images, dtype)
    n, height, width, channels = images.shape
    full = (n, top + height + bottom, left + width + right, channels)
    wide = np.full(full, fill, dtype)
    wide[:, top : top + height, left : left + width] = images
    return wide


def shifted(wide: np.ndarray, window: Window, axis: int, place: int) -> np.ndarray:
    """What every window has at `place` along `axis` (0 height, 1 width): a view of `wide`.

    `wide` is (n, height, width, ...) with its border.
    """
    start = place * window.dilation[axis]
    stride = window.stride[axis]
    along = slice(start, start + (window.out[axis] - 1) * stride + 1, stride)
    return wide[:, along] if axis == 0 else wide[:, :, along]


def unrolled(wide: np.ndarray, window: Window) -> np.ndarray:
    """(n, height out, width out, window's height, window's width, channels): a view of `wide`."""
    n, _, _, channels = wide.shape
    image, row, column, channel = wide.strides
    (stride_y, stride_x), (dilation_y, dilation_x) = window.stride, window.dilation
    steps = (row * stride_y, column * stride_x, row * dilation_y, column * dilation_x)
    shape = (n, *window.out, *window.size, channels)
    # As as_strided does it, in a tenth of the time.
    return np.ndarray(shape, wide.dtype, wide, 0, (image, *steps, channel))
