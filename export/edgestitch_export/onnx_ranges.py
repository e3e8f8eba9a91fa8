"""The activation ranges of an ONNX graph, estimated on the float graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import onnxruntime

from .calibration import Calibration
from .range_estimates import Ranges, estimate

BATCH = 50


def activation_ranges(model: onnx.ModelProto, calibration: Calibration) -> Ranges:
    """(low, high) by `calibration.method` of each float tensor that a node of `model` makes."""
    inferred = onnx.shape_inference.infer_shapes(model)
    made = {name for node in model.graph.node for name in node.output}
    names = [
        value.name
        for value in (*inferred.graph.value_info, *inferred.graph.output)
        if value.name in made and value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    ]
    told = onnx.ModelProto()
    told.CopyFrom(model)
    del told.graph.output[:]
    told.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        told.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    source = session.get_inputs()[0]

    def values() -> Iterator[dict[str, np.ndarray]]:
        for start in range(0, len(calibration.images_u8), BATCH):
            batch = calibration.images_u8[start : start + BATCH].astype(np.float32)
            shaped = batch.reshape(len(batch), *source.shape[1:])
            found: Any = session.run(names, {source.name: shaped})
            yield dict(zip(names, found, strict=True))

    return estimate(calibration.method, values)
