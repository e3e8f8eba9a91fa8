"""The steps of the operators without weights: the table, and those that take one code at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from edgestitch_runtime.graph import Node
from edgestitch_runtime.operator_fields import Unsupported, operand
from edgestitch_runtime.reference_kernels import KERNELS

from .c_arithmetic import add, mul, sub
from .c_loops import size_text
from .c_moving import concatenation, pad
from .c_pooling import average_pool, max_pool, mean, reduce_max
from .c_softmax import softmax
from .c_step import Constant, Places, Step, called

_CODES = np.arange(256).astype(np.int8)  # as their bytes count: 0 to 127, -128 to -1


def of_one_code(node: Node, name: str) -> Step:
    """An operator that takes a code to a code: by a table of what the reference's kernel answers.

    Where that only holds codes between two bounds, or leaves them as they are, no table is needed.
    """
    source, count = operand(node, 0), math.prod(node.output.shape)
    if source.dtype != "int8":
        raise Unsupported(f"it takes {source.dtype}, expected int8")
    answers = KERNELS[node.operator](node)(_CODES)
    low, high = int(answers.min()), int(answers.max())
    clamps = bool((answers == np.clip(_CODES, low, high)).all())
    bounded = (low, high) != (-128, 127)

    def call(at: Places) -> str:
        before, after = at.of(source.index), at.of(node.output.index)
        if not clamps:
            return called("lookup", before, count, at.constant("table"), after)
        texts = [] if before == after else [called("memcpy", after, before, count)]
        if bounded:
            texts.append(called("clamp", after, count, low, high))
        return "\n".join(texts) or "/* Nothing is left to do: the codes are the same. */"

    table = Constant(
        suffix="table", values=answers, comment="for the bytes 0 to 255: codes 0 to 127, -128 to -1"
    )
    return Step(
        name=name,
        title=f"{node.operator.replace('_', ' ').lower()}, {size_text(node.output.shape)}",
        inputs=(source.index,),
        output=node.output.index,
        output_bytes=count,
        call=call,
        kernels=() if clamps and not bounded else ("clamp",) if clamps else ("lookup",),
        constants=() if clamps else (table,),
        over=(source.index,),
    )


POINTWISE: dict[str, Callable[[Node, str], Step]] = {
    "ADD": add,
    "SUB": sub,
    "MUL": mul,
    "CONCATENATION": concatenation,
    "PAD": pad,
    "SOFTMAX": softmax,
    "AVERAGE_POOL_2D": average_pool,
    "MAX_POOL_2D": max_pool,
    "MEAN": mean,
    "REDUCE_MAX": reduce_max,
    **dict.fromkeys(
        ("RELU", "RELU6", "LEAKY_RELU", "TANH", "LOGISTIC", "HARD_SWISH", "QUANTIZE"), of_one_code
    ),
}
