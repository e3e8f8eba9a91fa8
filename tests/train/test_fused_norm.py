"""Batch normalization by the fused kernel, against Keras's own layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


def normalized(layer: Any, images_u8: np.ndarray) -> dict[str, np.ndarray]:
    """What a step through `layer` gives: result, gradients, statistics, and a second's result."""
    import tensorflow as tf

    # Real images as activations of four channels: the quarters of each, far from mean 0.
    quarters = images_u8.reshape(-1, 2, 14, 2, 14).transpose(0, 2, 4, 1, 3).reshape(-1, 14, 14, 4)
    x = tf.constant(quarters, tf.float32) / 64
    toward = tf.constant(quarters[::-1].copy(), tf.float32) / 255
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
        loss = tf.reduce_sum(y * toward)
    gradients: Any = tape.gradient(loss, [x, *layer.trainable_variables])
    found = {"result": y} | {f"gradient {k}": g for k, g in enumerate(gradients)}
    found |= {v.path.rpartition("/")[2]: v for v in layer.non_trainable_variables}
    found["in use"] = layer(x)
    return {name: np.array(value) for name, value in found.items()}


@pytest.mark.parametrize("options", [{}, {"center": False}, {"scale": False, "epsilon": 0.1}])
def test_the_fused_layer_computes_what_keras_does(
    mini_train: tuple[np.ndarray, np.ndarray], options: dict[str, Any]
) -> None:
    import keras

    from edgestitch_train.fused_norm import FusedBatchNormalization, fuse

    layers, found = [], []
    for fused in (False, True):
        image = keras.Input((14, 14, 4))
        layer: Any = keras.layers.BatchNormalization(momentum=0.6, **options)
        inner = keras.Model(image, layer(image))
        model = keras.Sequential([keras.Input((14, 14, 4)), inner])
        layer.set_weights([w + 0.1 * k for k, w in enumerate(layer.get_weights(), 1)])
        if fused:
            fuse(model)
        layers.append(layer)
        found.append(normalized(layer, mini_train[0][:7]))  # few images: n / (n - 1) shows
    assert [type(x) for x in layers] == [keras.layers.BatchNormalization, FusedBatchNormalization]
    keras_own, mine = found
    assert len(mine) == 7 - ("center" in options) - ("scale" in options)
    for name, theirs in keras_own.items():
        largest = np.abs(theirs).max()
        assert np.abs(mine[name] - theirs).max() <= 2e-5 * largest, name


def test_a_layer_that_the_kernel_cannot_compute_stays() -> None:
    import keras

    from edgestitch_train.fused_norm import fuse

    batch_norm = keras.layers.BatchNormalization
    image = keras.Input((14, 14, 4))
    rows = keras.layers.Reshape((196, 4))
    stay = [batch_norm(axis=1), batch_norm(epsilon=1e-6), batch_norm(dtype="float16")]
    x = image
    for layer in stay:
        x = layer(x)
    on_rows = batch_norm()
    fuse(keras.Model(image, on_rows(rows(x))))
    assert {type(x) for x in (*stay, on_rows)} == {batch_norm}


def test_a_frozen_layer_keeps_its_statistics(mini_train: tuple[np.ndarray, np.ndarray]) -> None:
    import keras

    from edgestitch_train.fused_norm import fuse

    layer: Any = keras.layers.BatchNormalization(trainable=False)
    model = keras.Sequential([keras.Input((14, 14, 4)), layer])
    fuse(model)
    found = normalized(layer, mini_train[0][:7])
    assert (found["moving_mean"] == 0).all() and (found["moving_variance"] == 1).all()
