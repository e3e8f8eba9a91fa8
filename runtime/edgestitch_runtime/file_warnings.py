"""What a model file has that may surprise on a device: each in one plain line."""

from __future__ import annotations

from collections.abc import Iterable

from .card import Artifact, model_bytes, read_artifact
from .errors import EdgestitchError
from .file_facts import FileFacts, float_operators
from .file_graph import FileGraph, FileOperator, FileTensor, activations_of

_INTEGER_ONLY = ("int8", "uint8", "int16", "mixed")
_BYTES_A_SCALE = 12  # in a .tflite: a float32 scale and an int64 zero point
_CLAMPS = ("Relu", "Clip")
_SAVED_A_WEIGHT = 3  # bytes, of a float32 that is int8


def warnings_of(graph: FileGraph, facts: FileFacts, artifact: Artifact) -> list[str]:
    """The warnings that a file gives without being run."""
    found = []
    if facts.precision in _INTEGER_ONLY:
        found += _floats(graph, facts, artifact)
        found += _per_channel_dense(graph)
        found += _larger_than_float(graph, facts, artifact)
    uncounted = [o for o in graph.operators if o.macs is None]
    if uncounted:
        found.append(f"the MACs leave out {_listed(uncounted)}, which multiply too")
    return found


def _floats(graph: FileGraph, facts: FileFacts, artifact: Artifact) -> list[str]:
    if graph.format == "onnx":
        return _floats_of_onnx(graph, artifact)
    operators = float_operators(graph)
    if operators:
        return [
            f"float in an {facts.precision} file: {_listed(operators)} take or give float tensors, "
            "which an integer-only device cannot run"
        ]
    floats = [t.name or "without a name" for t in graph.tensors if t.floating]
    more = f" and {len(floats) - 3} more" if len(floats) > 3 else ""
    return [f"float tensors in an int8 file: {', '.join(floats[:3])}{more}"] if floats else []


def _floats_of_onnx(graph: FileGraph, artifact: Artifact) -> list[str]:
    """What stays float: by the card, where ONNX Runtime was asked at export, else by the pairs."""
    if artifact.card is not None and artifact.card.get("float_operators") is not None:
        names = ", ".join(artifact.card["float_operators"])
        said = "after ONNX Runtime's own optimization, by the card"
        return [f"float in an int8 file: {names} {said}"] if names else []
    operators = unpaired_operators(graph)
    said = "outside the pairs of QuantizeLinear and DequantizeLinear"
    return [f"float in an int8 file: {_listed(operators)} {said}"] if operators else []


def unpaired_operators(graph: FileGraph) -> list[FileOperator]:
    """Operators of an ONNX file on float tensors that do not go from a pair into a pair.

    An engine computes in integers what takes its activations from DequantizeLinear and gives them
    to QuantizeLinear, with a Relu or Clip before that. Source: ONNX Runtime's page on quantization
    (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
    """
    activations = activations_of(graph)
    producers = {k: operator for operator in graph.operators for k in operator.outputs}
    users: dict[int, list[FileOperator]] = {}
    for operator in graph.operators:
        for k in operator.inputs:
            users.setdefault(k, []).append(operator)

    def enters(operator: FileOperator, index: int) -> bool:
        before = producers.get(index)
        paired = before is not None and before.name == "DequantizeLinear"
        return paired or (before is not None and operator.name in _CLAMPS)

    def leaves(index: int) -> bool:
        behind = users.get(index, [])
        for clamp in [o for o in behind if o.name in _CLAMPS]:
            behind = [o for o in behind if o is not clamp] + users.get(clamp.outputs[0], [])
        return bool(behind) and all(o.name == "QuantizeLinear" for o in behind)

    found = []
    for operator in graph.operators:
        taken = [k for k in operator.inputs if k in activations and graph.tensors[k].floating]
        given = [k for k in operator.outputs if k in activations and graph.tensors[k].floating]
        if operator.name in ("QuantizeLinear", "DequantizeLinear") or not (taken or given):
            continue
        if not (all(enters(operator, k) for k in taken) and all(map(leaves, given))):
            found.append(operator)
    return found


def per_channel_dense(graph: FileGraph) -> list[FileOperator]:
    """The dense layers of a TFLite file whose weights have a scale for each channel."""
    return [
        operator
        for operator in graph.operators
        if operator.name == "FULLY_CONNECTED"
        and any(graph.tensors[k].scales > 1 for k in operator.inputs[1:2] if k >= 0)
    ]


def _per_channel_dense(graph: FileGraph) -> list[str]:
    dense = per_channel_dense(graph)
    if not dense:
        return []
    return [
        f"{_listed(dense)}: weights with a scale for each channel, which some microcontroller "
        "runtimes refuse in a dense layer"
    ]


def _larger_than_float(graph: FileGraph, facts: FileFacts, artifact: Artifact) -> list[str]:
    """Compared with the float32 artifact beside it, or else by what the scales take.

    The float file of the same graph has no scales and zero points, and three bytes more for each
    weight: with nothing but one file at hand, that tells which of the two is larger.
    """
    source = _float_source(artifact)
    if source is not None:
        theirs = len(model_bytes(source.format, source.content))
        ours = facts.bytes.file - facts.bytes.card
        if ours <= theirs:
            return []
        return [
            f"larger than its float source: {ours:,} bytes without the card, {source.path.name} "
            f"has {theirs:,}"
        ]
    taken, saved = _bytes_of_scales(graph), _SAVED_A_WEIGHT * _small_weights(graph)
    if taken <= saved:
        return []
    return [
        f"larger than its float source would be: scales and zero points take {taken:,} bytes, "
        f"weights of one byte save {saved:,}"
    ]


def _float_source(artifact: Artifact) -> Artifact | None:
    """The float32 artifact of the same model beside this one, if there is one."""
    if artifact.card is None or "-int8" not in artifact.path.stem:
        return None
    stem = "-float32".join(artifact.path.stem.rsplit("-int8", 1))
    try:
        found = read_artifact(artifact.path.with_stem(stem))
    except EdgestitchError:
        return None
    if found.card is None or found.card["precision"] != "float32":
        return None
    same = found.card["hashes"]["source_model"] == artifact.card["hashes"]["source_model"]
    return found if same else None


def _bytes_of_scales(graph: FileGraph) -> int:
    if graph.format == "tflite":
        return sum(_BYTES_A_SCALE * tensor.scales for tensor in graph.tensors)
    constants = {
        k
        for operator in graph.operators
        if operator.name in ("QuantizeLinear", "DequantizeLinear")
        for k in operator.inputs[1:]
        if k >= 0 and graph.tensors[k].constant
    }
    return sum(graph.tensors[k].bytes for k in constants)


def _small_weights(graph: FileGraph) -> int:
    """How many weights take one byte."""
    held: dict[int, FileTensor] = {}
    for index, role in graph.roles.items():
        tensor = graph.tensors[index]
        if role == "weights" and tensor.dtype in ("int8", "uint8"):
            held[tensor.place] = tensor
    return sum(tensor.elements for tensor in held.values())


def _listed(operators: Iterable[FileOperator]) -> str:
    """'QUANTIZE (0), CONV_2D (3, 5)': the operators by name with their numbers, at most eight."""
    numbers: dict[str, list[int]] = {}
    for operator in operators:
        numbers.setdefault(operator.name, []).append(operator.index)
    words = []
    for name, found in numbers.items():
        more = f" and {len(found) - 8} more" if len(found) > 8 else ""
        words.append(f"{name} ({', '.join(map(str, found[:8]))}{more})")
    return ", ".join(words)
