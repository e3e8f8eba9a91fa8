"""Batch normalization by TensorFlow's fused kernel: what Keras's layer computes, in less time.

Keras 3 composes it of some dozen operations, each a pass over the activations: on a CPU that is
more than half of a small convolutional network's training.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from .layers import all_layers

LEAST_EPSILON = 1.001e-5  # TensorFlow's kernel takes this instead of a smaller one


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's layer of the same weights, for images with the channels last in float32."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not (training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        own: Any = self
        channels = inputs.shape[-1]
        result, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            own.gamma if own.scale else tf.ones(channels),
            own.beta if own.center else tf.zeros(channels),
            epsilon=own.epsilon,
            is_training=True,
        )
        # The kernel's variance is the sample's, n / (n - 1) times the one that Keras averages.
        n = tf.cast(tf.size(inputs) // channels, tf.float32)
        for moving, new in (
            (own.moving_mean, mean),
            (own.moving_variance, variance * ((n - 1) / n)),
        ):
            moving.assign(moving * own.momentum + new * (1 - own.momentum))
        return result


def fuse(model: keras.Model) -> None:
    """Makes every batch normalization in `model`, nested models' included, the fused one.

    In place and with the weights it has, since a copy would part layers that two models share.
    One that the kernel cannot compute stays as it is.
    """
    for layer in all_layers(model):
        if type(layer) is keras.layers.BatchNormalization and _can_be_fused(layer):
            layer.__class__ = FusedBatchNormalization


def _can_be_fused(layer: Any) -> bool:
    return (
        layer.built
        and layer.input_spec.ndim == 4
        and layer.axis in (-1, 3)
        and layer.compute_dtype == "float32"
        and layer.epsilon >= LEAST_EPSILON
        and not (layer.renorm or layer.synchronized)
    )
