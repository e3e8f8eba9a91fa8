"""Models that compute in half precision or take whole numbers, against what they answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from edgestitch_export import export
from edgestitch_export.float32_model import in_float32
from edgestitch_runtime import Classifier

Labelled = tuple[np.ndarray, np.ndarray]


def of(policy: str) -> Any:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return keras.Sequential(
            [keras.Input((28, 28, 1)), layers.Normalization(mean=72.9, variance=8100.0),
             layers.Conv2D(4, 3, strides=2), layers.BatchNormalization(), layers.ReLU(),
             layers.Flatten(), layers.Dense(10, activation="softmax")]
        )  # fmt: skip
    finally:
        keras.config.set_dtype_policy(before)


def of_bytes() -> Any:
    pixels = keras.Input((28, 28), dtype="uint8")
    reals: Any = keras.ops.cast(pixels, "float32")
    x = layers.Flatten()(reals / 255)
    return keras.Model(pixels, layers.Dense(10, activation="softmax")(x))


def wrapping() -> Any:
    pixels = keras.Input((28, 28), dtype="uint8")
    reals: Any = keras.ops.cast(pixels * 7, "float32")
    x = layers.Flatten()(reals / 255)
    return keras.Model(pixels, layers.Dense(10, activation="softmax")(x))


@pytest.mark.parametrize(
    ("make", "limit"),
    [(lambda: of("mixed_float16"), 0.01), (lambda: of("mixed_bfloat16"), 0.05), (of_bytes, 1e-6)],
    ids=["float16", "bfloat16", "uint8"],
)
def test_the_copy_is_of_float32_and_answers_as_the_model(
    mini_test: Labelled, make: Any, limit: float
) -> None:
    keras.utils.set_random_seed(0)
    model, images = make(), mini_test[0][:100]
    copy: Any = in_float32(model, images)
    assert {layer.compute_dtype for layer in copy.layers} == {copy.inputs[0].dtype} == {"float32"}
    shaped = images.reshape(-1, *model.inputs[0].shape[1:])
    expected = np.asarray(model(shaped), np.float32)
    assert np.abs(np.asarray(copy(shaped.astype(np.float32))) - expected).max() < limit


def test_a_model_of_float32_and_one_that_wraps_around_stay_as_they_are(mini_test: Labelled) -> None:
    for model in (of("float32"), wrapping()):
        assert in_float32(model, mini_test[0][:100]) is model


def test_a_model_of_mixed_precision_is_exported(
    mini_train: Labelled, mini_test: Labelled, tmp_path: Path
) -> None:
    keras.utils.set_random_seed(0)
    model, (images, labels), (test, truth) = of("mixed_float16"), mini_train, mini_test
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(images[:1200, :, :, None], labels[:1200], batch_size=20, verbose=0)
    model.save(tmp_path / "m.keras")
    np.savez(
        tmp_path / "d.npz", x_train=images[:500], y_train=labels[:500], x_test=test[:200],
        y_test=truth[:200],
    )  # fmt: skip
    expected = model.predict(test[:100, :, :, None], verbose=0).astype(np.float32)
    made = export(tmp_path / "m.keras", format="onnx", precision="int8", data=tmp_path / "d.npz")
    with Classifier.open(made.path) as classifier:
        assert np.abs(classifier.probabilities(test[:100]) - expected).max() < 0.1
    assert made.card["float_operators"] == []
