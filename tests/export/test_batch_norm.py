"""Folding of batch normalization against Keras's own computation of the model that has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgestitch_export.inference_model import for_inference


def with_statistics(model: Any, seed: int = 0) -> Any:
    """`model` with every weight drawn at random: statistics as of a training."""
    generator = np.random.default_rng(seed)
    for layer in model.layers:
        if hasattr(layer, "layers"):
            with_statistics(layer, seed + 1)
        elif layer.get_weights():
            positive = type(layer).__name__ == "BatchNormalization"
            layer.set_weights(
                [
                    generator.uniform(0.5, 2, w.shape)
                    if positive
                    else generator.normal(0, 0.3, w.shape)
                    for w in layer.get_weights()
                ]
            )
    return model


def stack(*layers: Any, shape: tuple[int, ...] = (28, 28, 1)) -> Any:
    import keras

    tail = [keras.layers.Flatten(), keras.layers.Dense(10)]
    return with_statistics(
        keras.Sequential([keras.Input(shape), keras.layers.Rescaling(1 / 255), *layers, *tail])
    )


def functional(body: Callable[[Any], Any]) -> Any:
    import keras

    image = keras.Input((28, 28, 1))
    x = body(keras.layers.Rescaling(1 / 255)(image))
    return with_statistics(keras.Model(image, keras.layers.Dense(10)(keras.layers.Flatten()(x))))


def kept(model: Any) -> int:
    """How many batch normalizations are still there, nested models' included."""
    return sum(
        kept(layer) if hasattr(layer, "layers") else type(layer).__name__ == "BatchNormalization"
        for layer in model.layers
    )


