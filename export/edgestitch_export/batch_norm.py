"""Batch normalization folded into the layer before it: y = g (W x + b - m) / sqrt(v + e) + c.

At inference it is a product and a sum a channel, so W' = W g / sqrt(v + e) and
b' = (b - m) g / sqrt(v + e) + c give the same answers (Jacob et al., 2017, section 3.2,
https://arxiv.org/abs/1712.05877). Done here once for both formats: tf2onnx folds it into a
convolution, but leaves a Mul and an Add behind each depthwise one.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from .placement import TRAINING_ONLY, consumer_past, placed, places

FOLDS_INTO = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def foldable(model: keras.Model) -> dict[int, keras.layers.BatchNormalization]:
    """The batch normalizations that fold, nested models' included, by `id` of the layer before.

    The layer before is a dense or convolutional one without an activation, called once, whose
    output nothing else takes; its channels are the last axis, and those that are normalized. Both
    stand in one model only: what another model shares may be followed by something else there.
    What acts in training only may stand between.
    """
    standing = places(model)
    found: dict[int, keras.layers.BatchNormalization] = {}
    for owner, layer in placed(model):
        if type(layer) in FOLDS_INTO and standing[id(layer)] == 1 and _is_plain(layer):
            after = consumer_past(owner, layer, TRAINING_ONLY)
            if type(after) is keras.layers.BatchNormalization and _on_last_axis(after):
                found[id(layer)] = after
    return {key: norm for key, norm in found.items() if standing[id(norm)] == 1}


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


def _is_plain(layer: Any) -> bool:
    channels_last = getattr(layer, "data_format", "channels_last") == "channels_last"
    return layer.activation is keras.activations.linear and channels_last


def _on_last_axis(norm: keras.layers.BatchNormalization) -> bool:
    either: Any = norm
    return either.axis in (-1, either.input_spec.ndim - 1)
