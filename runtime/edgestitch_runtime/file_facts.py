"""The facts of a model file, from its graph: operators, parameters, MACs, precision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from .engine_versions import LeastVersion
from .file_graph import FileGraph, FileOperator, FileTensor, activations_of
from .file_memory import (
    BytesByPart,
    LivePeak,
    bytes_by_part,
    live_peak_of,
    unpacked_bytes_of,
)

_INTEGERS = ("int8", "uint8", "int16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One operator. `shape` is its first output's, None where it is not known.

    `parameters` and `bytes` are those of the constants it uses, also where another operator
    unpacks them for it; a constant that two layers share counts in both.
    """

    index: int
    operator: str
    version: int
    layer: str
    dtypes: str
    options: str
    shape: tuple[int, ...] | None
    macs: int | None
    parameters: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorCount:
    """The operators of one name and one set of dtypes, together."""

    operator: str
    dtypes: str
    count: int
    parameters: int
    macs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndTensor:
    """An input or output of the file. `shape` has None where a size is free."""

    name: str
    shape: tuple[int | None, ...] | None
    dtype: str
    scale: float | None
    zero_point: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What a file holds. `macs` and `live_peak` are of one run at `batch` images.

    `precision` is what its dtypes say. `unpacked_bytes` is what constants take that operators
    unpack before the first run, as weights in float16. `recorded_version` is the runtime version
    that the converter wrote down, or empty.
    """

    precision: str
    batch: int
    inputs: tuple[EndTensor, ...]
    outputs: tuple[EndTensor, ...]
    operators: tuple[OperatorCount, ...]
    layers: tuple[Layer, ...]
    parameters: int
    macs: int
    bytes: BytesByPart
    live_peak: LivePeak
    unpacked_bytes: int
    least_versions: tuple[LeastVersion, ...]
    recorded_version: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, every field by its name."""
        return asdict(self)


def facts_of(
    graph: FileGraph,
    *,
    model_bytes: int,
    card_bytes: int,
    least_versions: tuple[LeastVersion, ...],
    recorded_version: str = "",
) -> FileFacts:
    """The facts of `graph`, whose file has `model_bytes`, and `card_bytes` besides."""
    layers = layers_of(graph)
    first = graph.given(graph.inputs)[0] if graph.inputs else None
    return FileFacts(
        precision=precision_of(graph),
        batch=first.shape[0] if first is not None and first.shape else 1,
        inputs=end_tensors(graph, graph.inputs),
        outputs=end_tensors(graph, graph.outputs),
        operators=counts_of(layers),
        layers=layers,
        parameters=parameters_of(graph),
        macs=sum(layer.macs or 0 for layer in layers),
        bytes=bytes_by_part(graph, model_bytes=model_bytes, card_bytes=card_bytes),
        live_peak=live_peak_of(graph),
        unpacked_bytes=unpacked_bytes_of(graph),
        least_versions=least_versions,
        recorded_version=recorded_version,
    )


def layers_of(graph: FileGraph) -> tuple[Layer, ...]:
    """Each operator as a layer, in the file's order."""
    activations = activations_of(graph)
    producers = {k: operator for operator in graph.operators for k in operator.outputs}
    found = []
    for operator in graph.operators:
        constants = _constants_of(graph, operator, activations, producers)
        # What only unpacks constants has none of its own: they are those of the layer behind it.
        own = constants if not activations.isdisjoint(operator.inputs) else {}
        first = graph.tensors[operator.outputs[0]] if operator.outputs else None
        found.append(
            Layer(
                index=operator.index,
                operator=operator.name,
                version=operator.version,
                layer=operator.layer,
                dtypes=dtypes_of(graph, operator),
                options=operator.options,
                shape=None if first is None else first.shape,
                macs=operator.macs,
                parameters=_parameters(graph, own),
                bytes=sum({t.place: t.bytes for t in own.values()}.values()),
            )
        )
    return tuple(found)


