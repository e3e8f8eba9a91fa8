"""What the integer graph supports: of each operator the inputs, the shape it gives, its MACs.

Shapes are those of one image with a leading 1, channels last. Source: the Prepare functions of
LiteRT's kernels (tflite/kernels/*.cc), and the TFLite quantization specification
(https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .fixed_point import INT32_MAX
from .operator_fields import (
    MOST_SEEN,
    Rule,
    Shape,
    Unsupported,
    clamp_of,
    constant_of,
    expect,
    factors_of,
    int8_input,
    int8_output,
    operand,
    pair_of,
    reduced_axes,
    same_quantization,
    scale_of,
    sound,
    window_of,
    zero_point_of,
)
from .pointwise_rules import POINTWISE_RULES
from .tflite_file import Tensor

if TYPE_CHECKING:
    from .graph import Node


def _conv(node: Node) -> Shape:
    source, weights = int8_input(node, 0), _weights(node, 4)
    out, height, width, depth = weights.shape
    channels = source.shape[-1]
    expect(channels % depth == 0, f"{channels} channels, weights for {depth}")
    expect(out % (channels // depth) == 0, f"{out} filters in {channels // depth} groups")
    window = window_of(node, (height, width))
    products = math.prod(window.out) * height * width * channels
    expect(products <= 4 * MOST_SEEN, f"{products:,} products for each channel")
    _scales(weights, out, axis=0)
    _linear_end(node, out, axis=0)
    return (1, *window.out, out)


def _depthwise(node: Node) -> Shape:
    source, weights = int8_input(node, 0), _weights(node, 4)
    one, height, width, out = weights.shape
    expect(one == 1 and out % source.shape[-1] == 0, f"weights of shape {weights.shape}")
    window = window_of(node, (height, width))
    _scales(weights, out, axis=3)
    _linear_end(node, out, axis=3)
    return (1, *window.out, out)


def _fully_connected(node: Node) -> Shape:
    source, weights = int8_input(node, 0), _weights(node, 2)
    out, depth = weights.shape
    expect(node.options["weights_format"] == 0, "shuffled weights")
    _scales(weights, out, axis=0)
    _linear_end(node, out, axis=0)
    _bias_on_the_scale_of_products(node)
    if node.options["keep_num_dims"]:
        expect(source.shape[-1] == depth, f"{source.shape} into weights {weights.shape}")
        return (*source.shape[:-1], out)
    expect(math.prod(source.shape) == depth, f"{source.shape} into weights {weights.shape}")
    return (1, out)


def _pool(node: Node) -> Shape:
    source = int8_input(node, 0)
    window = window_of(node, pair_of(node, "filter"))
    int8_output(node)
    clamp_of(node)
    same_quantization(node, source)
    return (1, *window.out, source.shape[-1])


def _mean(node: Node) -> Shape:
    source = int8_input(node, 0)
    int8_output(node)
    # What the sum of n codes is scaled by is below 2 * factor / n: n drops out.
    factor = float(scale_of(source)) / float(scale_of(node.output))
    _fits_32_bits(np.array([2 * 255]), np.array([factor]))
    return _reduced(node, source.shape)


def _reduce_max(node: Node) -> Shape:
    source = int8_input(node, 0)
    int8_output(node)
    same_quantization(node, source)  # LiteRT's Prepare takes another; its Eval refuses it
    return _reduced(node, source.shape)


def _reduced(node: Node, shape: Shape) -> Shape:
    axes = reduced_axes(node)
    if node.options["keep_dims"]:
        return tuple(1 if k in axes else n for k, n in enumerate(shape))
    return tuple(n for k, n in enumerate(shape) if k not in axes)


def _conv_macs(node: Node) -> int:
    """Every output takes a product for each weight of its filter, padding included."""
    return math.prod(node.output.shape) * math.prod(operand(node, 1).shape[1:])


def _depthwise_macs(node: Node) -> int:
    return math.prod(node.output.shape) * math.prod(operand(node, 1).shape[1:3])


def _weights(node: Node, rank: int) -> Tensor:
    tensor = operand(node, 1)
    expect(
        tensor.dtype == "int8" and tensor.data is not None,
        f"weights of {tensor.dtype}{'' if tensor.constant else ', not constant'}, expected "
        "constant int8",
    )
    fits = len(tensor.shape) == rank and 0 not in tensor.shape
    expect(fits, f"weights of shape {tensor.shape}")
    return tensor


def _scales(weights: Tensor, channels: int, *, axis: int) -> None:
    """Weights are symmetric: of one scale, or of one for each channel, along `axis`."""
    found = weights.quantization
    if found is None:
        raise Unsupported("weights without a scale")
    expect(
        len(found.scales) in (1, channels), f"{len(found.scales)} scales for {channels} channels"
    )
    expect(not found.per_channel or found.axis == axis, f"scales along axis {found.axis}")
    expect(bool((found.zero_points == 0).all()), "weights with a zero point")
    expect(sound(found.scales), "weights with a scale that is no positive number")


def _linear_end(node: Node, channels: int, *, axis: int) -> None:
    """The bias, if any, the output and the fused activation of a layer with weights.

    `axis` is that of the output channels in the weights.
    """
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is not None:
        expect(bias.dtype == "int32" and bias.data is not None, f"a bias of {bias.dtype}")
        expect(bias.shape == (channels,), f"a bias of shape {bias.shape}")
    int8_output(node)
    clamp_of(node)
    zero_point = zero_point_of(operand(node, 0))
    weights = np.moveaxis(constant_of(node, 1), axis, 0).reshape(channels, -1)
    sums = np.abs(weights.astype(np.int64)).sum(axis=1) * max(127 - zero_point, zero_point + 128)
    if bias is not None:
        sums += np.abs(constant_of(node, 2).astype(np.int64))
    _fits_32_bits(sums, factors_of(node))


def _bias_on_the_scale_of_products(node: Node) -> None:
    """Raises Unsupported for a bias whose scale is not that of what it is added to.

    Source: GetQuantizedConvolutionMultipler in tflite/kernels/kernel_util.cc, for weights of one
    scale: a bias without one has the scale 0 there.
    """
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    weights = operand(node, 1).quantization
    if bias is None or weights is None or weights.per_channel:
        return
    found = bias.quantization
    scale = 0.0 if found is None or found.per_channel else float(found.scales[0])
    apart = abs(float(scale_of(operand(node, 0))) * float(weights.scales[0]) - scale)
    expect(apart / float(scale_of(node.output)) <= 0.02, f"a bias at the scale {scale:.3g}")


def _fits_32_bits(sums: np.ndarray, factors: np.ndarray) -> None:
    """Raises Unsupported where sums of such magnitudes could leave 32 bits, scaled or not.

    C++ leaves open what LiteRT's kernels do then, so that there is nothing to be equal to.
    """
    # The factor 2: a sum is shifted left by as much before its mantissa, of a half or more.
    scaled = sums * np.maximum(2 * factors, 1)
    most = float(scaled.max())
    expect(most < INT32_MAX - 255, f"sums up to {most:.2g} times a step, more than 32 bits hold")


_POOL = Rule(inputs=(1, 1), infer=_pool)
RULES: dict[str, Rule] = {
    "FULLY_CONNECTED": Rule(inputs=(2, 3), infer=_fully_connected, macs=_conv_macs),
    "CONV_2D": Rule(inputs=(2, 3), infer=_conv, macs=_conv_macs),
    "DEPTHWISE_CONV_2D": Rule(inputs=(2, 3), infer=_depthwise, macs=_depthwise_macs),
    "AVERAGE_POOL_2D": _POOL,
    "MAX_POOL_2D": _POOL,
    "MEAN": Rule(inputs=(2, 2), infer=_mean),
    "REDUCE_MAX": Rule(inputs=(2, 2), infer=_reduce_max),
    **POINTWISE_RULES,
}
