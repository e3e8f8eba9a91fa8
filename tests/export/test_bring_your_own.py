"""Networks of the kinds that people bring: int8 TFLite and ONNX agree with Keras on real images.

Each is trained for a moment on the bundled sample, exported from its file, and `reference` is
compared with LiteRT's reference kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from keras import layers

from edgestitch_export.exporting import Exported, export_source
from edgestitch_export.source import Source, open_source
from edgestitch_runtime import Classifier

Labelled = tuple[np.ndarray, np.ndarray]
conv = layers.Conv2D


def chain(*body: Any, shape: tuple[int, ...] = (28, 28, 1), classes: int = 10) -> Any:
    return keras.Sequential(
        [keras.Input(shape), layers.Rescaling(1 / 255), *body, layers.Flatten(),
         layers.Dense(classes, activation="softmax")]
    )  # fmt: skip


def graph(body: Callable[[Any], Any]) -> Any:
    pixels = keras.Input((28, 28, 1))
    stem = conv(8, 3, strides=2, padding="same", activation="relu")
    x = body(stem(layers.Rescaling(1 / 255)(pixels)))
    return keras.Model(pixels, layers.Dense(10, activation="softmax")(layers.Flatten()(x)))


def residual(x: Any) -> Any:
    y = conv(8, 3, padding="same")(conv(8, 3, padding="same", activation="relu")(x))
    return layers.ReLU()(layers.Add()([x, y]))


def inception(x: Any) -> Any:
    pooled = layers.MaxPooling2D(3, strides=1, padding="same")(x)
    branches = [conv(4, 1)(x), conv(4, 3, padding="same")(x), conv(4, 1)(pooled)]
    return layers.ReLU()(layers.Concatenate()(branches))


def squeeze_and_excite(x: Any) -> Any:
    weight = layers.Dense(4, activation="relu")(layers.GlobalAveragePooling2D()(x))
    weight = layers.Reshape((1, 1, 8))(layers.Dense(8, activation="sigmoid")(weight))
    return layers.Multiply()([x, weight])


def two_heads() -> Any:
    pixels = keras.Input((28, 28, 1))
    x = layers.Dense(32, activation="relu")(layers.Flatten()(layers.Rescaling(1 / 255)(pixels)))
    heads = layers.Concatenate()([layers.Dense(6)(x), layers.Dense(4)(x)])
    return keras.Model(pixels, layers.Softmax()(heads))


def logits() -> Any:
    return keras.Sequential(
        [keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), conv(8, 3, strides=2), layers.ReLU(),
         layers.Flatten(), layers.Dense(10)]
    )  # fmt: skip


def lenet() -> Any:
    return chain(
        conv(6, 5, padding="same", activation="tanh"), layers.AveragePooling2D(2),
        conv(16, 5, activation="tanh"), layers.AveragePooling2D(2), layers.Flatten(),
        layers.Dense(32, activation="tanh"),
    )  # fmt: skip


def vgg() -> Any:
    return chain(
        conv(8, 3, padding="same", activation="relu"), layers.MaxPooling2D(2), layers.Dropout(0.2),
        conv(16, 3, padding="same", activation="relu"), layers.MaxPooling2D(2), layers.Flatten(),
        layers.Dense(32, activation="relu"), layers.Dropout(0.3),
    )  # fmt: skip


def separable() -> Any:
    return chain(
        conv(8, 3, strides=2, use_bias=False), layers.BatchNormalization(), layers.ReLU(6.0),
        layers.SeparableConv2D(16, 3, padding="same"), layers.ReLU(6.0),
    )  # fmt: skip


def dilated() -> Any:
    return chain(
        conv(8, 3, padding="same", dilation_rate=2, activation="relu"), layers.MaxPooling2D(2),
        conv(8, 3, dilation_rate=(2, 3), activation="relu"),
        layers.DepthwiseConv2D(3, padding="same", dilation_rate=2, activation="relu"),
    )  # fmt: skip


NETWORKS: dict[str, Callable[[], Any]] = {
    "mlp with sigmoid and tanh": lambda: chain(
        layers.Flatten(),
        layers.Dense(32, activation="sigmoid"),
        layers.Dense(32, activation="tanh"),
        shape=(28, 28),
    ),
    "LeNet with average pooling": lenet,
    "VGG-like with max pooling and dropout": vgg,
    "residual with ADD": lambda: graph(residual),
    "inception-like with CONCATENATION": lambda: graph(inception),
    "separable with ReLU6": separable,
    "LeakyReLU": lambda: chain(conv(8, 3, strides=2), layers.LeakyReLU(0.1)),
    "squeeze-and-excite": lambda: graph(squeeze_and_excite),
    "global max pooling": lambda: chain(
        conv(16, 5, strides=2, activation="relu"), layers.GlobalMaxPooling2D()
    ),
    "dilated convolutions": dilated,
    "GELU": lambda: chain(conv(8, 3, strides=2, activation="gelu")),
    "two Dense heads concatenated": two_heads,
    "logits at the end": logits,
    "two classes": lambda: chain(conv(4, 3, strides=2, activation="relu"), classes=2),
    "forty-seven classes": lambda: chain(conv(8, 3, strides=2, activation="relu"), classes=47),
}
HOLDS = {
    "mlp with sigmoid and tanh": {"LOGISTIC", "TANH"},
    "LeNet with average pooling": {"AVERAGE_POOL_2D"},
    "VGG-like with max pooling and dropout": {"MAX_POOL_2D"},
    "residual with ADD": {"ADD"},
    "inception-like with CONCATENATION": {"CONCATENATION"},
    "separable with ReLU6": {"DEPTHWISE_CONV_2D"},
    "LeakyReLU": {"LEAKY_RELU"},
    "squeeze-and-excite": {"MUL", "LOGISTIC"},
    "global max pooling": {"REDUCE_MAX"},
    "GELU": {"GELU"},
    "two Dense heads concatenated": {"CONCATENATION"},
}
IN_ONE_FORMAT = {"two classes": ["tflite"], "forty-seven classes": ["onnx"]}
BEYOND_THE_INTEGER_GRAPH = {"GELU": "GELU"}


def relabelled(labels: np.ndarray, classes: int) -> np.ndarray:
    """Labels of real images as so many classes: of 47, three each but for the last of 10."""
    if classes == 47:
        return (labels * 5 + np.arange(len(labels)) % 5).clip(0, 46)
    return labels % classes


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, mini_train: Labelled, mini_test: Labelled):
    """Opens the network of a name: trained for a moment, saved, and loaded as anyone's."""
    folder = tmp_path_factory.mktemp("brought")
    found: dict[str, Source] = {}

    def opened(name: str) -> Source:
        if name in found:
            return found[name]
        keras.utils.set_random_seed(0)
        model: Any = NETWORKS[name]()
        classes = int(model.output_shape[1])
        (images, labels), (test, truth) = mini_train, mini_test
        labels, truth = (relabelled(part, classes) for part in (labels, truth))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=name.startswith("logits"))
        model.compile(keras.optimizers.Adam(3e-3), loss)
        model.fit(shaped(model, images[:1600]), labels[:1600], batch_size=20, verbose=0)
        data = folder / f"{classes}.npz"
        np.savez(
            data, x_train=images[:500], y_train=labels[:500], x_test=test[:200], y_test=truth[:200]
        )
        path = folder / f"network-{len(found)}.keras"
        model.save(path)
        found[name] = open_source(path, data=data)
        return found[name]

    return opened