def cases() -> dict[str, tuple[Callable[[], Any], int]]:
    """Models by name, and how many of their normalizations cannot be folded."""
    from keras import Input, Model, Sequential, layers

    def shared() -> Any:
        conv = layers.Conv2D(1, 3, padding="same")

        def body(x: Any) -> Any:
            return layers.Add()([layers.BatchNormalization()(conv(x)), conv(layers.ReLU()(x))])

        return functional(body)

    def taken_twice() -> Any:
        def body(x: Any) -> Any:
            y = layers.Conv2D(4, 3)(x)
            return layers.Add()([y, layers.BatchNormalization()(y)])

        return functional(body)

    def one_norm_after_two() -> Any:
        norm = layers.BatchNormalization()

        def body(x: Any) -> Any:
            return layers.Add()([norm(layers.Conv2D(4, 3)(x)), norm(layers.Conv2D(4, 3)(x))])

        return functional(body)

    def nested() -> Any:
        inner = Sequential(
            [Input((28, 28, 1)), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()]
        )
        return stack(inner, layers.DepthwiseConv2D(3), layers.BatchNormalization())

    def residual() -> Any:
        def body(x: Any) -> Any:
            x = layers.Conv2D(4, 3, use_bias=False)(x)
            y = layers.DepthwiseConv2D(3, padding="same")(x)
            y = layers.BatchNormalization()(y)
            return layers.ReLU()(layers.Add()([x, y]))

        return functional(body)

    def shared_by_two_models() -> Any:
        conv = layers.Conv2D(1, 3, padding="same")

        def body(x: Any) -> Any:
            one = Sequential([Input((28, 28, 1)), conv, layers.BatchNormalization()])
            other = Sequential([Input((28, 28, 1)), conv, layers.ReLU()])
            return layers.Add()([one(x), other(x)])

        return functional(body)

    def before_an_activation() -> Any:
        def body(x: Any) -> Any:
            x = layers.Conv2D(4, 3, padding="same")(x)
            y = layers.Conv2D(4, 3, padding="same")(layers.ReLU()(layers.BatchNormalization()(x)))
            return x + y  # an operation, no layer

        return functional(body)

    def both_given_by_name() -> Any:
        def body(x: Any) -> Any:
            image = Input((28, 28, 1))
            y = layers.Conv2D(4, 3)(image)
            inner = Model(image, {"raw": y, "normed": layers.BatchNormalization()(y)})
            found: Any = inner(x)
            return layers.Add()([found["raw"], found["normed"]])

        return functional(body)

    def both_given_in_a_tuple() -> Any:
        def body(x: Any) -> Any:
            image = Input((28, 28, 1))
            y = layers.Conv2D(4, 3)(image)
            raw, normed = Model(image, (y, layers.BatchNormalization()(y)))(x)  # pyright: ignore
            return layers.Add()([raw, normed])

        return functional(body)

    def norm_of_two_models() -> Any:
        shared = layers.BatchNormalization()

        def body(x: Any) -> Any:
            one = Sequential([Input((28, 28, 1)), layers.Conv2D(1, 3, padding="same"), shared])
            other = Sequential([Input((28, 28, 1)), layers.ReLU(), shared])
            return layers.Add()([one(x), other(x)])

        return functional(body)

    def channels_first() -> Any:  # four channels, and four pixels in a row: the last axis
        conv = layers.Conv2D(4, 3, padding="same", data_format="channels_first")
        return stack(layers.Reshape((7, 28, 4)), conv, layers.BatchNormalization(axis=-1))

    norm = layers.BatchNormalization
    return {
        "conv without bias": (lambda: stack(layers.Conv2D(4, 3, use_bias=False), norm()), 0),
        "conv with bias": (lambda: stack(layers.Conv2D(4, 3, padding="same"), norm()), 0),
        "depthwise": (
            lambda: stack(layers.Conv2D(4, 3), layers.DepthwiseConv2D(3, use_bias=False), norm()),
            0,
        ),
        "depthwise of two": (
            lambda: stack(
                layers.Conv2D(3, 3), layers.DepthwiseConv2D(3, depth_multiplier=2), norm()
            ),
            0,
        ),
        "dense": (lambda: stack(layers.Flatten(), layers.Dense(16), norm()), 0),
        "neither scaled nor shifted": (
            lambda: stack(layers.Conv2D(4, 3), norm(scale=False, center=False)),
            0,
        ),
        "another epsilon": (lambda: stack(layers.Conv2D(4, 3), norm(epsilon=0.5)), 0),
        "residual": (residual, 0),
        "nested": (nested, 0),
        "after an activation": (lambda: stack(layers.Conv2D(4, 3, activation="relu"), norm()), 1),
        "before everything": (lambda: stack(norm(), layers.Conv2D(4, 3, padding="same")), 1),
        "after a pooling": (lambda: stack(layers.Conv2D(4, 3), layers.MaxPool2D(), norm()), 1),
        "on another axis": (lambda: stack(layers.Conv2D(4, 3), norm(axis=1)), 1),
        "a shared convolution": (shared, 1),
        "a convolution taken twice": (taken_twice, 1),
        "one normalization after two": (one_norm_after_two, 1),
        "a convolution in two nested models": (shared_by_two_models, 1),
        "a transposed convolution": (lambda: stack(layers.Conv2DTranspose(2, 3), norm()), 1),
        "through a dropout": (lambda: stack(layers.Conv2D(4, 3), layers.Dropout(0.5), norm()), 0),
        "through noise and a flip": (
            lambda: stack(
                layers.Conv2D(4, 3),
                layers.GaussianNoise(1.0),
                layers.RandomFlip("horizontal"),
                norm(),
            ),
            0,
        ),
        "a residual before the activation": (before_an_activation, 1),
        "a convolution given too, by name": (both_given_by_name, 1),
        "a convolution given too, in a tuple": (both_given_in_a_tuple, 1),
        "a normalization in two nested models": (norm_of_two_models, 2),
        "channels that come first": (channels_first, 1),
    }


NAMES = [
    "conv without bias", "conv with bias", "depthwise", "depthwise of two", "dense",
    "neither scaled nor shifted", "another epsilon", "residual", "nested", "after an activation",
    "before everything", "after a pooling", "on another axis", "a shared convolution",
    "a convolution taken twice", "one normalization after two",
    "a convolution in two nested models", "a transposed convolution", "through a dropout",
    "through noise and a flip", "a residual before the activation",
    "a convolution given too, by name", "a convolution given too, in a tuple",
    "a normalization in two nested models", "channels that come first",
]  # fmt: skip


def test_the_names_are_those_of_the_cases() -> None:
    assert list(cases()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_answers_stay_and_what_can_be_folded_is_gone(
    name: str, mini_test: tuple[np.ndarray, np.ndarray]
) -> None:
    build, stay = cases()[name]
    model = build()
    rewritten: Any = for_inference(model)
    images = mini_test[0][:64, :, :, None].astype(np.float32)
    expected = model.predict(images, verbose=0)
    found = rewritten.predict(images, verbose=0)
    assert np.abs(found - expected).max() < 1e-5 * max(1, np.abs(expected).max())
    assert np.abs(expected).max() > 0.1
    assert kept(rewritten) == stay
