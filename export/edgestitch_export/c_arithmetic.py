"""The steps of ADD, SUB and MUL."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from edgestitch_runtime.fixed_point import multiplier_of
from edgestitch_runtime.graph import Node
from edgestitch_runtime.operator_fields import (
    activation_of,
    clamp_of,
    operand,
    scale_of,
    zero_point_of,
)
from edgestitch_runtime.reference_kernels import KERNELS

from .c_loops import Axis, looped, merged, size_text, strides
from .c_step import Constant, Places, Step, Struct, called
from .c_weighted_sum import CODES, weighted_sum

_HEADROOM = 20  # bits that ADD and SUB shift their operands up by
_PLACES = ("first", "second")
_ACTIVATIONS = {"none": "", "relu": ", ReLU", "relu6": ", ReLU6", "relu_n1_to_1": ", ReLU1"}


def add(node: Node, name: str) -> Step:
    numbers = _weights(node, 1)
    if numbers is None:
        return _step(node, name, "sum", "add", _sum_numbers(node))
    return _step(node, name, "sum", "weighted_sum", numbers)


def sub(node: Node, name: str) -> Step:
    numbers = _weights(node, -1)
    if numbers is None:
        return _step(node, name, "difference", "subtract", _sum_numbers(node))
    return _step(node, name, "difference", "weighted_sum", numbers)


def mul(node: Node, name: str) -> Step:
    return _step(node, name, "product", "multiply", _product_numbers(node))


def activation_text(node: Node) -> str:
    """The fused activation, to stand behind what a step's title says."""
    return _ACTIVATIONS[activation_of(node)]


def _step(node: Node, name: str, gives: str, kernel: str, numbers: Struct) -> Step:
    """A `kernel` of c_kernels with its `numbers`, axis by axis.

    One operand may be a constant; either is broadcast along the axes where it is of length 1.
    """
    tensors = operand(node, 0), operand(node, 1)
    shape = node.output.shape
    *outer, inner = _axes(tensors[0].shape, tensors[1].shape, shape)
    held = {k: tensor.data for k, tensor in enumerate(tensors) if tensor.data is not None}

    def call(at: Places) -> str:
        def body(places: list[str]) -> str:
            first, second, target = places
            return called(
                kernel, first, inner.steps[0], second, inner.steps[1], inner.count,
                f"&{at.constant('numbers')}", target,
            )  # fmt: skip

        sources = [
            at.constant(_PLACES[k]) if k in held else at.of(tensor.index)
            for k, tensor in enumerate(tensors)
        ]
        return looped(outer, (*sources, at.of(node.output.index)), body)

    sizes = " and ".join(size_text((1, *t.shape) if k in held else t.shape)
                         for k, t in enumerate(tensors))  # fmt: skip
    return Step(
        name=name,
        title=f"{gives} of {sizes}{activation_text(node)}",
        inputs=tuple(tensor.index for k, tensor in enumerate(tensors) if k not in held),
        output=node.output.index,
        output_bytes=math.prod(shape),
        call=call,
        kernels=(kernel,),
        constants=tuple(
            Constant(suffix=_PLACES[k], values=data, comment=f"its {_PLACES[k]} operand")
            for k, data in held.items()
        ),
        structs=(numbers,),
        over=tuple(t.index for k, t in enumerate(tensors) if k not in held and t.shape == shape),
        weight_bytes=sum(data.size for data in held.values()),
    )


def _axes(first: tuple[int, ...], second: tuple[int, ...], shape: tuple[int, ...]) -> list[Axis]:
    """The axes of the output, with the steps in both operands and in it: at least one."""
    steps = [strides(shape)]
    for operand_shape in (second, first):
        full = (1,) * (len(shape) - len(operand_shape)) + operand_shape
        pairs = zip(full, strides(full), strict=True)
        steps.insert(0, [0 if n == 1 else step for n, step in pairs])
    axes = merged([Axis(count=n, steps=tuple(s)) for n, *s in zip(shape, *steps, strict=True)])
    return axes or [Axis(count=1, steps=(1, 1, 1))]


def _weights(node: Node, sign: int) -> Struct | None:
    """The numbers of one weighted sum, where there is one; `sign` is that of the second operand."""
    tensors = [replace(operand(node, k), data=None, bytes=0) for k in (0, 1)]
    pairs = (codes.reshape(1, -1) for codes in np.meshgrid(CODES, CODES, indexing="ij"))
    kernel = KERNELS[node.operator](replace(node, inputs=tuple(tensors)))
    answers = kernel(*(codes.astype(np.int8) for codes in pairs)).reshape(256, 256)
    first, second = (float(scale_of(tensor)) / float(scale_of(node.output)) for tensor in tensors)
    second *= sign
    zeros = [zero_point_of(tensor) for tensor in tensors]
    zero = zero_point_of(node.output) - first * zeros[0] - second * zeros[1]
    found = weighted_sum(answers.astype(np.int64), first, second, zero)
    if found is None:
        return None
    bounds = int(answers.min()), int(answers.max())
    values = (found.first, found.second, found.offset, found.down, *bounds)
    return Struct(suffix="numbers", type="weighted_sum_t", values=values)


def _sum_numbers(node: Node) -> Struct:
    """Source: Prepare in tflite/kernels/add.cc, PrepareGeneralSubOp in tflite/kernels/sub.cc."""
    tensors = operand(node, 0), operand(node, 1)
    scales = [float(scale_of(tensor)) for tensor in tensors]
    largest = 2 * max(scales)
    factors = [scale / largest for scale in scales]
    factors.append(largest / ((1 << _HEADROOM) * float(scale_of(node.output))))
    mantissas, shifts = zip(*(multiplier_of(factor) for factor in factors), strict=True)
    zeros = [zero_point_of(tensor) for tensor in (*tensors, node.output)]
    return Struct(
        suffix="numbers", type="sum_t", values=(*mantissas, *shifts, *zeros, *clamp_of(node))
    )


def _product_numbers(node: Node) -> Struct:
    """Source: Prepare in tflite/kernels/mul.cc; the factor is made in float32."""
    tensors = operand(node, 0), operand(node, 1)
    factor = scale_of(tensors[0]) * scale_of(tensors[1]) / scale_of(node.output)
    zeros = [zero_point_of(tensor) for tensor in (*tensors, node.output)]
    return Struct(
        suffix="numbers",
        type="product_t",
        values=(*multiplier_of(float(factor)), *zeros, *clamp_of(node)),
    )
