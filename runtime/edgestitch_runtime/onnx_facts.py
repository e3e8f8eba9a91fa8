"""What an ONNX file holds as a FileGraph, read with the `onnx` package where it is installed.

Source of the positions of weights and biases: ONNX's operator schemas (docs/Operators.md).
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass, replace
from typing import Any

from .errors import EdgestitchError
from .file_graph import FileGraph, FileOperator, FileTensor, printable, roles_of

_MOST_ELEMENTS = 1 << 28
_LINEAR = {1: "weights", 2: "bias"}
_EITHER = {0: "weights", 1: "weights"}
# Of the inputs that are constants: what they are.
_POSITIONS = {
    "Conv": _LINEAR,
    "ConvTranspose": _LINEAR,
    "Gemm": {0: "weights", 1: "weights", 2: "bias"},
    "MatMul": _EITHER,
    "MatMulInteger": _EITHER,
    "ConvInteger": {1: "weights"},
    "QLinearConv": {3: "weights", 8: "bias"},
    "QLinearMatMul": {0: "weights", 3: "weights"},
    "BatchNormalization": {1: "weights", 2: "bias", 3: "bias", 4: "weights"},
    "PRelu": {1: "weights"},
    "Add": {0: "bias", 1: "bias"},
    "Sub": {0: "bias", 1: "bias"},
    "Mul": _EITHER,
    "Div": _EITHER,
}
_QUANTIZING = ("QuantizeLinear", "DequantizeLinear")
_PASSING = (*_QUANTIZING, "Cast", "Reshape", "Transpose", "Identity")
_UNCOUNTED = ("Einsum", "Attention", "LSTM", "GRU", "RNN", "FusedMatMul", "FusedConv", "QGemm")
_SHOWN = (
    "kernel_shape", "strides", "dilations", "pads", "auto_pad", "group", "axis", "axes", "perm",
    "alpha", "beta", "transA", "transB",
)  # fmt: skip
_USUAL = {"group": 1, "auto_pad": "NOTSET", "alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxVersions:
    """What a file asks of its engine: the opset of ai.onnx, the IR version, operator domains."""

    opset: int
    ir_version: int
    domains: tuple[str, ...]


def onnx_installed() -> bool:
    """Whether the `onnx` package is found. Imports nothing."""
    return importlib.util.find_spec("onnx") is not None


def read_onnx_graph(content: bytes, name: str) -> tuple[FileGraph, OnnxVersions]:
    """The graph of an ONNX file; `name` is the file's, for messages.

    Raises EdgestitchError when it cannot be read as one. Sizes that are free count as 1.
    """
    import onnx

    try:
        model = onnx.load_model_from_string(content)
        inferred = onnx.shape_inference.infer_shapes(model)
        graph = _Reading(onnx, inferred.graph).graph(_opset(model))
    except Exception as error:  # protobuf and onnx raise what they like
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise EdgestitchError(
            f"{name} cannot be read with onnx {onnx.__version__}: {reason}",
            hint="copy it again, or export it again",
        ) from None
    return graph, OnnxVersions(
        opset=_opset(model),
        ir_version=model.ir_version,
        domains=tuple(sorted({node.domain for node in model.graph.node})),
    )


def _opset(model: Any) -> int:
    return max((i.version for i in model.opset_import if i.domain in ("", "ai.onnx")), default=0)


class _Reading:
    """Names become indices: of every tensor that the graph names, in the order it does."""

    def __init__(self, package: Any, graph: Any) -> None:
        self._onnx = package
        self._graph = graph
        self._tensors: list[FileTensor] = []
        self._indices: dict[str, int] = {}
        constants = {i.name: i for i in graph.initializer}
        self._constants = constants
        self._nodes = []
        for node in graph.node:
            value = next((a.t for a in node.attribute if a.name == "value"), None)
            if node.op_type == "Constant" and value is not None:
                constants[node.output[0]] = value
            else:
                self._nodes.append(node)
        for name, value in constants.items():
            self._add(name, self._constant(name, value))
        for value in (*graph.input, *graph.output, *graph.value_info):
            self._add(value.name, self._computed(value))
        for node in self._nodes:
            for name in (*node.input, *node.output):
                if name:
                    self._add(name, self._unknown(name))
        for node in self._nodes:
            if node.op_type in _QUANTIZING:
                self._scale(node)

    def graph(self, opset: int) -> FileGraph:
        operators = tuple(self._operator(k, node, opset) for k, node in enumerate(self._nodes))
        tensors = tuple(self._tensors)
        quantizers = {k for o in operators if o.name == "DynamicQuantizeLinear" for k in o.outputs}

        def role(operator: FileOperator, position: int) -> str:
            if operator.name in _PASSING:
                return "passed" if position == 0 else "other"
            tensor = tensors[operator.inputs[position]]
            arithmetic = operator.name in ("Add", "Sub", "Mul", "Div")
            if arithmetic and (tensor.elements < 2 or not quantizers.isdisjoint(operator.inputs)):
                return "other"  # a number, or the scales of weights
            return _POSITIONS.get(operator.name, {}).get(position, "other")

        return FileGraph(
            format="onnx",
            tensors=tensors,
            operators=operators,
            inputs=tuple(
                self._indices[i.name]
                for i in self._graph.input
                if not tensors[self._indices[i.name]].constant
            ),
            outputs=tuple(self._indices[o.name] for o in self._graph.output),
            roles=roles_of(operators, tensors, role),
        )

    def _add(self, name: str, tensor: FileTensor) -> None:
        if name not in self._indices:
            self._indices[name] = len(self._tensors)
            self._tensors.append(tensor)

    def _scale(self, node: Any) -> None:
        """Gives the integer side of a QuantizeLinear or DequantizeLinear its scales."""
        scales = self._constants.get(node.input[1])
        if scales is None:
            return
        values = self._onnx.numpy_helper.to_array(scales).ravel()
        zero_points = self._constants.get(node.input[2]) if len(node.input) > 2 else None
        zero = (
            0 if zero_points is None else self._onnx.numpy_helper.to_array(zero_points).ravel()[0]
        )
        index = self._indices[(node.output if node.op_type == _QUANTIZING[0] else node.input)[0]]
        self._tensors[index] = replace(
            self._tensors[index],
            scales=len(values),
            scale=float(values[0]) if len(values) == 1 else None,
            zero_point=int(zero) if len(values) == 1 else None,
        )

    def _constant(self, name: str, value: Any) -> FileTensor:
        held = len(value.raw_data) or value.ByteSize() - len(value.name)
        outside = value.data_location == self._onnx.TensorProto.EXTERNAL
        shape = tuple(int(n) for n in value.dims)
        return self._tensor(name, shape, shape, value.data_type, True, 0 if outside else held)

    def _computed(self, value: Any) -> FileTensor:
        kind = value.type.tensor_type
        if not kind.HasField("shape"):
            return self._tensor(value.name, None, None, kind.elem_type, False, 0)
        signature = tuple(
            int(d.dim_value) if d.HasField("dim_value") else None for d in kind.shape.dim
        )
        shape = tuple(1 if n is None else n for n in signature)
        return self._tensor(value.name, shape, signature, kind.elem_type, False, None)

    def _unknown(self, name: str) -> FileTensor:
        return self._tensor(name, None, None, 0, False, 0)

    def _tensor(
        self,
        name: str,
        shape: tuple[int, ...] | None,
        signature: tuple[int | None, ...] | None,
        data_type: int,
        constant: bool,
        held: int | None,
    ) -> FileTensor:
        if shape is not None and (min(shape, default=0) < 0 or math.prod(shape) > _MOST_ELEMENTS):
            raise ValueError(f"{name} has the shape {shape}")
        name_of: str = self._onnx.TensorProto.DataType.Name(data_type).lower()
        renamed = {"float": "float32", "double": "float64", "undefined": "unknown"}
        dtype = renamed.get(name_of, name_of)
        size = 0
        if held is None and shape is not None and dtype not in ("unknown", "string"):
            bits = 8 * self._onnx.helper.tensor_dtype_to_np_dtype(data_type).itemsize
            size = math.prod(shape) * bits // 8
        return FileTensor(
            name=printable(name),
            shape=shape,
            signature=signature,
            dtype=dtype,
            scales=0,
            scale=None,
            zero_point=None,
            constant=constant,
            bytes=size if held is None else held,
            place=len(self._tensors),
        )

    def _operator(self, index: int, node: Any, opset: int) -> FileOperator:
        inputs = tuple(self._indices[name] if name else -1 for name in node.input)
        outputs = tuple(self._indices[name] for name in node.output if name)
        return FileOperator(
            index=index,
            name=printable(f"{node.domain}.{node.op_type}" if node.domain else node.op_type, 40),
            version=opset,
            layer=printable(node.name, 40),
            inputs=inputs,
            outputs=outputs,
            options=self._options(node),
            macs=self._macs(node.op_type, inputs, outputs),
        )

    def _options(self, node: Any) -> str:
        words = []
        given = {a.name: self._onnx.helper.get_attribute_value(a) for a in node.attribute}
        for name in _SHOWN:
            value = given.get(name)
            if isinstance(value, bytes):
                value = value.decode("utf-8", "replace")
            if value is None or value == _USUAL.get(name):
                continue
            plain = isinstance(value, list) and name in ("strides", "dilations", "pads")
            if plain and set(value) <= {0 if name == "pads" else 1}:
                continue
            text = "×".join(map(str, value)) if isinstance(value, list) else f"{value}"
            words.append(text if name == "kernel_shape" else f"{name} {text}")
        return printable(", ".join(words), 60)

    def _macs(self, name: str, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> int | None:
        """The multiply-accumulates, None where shapes are not known or the rule is not."""
        if name in _UNCOUNTED:
            return None
        weights = {"QLinearConv": 3, "QLinearMatMul": 3}.get(name, 1)
        counted = ("Conv", "ConvInteger", "QLinearConv", "ConvTranspose", "Gemm", "MatMul")
        if name not in (*counted, "MatMulInteger", "QLinearMatMul"):
            return 0
        if len(inputs) <= weights or not outputs:
            return None
        source, kernel, target = (
            self._tensors[k].shape for k in (inputs[0], inputs[weights], outputs[0])
        )
        if source is None or kernel is None or target is None:
            return None
        if name == "ConvTranspose":
            return math.prod(source) * math.prod(kernel[1:])
        if "Conv" in name:
            return math.prod(target) * math.prod(kernel[1:])
        if name == "Gemm":  # whichever way its inputs are turned
            return target[0] * math.prod(kernel)
        return math.prod(target) * source[-1] if source else None
