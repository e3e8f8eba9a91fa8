"""What a model file holds, in one form for every format: tensors and operators in their order.

Any precision. `tflite_graph` makes one of a .tflite, `onnx_facts` of an ONNX file; `file_facts`
counts it and `graph_svg` draws it. What computes is `graph`, the integer graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Roles = dict[int, str]  # of the index of a constant: "weights", "bias" or "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTensor:
    """One tensor. `shape` is at a batch of 1 where the batch is free, None where it is not known.

    `signature` has None where a size is free. `scales` counts the scales (0, 1, or one a channel);
    `scale` and `zero_point` are those of a tensor that has one. `bytes` is the content's size of a
    constant, else what it takes in memory; constants of one `place` share their bytes.
    """

    name: str
    shape: tuple[int, ...] | None
    signature: tuple[int | None, ...] | None
    dtype: str
    scales: int
    scale: float | None
    zero_point: int | None
    constant: bool
    bytes: int
    place: int

    @property
    def elements(self) -> int:
        """How many values it has; 0 where the shape is not known."""
        count = 0 if self.shape is None else 1
        for size in self.shape or ():
            count *= size
        return count

    @property
    def floating(self) -> bool:
        return self.dtype.startswith(("float", "bfloat"))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOperator:
    """One operator. `inputs` are indices of tensors, -1 for one left out.

    `version` is the operator's (TFLite), or that of its operator set (ONNX). `layer` is the Keras
    layer that its output is named after, `options` what it is told in a few words. `macs` are
    the multiply-accumulates of one run, None where it multiplies in a way that is not counted.
    """

    index: int
    name: str
    version: int
    layer: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: str
    macs: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileGraph:
    """A file's graph, operators in the order of execution. `roles` says what each constant is."""

    format: str
    tensors: tuple[FileTensor, ...]
    operators: tuple[FileOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    roles: Roles

    def given(self, indices: tuple[int, ...]) -> list[FileTensor]:
        """The tensors of `indices`, without those left out."""
        return [self.tensors[k] for k in indices if k >= 0]


def activations_of(graph: FileGraph) -> frozenset[int]:
    """The tensors that hang on an input of the graph: what one run computes, and its inputs.

    What hangs on constants alone, as weights that are unpacked from float16, is not among them.
    """
    found = set(graph.inputs)
    for operator in graph.operators:
        if not found.isdisjoint(operator.inputs):
            found.update(operator.outputs)
    return frozenset(found)


def roles_of(
    operators: tuple[FileOperator, ...],
    tensors: tuple[FileTensor, ...],
    role: Callable[[FileOperator, int], str],
) -> Roles:
    """What each constant is: the first of its uses that is not "other", if there is one.

    `role(operator, position)` says what a constant at this input is, or "passed": it is what the
    operator's output is, as with weights that are unpacked, cast or reshaped.
    """
    found: Roles = {}
    for operator in reversed(operators):  # a passing operator comes before what uses its output
        for position, index in enumerate(operator.inputs):
            if index < 0:
                continue
            use = role(operator, position)
            if use == "passed":
                outputs = [found.get(k, "other") for k in operator.outputs]
                use = next((k for k in outputs if k != "other"), "other")
            if found.get(index, "other") == "other":
                found[index] = use
    return {k: r for k, r in found.items() if tensors[k].constant}


def printable(text: str, most: int = 120) -> str:
    """`text` from a file as one line of at most `most` characters, safe to print and in XML."""
    shown = "".join(c if c.isprintable() else "?" for c in text[: most + 1])
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def layer_of(name: str) -> str:
    """The Keras layer in a tensor's name, or the name itself.

    TensorFlow's converter names what it fuses "net/stem/Relu;net/stem/convolution": that is "stem".
    """
    paths = [part.split("/") for part in name.split(";") if "/" in part]
    return printable(paths[-1][1 if len(paths[-1]) > 2 else 0] if paths else name, 40)
