"""The steps of FULLY_CONNECTED and CONV_2D; a convolution of planes is in c_planes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from edgestitch_runtime.graph import Node
from edgestitch_runtime.kernels_linear import rows_of
from edgestitch_runtime.operator_fields import operand, window_of, zero_point_of

from .c_layer import (
    Scaling,
    check_sizes,
    clamp_call,
    clamp_kernel,
    fits_lanes,
    layer_step,
    scaling_for,
    scalings_struct,
    source_text,
)
from .c_loops import behind, size_text
from .c_planes import depthwise, sees_one_channel
from .c_step import Places, Step, Struct, called


def dense(node: Node, name: str) -> Step:
    """FULLY_CONNECTED of one row, which may be the caller's pixels."""
    outputs, inputs = operand(node, 1).shape
    rows = math.prod(operand(node, 0).shape) // inputs
    scaling = scaling_for(node, lanes=False)

    def call(at: Places) -> str:
        source, flip = source_text(node, at)
        target = at.of(node.output.index)
        texts = []
        for row in range(rows):
            texts.append(
                called("dense", behind(source, row * inputs), flip, inputs,
                       at.constant("weights"), outputs, f"&{at.constant('scalings')}",
                       behind(target, row * outputs))
            )  # fmt: skip
        return "\n".join(texts) + clamp_call(node, at)

    return layer_step(
        node,
        name,
        f"dense, {inputs} to {outputs}" + (f", {rows} rows" if rows > 1 else ""),
        scaling,
        call=call,
        kernels=("dense", *clamp_kernel(node)),
        structs=(scalings_struct(node, scaling),),
        values=_in_blocks(rows_of(node)),
    )


def dense_as_convolution(node: Node, name: str) -> Step | None:
    """FULLY_CONNECTED as a convolution of 1x1, whose kernel is there for others already.

    None where its sums or its scaling have no place there.
    """
    if not fits_lanes(node):
        return None
    outputs, inputs = operand(node, 1).shape
    rows = math.prod(operand(node, 0).shape) // inputs
    scaling = scaling_for(node, lanes=True)
    if scaling.kind == "wide":
        return None
    return _pointwise(node, name, f"dense, {inputs} to {outputs}", scaling, rows, inputs)


def conv(node: Node, name: str) -> Step:
    """CONV_2D."""
    if sees_one_channel(node):
        return depthwise(node, name)
    weights = operand(node, 1)
    outputs, height, width, depth = weights.shape
    source = operand(node, 0)
    window = window_of(node, (height, width))
    check_sizes(window, *source.shape, outputs)
    scaling = scaling_for(node, lanes=True)
    inputs, groups = height * width * depth, source.shape[-1] // depth
    sizes = f"{size_text(source.shape)} to {size_text(node.output.shape)}"
    title = f"convolution {height}x{width}, {sizes}"
    if (height, width, groups) == (1, 1, 1) and window.stride == (1, 1):
        return _pointwise(node, name, title, scaling, math.prod(window.out), inputs)
    lanes = _lanes_bytes(inputs)

    def call(at: Places) -> str:
        return called(
            "conv", at.of(source.index), f"&{at.constant('shape')}", at.constant("weights"),
            f"&{at.constant('scalings')}", f"{at.scratch} + {lanes}", f"(lane_t *)({at.scratch})",
            at.of(node.output.index),
        ) + clamp_call(node, at)  # fmt: skip

    shape = Struct(
        suffix="shape",
        type="conv_t",
        values=(*source.shape[1:], *window.out, outputs, groups, *window.before, height, width,
                *window.stride, *window.dilation, zero_point_of(source)),
    )  # fmt: skip
    return layer_step(
        node,
        name,
        title,
        scaling,
        call=call,
        kernels=("conv", *clamp_kernel(node)),
        structs=(scalings_struct(node, scaling), shape),
        scratch_bytes=lanes + -(-inputs // 4) * 4,
    )


def _pointwise(
    node: Node, name: str, title: str, scaling: Scaling, pixels: int, inputs: int
) -> Step:
    source, outputs = operand(node, 0).index, node.output.shape[-1]

    def call(at: Places) -> str:
        return called(
            "pointwise", at.of(source), pixels, inputs, at.constant("weights"), outputs,
            f"&{at.constant('scalings')}", f"(lane_t *)({at.scratch})", at.of(node.output.index),
        ) + clamp_call(node, at)  # fmt: skip

    return layer_step(
        node,
        name,
        title,
        scaling,
        call=call,
        kernels=("pointwise", *clamp_kernel(node)),
        structs=(scalings_struct(node, scaling),),
        over=(source,) if outputs <= inputs else (),
        scratch_bytes=_lanes_bytes(inputs),
    )


def _lanes_bytes(inputs: int) -> int:
    """What the lanes of a block of pixels take, on the path that takes most."""
    dsp, mve = 4 * 2 * (-(-inputs // 4) * 4), 6 * (-(-inputs // 16) * 16)
    return max(dsp, mve)


def _in_blocks(rows: np.ndarray) -> np.ndarray:
    """Weights, (outputs, inputs), as c_kernels/dense.c has them: 16 of each of four outputs."""
    outputs, inputs = rows.shape
    wide = np.zeros((outputs, -(-inputs // 16) * 16), np.int8)
    wide[:, :inputs] = rows
    fours = outputs // 4 * 4
    blocks = wide[:fours].reshape(-1, 4, wide.shape[1] // 16, 16).swapaxes(1, 2)
    return np.concatenate([blocks.ravel(), wide[fours:].ravel()])


LINEAR: dict[str, Callable[[Node, str], Step]] = {
    "FULLY_CONNECTED": dense,
    "CONV_2D": conv,
    "DEPTHWISE_CONV_2D": depthwise,
}
