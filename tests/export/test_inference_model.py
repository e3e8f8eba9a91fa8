from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from edgestitch_export.inference_model import check_classifier, for_inference
from edgestitch_runtime.errors import EdgestitchError


def built(*stack, shape=(28, 28)):
    model = keras.Sequential([keras.Input(shape), *stack])
    generator = np.random.default_rng(0)
    for layer in model.layers:  # biases too, so that a lost one shows
        layer.set_weights([generator.normal(0, 0.1, w.shape) for w in layer.get_weights()])
    return model


def kinds(model) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


CONVERTED = {
    "dense": built(layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(5)),
    "dense with offset": built(
        layers.Rescaling(1 / 127.5, -1.0), layers.Flatten(), layers.Dense(5)
    ),
    "dropout between": built(
        layers.Rescaling(1 / 255), layers.Flatten(), layers.Dropout(0.5), layers.Dense(5)
    ),
    "valid convolution with offset": built(
        layers.Reshape((28, 28, 1)),
        layers.Rescaling(1 / 127.5, -1.0),
        layers.Conv2D(3, 3),
        layers.Flatten(),
        layers.Dense(5),
    ),
    "same convolution": built(
        layers.Rescaling(1 / 255),
        layers.Conv2D(3, 3, padding="same"),
        layers.Flatten(),
        layers.Dense(5),
        shape=(28, 28, 1),
    ),
    "depthwise with offset": built(
        layers.Rescaling(1 / 255, 0.25),
        layers.DepthwiseConv2D(3, depth_multiplier=2),
        layers.Flatten(),
        layers.Dense(5),
        shape=(28, 28, 1),
    ),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_scaling_is_folded_and_no_answer_changes(name, mini_test):
    model = CONVERTED[name]
    rewritten = for_inference(model)
    assert "Rescaling" not in kinds(rewritten)
    assert "Dropout" not in kinds(rewritten)
    assert "Flatten" not in kinds(rewritten)
    images = mini_test[0][:20].astype(np.float32).reshape(-1, *model.inputs[0].shape[1:])
    expected = np.asarray(model(images))
    np.testing.assert_allclose(np.asarray(rewritten(images)), expected, rtol=2e-4, atol=2e-4)


def test_an_offset_before_a_padded_convolution_is_left_alone(mini_test):
    model = built(
        layers.Rescaling(1 / 127.5, -1.0),
        layers.Conv2D(3, 3, padding="same"),
        layers.Flatten(),
        layers.Dense(5),
        shape=(28, 28, 1),
    )
    rewritten = for_inference(model)
    assert "Rescaling" in kinds(rewritten)
    images = mini_test[0][:20].astype(np.float32)[..., None]
    np.testing.assert_allclose(np.asarray(rewritten(images)), np.asarray(model(images)), atol=1e-4)


def test_scaling_that_two_layers_take_is_left_alone(mini_test):
    pixels = keras.Input((28, 28))
    scaled = layers.Flatten()(layers.Rescaling(1 / 255)(pixels))
    model = keras.Model(pixels, layers.Add()([layers.Dense(4)(scaled), layers.Dense(4)(scaled)]))
    rewritten = for_inference(model)
    assert "Rescaling" in kinds(rewritten)
    images = mini_test[0][:20].astype(np.float32)
    np.testing.assert_allclose(np.asarray(rewritten(images)), np.asarray(model(images)), atol=1e-4)


def test_a_functional_model_is_folded_too(mini_test):
    pixels = keras.Input((28, 28))
    hidden = layers.Dense(8, activation="relu")(layers.Flatten()(layers.Rescaling(1 / 255)(pixels)))
    model = keras.Model(pixels, layers.Dense(4)(hidden))
    rewritten = for_inference(model)
    assert "Rescaling" not in kinds(rewritten)
    images = mini_test[0][:20].astype(np.float32)
    np.testing.assert_allclose(np.asarray(rewritten(images)), np.asarray(model(images)), atol=1e-4)


def same_answers(model, rewritten, images_u8) -> None:
    images = images_u8.astype(np.float32).reshape(-1, *model.inputs[0].shape[1:])
    expected = model.predict(images, verbose=0)
    found = rewritten.predict(images, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4 * np.abs(expected).max())
    assert np.abs(expected).max() > 0.1


def test_scaling_that_an_operation_takes_too_is_left_alone(mini_test):
    pixels = keras.Input((28, 28, 1))
    scaled = layers.Rescaling(1 / 255)(pixels)
    both = layers.Conv2D(1, 3, padding="same")(scaled) + scaled  # an operation, no layer
    model = keras.Model(pixels, layers.Dense(4)(layers.Flatten()(both)))
    rewritten = for_inference(model)
    assert "Rescaling" in kinds(rewritten)
    same_answers(model, rewritten, mini_test[0][:20])


def test_scaling_before_a_layer_that_stands_in_a_nested_model_too_is_left_alone(mini_test):
    shared = layers.Conv2D(1, 3, padding="same")
    inner = keras.Sequential([keras.Input((28, 28, 1)), shared, layers.Flatten(), layers.Dense(10)])
    model = built(layers.Rescaling(1 / 255), shared, inner, shape=(28, 28, 1))
    rewritten = for_inference(model)
    assert "Rescaling" in kinds(rewritten)
    same_answers(model, rewritten, mini_test[0][:20])


def test_a_scaling_that_stands_in_a_nested_model_too_is_left_alone(mini_test):
    scaling = layers.Rescaling(1 / 16)
    inner = keras.Sequential([keras.Input((28, 28, 1)), scaling, layers.Flatten(), layers.Dense(9)])
    first = layers.Conv2D(1, 3, padding="same")
    model = built(scaling, first, inner, shape=(28, 28, 1))
    same_answers(model, for_inference(model), mini_test[0][:20])


def test_an_adapted_normalization_keeps_its_statistics(mini_test):
    adapted: Any = layers.Normalization(axis=None)  # pyright: ignore[reportArgumentType]
    adapted.adapt(mini_test[0].astype(np.float32))
    model = keras.Sequential([keras.Input((28, 28)), adapted, layers.Flatten(), layers.Dense(5)])
    rewritten = for_inference(model)
    same_answers(model, rewritten, mini_test[0][:20])
    assert kinds(rewritten) == ["Identity", "BatchReshape", "Dense"]  # one mean is a scaling
    padded = built(
        layers.Normalization(mean=72.9, variance=8100.0),
        layers.Conv2D(3, 3, padding="same"),
        layers.Flatten(),
        layers.Dense(5),
        shape=(28, 28, 1),
    )
    assert kinds(for_inference(padded))[0] == "Rescaling"
    same_answers(padded, for_inference(padded), mini_test[0][:20])
    columns: Any = layers.Normalization()  # of (28, 28): a mean for each column
    columns.adapt(mini_test[0].astype(np.float32))
    model = keras.Sequential([keras.Input((28, 28)), columns, layers.Flatten(), layers.Dense(5)])
    same_answers(model, for_inference(model), mini_test[0][:20])


def two_shapes(flatten):
    """A convolutional model in which one layer takes two images of different sizes."""
    pixels = keras.Input((28, 28, 1))
    x = layers.Rescaling(1 / 255)(pixels)
    taken = [flatten(layers.Conv2D(4, 3, strides=k, activation="relu")(x)) for k in (1, 2)]
    return keras.Model(pixels, layers.Dense(10)(layers.Concatenate()(taken)))


@pytest.mark.parametrize("flatten", [layers.Flatten, lambda: layers.Reshape((-1,))])
def test_a_layer_that_flattens_two_shapes_flattens_each(flatten, mini_test):
    model = two_shapes(flatten())
    rewritten = for_inference(model)
    assert not {"Flatten", "Reshape"} & set(kinds(rewritten))
    same_answers(model, rewritten, mini_test[0][:20])


def test_a_reshape_keeps_its_target_and_works_out_what_is_left_over(mini_test):
    model = built(
        layers.Rescaling(1 / 255),
        layers.Reshape((14, -1, 2)),
        layers.Conv2D(3, 3),
        layers.Reshape((3, -1)),
        layers.Flatten(),
        layers.Dense(5),
    )
    rewritten = for_inference(model)
    shapes = [x.output.shape for x in rewritten.layers if type(x).__name__ == "BatchReshape"]
    assert shapes == [(None, 14, 28, 2), (None, 3, 312), (None, 936)]
    same_answers(model, rewritten, mini_test[0][:20])


def test_a_flatten_that_transposes_is_left_alone(mini_test):
    model = built(
        layers.Rescaling(1 / 255),
        layers.Conv2D(3, 3),
        layers.Flatten(data_format="channels_first"),
        layers.Dense(5),
        shape=(28, 28, 1),
    )
    rewritten = for_inference(model)
    assert "Flatten" in kinds(rewritten)
    same_answers(model, rewritten, mini_test[0][:20])


def test_what_keras_cannot_copy_is_told_in_one_line(monkeypatch):
    def broken(*args, **more):
        raise ValueError("no\ncopy")

    monkeypatch.setattr(keras.models, "clone_model", broken)
    with pytest.raises(EdgestitchError, match="cannot be rewritten for inference: no copy"):
        for_inference(CONVERTED["dense"])


def test_the_model_given_is_not_changed(mini_test):
    model = CONVERTED["dense"]
    before = [w.copy() for w in model.get_weights()]
    for_inference(model)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        ([layers.Dense(4, "softmax")], "probabilities"),
        ([layers.Dense(4), layers.Softmax()], "probabilities"),
        ([keras.Sequential([keras.Input((784,)), layers.Dense(4, "softmax")])], "probabilities"),
        ([layers.Dense(4, "sigmoid")], "probabilities"),
        ([layers.Dense(4)], "logits"),
    ],
    ids=["softmax", "softmax layer", "nested softmax", "sigmoid", "logits"],
)
def test_the_kind_of_output_is_measured_not_read_off_the_last_layer(head, kind, mini_train):
    from edgestitch_export.answers import output_kind

    model = built(layers.Rescaling(1 / 255), layers.Flatten(), *head)
    assert output_kind(model, mini_train[0][:200]) == kind


def _two_inputs():
    a, b = keras.Input((28, 28)), keras.Input((28, 28))
    return keras.Model([a, b], layers.Dense(3)(layers.Flatten()(layers.Add()([a, b]))))


def _not_finite():
    model = built(layers.Flatten(), layers.Dense(3))
    model.layers[-1].set_weights([np.full((784, 3), np.nan), np.zeros(3)])
    return model


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_two_inputs, "2 inputs"),
        (lambda: built(layers.Flatten(), layers.Dense(3), shape=(28, 28, 3)), "28, 28, 3"),
        (lambda: built(layers.Flatten(), layers.Dense(3), shape=(224, 224)), "64 pixels"),
        (lambda: built(layers.Dense(3)), "classes"),
        (lambda: built(layers.Flatten(), layers.Dense(1)), "at least 2 classes"),
        (_not_finite, "not finite"),
        (lambda: keras.Sequential([layers.Flatten(), layers.Dense(3)]), "no fixed input"),
    ],
)
def test_what_is_no_small_gray_classifier_is_refused(make, said):
    with pytest.raises(EdgestitchError, match=said) as caught:
        check_classifier(make(), Path("x.keras"))
    assert caught.value.hint