def _constants_of(
    graph: FileGraph,
    operator: FileOperator,
    activations: frozenset[int],
    producers: dict[int, FileOperator],
) -> dict[int, FileTensor]:
    found: dict[int, FileTensor] = {}
    waiting, seen = [operator], {operator.index}
    while waiting:
        for k in waiting.pop().inputs:
            if k < 0:
                continue
            if graph.tensors[k].constant:
                found[k] = graph.tensors[k]
            elif k not in activations and k in producers and producers[k].index not in seen:
                seen.add(producers[k].index)
                waiting.append(producers[k])
    return found


def _parameters(graph: FileGraph, constants: Iterable[int]) -> int:
    return sum(
        graph.tensors[k].elements for k in constants if graph.roles.get(k) in ("weights", "bias")
    )


def parameters_of(graph: FileGraph) -> int:
    """How many weights and biases the file holds; a tensor that two layers share counts once."""
    return _parameters(graph, graph.roles)


def counts_of(layers: tuple[Layer, ...]) -> tuple[OperatorCount, ...]:
    """Operators of one name and dtypes together, in the order of their first."""
    groups: dict[tuple[str, str], list[Layer]] = {}
    for layer in layers:
        groups.setdefault((layer.operator, layer.dtypes), []).append(layer)
    return tuple(
        OperatorCount(
            operator=name,
            dtypes=dtypes,
            count=len(group),
            parameters=sum(layer.parameters for layer in group),
            macs=sum(layer.macs or 0 for layer in group),
        )
        for (name, dtypes), group in groups.items()
    )


def dtypes_of(graph: FileGraph, operator: FileOperator) -> str:
    """What an operator takes, its weights where they differ, and what it gives where that does."""
    inputs = graph.given(operator.inputs)
    given = _joined(t.dtype for t in graph.given(operator.outputs))
    taken = _joined(t.dtype for t in inputs if not t.constant)
    if not taken:  # it unpacks a constant
        return f"{inputs[0].dtype} to {given}" if inputs else f"nothing to {given}"
    weights = _joined(
        graph.tensors[k].dtype for k in operator.inputs if graph.roles.get(k) == "weights"
    )
    text = taken if weights in (taken, "") else f"{taken}, {weights} weights"
    return text if given in (taken, "") else f"{text} to {given}"


def _joined(dtypes: Iterable[str]) -> str:
    return "/".join(dict.fromkeys(dtypes))


def end_tensors(graph: FileGraph, indices: tuple[int, ...]) -> tuple[EndTensor, ...]:
    """Inputs or outputs as they are described."""
    return tuple(
        EndTensor(
            name=t.name, shape=t.signature, dtype=t.dtype, scale=t.scale, zero_point=t.zero_point
        )
        for t in graph.given(indices)
    )


def precision_of(graph: FileGraph) -> str:
    """What the dtypes say a file's precision is, in the words of `edgestitch export`.

    int8 (or uint8, int16): every activation is of integers, or float only where it enters and
    leaves; mixed: float elsewhere too; dynamic: integer weights, float activations.
    """
    activations = [graph.tensors[k] for k in activations_of(graph)]
    weights = [graph.tensors[k] for k, role in graph.roles.items() if role == "weights"]
    integers = [t.dtype for t in activations if t.dtype in _INTEGERS and t.scales]
    if integers and graph.format == "onnx":
        return "int8"  # float between its quantizers, which the engine takes away
    if integers:
        kind = max(_INTEGERS, key=integers.count)
        floats = float_operators(graph)
        inner = [o for o in floats if not o.name.upper().startswith(("QUANTIZE", "DEQUANTIZE"))]
        return "mixed" if inner else kind
    if any(t.dtype in ("int8", "uint8", "int4") for t in weights):
        return "dynamic"
    constants = [t for t in graph.tensors if t.constant]
    if any(t.dtype in ("float16", "bfloat16") for t in [*activations, *constants]):
        return "float16"
    return "float32"


def float_operators(graph: FileGraph) -> list[FileOperator]:
    """The operators that take or give a float tensor other than unpacked constants."""
    activations = activations_of(graph)
    return [
        operator
        for operator in graph.operators
        if any(
            graph.tensors[k].floating for k in {*operator.inputs, *operator.outputs} & activations
        )
    ]
