"""The integer graph: what an int8 .tflite means, operator by operator.

A view of the file: nodes in the order of execution with the tensors they take and give. Every
computed tensor has the images of a batch along its first axis; the shapes here are those of one
image, with a leading 1. The integer shape arithmetic that Flatten leaves behind is folded away.
What the `reference` engine computes and the C generator writes stands on this.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .errors import EdgestitchError
from .file_graph import layer_of
from .operator_fields import Unsupported
from .operator_rules import RULES
from .tflite_file import Operator, Tensor, TfliteModel

MOST_ELEMENTS = 1 << 22  # of one tensor for one image: far above any network of this size


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operator with its tensors. `index` is its place in the file, `operator` its name there.

    `inputs` has None where an optional input is left out. `macs` are the multiply-accumulates for
    one image. `label` is the name of its output in the file: the layer it came from.
    """

    index: int
    operator: str
    inputs: tuple[Tensor | None, ...]
    output: Tensor
    options: dict[str, int | float]
    macs: int

    @property
    def label(self) -> str:
        return self.output.name


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerGraph:
    """An int8 model: `input` and `output` are tensors, `nodes` compute the one from the other."""

    input: Tensor
    output: Tensor
    nodes: tuple[Node, ...]

    @property
    def macs(self) -> int:
        return sum(node.macs for node in self.nodes)


def integer_graph(model: TfliteModel, name: str) -> IntegerGraph:
    """The integer graph of `model`; `name` is the file's, for messages.

    Raises EdgestitchError when it is no classifier of one input and one output at batch 1, or has
    an operator, a dtype or a parameter that the integer graph does not support.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise EdgestitchError(
            f"the inputs of {name} are {len(model.inputs)}, its outputs {len(model.outputs)}: "
            "expected one of each",
            hint="only classifiers with one input and one output can be run",
        )
    source, target = model.tensors[model.inputs[0]], model.tensors[model.outputs[0]]
    _check_writers(model, name)
    computed = {source.index}
    nodes = []
    _check_shape(source, source.shape, name)
    for operator in _needed(model):
        node = _node(model, operator, computed, name)
        nodes.append(node)
        computed.add(node.output.index)
    if target.index not in computed:
        raise EdgestitchError(
            f"{name} does not compute its output from its input", hint="export it again"
        )
    return IntegerGraph(input=source, output=target, nodes=tuple(nodes))


def _check_writers(model: TfliteModel, name: str) -> None:
    """Raises EdgestitchError where a tensor is given twice, by whatever operators.

    LiteRT plans a tensor's memory for one writer, and gives it to others behind the last reader.
    """
    given = set(model.inputs)
    for operator in model.operators:
        for k in operator.outputs:
            if k in given or model.tensors[k].constant:
                raise EdgestitchError(
                    f"{name}: operator {operator.index}, {operator.name}, gives tensor {k}, which "
                    "is there before it",
                    hint="the file is damaged: export or copy it again",
                )
            given.add(k)


def _needed(model: TfliteModel) -> list[Operator]:
    """The operators on which the output hangs, without those that only compute a shape."""
    wanted = set(model.outputs)
    kept = []
    for operator in reversed(model.operators):
        if wanted.isdisjoint(operator.outputs):
            continue
        kept.append(operator)
        # A reshape's own output says its shape; where the second input comes from is not asked.
        data = 1 if operator.name in ("RESHAPE", "SQUEEZE") else len(operator.inputs)
        wanted.update(operator.inputs[:data])
    return kept[::-1]


def _node(model: TfliteModel, operator: Operator, computed: set[int], name: str) -> Node:
    where = f"{name}: operator {operator.index}, {operator.name}"
    if len(operator.outputs) == 1:
        where += f" ({layer_of(model.tensors[operator.outputs[0]].name) or 'without a name'})"
    rule = RULES.get(operator.name)
    if rule is None:
        raise EdgestitchError(
            f"{where} is not in the integer graph", hint=f"supported are {', '.join(RULES)}"
        )
    low, high = rule.inputs
    if len(operator.outputs) != 1 or not low <= len(operator.inputs) <= high:
        raise EdgestitchError(
            f"{where} has {len(operator.inputs)} inputs and {len(operator.outputs)} outputs",
            hint="the file is damaged, or of a newer kind: export it again",
        )
    inputs = tuple(model.tensors[k] if k >= 0 else None for k in operator.inputs)
    output = model.tensors[operator.outputs[0]]
    for tensor in inputs:
        if tensor is not None and not tensor.constant and tensor.index not in computed:
            if operator.name in ("RESHAPE", "SQUEEZE") and tensor is not inputs[0]:
                continue  # a shape, computed from another
            raise EdgestitchError(
                f"{where} takes tensor {tensor.index}, which is not computed before it",
                hint="the file is damaged: export or copy it again",
            )
    node = Node(
        index=operator.index,
        operator=operator.name,
        inputs=inputs,
        output=output,
        options=operator.options,
        macs=0,
    )
    try:
        shape = rule.infer(node)
        _check_shape(output, shape, where)
        macs = rule.macs(node)
    except Unsupported as error:
        raise EdgestitchError(
            f"{where}: {error}", hint="the integer graph holds what LiteRT's int8 kernels define"
        ) from None
    return Node(
        index=node.index,
        operator=node.operator,
        inputs=inputs,
        output=output,
        options=node.options,
        macs=macs,
    )


def _check_shape(tensor: Tensor, shape: tuple[int, ...], where: str) -> None:
    """Raises EdgestitchError unless `tensor` has the shape that was inferred, at batch 1."""
    if tensor.shape != shape or not shape or shape[0] != 1 or 0 in shape or tensor.constant:
        raise EdgestitchError(
            f"{where}: tensor {tensor.index} has the shape {tensor.shape}, expected {shape} with a "
            "leading 1, computed",
            hint="models are run at a batch size of 1, or a free one",
        )
    if tensor.variable:
        raise EdgestitchError(
            f"{where}: tensor {tensor.index} is a variable, which outlives a run",
            hint="only models that keep nothing from one image to the next can be run",
        )
    if math.prod(shape) > MOST_ELEMENTS:
        raise EdgestitchError(
            f"{where}: tensor {tensor.index} has {math.prod(shape):,} elements",
            hint=f"at most {MOST_ELEMENTS:,} are expected of a small model",
        )
