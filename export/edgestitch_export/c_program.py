"""The integer graph as the steps of a C program: which kernel computes what, with what."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.file_graph import layer_of
from edgestitch_runtime.graph import IntegerGraph, Node
from edgestitch_runtime.operator_fields import Unsupported, operand, scale_of, zero_point_of
from edgestitch_runtime.reference_engine import data_inputs

from .c_host import host_step
from .c_linear import LINEAR, dense_as_convolution
from .c_planes import pair_of_planes, sees_one_channel
from .c_pointwise import POINTWISE
from .c_step import PIXELS, Places, Step, called

STEPS = LINEAR | POINTWISE
_ALIASES = ("RESHAPE", "SQUEEZE")  # the same bytes by another name
_READ_PIXELS = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The steps in their order. `same` says of a tensor whose bytes are those of another, or the
    caller's PIXELS, which; the inputs and outputs of steps are such already.
    """

    steps: tuple[Step, ...]
    same: dict[int, int]
    output: int
    classes: int


def program_of(graph: IntegerGraph, *, host: bool = False) -> Program:
    """The program that computes `graph`: int8 in, whose codes are the pixels less 128, int8 out.

    `host`: with the kernels for computers, where there are such, which take more memory.
    Raises EdgestitchError for an operator without a kernel in C, and for such parameters.
    """
    same = {graph.input.index: PIXELS}
    names = {"fill", "load"}  # _plane: so are kernels called
    steps: list[Step] = []
    nodes = [node for node in graph.nodes if node.operator not in _ALIASES]
    for node in graph.nodes:
        if node.operator in _ALIASES:
            source = operand(node, 0).index
            same[node.output.index] = same.get(source, source)
    taken = [k for node in nodes for k in _given(node, same)]
    if not all(_reads_pixels(n) for n in nodes if PIXELS in _given(n, same)):
        same = {k: graph.input.index if v == PIXELS else v for k, v in same.items()}
        same.pop(graph.input.index)
        steps.append(_codes(graph))
    convolves = any(n.operator == "CONV_2D" and not sees_one_channel(n) for n in nodes)
    while nodes:
        node = nodes.pop(0)
        name = _name(node, names)
        step = None
        try:
            if host:
                step = host_step(node, name)
            elif nodes and taken.count(node.output.index) == 1:
                step = pair_of_planes(node, nodes[0], name, _label(nodes[0]))
                if step is not None:
                    nodes.pop(0)
                    names.add(f"{name}_next")
            inside = node.operator == "FULLY_CONNECTED" and _first(node, same) != PIXELS
            if step is None and inside and convolves:
                step = dense_as_convolution(node, name)
            step = step or _step(node, name)
        except Unsupported as error:
            raise EdgestitchError(
                f"there is no C for {node.operator} ({name}): {error}",
                hint="edgestitch export --format tflite --int8 makes a file that engines run",
            ) from None
        inputs = tuple(same.get(k, k) for k in step.inputs)
        over = tuple(same.get(k, k) for k in step.over)
        steps.append(replace(step, inputs=inputs, over=tuple(k for k in over if k != PIXELS)))
    output = same.get(graph.output.index, graph.output.index)
    if not steps or output != steps[-1].output:
        raise EdgestitchError(
            "the model's output is not what its last operator computes",
            hint="a model without operators has no C",
        )
    return Program(
        steps=tuple(steps),
        same=same,
        output=output,
        classes=math.prod(graph.output.shape),
    )


def _step(node: Node, name: str) -> Step:
    if node.operator not in STEPS:
        raise EdgestitchError(
            f"there is no C for {node.operator}",
            hint=f"there is for {', '.join(sorted((*STEPS, *_ALIASES)))}",
        )
    return STEPS[node.operator](node, name)


def _first(node: Node, same: dict[int, int]) -> int:
    index = operand(node, 0).index
    return same.get(index, index)


def _given(node: Node, same: dict[int, int]) -> list[int]:
    return [same.get(t.index, t.index) for t in data_inputs(node)]


def _reads_pixels(node: Node) -> bool:
    """Whether a layer takes pixels as they are: dense, or a convolution of one channel."""
    if node.operator not in _READ_PIXELS:
        return False
    return node.operator == "FULLY_CONNECTED" or operand(node, 0).shape[-1] == 1


def _codes(graph: IntegerGraph) -> Step:
    count = math.prod(graph.input.shape)

    def call(at: Places) -> str:
        return called("codes_of_pixels", "pixels", count, at.of(graph.input.index))

    return Step(
        name="codes",
        title="the pixels as codes",
        inputs=(PIXELS,),
        output=graph.input.index,
        output_bytes=count,
        call=call,
        kernels=("codes",),
    )


def checked_size(graph: IntegerGraph) -> tuple[int, int]:
    """(height, width) of the images that `graph` classifies.

    Raises EdgestitchError for an input that is not int8 codes of pixels (scale 1, zero point -128)
    or an output that is not one row of int8.
    """
    source, target = graph.input, graph.output
    dims = [n for n in source.shape[1:] if n != 1]
    if len(source.shape) not in (3, 4) or len(dims) != 2 or len(target.shape) != 2:
        raise EdgestitchError(
            f"the model takes {source.shape} and gives {target.shape}; expected (1, height, width) "
            "and (1, classes)",
            hint="only classifiers of grayscale images can be written as C",
        )
    told = source.dtype
    if source.dtype == "int8":
        told += f" with scale {scale_of(source):g} and zero point {zero_point_of(source)}"
    if source.dtype != "int8" or (scale_of(source), zero_point_of(source)) != (1, -128):
        raise EdgestitchError(
            f"the model takes {told}; expected int8 with scale 1 and zero point -128",
            hint="edgestitch export --format tflite --int8 makes such a file",
        )
    if target.dtype != "int8":
        raise EdgestitchError(
            f"the model gives {target.dtype}, expected int8",
            hint="edgestitch export --format tflite --int8 makes such a file",
        )
    return dims[0], dims[1]


def _name(node: Node, taken: set[str]) -> str:
    """A C identifier for a layer: the last part of its name in the file, made different."""
    name = _label(node)
    found, k = name, 1
    while found in taken:
        k += 1
        found = f"{name}_{k}"
    taken.add(found)
    return found


def _label(node: Node) -> str:
    label = layer_of(node.label).rpartition("/")[2] or node.operator
    name = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_") or node.operator.lower()
    return f"layer_{name}" if name[0].isdigit() else name
