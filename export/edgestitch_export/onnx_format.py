"""ONNX: conversion through tf2onnx, and quantization with ONNX Runtime's own tools."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
import tf2onnx
from onnx import TensorProto
from onnxruntime import quantization
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.native_output import quiet_native_output

from .calibration import Calibration
from .float_operator import FloatOperator, fingerprint
from .frozen_graph import INPUT_NAME
from .onnx_activation import part_activations
from .onnx_canonical import canonical
from .onnx_dynamic import dynamic
from .onnx_lookup import LOOKED_UP, functions, look_up
from .onnx_pooling import pool_in_integers
from .onnx_ranges import activation_ranges
from .pairs import hint_for

# Oldest first; the first that carries the model is taken. Below 9 ONNX Runtime makes no Gemm of
# MatMul and Add; 11 has DynamicQuantizeLinear, 13 a scale for each channel.
OPSETS = {
    "float32": (9, 11, 13, 17),
    "dynamic": (11, 13, 17),
    "int8": (13, 17),
    "mixed": (13, 17),
}
SHAPE_ONLY = {"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity"}
PROBABILITY_SCALE = np.float32(1 / 255)  # uint8 probabilities: 0..255 are 0..1


def convert(model: keras.Model, precision: str, calibration: Calibration, kind: str) -> bytes:
    """The ModelProto of `model` (already rewritten for inference) at `precision`, without a card.

    `kind` is "probabilities" or "logits". The batch dimension is free; input and output are called
    pixels and scores. int8 takes and gives uint8; the others float32. Its opset is the oldest that
    carries it.
    """

    def at(opset: int, scratch: Path) -> onnx.ModelProto:
        plain = _float32(model, opset, scratch)
        if precision == "dynamic":
            plain = dynamic(plain, scratch)
        elif precision in ("int8", "mixed"):
            plain = _int8(plain, scratch, calibration, kind)
        finished = canonical(plain)
        onnx.checker.check_model(finished, full_check=True)
        return finished

    try:
        finished = _at_oldest_opset(precision, at)
    except EdgestitchError:
        raise
    except Exception as error:  # tf2onnx, onnx and onnxruntime raise what they like
        reason = " ".join(str(error).split())[:300]
        raise EdgestitchError(
            f"this model cannot be made into {precision} ONNX: {reason}",
            hint=hint_for(precision),
        ) from None
    return finished.SerializeToString(deterministic=True)


def operators(model: keras.Model, calibration: Calibration) -> list[FloatOperator]:
    """The operators of `model` that precision mixed may keep float: not what gives the scores."""
    plain = _at_oldest_opset(
        "mixed", lambda opset, scratch: _before_int8(_float32(model, opset, scratch))
    )
    values = {i.name: onnx.numpy_helper.to_array(i) for i in plain.graph.initializer}
    return [
        FloatOperator(
            name=node.name,
            kind=node.op_type,
            weights=fingerprint(values[node.input[1]])
            if node.op_type in ("Conv", "Gemm", "MatMul") and node.input[1] in values
            else None,
        )
        for node in plain.graph.node
        if node.op_type not in (*SHAPE_ONLY, "Relu", "Clip")
        and plain.graph.output[0].name not in node.output
    ]


def _at_oldest_opset(precision: str, at: Callable[[int, Path], onnx.ModelProto]) -> onnx.ModelProto:
    """What `at` makes of an opset and an empty folder, at the oldest opset where it can."""

    def made(opset: int) -> onnx.ModelProto:
        with quiet_native_output(), tempfile.TemporaryDirectory() as scratch:
            return at(opset, Path(scratch))

    *older, newest = OPSETS[precision]
    for opset in older:
        with contextlib.suppress(Exception):  # as an operator that this opset has not
            return made(opset)
    return made(newest)


def _with_activations(plain: onnx.ModelProto, kept: tuple[str, ...]) -> list[str]:
    """The nodes `kept`, and the activations that an integer operator would do as it requantizes."""
    given = {name for node in plain.graph.node if node.name in kept for name in node.output}
    clamps = [n for n in plain.graph.node if n.op_type in ("Relu", "Clip") and n.input[0] in given]
    return [*kept, *(node.name for node in clamps)]


def _before_int8(plain: onnx.ModelProto) -> onnx.ModelProto:
    return part_activations(pool_in_integers(plain))


def _float32(model: keras.Model, opset: int, scratch: Path) -> onnx.ModelProto:
    """tf2onnx, then ONNX Runtime's basic rewrites: constants folded, MatMul and Add made Gemm."""
    shape = [None, *(int(n) for n in model.inputs[0].shape[1:])]
    signature = [tf.TensorSpec(shape, tf.float32, name=INPUT_NAME)]
    function = tf.function(lambda pixels: model(pixels, training=False), input_signature=signature)
    raw, _ = tf2onnx.convert.from_function(
        function,
        input_signature=signature,
        opset=opset,
        custom_op_handlers={"Erfc": (_erfc, [])},
    )
    source, target = scratch / "raw.onnx", scratch / "basic.onnx"
    onnx.save(raw, source)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    return canonical(onnx.load(target))


