"""Of the operators that work element by element or move elements: the inputs, the shape they give.

A part of `operator_rules`. Shapes are those of one image with a leading 1, channels last. Source:
the Prepare functions of LiteRT's kernels (tflite/kernels/*.cc).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .fixed_point import multiplier_of
from .operator_fields import (
    Rule,
    Shape,
    Unsupported,
    activation_of,
    clamp_of,
    concat_axis,
    expect,
    int8_input,
    int8_output,
    operand,
    paddings_of,
    same_quantization,
    scale_of,
    whole_scale,
    zero_point_of,
)

if TYPE_CHECKING:
    from .graph import Node


def _elementwise(node: Node) -> Shape:
    tensors = [int8_input(node, k, constant_too=True) for k in (0, 1)]
    int8_output(node)
    clamp_of(node)
    computed = [tensor.shape for tensor in tensors if not tensor.constant]
    expect(bool(computed), "both inputs are constants")
    shapes = [tensor.shape for tensor in tensors]
    try:
        shape = tuple(int(n) for n in np.broadcast_shapes(*shapes))
    except ValueError:
        raise Unsupported(f"the shapes {shapes[0]} and {shapes[1]}") from None
    # At another rank the images would not stand along the first axis of the output.
    expect(all(len(s) == len(shape) for s in computed), f"the shapes {shapes[0]} and {shapes[1]}")
    first, second = (float(scale_of(tensor)) for tensor in tensors)
    if node.operator == "MUL":
        _coarse_enough(node, first * second, 14)
    else:  # LiteRT stops the process at a multiplier of 1 in ADD, and SUB loses its meaning
        step = 2 * max(first, second) / (1 << 20)
        too_fine = multiplier_of(step / float(scale_of(node.output)))[1] > 0
        expect(not too_fine, "the output's scale is too fine for the inputs'")
    return shape


def _concatenation(node: Node) -> Shape:
    tensors = [int8_input(node, k, constant_too=True) for k in range(len(node.inputs))]
    int8_output(node)
    expect(activation_of(node) == "none", "an activation behind a concatenation")
    expect(not all(tensor.constant for tensor in tensors), "all inputs are constants")
    axis = concat_axis(node)
    first = tensors[0].shape
    for tensor in tensors:
        same_quantization(node, tensor)
        expect(len(tensor.shape) == len(first), f"the shapes {first} and {tensor.shape}")
        pairs = enumerate(zip(first, tensor.shape, strict=True))
        alike = all(a == b for k, (a, b) in pairs if k != axis)
        expect(alike, f"the shapes {first} and {tensor.shape}")
    expect(axis < len(first), f"the axis {axis} of {first}")
    return (*first[:axis], sum(t.shape[axis] for t in tensors), *first[axis + 1 :])


def _pad(node: Node) -> Shape:
    source = int8_input(node, 0)
    int8_output(node)
    expect(len(source.shape) <= 5, f"an input of {len(source.shape)} axes, at most 5 are padded")
    return tuple(n + a + b for n, (a, b) in zip(source.shape, paddings_of(node), strict=True))


def _reshape(node: Node) -> Shape:
    source = int8_input(node, 0)
    int8_output(node)
    expect(
        math.prod(source.shape) == math.prod(node.output.shape),
        f"{source.shape} does not fill {node.output.shape}",
    )
    if node.operator == "SQUEEZE":
        left = iter(source.shape)
        fits = len(node.output.shape) < len(source.shape) and all(
            n in left for n in node.output.shape
        )
        expect(fits, f"{node.output.shape} is not {source.shape} without axes of 1")
    told = operand(node, 1).data if len(node.inputs) > 1 else None
    if told is not None and told.dtype == np.int32 and told.ndim == 1:
        sizes = told.tolist()  # LiteRT goes by these, whatever shape the output has in the file
        alike = len(sizes) == len(node.output.shape) and sizes.count(-1) < 2
        pairs = zip(sizes, node.output.shape, strict=alike)
        expect(alike and all(a in (-1, b) for a, b in pairs), f"{sizes} is not the output's shape")
    return node.output.shape


def _pointwise(node: Node) -> Shape:
    source = int8_input(node, 0)
    int8_output(node)
    return source.shape


def _relu(node: Node) -> Shape:
    shape = _pointwise(node)
    _coarse_enough(node, float(scale_of(operand(node, 0))), 22)
    return shape


def _relu6(node: Node) -> Shape:
    shape = _relu(node)
    _coarse_enough(node, 1.0, 28)
    return shape


def _leaky_relu(node: Node) -> Shape:
    shape = _relu(node)
    alpha = float(node.options["alpha"])
    expect(math.isfinite(alpha), f"an alpha of {alpha}")
    _coarse_enough(node, float(scale_of(operand(node, 0))) * abs(alpha), 22)
    return shape


def _tanh(node: Node) -> Shape:
    shape = _pointwise(node)
    _coarse_enough(node, 1.0, 28)
    return shape


def _logistic(node: Node) -> Shape:
    shape = _pointwise(node)
    scale = scale_of(node.output)
    expect(scale == 1 / 256, f"the output's scale {scale}, expected 1/256")
    return shape


def _hard_swish(node: Node) -> Shape:
    shape = _pointwise(node)
    scale = float(scale_of(operand(node, 0)))
    _coarse_enough(node, scale, 7)
    expect(scale < 1 << 24, f"the input's scale {scale}")
    return shape


def _softmax(node: Node) -> Shape:
    source = int8_input(node, 0)
    int8_output(node)
    scale, zero_point = float(scale_of(node.output)), zero_point_of(node.output)
    near = abs(scale * 256 - 1) < 0.001 and zero_point == -128
    expect(near, f"the output's scale {scale}, zero point {zero_point}, expected 1/256, -128")
    expect(len(source.shape) > 1, "an input of one axis")
    # LiteRT's sum has 12 bits before the point.
    expect(source.shape[-1] < 1 << 12, f"{source.shape[-1]} classes")
    beta = float(node.options["beta"])
    step = beta * float(scale_of(source))
    expect(math.isfinite(step) and step * (1 << 26) > 1, f"a beta of {beta}")
    return source.shape


def _quantize(node: Node) -> Shape:
    source = operand(node, 0)
    expect(source.dtype in ("float32", "int8", "uint8"), f"it takes {source.dtype}")
    expect(not source.constant, "input 0 is a constant")
    int8_output(node)
    if source.dtype != "float32":
        whole_scale(source)
        _coarse_enough(node, float(scale_of(source)), 22)
    return source.shape


def _dequantize(node: Node) -> Shape:
    source = int8_input(node, 0)
    expect(node.output.dtype == "float32", f"it gives {node.output.dtype}")
    return source.shape


def _coarse_enough(node: Node, step: float, bits: int) -> None:
    """Raises Unsupported when a step of the input is 2**bits of the output's, or more.

    Above that LiteRT's products and casts leave their 32 bits (HARD_SWISH: its Prepare refuses).
    """
    # As float32 rounds it, which is what LiteRT compares.
    steps = float(np.float32(min(step / float(scale_of(node.output)), 1e30)))
    expect(steps < 1 << bits, f"{steps:.3g} steps of the output for one of the input")


_ELEMENTWISE = Rule(inputs=(2, 2), infer=_elementwise)
POINTWISE_RULES: dict[str, Rule] = {
    "ADD": _ELEMENTWISE,
    "SUB": _ELEMENTWISE,
    "MUL": _ELEMENTWISE,
    "CONCATENATION": Rule(inputs=(1, 64), infer=_concatenation),
    "PAD": Rule(inputs=(2, 2), infer=_pad),
    "RESHAPE": Rule(inputs=(1, 2), infer=_reshape),
    "SQUEEZE": Rule(inputs=(1, 1), infer=_reshape),
    "SOFTMAX": Rule(inputs=(1, 1), infer=_softmax),
    "LOGISTIC": Rule(inputs=(1, 1), infer=_logistic),
    "TANH": Rule(inputs=(1, 1), infer=_tanh),
    "RELU": Rule(inputs=(1, 1), infer=_relu),
    "RELU6": Rule(inputs=(1, 1), infer=_relu6),
    "LEAKY_RELU": Rule(inputs=(1, 1), infer=_leaky_relu),
    "HARD_SWISH": Rule(inputs=(1, 1), infer=_hard_swish),
    "QUANTIZE": Rule(inputs=(1, 1), infer=_quantize),
    "DEQUANTIZE": Rule(inputs=(1, 1), infer=_dequantize),
}
