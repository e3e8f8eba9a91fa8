"""Pooling over a whole picture, in the forms that ONNX Runtime has integer kernels for."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

_OF_PIXELS = {"ReduceMean": [1, 2], "ReduceMax": [1, 2]}  # channels last: rows and columns


def pool_in_integers(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `model` with whole pictures pooled by GlobalAveragePool and MaxPool alone.

    tf2onnx leaves ReduceMean and ReduceMax over rows and columns where channels come last, and
    GlobalMaxPool; ONNX Runtime computes all three in float.
    """
    inferred = onnx.shape_inference.infer_shapes(model)
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*inferred.graph.value_info, *inferred.graph.input)
    }
    pooled = onnx.ModelProto()
    pooled.CopyFrom(model)
    del pooled.graph.node[:]
    for node in model.graph.node:
        pooled.graph.node.extend(_in_integers(node, shapes.get(node.input[0], []), pooled.graph))
    return pooled


def _in_integers(
    node: onnx.NodeProto, shape: list[int], graph: onnx.GraphProto
) -> list[onnx.NodeProto]:
    if len(shape) != 4 or 0 in shape[1:]:
        return [node]
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type == "GlobalMaxPool":
        return [_largest(node.input[0], node.output[0], shape[2:])]
    if list(given.get("axes", [])) != _OF_PIXELS.get(node.op_type):
        return [node]
    first, pooled = f"{node.output[0]}_channels_first", f"{node.output[0]}_pooled"
    nodes = [helper.make_node("Transpose", [node.input[0]], [first], first, perm=[0, 3, 1, 2])]
    if node.op_type == "ReduceMax":
        nodes.append(_largest(first, pooled, shape[1:3]))
    else:
        nodes.append(helper.make_node("GlobalAveragePool", [first], [pooled], pooled))
    if given.get("keepdims", 1):
        end = helper.make_node("Transpose", [pooled], node.output, node.name, perm=[0, 2, 3, 1])
    else:
        axes = numpy_helper.from_array(np.array([2, 3]), f"{pooled}_axes")
        graph.initializer.append(axes)
        end = helper.make_node("Squeeze", [pooled, axes.name], node.output, node.name)
    return [*nodes, end]


def _largest(source: str, target: str, window: list[int]) -> onnx.NodeProto:
    return helper.make_node("MaxPool", [source], [target], target, kernel_shape=window)
