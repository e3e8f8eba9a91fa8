"""A file computed in another way: by how much two sound engines may differ is measured so."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgestitch_runtime.tflite_file import read_tflite

_FLOAT_APART = 5e-5  # of a score: float32 sums in another order stay far below
_DYNAMIC_APART = 1 / 512  # where activations are rounded to 8 bits, half a step of these


def litert_without_delegate(content: bytes, images_u8: np.ndarray) -> np.ndarray:
    """The answers of LiteRT's own kernels without XNNPACK, one image at a time."""
    interpreter: Any = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        num_threads=1,
    )
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    zero_point = source["quantization"][1]  # the scale is 1, or the input is float
    rows = []
    for image in images_u8:
        values = (image.astype(np.int16) + zero_point).astype(source["dtype"])
        interpreter.set_tensor(source["index"], values.reshape(source["shape"]))
        interpreter.invoke()
        rows.append(interpreter.get_tensor(target["index"])[0])
    return np.stack(rows)


def onnxruntime_without_rewrites(content: bytes, images_u8: np.ndarray) -> np.ndarray:
    """The answers of ONNX Runtime with every graph rewrite off: quantized nodes run in float."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    dtype = np.uint8 if source.type == "tensor(uint8)" else np.float32
    shape = [n if isinstance(n, int) else 1 for n in source.shape]
    rows = [
        np.asarray(session.run(None, {source.name: image.astype(dtype).reshape(shape)})[0])[0]
        for image in images_u8
    ]
    return np.stack(rows)


def least_apart(content: bytes, format_: str, dtype: np.dtype, precision: str) -> float:
    """By how much two sound engines may differ on a file where the two ways above do not.

    In steps of an integer output of `dtype`, else in its own unit. An engine of integers may round
    the other way: that is one step, and a step before a softmax or sigmoid at the end is as many
    as their slope makes of it, a quarter at most. tflite-runtime was seen to be so far off where
    LiteRT is not.
    """
    if dtype.kind not in "iu":
        return _FLOAT_APART if precision in ("float32", "float16") else _DYNAMIC_APART
    if format_ != "tflite":
        return 1
    model = read_tflite(content)
    last = next(o for o in model.operators if model.outputs[0] in o.outputs)
    taken, given = (model.tensors[k].quantization for k in (last.inputs[0], last.outputs[0]))
    if last.name not in ("SOFTMAX", "LOGISTIC") or taken is None or given is None:
        return 1
    slope = 0.25 * float(last.options.get("beta", 1))
    return max(1.0, slope * float(taken.scales[0] / given.scales[0]))
