"""How many bytes of arena TensorFlow Lite Micro needs, computed from a file's graph.

Source: TensorFlow Lite Micro's docs/memory_management.md. The head of the arena holds the
activations, which GreedyMemoryPlanner lays out; the tail what outlives a run: structures of
tensors, operators and kernels. The sizes below are of a 64-bit machine and TensorFlow Lite Micro's
own kernels, with room to spare; docs/decisions/0015 has what was measured.
"""

from __future__ import annotations

from edgestitch_runtime.file_graph import FileGraph, activations_of

ALIGNMENT = 16  # of the arena, and of each buffer in its head
_FIXED = 1000  # the allocator, the interpreter's input and output
_A_TENSOR = 24  # TfLiteEvalTensor
_AN_OPERATOR = 64 + 128  # NodeAndRegistration, and what a kernel keeps
_A_CHANNEL = 8  # a multiplier and a shift
_PLANNING = 600, 80  # bytes, and bytes a tensor, in the place of the head while it is planned
_LINEAR = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
_SUMMED = ("MEAN", "SUM", "REDUCE_MAX", "TRANSPOSE_CONV")  # in int32 beside the output


def estimated_arena(graph: FileGraph) -> int:
    """Bytes of arena that suffice for `graph`: little above the least, a multiple of ALIGNMENT."""
    tensors, operators = len(graph.tensors), len(graph.operators)
    fixed, each = _PLANNING
    head = max(planned_bytes(graph), fixed + each * tensors)
    made = [graph.tensors[o.outputs[0]] for o in graph.operators if o.name in _LINEAR]
    channels = sum(tensor.shape[-1] for tensor in made if tensor.shape)
    tail = _FIXED + _A_TENSOR * tensors + _AN_OPERATOR * operators + _A_CHANNEL * channels
    return aligned(head + tail)


def planned_bytes(graph: FileGraph) -> int:
    """The bytes of activations as GreedyMemoryPlanner lays them out.

    The largest first, of equal ones the last, each at the lowest place that is free while it lives.
    """
    placed: list[tuple[int, int, int, int]] = []  # offset, end, first operator, last operator
    for size, first, last in sorted(_buffers(graph), key=lambda one: -one[0]):
        offset = 0
        for start, end, begins, ends in sorted(placed):
            if first <= ends and begins <= last:
                if start - offset >= size:
                    break
                offset = max(offset, end)
        placed.append((offset, offset + size, first, last))
    return max((end for _, end, _, _ in placed), default=0)


def _buffers(graph: FileGraph) -> list[tuple[int, int, int]]:
    """(bytes, first operator, last operator) of kernels' sums and activations, the last first."""
    first = dict.fromkeys(graph.inputs, 0)
    last = dict.fromkeys(graph.outputs, len(graph.operators) - 1)
    scratch = []
    for place, operator in enumerate(graph.operators):
        for k in operator.outputs:
            first.setdefault(k, place)
        for k in (*operator.inputs, *operator.outputs):
            last[k] = max(place, last.get(k, 0))
        if operator.name in _SUMMED:
            scratch.append((aligned(4 * graph.tensors[operator.outputs[0]].elements), place, place))
    living = [
        (aligned(graph.tensors[k].bytes), first[k], last.get(k, first[k]))
        for k in sorted(activations_of(graph))
    ]
    return (living + scratch)[::-1]


def aligned(size: int) -> int:
    """`size` rounded up to a multiple of ALIGNMENT."""
    return -(-size // ALIGNMENT) * ALIGNMENT
