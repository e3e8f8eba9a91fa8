"""What a .tflite holds as a FileGraph: any precision, also files that edgestitch did not write.

Source of the positions of weights and biases: the kernels in LiteRT's tflite/kernels.
"""

from __future__ import annotations

import math

import numpy as np

from .errors import EdgestitchError
from .file_graph import FileGraph, FileOperator, FileTensor, layer_of, printable, roles_of
from .flatbuffer import Damaged
from .graph import Node
from .operator_fields import Unsupported
from .operator_rules import RULES
from .tflite_file import Operator, Tensor, TfliteModel, read_tflite
from .tflite_schema import ACTIVATIONS, PADDINGS

_BITS = {"int4": 4, "uint4": 4, "int2": 2, "bool": 8, "bfloat16": 16, "complex128": 128}
_LINEAR = {1: "weights", 2: "bias"}
_WEIGHTED = {
    "CONV_2D": _LINEAR,
    "CONV_3D": _LINEAR,
    "DEPTHWISE_CONV_2D": _LINEAR,
    "FULLY_CONNECTED": _LINEAR,
    "TRANSPOSE_CONV": {1: "weights", 3: "bias"},
}
# A constant of other operators is weights or a bias when it has several elements and is no shape.
_EITHER = {0: "bias", 1: "bias"}
_POSITIONS = _WEIGHTED | {"ADD": _EITHER, "SUB": _EITHER}
_PASSING = ("DEQUANTIZE", "QUANTIZE", "CAST", "RESHAPE", "TRANSPOSE", "DENSIFY")
_UNCOUNTED = (
    "BATCH_MATMUL", "CONV_3D", "CONV_3D_TRANSPOSE", "LSTM", "RNN", "SVDF",
    "BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN",
    "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN",
)  # fmt: skip


def read_tflite_graph(content: bytes, name: str) -> tuple[FileGraph, str]:
    """The graph of a .tflite, and the runtime version that its converter wrote down, or "".

    `name` is the file's, for messages. Raises EdgestitchError when the file is damaged.
    """
    try:
        model = read_tflite(content)
        return tflite_graph(model), model.min_runtime_version
    except Damaged as error:
        raise EdgestitchError(
            f"{name} is a damaged TFLite file, or one of another kind: {error}",
            hint="copy it again, or export it again",
        ) from None


def tflite_graph(model: TfliteModel) -> FileGraph:
    """What `model` holds."""
    tensors = tuple(_tensor(tensor) for tensor in model.tensors)
    operators = tuple(_operator(model, operator) for operator in model.operators)

    def role(operator: FileOperator, position: int) -> str:
        if operator.name in _PASSING:
            return "passed" if position == 0 else "other"
        known = _POSITIONS.get(operator.name, {})
        if operator.name in _WEIGHTED:  # a dense layer of one weight has a weight
            return known.get(position, "other")
        tensor = tensors[operator.inputs[position]]
        if tensor.elements < 2 or (tensor.dtype in ("int32", "int64") and not tensor.scales):
            return "other"
        return known.get(position, "weights")

    return FileGraph(
        format="tflite",
        tensors=tensors,
        operators=operators,
        inputs=model.inputs,
        outputs=model.outputs,
        roles=roles_of(operators, tensors, role),
    )


def _tensor(tensor: Tensor) -> FileTensor:
    found = tensor.quantization
    one = found if found is not None and not found.per_channel else None
    return FileTensor(
        name=printable(tensor.name),
        shape=tensor.shape,
        signature=tensor.signature,
        dtype=tensor.dtype,
        scales=0 if found is None else len(found.scales),
        scale=float(one.scales[0]) if one is not None and np.isfinite(one.scales[0]) else None,
        zero_point=int(one.zero_points[0]) if one is not None else None,
        constant=tensor.constant,
        bytes=tensor.bytes if tensor.constant else _bytes(tensor),
        place=tensor.buffer,
    )


