"""Batch normalization folded into the layer before it: y = g (W x + b - m) / sqrt(v + e) + c.

At inference it is a product and a sum a channel, so W' = W g / sqrt(v + e) and
b' = (b - m) g / sqrt(v + e) + c give the same answers (Jacob et al., 2017, section 3.2,
https://arxiv.org/abs/1712.05877). Done here once for both formats: tf2onnx folds it into a
convolution, but leaves a Mul and an Add behind each depthwise one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

FOLDS_INTO = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def foldable(model: keras.Model) -> dict[int, keras.layers.BatchNormalization]:
    """The batch normalizations that fold, nested models' included, by `id` of the layer before.

    The layer before is a dense or convolutional one without an activation, called once, whose
    output nothing else takes; its channels are the last axis, and those that are normalized. Both
    stand in one model only: what another model shares may be followed by something else there.
    """
    places = Counter(id(layer) for _, layer in _placed(model))
    found: dict[int, keras.layers.BatchNormalization] = {}
    for owner, layer in _placed(model):
        if type(layer) in FOLDS_INTO and places[id(layer)] == 1 and _is_plain(layer):
            after = only_consumer(owner, layer)
            if type(after) is keras.layers.BatchNormalization and _on_last_axis(after):
                found[id(layer)] = after
    return {key: norm for key, norm in found.items() if places[id(norm)] == 1}


def _placed(model: keras.Model) -> Iterator[tuple[keras.Model, keras.layers.Layer]]:
    """Every layer in `model` and in the models nested in it, with the model that it stands in."""
    for layer in model.layers:
        yield model, layer
        if isinstance(layer, keras.Model):
            yield from _placed(layer)


def only_consumer(model: keras.Model, layer: keras.layers.Layer) -> keras.layers.Layer | None:
    """The layer that alone takes what `layer` gives; None when there is none or several.

    Also None when either is called more than once, as a shared layer is.
    """
    if isinstance(model, keras.Sequential):  # it calls its layers itself, more than once
        after = model.layers[model.layers.index(layer) + 1 :]
        return after[0] if after and model.layers.count(after[0]) == 1 else None
    if _calls(layer) != 1 or any(t is layer.output for t in tensors(model.output)):
        return None
    takers = [
        other
        for other in model.layers
        if any(t is layer.output for node in _nodes(other) for t in node.input_tensors)
    ]
    return takers[0] if len(takers) == 1 and _calls(takers[0]) == 1 else None


def folded_weights(
    layer: keras.layers.Layer, norm: keras.layers.BatchNormalization
) -> list[np.ndarray]:
    """Kernel and bias, float32, with which `layer` alone computes what it and `norm` do.

    The kernel keeps its shape; the bias is (channels,). Computed in float64.
    """
    either: Any = layer
    weights = [np.asarray(w, np.float64) for w in layer.get_weights()]
    kernel = weights[0]
    bias = weights[1] if either.use_bias else 0.0
    statistics: Any = norm
    mean, variance = (
        np.asarray(keras.ops.convert_to_numpy(v), np.float64)
        for v in (statistics.moving_mean, statistics.moving_variance)
    )
    factor = 1 / np.sqrt(variance + norm.epsilon)
    if statistics.scale:
        factor = factor * np.asarray(keras.ops.convert_to_numpy(statistics.gamma), np.float64)
    shift = np.zeros_like(mean)
    if statistics.center:
        shift = np.asarray(keras.ops.convert_to_numpy(statistics.beta), np.float64)
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    by_channel = factor.reshape(kernel.shape[2:]) if depthwise else factor
    return [
        (kernel * by_channel).astype(np.float32),
        ((bias - mean) * factor + shift).astype(np.float32),
    ]


def tensors(value: keras.KerasTensor | list[keras.KerasTensor]) -> list[keras.KerasTensor]:
    """One tensor or several, as a list."""
    return value if isinstance(value, list) else [value]


def _is_plain(layer: Any) -> bool:
    channels_last = getattr(layer, "data_format", "channels_last") == "channels_last"
    return layer.activation is keras.activations.linear and channels_last


def _on_last_axis(norm: keras.layers.BatchNormalization) -> bool:
    either: Any = norm
    return either.axis in (-1, either.input_spec.ndim - 1)


def _calls(layer: Any) -> int:
    return len(layer._inbound_nodes)


def _nodes(layer: Any) -> list[Any]:
    return layer._inbound_nodes
