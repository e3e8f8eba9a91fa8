"""What an ONNX artifact holds, and the contract that it must keep. Read from the written bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto

from edgestitch_runtime.errors import EdgestitchError

from .pairs import hint_for

# Operators that move values and compute none: they keep the type of what they take.
MOVES = {"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity", "MaxPool", "Concat"}
MOVES |= {"Slice", "Gather", "Pad", "NhwcMaxPool", "DepthToSpace", "SpaceToDepth", "Cast"}
FUSED = {"Relu", "Clip"}  # activations that an integer kernel applies as it requantizes
SEVEN_BIT = 64


def read_back(content: bytes, precision: str) -> dict[str, Any]:
    """Operators of the file and, for int8, those that stay float in ONNX Runtime's own rewrite.

    `operators`, `float_operators`, `input`, `output` (shape, dtype, scale,
    zero point; None for the free batch), `unquantized` (compute nodes that a
    float value enters) and `saturating` (int8 weights beyond 64, which can overflow 16-bit sums).
    """
    model = onnx.load_from_string(content)
    graph = model.graph
    values = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    optimized = _optimized(content) if precision == "int8" else None
    return {
        "operators": [n.op_type for n in graph.node],
        "float_operators": _float_operators(optimized) if optimized else [],
        "input": _describe(graph.input[0], None, None),
        "output": _describe(graph.output[0], *_output_scale(graph, values)),
        "unquantized": _unquantized(graph) if precision == "int8" else [],
        "saturating": _saturating(graph, values),
    }


def check(facts: dict[str, Any], precision: str) -> None:
    """Raises EdgestitchError unless `facts` (from `read_back`) keep the contract of `precision`."""
    wanted = "uint8" if precision in ("int8", "mixed") else "float32"
    for side in ("input", "output"):
        if facts[side]["dtype"] != wanted:
            raise _broken(f"its {side} is {facts[side]['dtype']}, not {wanted}")
        if facts[side]["shape"][0] is not None:
            raise _broken(f"the batch of its {side} is fixed to {facts[side]['shape'][0]}")
    if facts["saturating"]:
        raise _broken(f"weights beyond {SEVEN_BIT} in {', '.join(facts['saturating'])}")
    if precision != "int8":
        return
    if facts["unquantized"]:
        raise _broken(f"float tensors enter {', '.join(facts['unquantized'])}")
    stay = set(facts["float_operators"])
    others = stay - {"Softmax", "QuantizeLinear", "DequantizeLinear"}
    if others or (stay and "Softmax" not in stay):
        raise _broken(f"ONNX Runtime leaves {', '.join(sorted(others or stay))} in float")


def _describe(
    value: onnx.ValueInfoProto, scale: float | None, zero_point: int | None
) -> dict[str, Any]:
    tensor = value.type.tensor_type
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
    described = {
        "shape": [d.dim_value or None for d in tensor.shape.dim],
        "dtype": dtype,
        "scale": scale,
        "zero_point": zero_point,
    }
    if dtype == "uint8" and scale is None:  # raw pixels
        described |= {"scale": 1.0, "zero_point": 0}
    return described


def _output_scale(
    graph: onnx.GraphProto, values: dict[str, np.ndarray]
) -> tuple[float | None, int | None]:
    last = next(n for n in graph.node if graph.output[0].name in n.output)
    if last.op_type != "QuantizeLinear":
        return None, None
    return float(values[last.input[1]]), int(values[last.input[2]])


def _unquantized(graph: onnx.GraphProto) -> list[str]:
    """Compute nodes that a float value enters without coming out of a DequantizeLinear."""
    maker = {name: node for node in graph.node for name in node.output}
    found = []
    for node in graph.node:
        if node.op_type in (*MOVES, "QuantizeLinear", "DequantizeLinear"):
            continue
        for name in filter(None, node.input):
            before = maker.get(name)
            while before is not None and before.op_type in MOVES:
                before = maker.get(before.input[0])
            kind = "nothing" if before is None else before.op_type
            fused = node.op_type in FUSED and kind in ("Conv", "Gemm", "Add")
            if kind != "DequantizeLinear" and not fused:
                found.append(f"a {node.op_type}")
                break
    return found


def _float_operators(optimized: onnx.ModelProto) -> list[str]:
    """The operators of ONNX Runtime's own rewrite that take or give a float value."""
    graph = optimized.graph
    floats = {v.name for v in graph.input if v.type.tensor_type.elem_type == TensorProto.FLOAT}
    integers = {v.name for v in graph.input} - floats
    integers |= {i.name for i in graph.initializer if i.data_type == TensorProto.UINT8}  # tables
    found = []
    for node in graph.node:
        takes = [n for n in node.input if n in floats]
        first = node.input[0] if node.input else ""
        if node.op_type == "DequantizeLinear":
            gives_float = True
        elif node.op_type == "QuantizeLinear" or node.op_type.startswith(("QLinear", "QGemm")):
            gives_float = False
        else:  # whatever else takes only integers and moves them; the unknown counts as float
            gives_float = not (node.op_type in MOVES and first in integers)
        (floats if gives_float else integers).update(node.output)
        if takes or gives_float:
            found.append(node.op_type)
    return found


def _saturating(graph: onnx.GraphProto, values: dict[str, np.ndarray]) -> list[str]:
    return [
        name
        for name, array in values.items()
        if array.dtype == np.int8 and array.ndim > 1 and np.abs(array.astype(int)).max() > SEVEN_BIT
    ]


def _optimized(content: bytes) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "optimized.onnx"
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(target)
        options.log_severity_level = 3
        try:
            onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # a class of its own for each of its codes
            raise EdgestitchError(
                f"ONNX Runtime cannot open what its own tools made of this model: {error}",
                hint=hint_for("int8"),
            ) from None
        return onnx.load(target)


def _broken(message: str) -> EdgestitchError:
    return EdgestitchError(
        f"the converted ONNX file breaks edgestitch's contract: {message}",
        hint="nothing was written; a layer of this model does not quantize with these tools",
        exit_code=1,
    )
