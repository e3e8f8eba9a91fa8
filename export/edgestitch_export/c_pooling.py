"""The steps of AVERAGE_POOL_2D, MAX_POOL_2D, MEAN and REDUCE_MAX."""

from __future__ import annotations

import math

import numpy as np

from edgestitch_runtime.fixed_point import multiplier_of
from edgestitch_runtime.graph import Node
from edgestitch_runtime.operator_fields import (
    Unsupported,
    Window,
    clamp_of,
    operand,
    pair_of,
    reduced_axes,
    scale_of,
    window_of,
    zero_point_of,
)

from .c_arithmetic import activation_text
from .c_loops import Axis, copied, copy_kernels, merged, size_text, strides
from .c_step import Places, Step, Struct, called

_MOST_INT16 = (1 << 15) - 1


def average_pool(node: Node, name: str) -> Step:
    return _pool(node, name, "average_pool")


def max_pool(node: Node, name: str) -> Step:
    return _pool(node, name, "max_pool")


def mean(node: Node, name: str) -> Step:
    """MEAN. Source of the numbers: QuantizedMeanOrSum in
    tflite/kernels/internal/reference/reduce.h.
    """
    source = operand(node, 0)
    count = math.prod(source.shape[k] for k in reduced_axes(node))
    mantissa, shift = multiplier_of(float(scale_of(source)) / float(scale_of(node.output)))
    by = min(count.bit_length() - 1, 32, 31 + shift)
    numbers = Struct(
        suffix="numbers",
        type="mean_t",
        values=(-zero_point_of(source) * count, (mantissa << by) // count, shift - by,
                zero_point_of(node.output)),
    )  # fmt: skip
    return _reduced(node, name, "mean", (numbers,))


def reduce_max(node: Node, name: str) -> Step:
    return _reduced(node, name, "reduce_max", ())


def _pool(node: Node, name: str, kernel: str) -> Step:
    source, shape = operand(node, 0), node.output.shape
    window = window_of(node, pair_of(node, "filter"))
    low, high = clamp_of(node)
    clamps = (low, high) != (-128, 127)
    values = (*source.shape[1:], *window.before, *window.size, *window.stride, *window.out)
    if max(values) > _MOST_INT16:
        raise Unsupported(f"a window, a stride or an image beyond {_MOST_INT16:,}")

    def call(at: Places) -> str:
        target = at.of(node.output.index)
        pooled = called(kernel, at.of(source.index), f"&{at.constant('pool')}", target)
        if not clamps:
            return pooled
        return f"{pooled}\n{called('clamp', target, math.prod(shape), low, high)}"

    height, width = window.size
    return Step(
        name=name,
        title=f"{kernel.replace('_', ' ')} {height}x{width}, {size_text(source.shape)} to "
        f"{size_text(shape)}{activation_text(node)}",
        inputs=(source.index,),
        output=node.output.index,
        output_bytes=math.prod(shape),
        call=call,
        kernels=(kernel, "clamp") if clamps else (kernel,),
        structs=(Struct(suffix="pool", type="pool_t", values=values),),
        over=(source.index,) if _only_behind(window, source.shape[2]) else (),
    )


def _only_behind(window: Window, width: int) -> bool:
    """Whether no pixel is seen after the output's pixel at its place is written, row by row.

    `width` is that of the image. Channel by channel: another channel's bytes are others.
    """
    rows, columns = (
        np.maximum(np.arange(window.out[k]) * window.stride[k] - window.before[k], 0)
        for k in (0, 1)
    )
    first_seen = (rows[:, None] * width + columns).ravel()
    later = np.minimum.accumulate(first_seen[::-1])[::-1][1:]
    return bool((later > np.arange(len(later))).all())


def _reduced(node: Node, name: str, kernel: str, structs: tuple[Struct, ...]) -> Step:
    """Over rows that lie one behind the other; what lies otherwise is first brought to that."""
    source, axes = operand(node, 0), reduced_axes(node)
    shape = source.shape
    count = math.prod(shape[k] for k in axes)
    blocks, length = math.prod(shape[: axes[0]]), math.prod(shape[axes[-1] + 1 :])
    together = math.prod(shape[axes[0] : axes[-1] + 1]) == count
    if not together:  # the axes in between are of more than one element
        blocks, length = math.prod(shape) // count, 1
    moved = _moved(shape, axes)

    def call(at: Places) -> str:
        numbers = [f"&{at.constant(struct.suffix)}" for struct in structs]
        given = at.of(source.index) if together else at.scratch
        reduced = called(kernel, given, blocks, count, length, *numbers, at.of(node.output.index))
        if together:
            return reduced
        return f"{copied(at.of(source.index), at.scratch, moved)}\n{reduced}"

    return Step(
        name=name,
        title=f"{'mean' if kernel == 'mean' else 'maximum'}, {size_text(shape)} to "
        f"{size_text(node.output.shape)}",
        inputs=(source.index,),
        output=node.output.index,
        output_bytes=math.prod(node.output.shape),
        call=call,
        kernels=(kernel,) if together else (kernel, *copy_kernels(moved)),
        structs=structs,
        over=(source.index,),
        scratch_bytes=0 if together else math.prod(shape),
    )


def _moved(shape: tuple[int, ...], axes: tuple[int, ...]) -> list[Axis]:
    """The input's axes, those that are kept in front of those that are not, as a copy has them."""
    order = [k for k in range(len(shape)) if k not in axes] + list(axes)
    steps = strides(shape)
    moved = [shape[k] for k in order]
    return merged(
        [
            Axis(count=shape[k], steps=(steps[k], step))
            for k, step in zip(order, strides(moved), strict=True)
        ]
    )
