"""A Keras model with branches and shape arithmetic, as TensorFlow's converter writes it.

pytest finds it through `pythonpath` in pyproject.toml: `from branched_model import keras_model`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np


@functools.cache
def keras_model() -> Any:
    """Four branches, a shortcut, a transposed convolution, and Flatten at a free batch.

    Every weight is drawn: equal constants would share their bytes in a file.
    """
    import keras
    from keras import layers

    pixels = keras.Input((12, 10, 1), name="pixels")
    stem = layers.Conv2D(8, 3, activation="relu", name="stem")(pixels)
    one = layers.Conv2D(8, 1, activation="relu", name="one")(stem)
    two = layers.Conv2D(4, 1, name="two_a")(stem)
    two = layers.DepthwiseConv2D(3, padding="same", name="two_b")(two)
    three = layers.MaxPooling2D(3, 1, padding="same", name="three_a")(stem)
    three = layers.Conv2D(5, 1, name="three_b")(three)
    joined = layers.Concatenate(name="joined")([one, two, three])
    joined = layers.Conv2D(8, 3, padding="same", name="mixed")(joined)
    summed = layers.Add(name="summed")([joined, stem])
    up = layers.Conv2DTranspose(3, 2, strides=2, name="up")(summed)
    flat = layers.Flatten(name="flat")(up)
    scores = layers.Dense(10, activation="softmax", name="scores")(flat)
    model = keras.Model(pixels, scores)
    generator = np.random.default_rng(0)
    model.set_weights([generator.normal(0, 0.1, w.shape) for w in model.get_weights()])
    return model


def macs_of_keras() -> dict[str, int]:
    """Of each layer with weights its multiply-accumulates an image, from Keras's own shapes."""
    found = {}
    for layer in keras_model().layers:
        kind = type(layer).__name__
        if kind == "Conv2DTranspose":  # each input meets each weight
            found[layer.name] = int(np.prod(layer.input.shape[1:3]) * np.prod(layer.kernel.shape))
        elif kind in ("Conv2D", "DepthwiseConv2D"):
            places = int(np.prod(layer.output.shape[1:3]))
            found[layer.name] = places * int(np.prod(layer.kernel.shape))
        elif kind == "Dense":
            found[layer.name] = int(np.prod(layer.kernel.shape))
    return found


@functools.cache
def converted(precision: str) -> bytes:
    """The model as TensorFlow converts it: float32, dynamic, or int8 with float in and out."""
    import tensorflow as tf

    from edgestitch_runtime.native_output import quiet_native_output

    converter = tf.lite.TFLiteConverter.from_keras_model(keras_model())
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "int8":

        def some() -> Iterator[list[np.ndarray]]:
            for seed in range(20):
                yield [np.random.default_rng(seed).random((1, 12, 10, 1), np.float32) * 255]

        converter.representative_dataset = some
    with quiet_native_output():
        return converter.convert()
