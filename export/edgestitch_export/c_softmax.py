"""The step of SOFTMAX."""

from __future__ import annotations

import math

from edgestitch_runtime.fixed_point import multiplier_of
from edgestitch_runtime.graph import Node
from edgestitch_runtime.operator_fields import operand, scale_of

from .c_step import Places, Step, Struct, called

_BITS = 26  # that an exponential's argument has behind the point
_NOTHING = -16  # from exp(-16) on, less than 2**-20, nothing comes of an exponential


def softmax(node: Node, name: str) -> Step:
    """SOFTMAX over the last axis. Source of the numbers: PreprocessSoftmaxScaling in
    tflite/kernels/internal/quantization_util.cc.
    """
    source, shape = operand(node, 0), node.output.shape
    rows, classes = math.prod(shape[:-1]), shape[-1]
    step = float(node.options["beta"]) * float(scale_of(source))
    mantissa, shift = multiplier_of(min(step * (1 << _BITS), float((1 << 30) - 1)))
    arguments = [((-steps * mantissa << shift) + (1 << 30)) >> 31 for steps in range(256)]
    reach = sum(argument > _NOTHING << _BITS for argument in arguments)

    def call(at: Places) -> str:
        return called(
            "softmax", at.of(source.index), rows, classes, f"&{at.constant('numbers')}",
            f"(int32_t *)({at.scratch})", at.of(node.output.index),
        )  # fmt: skip

    return Step(
        name=name,
        title=f"softmax, {classes} classes" + (f", {rows} rows" if rows > 1 else ""),
        inputs=(source.index,),
        output=node.output.index,
        output_bytes=math.prod(shape),
        call=call,
        kernels=("softmax",),
        structs=(Struct(suffix="numbers", type="softmax_t", values=(mantissa, 1 << shift, reach)),),
        over=(source.index,),
        scratch_bytes=4 * classes,
    )
