"""The steps that only move codes: CONCATENATION and PAD."""

from __future__ import annotations

import math

from edgestitch_runtime.graph import Node
from edgestitch_runtime.operator_fields import concat_axis, operand, paddings_of, zero_point_of

from .c_loops import Axis, behind, copied, copy_kernels, merged, size_text, strides
from .c_step import Constant, Places, Step, called


def concatenation(node: Node, name: str) -> Step:
    """CONCATENATION of tensors and constants: each is copied, row by row."""
    axis, shape = concat_axis(node), node.output.shape
    rows, length = math.prod(shape[:axis]), math.prod(shape[axis:])
    parts = [operand(node, k) for k in range(len(node.inputs))]
    held = {k: part.data for k, part in enumerate(parts) if part.data is not None}

    def call(at: Places) -> str:
        texts, before = [], 0
        for k, part in enumerate(parts):
            source = at.constant(f"part_{k + 1}") if k in held else at.of(part.index)
            size = math.prod(part.shape[axis:])
            axes = [Axis(count=rows, steps=(size, length)), Axis(count=size, steps=(1, 1))]
            texts.append(copied(source, behind(at.of(node.output.index), before), axes))
            before += size
        return "\n".join(texts)

    return Step(
        name=name,
        title=f"{len(parts)} joined to {size_text(shape)}",
        inputs=tuple(part.index for k, part in enumerate(parts) if k not in held),
        output=node.output.index,
        output_bytes=math.prod(shape),
        call=call,
        kernels=("copy_rows",) if rows > 1 else (),
        constants=tuple(
            Constant(suffix=f"part_{k + 1}", values=data, comment="a part that is constant")
            for k, data in held.items()
        ),
        weight_bytes=sum(data.size for data in held.values()),
    )


def pad(node: Node, name: str) -> Step:
    """PAD: the output is filled with its code of zero, and the input copied into it."""
    source, shape = operand(node, 0), node.output.shape
    steps = list(zip(strides(source.shape), strides(shape), strict=True))
    befores = [before for before, _ in paddings_of(node)]
    start = sum(before * step for before, (_, step) in zip(befores, steps, strict=True))
    axes = merged([Axis(count=n, steps=each) for n, each in zip(source.shape, steps, strict=True)])
    zero = zero_point_of(node.output)

    def call(at: Places) -> str:
        target = at.of(node.output.index)
        filled = called("memset", target, zero, math.prod(shape))
        return f"{filled}\n{copied(at.of(source.index), behind(target, start), axes)}"

    return Step(
        name=name,
        title=f"border, {size_text(source.shape)} to {size_text(shape)}",
        inputs=(source.index,),
        output=node.output.index,
        output_bytes=math.prod(shape),
        call=call,
        kernels=copy_kernels(axes),
    )
