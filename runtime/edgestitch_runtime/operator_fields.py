"""What a node of the integer graph says, checked: operands, scales, windows, axes, bounds.

Shapes are those of one image with a leading 1, channels last. Source: the Prepare functions of
LiteRT's kernels (tflite/kernels/*.cc).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .tflite_file import Tensor
from .tflite_schema import ACTIVATIONS, PADDINGS

if TYPE_CHECKING:
    from .graph import Node

Shape = tuple[int, ...]
MOST_SEEN = 1 << 22  # elements of one image with its border
_FUSED = ("none", "relu", "relu_n1_to_1", "relu6")


class Unsupported(ValueError):
    """A node that the integer graph does not hold; the message says why, the graph adds where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One operator: the least and the most inputs, the shape of its output, its MACs an image.

    `infer` raises Unsupported for dtypes, shapes and parameters that are not supported.
    """

    inputs: tuple[int, int]
    infer: Callable[[Node], Shape]
    macs: Callable[[Node], int] = lambda node: 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Where a kernel of `size` looks: all pairs are (height, width); `before` and `after` pad."""

    size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    before: tuple[int, int]
    after: tuple[int, int]
    out: tuple[int, int]


def window_of(node: Node, size: tuple[int, int]) -> Window:
    """The window of a convolution or a pool over its first input, (1, height, width, channels).

    Source: ComputePaddingHeightWidth in tflite/kernels/padding.h; of an odd padding the larger
    part comes after.
    """
    source = operand(node, 0)
    expect(len(source.shape) == 4, f"its input has the shape {source.shape}, expected 4 axes")
    stride = pair_of(node, "stride")
    dilation = pair_of(node, "dilation") if "dilation_height" in node.options else (1, 1)
    expect(min(*stride, *dilation, *size) > 0, f"stride {stride}, dilation {dilation}, size {size}")
    padding = int(node.options["padding"])
    expect(0 <= padding < len(PADDINGS), f"padding {padding}")
    out, before, after = [], [], []
    for axis in (0, 1):
        length = source.shape[1 + axis]
        reach = (size[axis] - 1) * dilation[axis] + 1
        if PADDINGS[padding] == "same":
            count = -(-length // stride[axis])
            total = max(0, (count - 1) * stride[axis] + reach - length)
        else:
            count, total = (length - reach + stride[axis]) // stride[axis], 0
        expect(count > 0, f"a window of {reach} in {length} pixels")
        out.append(count)
        before.append(total // 2)
        after.append(total - total // 2)
    # A few bytes of a damaged file may ask for a border of gigabytes.
    wide = [n + a + b for n, a, b in zip(source.shape[1:3], before, after, strict=True)]
    expect(max(before + after) < 1 << 10, f"a padding of {before} before and {after} after")
    expect(math.prod(wide) * source.shape[3] <= MOST_SEEN, f"{wide} pixels with their padding")
    return Window(
        size=size,
        stride=stride,
        dilation=dilation,
        before=(before[0], before[1]),
        after=(after[0], after[1]),
        out=(out[0], out[1]),
    )


def operand(node: Node, position: int) -> Tensor:
    """An input that must be there."""
    tensor = node.inputs[position] if position < len(node.inputs) else None
    if tensor is None:
        raise Unsupported(f"input {position} is left out")
    return tensor


def activation_of(node: Node) -> str:
    """The fused activation: none, relu, relu_n1_to_1 or relu6."""
    number = int(node.options.get("activation", 0))
    name = ACTIVATIONS[number] if 0 <= number < len(ACTIVATIONS) else str(number)
    if name not in _FUSED:
        raise Unsupported(f"the fused activation {name}")
    return name


def clamp_of(node: Node) -> tuple[int, int]:
    """The least and the most code of the output, as the fused activation leaves them.

    Source: CalculateActivationRangeQuantized in tflite/kernels/kernel_util.cc: the activation's
    bounds over the output's scale in float32, rounded with halves away from zero.
    """
    bounds = {
        "none": (None, None),
        "relu": (0.0, None),
        "relu_n1_to_1": (-1.0, 1.0),
        "relu6": (0.0, 6.0),
    }[activation_of(node)]
    low, high = (_code_of(bound, node.output) for bound in bounds)
    least, most = (0, 255) if node.output.dtype == "uint8" else (-128, 127)
    return max(least, least if low is None else low), min(most, most if high is None else high)


def _code_of(real: float | None, tensor: Tensor) -> int | None:
    if real is None:
        return None
    steps = float(np.float32(real) / scale_of(tensor))
    expect(abs(steps) < 1 << 31, f"a fused activation at {steps} steps")
    return zero_point_of(tensor) + int(math.copysign(math.floor(abs(steps) + 0.5), steps))


def scale_of(tensor: Tensor) -> np.float32:
    """The one scale of a tensor that is quantized as a whole."""
    assert tensor.quantization is not None  # what `infer` has checked
    return np.float32(tensor.quantization.scales[0])


def factors_of(node: Node) -> np.ndarray:
    """What takes the sums of a layer with weights to steps of its output, (1 or channels,) float64.

    Source: PopulateConvolutionQuantizationParams in tflite/kernels/kernel_util.cc: the product of
    the scales over the output's, all as doubles.
    """
    weights = operand(node, 1).quantization
    assert weights is not None  # what `infer` has checked
    products = np.float64(scale_of(operand(node, 0))) * weights.scales.astype(np.float64)
    return products / np.float64(scale_of(node.output))


def zero_point_of(tensor: Tensor) -> int:
    """The one zero point of a tensor that is quantized as a whole."""
    assert tensor.quantization is not None
    return int(tensor.quantization.zero_points[0])


def constant_of(node: Node, position: int) -> np.ndarray:
    """The content of an input that must be a constant, in its shape."""
    tensor = operand(node, position)
    if tensor.data is None:
        raise Unsupported(f"input {position} is not a constant")
    return tensor.data


def reduced_axes(node: Node) -> tuple[int, ...]:
    """The axes over which MEAN or REDUCE_MAX goes, sorted, from 1: never that of the images."""
    rank = len(operand(node, 0).shape)
    dtype = operand(node, 1).dtype
    expect(dtype == "int32", f"axes of {dtype}, expected int32")
    axes = sorted(set(constant_of(node, 1).ravel().tolist()))
    expect(all(-rank <= k < rank for k in axes), f"the axes {axes[:9]} of {rank}")
    found = tuple(sorted({k % rank for k in axes}))
    expect(bool(found) and 0 not in found, f"the axes {found}")
    return found


def paddings_of(node: Node) -> list[tuple[int, int]]:
    """How many elements PAD puts before and after along each axis."""
    source = operand(node, 0)
    values = _integers(node, 1)
    expect(values.shape == (len(source.shape), 2), f"paddings of shape {values.shape}")
    pairs = [(int(a), int(b)) for a, b in values]
    expect(pairs[0] == (0, 0), "images are padded along the batch")
    expect(all(0 <= n < 1 << 16 for pair in pairs for n in pair), f"the paddings {pairs}")
    return pairs


def concat_axis(node: Node) -> int:
    """The axis along which CONCATENATION joins, from 1."""
    rank = len(node.output.shape)
    axis = int(node.options["axis"])
    expect(-rank <= axis < rank and axis % rank != 0, f"the axis {axis} of {rank}")
    return axis % rank


def int8_input(node: Node, position: int, *, constant_too: bool = False) -> Tensor:
    tensor = operand(node, position)
    expect(tensor.dtype == "int8", f"input {position} is {tensor.dtype}, expected int8")
    expect(constant_too or not tensor.constant, f"input {position} is a constant")
    expect(not tensor.constant or tensor.data is not None, f"input {position} is not whole")
    whole_scale(tensor)
    return tensor


def int8_output(node: Node) -> None:
    expect(node.output.dtype == "int8", f"it gives {node.output.dtype}, expected int8")
    whole_scale(node.output)


def whole_scale(tensor: Tensor) -> None:
    found = tensor.quantization
    if found is None:
        raise Unsupported(f"tensor {tensor.index} has no scale")
    expect(len(found.scales) == 1, f"tensor {tensor.index} has {len(found.scales)} scales")
    # Beyond these, products of scales overflow float32, and LiteRT stops the process.
    sane = 1e-30 < float(found.scales[0]) < 1e30
    expect(sane, f"tensor {tensor.index} has the scale {found.scales[0]}")
    low, high = (0, 255) if tensor.dtype == "uint8" else (-128, 127)
    zero_point = int(found.zero_points[0])
    expect(low <= zero_point <= high, f"tensor {tensor.index} has the zero point {zero_point}")


def same_quantization(node: Node, tensor: Tensor) -> None:
    alike = (scale_of(tensor), zero_point_of(tensor)) == (
        scale_of(node.output),
        zero_point_of(node.output),
    )
    expect(alike, f"tensor {tensor.index} and the output are quantized differently")


def sound(scales: np.ndarray) -> bool:
    return bool(np.isfinite(scales).all() and (scales > 0).all())


def pair_of(node: Node, name: str) -> tuple[int, int]:
    return int(node.options[f"{name}_height"]), int(node.options[f"{name}_width"])


def _integers(node: Node, position: int) -> np.ndarray:
    values = constant_of(node, position)
    expect(values.dtype.kind == "i", f"input {position} is {values.dtype}")
    return values


def expect(fits: bool, otherwise: str) -> None:
    if not fits:
        raise Unsupported(otherwise)
