"""Small .tflite files built for tests, and what LiteRT's reference kernels answer on them.

pytest finds it through `pythonpath` in pyproject.toml: `from tflite_builder import build`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A tensor to be written: without `data` it is computed (and `shape` said), else a constant.

    `scales` and `zero_points` are one or several along `axis`; no scale, no quantization.
    """

    shape: Sequence[int] = ()
    dtype: str = "int8"
    scales: float | Sequence[float] | np.ndarray = ()
    zero_points: int | Sequence[int] | np.ndarray = 0
    axis: int = 0
    data: np.ndarray | None = None
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """An operator to be written: the schema's name, indices of tensors, the schema's options.

    `options` names the table, as in Conv2DOptions, `fields` its fields, as in strideW.
    """

    name: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    options: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1


def build(
    operators: Sequence[Op],
    tensors: Sequence[Spec],
    *,
    inputs: Sequence[int] = (0,),
    outputs: Sequence[int] | None = None,
) -> bytes:
    """A .tflite file of one graph. Its output is that of the last operator unless said.

    Computed tensors are given a free size along the first axis.
    """
    model = schema.ModelT()
    model.version = 3
    model.description = "built for a test"
    graph = schema.SubGraphT()
    model.subgraphs = [graph]
    model.buffers = [schema.BufferT()]
    graph.tensors = [_tensor(spec, k, model.buffers) for k, spec in enumerate(tensors)]
    kinds = sorted({(op.name, op.version) for op in operators})
    model.operatorCodes = [_code(name, version) for name, version in kinds]
    graph.operators = [_operator(op, kinds.index((op.name, op.version))) for op in operators]
    graph.inputs = list(inputs)
    graph.outputs = list(operators[-1].outputs if outputs is None else outputs)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def interpreter_of(content: bytes) -> Interpreter:
    """LiteRT's reference kernels, one thread, on a file: they keep to the letter of the rules."""
    return Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        num_threads=1,
    )


def reference_rows(content: bytes, *inputs: np.ndarray) -> np.ndarray:
    """What LiteRT's reference kernels give for `inputs`, (n, ...) each, as one batch of n.

    Raises what LiteRT raises (RuntimeError, ValueError) when it refuses the file.
    """
    interpreter = interpreter_of(content)
    places = [detail["index"] for detail in interpreter.get_input_details()]
    for place, values in zip(places, inputs, strict=True):
        interpreter.resize_tensor_input(place, values.shape)
    interpreter.allocate_tensors()
    for place, values in zip(places, inputs, strict=True):
        interpreter.set_tensor(place, values)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def _code(name: str, version: int) -> schema.OperatorCodeT:
    code = schema.OperatorCodeT()
    number = getattr(schema.BuiltinOperator, name)
    code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
    code.version = version
    return code


def _operator(op: Op, place: int) -> schema.OperatorT:
    operator = schema.OperatorT()
    operator.opcodeIndex = place
    operator.inputs, operator.outputs = list(op.inputs), list(op.outputs)
    if op.options:
        table = getattr(schema, f"{op.options}T")()
        for name, value in op.fields.items():
            assert hasattr(table, name), f"{op.options} has no {name}"
            setattr(table, name, value)
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, op.options)
        operator.builtinOptions = table
    return operator


def _tensor(spec: Spec, index: int, buffers: list[schema.BufferT]) -> schema.TensorT:
    tensor = schema.TensorT()
    shape = spec.shape if spec.data is None else spec.data.shape
    dtype = spec.dtype if spec.data is None else spec.data.dtype.name
    tensor.shape = [int(n) for n in shape]
    tensor.type = getattr(schema.TensorType, re.sub("[a-z]+", lambda m: m[0].upper(), dtype))
    tensor.name = spec.name or f"t{index}"
    if spec.data is None:
        tensor.buffer = 0
        tensor.shapeSignature = [-1, *tensor.shape[1:]]
    else:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(spec.data.tobytes(), np.uint8)  # pyright: ignore
        tensor.buffer = len(buffers)
        buffers.append(buffer)
    scales = np.atleast_1d(np.array(spec.scales, np.float32))
    if len(scales):
        quantization = schema.QuantizationParametersT()
        quantization.scale = scales.tolist()
        quantization.zeroPoint = (scales * 0 + np.array(spec.zero_points)).astype(int).tolist()
        quantization.quantizedDimension = spec.axis
        tensor.quantization = quantization
    return tensor
