"""TFLite: conversion at each precision, and the contract that the written file must keep."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.native_output import quiet_native_output

from .calibration import Calibration
from .float_operator import FloatOperator
from .frozen_graph import frozen_function
from .pairs import hint_for
from .tflite_ranges import operators as named_operators
from .tflite_ranges import quantize

_TYPES = {v: k for k, v in vars(schema.TensorType).items() if not k.startswith("_")}
_OPERATORS = {v: k for k, v in vars(schema.BuiltinOperator).items() if not k.startswith("_")}


def convert(model: keras.Model, precision: str, calibration: Calibration) -> bytes:
    """The flatbuffer of `model` (already rewritten for inference) at `precision`."""
    try:
        with quiet_native_output():
            converter = _converter(model, precision, calibration)
            if precision == "mixed" or calibration.method != "min-max":
                return quantize(_calibrated(converter), calibration)
            return converter.convert()
    except Exception as error:  # the converter raises its own and RuntimeError, ValueError, ...
        told = re.search("error: (.+)", str(error))  # before it stands a place in some source
        reason = " ".join((told[1] if told else str(error)).split())[:300]
        raise EdgestitchError(
            f"TensorFlow's converter cannot make {precision} TFLite of this model: {reason}",
            hint=hint_for(precision),
        ) from None


def operators(model: keras.Model, calibration: Calibration) -> list[FloatOperator]:
    """The operators of `model` that precision mixed may keep float."""
    with quiet_native_output():
        return named_operators(_calibrated(_converter(model, "int8", calibration)))


def _calibrated(converter: Any) -> bytes:
    converter._experimental_calibrate_only = True
    return converter.convert()


def _converter(model: keras.Model, precision: str, calibration: Calibration) -> Any:
    integer = precision in ("int8", "mixed")
    pinned = "0..255" if integer else "none"
    function = frozen_function(model, fixed_input_range=pinned)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if integer:
        shape = [1, *(int(n) for n in model.inputs[0].shape[1:])]

        def one_by_one() -> Iterator[list[np.ndarray]]:
            for image in (*calibration.images_u8, *_whole_range(calibration.images_u8)):
                yield [image.astype(np.float32).reshape(shape)]

        converter.representative_dataset = one_by_one
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    return converter


def _whole_range(images_u8: np.ndarray) -> np.ndarray:
    """The first image with a black and a white corner, where no image has both ends of 0..255.

    A product that the converter moves past the pinned input keeps the range that calibration saw,
    and the two would differ.
    """
    if images_u8.min() == 0 and images_u8.max() == 255:
        return images_u8[:0]
    image = images_u8[:1].copy()
    image[0, 0, 0], image[0, -1, -1] = 0, 255
    return image


def read_back(flatbuffer: bytes) -> dict[str, Any]:
    """What a TFLite file holds, read from its bytes, for the card and for `check`.

    `operators` in order, those that take a shape computed at run time as `shaped_at_run_time`,
    `tensor_types` (a set as a sorted list), and `input` and `output` with shape, dtype, scale and
    zero point.
    """
    model: Any = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    if len(model.subgraphs) != 1:
        raise EdgestitchError(
            f"the converter wrote {len(model.subgraphs)} subgraphs, expected 1",
            hint="models with control flow cannot be exported",
        )
    graph = model.subgraphs[0]
    codes = [max(c.builtinCode, c.deprecatedBuiltinCode) for c in model.operatorCodes]
    operators = [_OPERATORS[codes[op.opcodeIndex]] for op in graph.operators]
    return {
        "operators": operators,
        "shaped_at_run_time": _shaped_at_run_time(graph, operators),
        "tensor_types": sorted({_TYPES[t.type] for t in graph.tensors}),
        "input": _describe(graph.tensors[graph.inputs[0]]),
        "output": _describe(graph.tensors[graph.outputs[0]]),
    }


def check(facts: dict[str, Any], precision: str) -> None:
    """Raises EdgestitchError unless `facts` (from `read_back`) keep the contract of `precision`."""
    if precision not in ("int8", "mixed"):
        if facts["input"]["dtype"] != "float32" or facts["output"]["dtype"] != "float32":
            raise _broken(f"{precision} TFLite must have float32 in and out", facts)
        return
    source, target = facts["input"], facts["output"]
    floats = [t for t in facts["tensor_types"] if t.startswith(("FLOAT", "BFLOAT"))]
    if floats and precision == "int8":
        raise _broken(f"int8 TFLite holds {', '.join(floats)} tensors", facts)
    if (source["dtype"], source["scale"], source["zero_point"]) != ("int8", 1.0, -128):
        raise _broken(
            f"{precision} TFLite takes {source}, not int8 of scale 1, zero point -128", facts
        )
    if target["dtype"] != "int8":
        raise _broken(f"{precision} TFLite gives {target['dtype']}, not int8", facts)
    if facts["shaped_at_run_time"]:
        raise _broken(
            f"{', '.join(facts['shaped_at_run_time'])} takes a shape that is computed at run time",
            facts,
        )


def _shaped_at_run_time(graph: Any, operators: list[str]) -> list[str]:
    """Names of the operators that take what SHAPE, STRIDED_SLICE or PACK make, but for these."""
    shaping = {"SHAPE", "STRIDED_SLICE", "PACK"}
    pairs = list(zip(operators, graph.operators, strict=True))
    shapes = {int(n) for name, op in pairs if name in shaping for n in op.outputs}
    takers = {name for name, op in pairs if shapes & {int(n) for n in op.inputs}}
    return sorted(takers - shaping)


def _describe(tensor: Any) -> dict[str, Any]:
    signature = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    scale, zero_point = _quantization(tensor.quantization)
    return {
        "shape": [None if n == -1 else int(n) for n in signature],
        "dtype": _TYPES[tensor.type].lower(),
        "scale": scale,
        "zero_point": zero_point,
    }


def _quantization(parameters: Any) -> tuple[float | None, int | None]:
    if parameters is None or parameters.scale is None:
        return None, None
    return float(parameters.scale[0]), int(parameters.zeroPoint[0])


def _broken(message: str, facts: dict[str, Any]) -> EdgestitchError:
    return EdgestitchError(
        f"the converted file breaks edgestitch's contract: {message} "
        f"(operators: {', '.join(facts['operators'])})",
        hint="nothing was written; a layer of this model does not quantize with this converter",
        exit_code=1,
    )