def _bytes(tensor: Tensor) -> int:
    """What a computed tensor takes; 0 for a dtype without a size of its own, as a string."""
    bits = _BITS.get(tensor.dtype)
    if bits is None:
        digits = "".join(c for c in tensor.dtype.partition("_")[0] if c.isdigit())
        bits = int(digits) if digits else 0
    return -(-math.prod(tensor.shape) * bits // 8)


def _operator(model: TfliteModel, operator: Operator) -> FileOperator:
    outputs = [model.tensors[k] for k in operator.outputs]
    return FileOperator(
        index=operator.index,
        name=printable(operator.name, 40),
        version=operator.version,
        layer=layer_of(outputs[0].name) if outputs else "",
        inputs=operator.inputs,
        outputs=operator.outputs,
        options=_options(model, operator),
        macs=_macs(model, operator),
    )


def _macs(model: TfliteModel, operator: Operator) -> int | None:
    """The multiply-accumulates at the file's shapes: by the rules of the integer graph."""
    if operator.name in _UNCOUNTED:
        return None
    inputs = tuple(model.tensors[k] if k >= 0 else None for k in operator.inputs)
    if operator.name == "TRANSPOSE_CONV" and len(inputs) > 2 and inputs[1] and inputs[2]:
        # Every input meets each weight of its filters: weights are (out, height, width, in).
        return math.prod(inputs[2].shape) * math.prod(inputs[1].shape[:3])
    rule = RULES.get(operator.name)
    if rule is None or not operator.outputs:
        return 0
    node = Node(
        index=operator.index,
        operator=operator.name,
        inputs=inputs,
        output=model.tensors[operator.outputs[0]],
        options=operator.options,
        macs=0,
    )
    try:
        return rule.macs(node)
    except Unsupported:
        return None


def _options(model: TfliteModel, operator: Operator) -> str:
    """What an operator is told: its window, strides, axes, activation; nothing of the obvious."""
    given = operator.options
    words = []
    window = _window(model, operator)
    if window:
        words.append(f"{window[0]}×{window[1]}")
    for what, usual in (("stride", 1), ("dilation", 1)):
        height, width = given.get(f"{what}_height", usual), given.get(f"{what}_width", usual)
        if (height, width) != (usual, usual):
            words.append(f"{what} {height}" if height == width else f"{what} {height}×{width}")
    if "padding" in given:
        words.append(_named(PADDINGS, given["padding"]))
    if "axis" in given:
        words.append(f"axis {given['axis']}")
    if "alpha" in given:
        words.append(f"alpha {given['alpha']:.4g}")
    if given.get("beta", 1) not in (0, 1):
        words.append(f"beta {given['beta']:.4g}")
    if given.get("activation"):
        words.append(_named(ACTIVATIONS, given["activation"]))
    if operator.name in ("MEAN", "SUM", "PAD", "TRANSPOSE", "REDUCE_MAX"):
        words += _numbers(model, operator)
    return ", ".join(words)


def _window(model: TfliteModel, operator: Operator) -> tuple[int, int] | None:
    if "filter_height" in operator.options:
        return int(operator.options["filter_height"]), int(operator.options["filter_width"])
    if operator.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"):
        shape = model.tensors[operator.inputs[1]].shape if len(operator.inputs) > 1 else ()
        return (shape[1], shape[2]) if len(shape) == 4 else None
    return None


def _numbers(model: TfliteModel, operator: Operator) -> list[str]:
    """The constant that says over which axes, or how much padding; nothing when it is computed."""
    if len(operator.inputs) < 2 or operator.inputs[1] < 0:
        return []
    data = model.tensors[operator.inputs[1]].data
    if data is None or data.size > 16 or data.dtype.kind not in "iu":
        return []
    if operator.name == "PAD" and data.shape[1:] == (2,):
        return ["by " + " ".join(f"{a}+{b}" for a, b in data.tolist())]
    word = "order" if operator.name == "TRANSPOSE" else "axes" if data.size > 1 else "axis"
    return [f"{word} {', '.join(str(int(k)) for k in np.ravel(data))}"]


def _named(names: tuple[str, ...], number: int | float) -> str:
    return names[int(number)] if 0 <= int(number) < len(names) else str(number)
