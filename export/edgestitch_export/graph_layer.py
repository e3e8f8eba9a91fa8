"""A TensorFlow graph as one Keras layer, with the shapes in it constant but for the batch.

A SavedModel is nothing but a graph, and a layer of the user's own may compute what it likes. What
the converters cannot take in such a graph is rewritten here: a shape that is computed from the
batch's size, and a dilated convolution that TensorFlow spells as one of smaller images.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2,
)

from .frozen_graph import frozen_function


@keras.saving.register_keras_serializable(package="edgestitch")
class GraphLayer(keras.layers.Layer):
    """Calls a concrete function of one tensor: (n, ...) float32 to (n, *target)."""

    def __init__(self, function: Any, target: tuple[int | None, ...], name: str) -> None:
        super().__init__(name=name, trainable=False)
        self._function = function
        self._target = target

    def call(self, inputs: Any) -> Any:
        found: Any = tf.nest.flatten(self._function(inputs))
        return tf.ensure_shape(found[0], (None, *self._target))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *self._target)


def graph_model(function: Any, shape: tuple[int, ...], target: tuple[int | None, ...]) -> Any:
    """A Keras model that is `function`, of images (n, *shape) to (n, *target)."""
    pixels = keras.Input(shape)
    return keras.Model(pixels, GraphLayer(function, target, "graph")(pixels))


def as_graph(model: keras.Model) -> keras.Model:
    """`model` as a graph whose weights, and whose shapes but for the batch, are constant."""
    frozen = frozen_function(model, fixed_input_range="none")
    (source,), (answer,) = frozen.inputs, frozen.outputs
    graph = frozen.graph.as_graph_def()
    _dilate(graph)
    _settle_shapes(graph, source.name, source.shape)
    function = _function(graph, source.name, [answer.name])
    return graph_model(function, tuple(source.shape[1:]), tuple(answer.shape[1:]))


def freeze(function: Any) -> Any:
    """A SavedModel's function with its variables made constants."""
    return convert_variables_to_constants_v2(function)


def _function(graph: Any, feed: str, fetches: list[str]) -> Any:
    wrapped: Any = tf.compat.v1.wrap_function(
        lambda: tf.import_graph_def(graph, name=""), signature=[]
    )
    found = [wrapped.graph.get_tensor_by_name(name) for name in fetches]
    return wrapped.prune(wrapped.graph.get_tensor_by_name(feed), found)


def _settle_shapes(graph: Any, feed: str, image: tf.TensorShape) -> None:
    """Gives each Reshape whose shape is computed at run time a constant one, -1 for the batch.

    The shape is measured with 2 and with 3 images: what grows in step with them is the batch.
    """
    nodes = {node.name: node for node in graph.node}
    moving = [
        node
        for node in graph.node
        if node.op == "Reshape" and nodes[_maker(node.input[1])].op != "Const"
    ]
    if not moving:
        return
    names = [node.input[1] if ":" in node.input[1] else f"{node.input[1]}:0" for node in moving]
    measure = _function(graph, feed, names)
    two, three = (
        [np.asarray(t) for t in measure(tf.zeros((n, *image[1:]), tf.float32))] for n in (2, 3)
    )
    for node, small, large in zip(moving, two, three, strict=True):
        grown = np.flatnonzero(small != large)
        if len(grown) > 1 or (len(grown) and small[grown[0]] * 3 != large[grown[0]] * 2):
            continue  # the check of what was written names it
        settled = small.copy()
        settled[grown] = -1
        constant = _constant(graph, f"{node.name}/settled/shape", settled)
        node.input[1] = constant.name
        node.attr["Tshape"].type = constant.attr["dtype"].type


def _dilate(graph: Any) -> None:
    """SpaceToBatchND, a convolution, BatchToSpaceND: made one convolution with dilations.

    Source: `with_space_to_batch` in tensorflow/python/ops/nn_ops.py, which makes the three; its
    paddings less its crops are what the one pads with.
    """
    nodes = {node.name: node for node in graph.node}
    for after in list(graph.node):
        if after.op != "BatchToSpaceND":
            continue
        convolution = nodes[_maker(after.input[0])]
        before = nodes[_maker(convolution.input[0])] if convolution.input else convolution
        if before.op != "SpaceToBatchND" or convolution.op not in _DILATED:
            continue
        rest = [*before.input[1:], *after.input[1:]]
        values = [nodes[_maker(name)] for name in rest]
        if any(node.op != "Const" for node in values):
            continue
        block, pads, block_after, crops = (
            tf.make_ndarray(node.attr["value"].tensor) for node in values
        )
        if len(block) != 2 or (block != block_after).any() or (pads < crops).any():
            continue
        dilated = graph.node.add()
        dilated.CopyFrom(convolution)
        dilated.name = f"{after.name}/dilated"
        dilated.input[0] = _padded(graph, before, pads - crops)
        dilated.attr["dilations"].list.i[:] = [1, *(int(n) for n in block), 1]
        for node in graph.node:
            for k, name in enumerate(node.input):
                if name == after.name:
                    node.input[k] = dilated.name


def _padded(graph: Any, before: Any, pads: np.ndarray) -> str:
    """The name of what a SpaceToBatchND takes, with `pads`, (2, 2), rows and columns of zeros."""
    if not pads.any():
        return before.input[0]
    whole = np.zeros((4, 2), np.int32)
    whole[1:3] = pads
    padding = _constant(graph, f"{before.name}/padded/by", whole)
    padded = graph.node.add(op="Pad", name=f"{before.name}/padded")
    padded.input.extend([before.input[0], padding.name])
    padded.attr["T"].type = before.attr["T"].type
    padded.attr["Tpaddings"].type = padding.attr["dtype"].type
    return padded.name


def _constant(graph: Any, name: str, value: np.ndarray) -> Any:
    node = graph.node.add(op="Const", name=name)
    node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    return node


_DILATED = ("Conv2D", "DepthwiseConv2dNative")


def _maker(name: str) -> str:
    return name.removeprefix("^").split(":")[0]
