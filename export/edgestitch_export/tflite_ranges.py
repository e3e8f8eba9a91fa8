"""TFLite at int8 with ranges of our own, estimated on the float graph, and operators kept float.

TensorFlow's converter calibrates and quantizes in two steps. Between them the float flatbuffer
holds the smallest and the largest value of each tensor, and what stands there is what it gets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flatbuffers
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tensorflow.lite.python.convert import mlir_quantize

from .calibration import Calibration
from .float_operator import FloatOperator, fingerprint
from .range_estimates import estimate

BATCH = 50
_KINDS = {v: k for k, v in vars(schema.BuiltinOperator).items() if not k.startswith("_")}
_MOVES = {"RESHAPE", "QUANTIZE", "DEQUANTIZE", "SHAPE", "PACK", "STRIDED_SLICE", "EXPAND_DIMS"}
_FLOAT32 = schema.TensorType.FLOAT32


def quantize(calibrated: bytes, calibration: Calibration) -> bytes:
    """The int8 flatbuffer of `calibrated`, which the converter made with its calibrating step.

    Where `calibration.method` is not min-max the ranges are replaced by its own, but the pixels'.
    The operators `calibration.kept` stay float, between a DEQUANTIZE and a QUANTIZE.
    """
    if calibration.method != "min-max":
        calibrated = _with_ranges(calibrated, calibration)
    quantizer: Any = mlir_quantize
    return quantizer(
        calibrated,
        fully_quantize=True,
        input_data_type=tf.int8,
        output_data_type=tf.int8,
        denylisted_nodes=set(calibration.kept) or None,
    )


def operators(calibrated: bytes) -> list[FloatOperator]:
    """Those of a calibrated flatbuffer that compute. Known by the name of what they give."""
    model: Any = schema.ModelT.InitFromPackedBuf(calibrated, 0)
    (graph,) = model.subgraphs
    found = []
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        kind = _KINDS[max(code.builtinCode, code.deprecatedBuiltinCode)]
        if kind in _MOVES:
            continue
        constants = [graph.tensors[n] for n in operator.inputs[1:2]]
        held = [model.buffers[t.buffer].data for t in constants if t.type == _FLOAT32]
        kernels = [np.asarray(data, np.uint8).view("<f4") for data in held if data is not None]
        found.append(
            FloatOperator(
                name=graph.tensors[operator.outputs[0]].name.decode(),
                kind=kind,
                weights=fingerprint(kernels[0]) if kernels else None,
            )
        )
    return found


def _with_ranges(calibrated: bytes, calibration: Calibration) -> bytes:
    model: Any = schema.ModelT.InitFromPackedBuf(calibrated, 0)
    (graph,) = model.subgraphs
    ranged = [
        k
        for k, tensor in enumerate(graph.tensors)
        if tensor.quantization is not None
        and tensor.quantization.min is not None
        and not _holds_pixels(tensor)
    ]
    found = estimate(calibration.method, lambda: _values(calibrated, calibration.images_u8, ranged))
    for name, (low, high) in found.items():
        parameters = graph.tensors[int(name)].quantization
        parameters.min, parameters.max = [low], [high]
    builder = flatbuffers.Builder(len(calibrated))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _holds_pixels(tensor: Any) -> bool:
    return (float(tensor.quantization.min[0]), float(tensor.quantization.max[0])) == (0.0, 255.0)


def _values(
    calibrated: bytes, images_u8: np.ndarray, tensors: list[int]
) -> Iterator[dict[str, np.ndarray]]:
    """What the float graph's `tensors`, named by their number, hold for the images."""
    interpreter: Any = Interpreter(
        model_content=calibrated,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
        num_threads=1,
    )
    source = interpreter.get_input_details()[0]
    for start in range(0, len(images_u8), BATCH):
        batch = images_u8[start : start + BATCH].astype(np.float32)
        interpreter.resize_tensor_input(
            source["index"], [len(batch), *(int(n) for n in source["shape"][1:])]
        )
        interpreter.allocate_tensors()
        interpreter.set_tensor(source["index"], batch.reshape(len(batch), *source["shape"][1:]))
        interpreter.invoke()
        yield {str(k): interpreter.get_tensor(k) for k in tensors}
