"""Dynamic ONNX by ONNX Runtime: weights of eight bits, activations quantized as they come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnxruntime import quantization


def dynamic(plain: onnx.ModelProto, scratch: Path) -> onnx.ModelProto:
    """`plain`, float32, with its weights per channel within 64 of zero; `scratch` is a folder."""
    source, target = scratch / "float32.onnx", scratch / "dynamic.onnx"
    onnx.save(plain, source)
    quantization.quantize_dynamic(
        source, target, weight_type=quantization.QuantType.QInt8, per_channel=True,
        reduce_range=True,
    )  # fmt: skip
    model = onnx.load(target)
    _shift_convolutions(model.graph)
    return model


def _shift_convolutions(graph: onnx.GraphProto) -> None:
    """Weights and zero points of ConvInteger as uint8, both 128 higher: the same products.

    ONNX Runtime 1.15 to 1.23 have no ConvInteger of int8 weights.
    """
    convolutions = [node for node in graph.node if node.op_type == "ConvInteger"]
    moved = {name for node in convolutions for name in (node.input[1], node.input[3])}
    for tensor in graph.initializer:
        if tensor.name in moved:
            codes = onnx.numpy_helper.to_array(tensor).astype(np.int16) + 128
            tensor.CopyFrom(onnx.numpy_helper.from_array(codes.astype(np.uint8), tensor.name))
