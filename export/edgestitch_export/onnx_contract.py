"""What an ONNX artifact holds, and the contract that it must keep. Read from the written bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from edgestitch_runtime.errors import EdgestitchError

COMPUTE = {"Gemm", "MatMul", "Conv", "ConvTranspose", "Add", "Mul", "Softmax", "Relu", "Sigmoid"}
COMPUTE |= {"GlobalAveragePool", "AveragePool", "MaxPool", "Concat", "Clip", "LeakyRelu", "Tanh"}
# What ONNX Runtime runs on integers after its own optimization, beside QLinear* and QGemm
INTEGER = {"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "MaxPool", "Identity"}
SEVEN_BIT = 64


def read_back(content: bytes, precision: str) -> dict[str, Any]:
    """Operators of the file and, for int8, those that stay float in ONNX Runtime's own rewrite.

    `operators`, `optimized_operators`, `float_operators`, `input`, `output` (shape, dtype, scale,
    zero point; None for the free batch), `opset`, `ir_version`, `unquantized` (compute nodes that a
    float tensor enters) and `saturating` (int8 weights beyond 64, which can overflow 16-bit sums).
    """
    model = onnx.load_from_string(content)
    graph = model.graph
    values = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    optimized = _optimized_operators(content) if precision == "int8" else []
    return {
        "operators": [n.op_type for n in graph.node],
        "optimized_operators": optimized,
        "float_operators": [
            op for op in optimized if op not in INTEGER and not op.startswith(("QLinear", "QGemm"))
        ],
        "input": _describe(graph.input[0], None, None),
        "output": _describe(graph.output[0], *_output_scale(graph, values)),
        "opset": next(o.version for o in model.opset_import if o.domain == ""),
        "ir_version": model.ir_version,
        "unquantized": _unquantized(graph) if precision == "int8" else [],
        "saturating": _saturating(graph, values),
    }


def check(facts: dict[str, Any], precision: str) -> None:
    """Raises EdgestitchError unless `facts` (from `read_back`) keep the contract of `precision`."""
    wanted = "uint8" if precision == "int8" else "float32"
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
    around_softmax = {"Softmax", "QuantizeLinear", "DequantizeLinear"}
    stay = set(facts["float_operators"])
    if not stay <= around_softmax or (stay and "Softmax" not in stay):
        raise _broken(f"ONNX Runtime leaves {', '.join(sorted(stay))} in float")


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
    """Compute nodes with an input that is neither dequantized nor a dequantized constant."""
    maker = {name: node.op_type for node in graph.node for name in node.output}
    return [
        node.name
        for node in graph.node
        if node.op_type in COMPUTE
        and any(
            maker.get(name) not in ("DequantizeLinear", *COMPUTE) for name in node.input if name
        )
    ]


def _saturating(graph: onnx.GraphProto, values: dict[str, np.ndarray]) -> list[str]:
    return [
        name
        for name, array in values.items()
        if array.dtype == np.int8 and array.ndim > 1 and np.abs(array.astype(int)).max() > SEVEN_BIT
    ]


def _optimized_operators(content: bytes) -> list[str]:
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "optimized.onnx"
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(target)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return [n.op_type for n in onnx.load(target).graph.node]


def _broken(message: str) -> EdgestitchError:
    return EdgestitchError(
        f"the converted ONNX file breaks edgestitch's contract: {message}",
        hint="nothing was written; a layer of this model does not quantize with these tools",
        exit_code=1,
    )