def _erfc(context: Any, node: Any, name: str, args: Any) -> None:
    """1 - erf(x), for TensorFlow's GELU; tf2onnx 1.17 has no Erfc. A handler of its protocol."""
    one = context.make_const(f"{name}_one", np.array(1, np.float32))
    erf = context.make_node("Erf", node.input[:1])
    context.remove_node(node.name)
    context.make_node("Sub", [one.output[0], erf.output[0]], outputs=node.output, name=name)


def _int8(
    plain: onnx.ModelProto, scratch: Path, calibration: Calibration, kind: str
) -> onnx.ModelProto:
    """QDQ with uint8 activations and per-channel int8 weights of seven bits.

    On x86 processors without VNNI, a pair of products uint8 x int8 is summed in 16 bits and
    saturates; weights within 64 of zero cannot (2 * 255 * 64 = 32,640): see
    https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html, "reduce_range".
    """
    source, target = scratch / "float32.onnx", scratch / "int8.onnx"
    plain = _before_int8(plain)
    looked_up = functions(plain)
    onnx.save(plain, source)
    unit = {"scale": np.array(1.0, np.float32), "zero_point": np.array(0, np.uint8)}
    ranges: dict[str, list[dict[str, Any]]] = {}
    if calibration.method != "min-max":
        for name, (low, high) in activation_ranges(plain, calibration).items():
            ranges[name] = [{"rmin": np.float32(low), "rmax": np.float32(high)}]
    ranges |= {name: [dict(unit)] for name in _same_values_as_input(plain)}
    if kind == "probabilities":
        ranges[plain.graph.output[0].name] = [
            {"scale": np.array(PROBABILITY_SCALE), "zero_point": np.array(0, np.uint8)}
        ]
    quantization.quantize_static(
        source,
        target,
        _Reader(calibration.images_u8, plain),
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        nodes_to_exclude=_with_activations(plain, calibration.kept),
        op_types_to_quantize=[*QLinearOpsRegistry, *QDQRegistry, *LOOKED_UP] if looked_up else None,
        per_channel=True,
        reduce_range=True,
        extra_options={"TensorQuantOverrides": ranges},
    )
    model = onnx.load(target)
    look_up(model, looked_up)
    _take_uint8(model)
    _give_uint8(model)
    return model


class _Reader(quantization.CalibrationDataReader):
    def __init__(self, images_u8: np.ndarray, model: onnx.ModelProto) -> None:
        source = model.graph.input[0]
        dims = [d.dim_value for d in source.type.tensor_type.shape.dim[1:]]
        self._feeds = (
            {source.name: image.astype(np.float32).reshape(1, *dims)} for image in images_u8
        )

    def get_next(self) -> Any:
        """The next feed, or None after the last: the protocol of the base class."""
        return next(self._feeds, None)


def _same_values_as_input(model: onnx.ModelProto) -> list[str]:
    """The input and what shape-only operators make of it: tensors that hold raw pixels."""
    names = [model.graph.input[0].name]
    for node in model.graph.node:  # in topological order
        if node.op_type in SHAPE_ONLY and node.input[0] in names:
            names.append(node.output[0])
    return names


def _take_uint8(model: onnx.ModelProto) -> None:
    """Moves the first QuantizeLinear out of the model: the caller has uint8 pixels already."""
    pixels = _same_values_as_input(model)
    quantizers = [
        n for n in model.graph.node if n.op_type == "QuantizeLinear" and n.input[0] in pixels
    ]
    renamed = {n.output[0]: n.input[0] for n in quantizers}
    values = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    for node in quantizers:
        if values[node.input[1]] != 1 or values[node.input[2]] != 0:
            raise EdgestitchError(
                f"the quantizer gave the pixels scale {values[node.input[1]]}, expected 1",
                hint="this is a defect in edgestitch: please report it",
            )
        model.graph.node.remove(node)
    for node in model.graph.node:
        for k, name in enumerate(node.input):
            node.input[k] = renamed.get(name, name)
    _give_floats_to_what_stays_float(model, pixels)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    del model.graph.value_info[:]


def _give_floats_to_what_stays_float(model: onnx.ModelProto, pixels: list[str]) -> None:
    """A DequantizeLinear before the operators of precision mixed that take the pixels."""
    graph = model.graph
    takers = [n for n in graph.node if n.op_type not in (*SHAPE_ONLY, "DequantizeLinear")]
    taken = sorted({name for node in takers for name in node.input if name in pixels})
    for name in taken:
        given = f"{name}_float"
        for node in takers:
            node.input[:] = [given if n == name else n for n in node.input]
        step, zero = f"{name}_scale", f"{name}_zero_point"
        graph.initializer.append(onnx.numpy_helper.from_array(np.array(1, np.float32), step))
        graph.initializer.append(onnx.numpy_helper.from_array(np.array(0, np.uint8), zero))
        graph.node.append(
            onnx.helper.make_node("DequantizeLinear", [name, step, zero], [given], name=given)
        )


def _give_uint8(model: onnx.ModelProto) -> None:
    """Drops the last DequantizeLinear: the runtime reads the scale from the card."""
    output = model.graph.output[0]
    last = next(n for n in model.graph.node if output.name in n.output)
    if last.op_type != "DequantizeLinear":
        return
    model.graph.node.remove(last)
    output.name = last.input[0]
    output.type.tensor_type.elem_type = TensorProto.UINT8