def shaped(model: Any, images_u8: np.ndarray) -> np.ndarray:
    return images_u8.astype(np.float32).reshape(-1, *model.input_shape[1:])


def exported(source: Source, format_: str, out: Path) -> Exported:
    return export_source(
        source,
        format=format_,
        precision="int8",
        name=None,
        out=out,
        calibration_images=60,
        seed=0,
        overwrite=False,
    )


def reference_kernels(path: Path, images_u8: np.ndarray) -> np.ndarray:
    """What LiteRT's BUILTIN_REF kernels give, (n, classes) int8."""
    opened: Any = Interpreter(
        str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1
    )
    opened.allocate_tensors()
    into, out = opened.get_input_details()[0], opened.get_output_details()[0]
    rows = []
    for image in images_u8:
        codes = (image.astype(np.int16) - 128).astype(np.int8)
        opened.set_tensor(into["index"], codes.reshape(into["shape"]))
        opened.invoke()
        rows.append(opened.get_tensor(out["index"])[0])
    return np.stack(rows)


@pytest.mark.parametrize("name", NETWORKS)
def test_int8_of_both_formats_agrees_with_keras(
    source: Callable[[str], Source], mini_test: Labelled, tmp_path: Path, name: str
) -> None:
    opened = source(name)
    images = mini_test[0][:200]
    model: Any = opened.model
    expected = model.predict(shaped(model, images), verbose=0)
    if name.startswith("logits"):
        expected = np.exp(expected - expected.max(axis=1, keepdims=True))
        expected /= expected.sum(axis=1, keepdims=True)
    for format_ in IN_ONE_FORMAT.get(name, ["tflite", "onnx"]):
        made = exported(opened, format_, tmp_path)
        with Classifier.open(made.path) as classifier:
            rows = classifier.probabilities(images)
        assert np.corrcoef(rows.ravel(), expected.ravel())[0, 1] > 0.99, format_
        assert np.abs(rows - expected).mean() < 0.1 * expected.std(), format_
        assert (rows.argmax(axis=1) != expected.argmax(axis=1)).mean() < 0.1, format_
        assert made.card.get("float_operators", []) == []
        if format_ == "tflite":
            assert set(made.card["operators"]) >= HOLDS.get(name, set())
            _runs_on_reference(name, made, images[:30])
        if (name, format_) == ("dilated convolutions", "tflite"):  # each is one operator
            kinds = made.card["operators"]
            assert (kinds.count("CONV_2D"), kinds.count("DEPTHWISE_CONV_2D")) == (2, 1)
            assert not {"SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "PAD"} & set(kinds)


def _runs_on_reference(name: str, made: Exported, images_u8: np.ndarray) -> None:
    told = made.card["reference"]
    if name in BEYOND_THE_INTEGER_GRAPH:
        assert f"{BEYOND_THE_INTEGER_GRAPH[name]} (" in told["refuses"]
        assert "is not in the integer graph" in told["refuses"]
        return
    with Classifier.open(made.path, engine="reference") as classifier:
        scores = classifier.scores(images_u8)
    np.testing.assert_array_equal(scores, reference_kernels(made.path, images_u8))
