"""Networks unlike those that ship: they agree with Keras at int8, or are refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from keras import layers

from edgestitch_export import onnx_contract
from edgestitch_export import source as opening
from edgestitch_export.exporting import export_source
from edgestitch_export.formats import FORMATS
from edgestitch_export.source import Source, open_source
from edgestitch_runtime import Classifier, EdgestitchError

TRAIN = Path(__file__).parents[2] / "train" / "edgestitch_train"
Labelled = tuple[np.ndarray, np.ndarray]


def of(*body: Any) -> Any:
    """A network of a few layers between the scaling and the classes."""
    head = [layers.GlobalAveragePooling2D(), layers.Dense(10, activation="softmax")]
    return keras.Sequential([keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), *body, *head])


def residual(*, norm: str, most: float | None) -> Any:
    """Two residual blocks, the activation before the convolution and the sum after it.

    `norm` is where a batch normalization stands: "before activations", "of the stem" or "nowhere".
    """
    pixels = keras.Input((28, 28, 1))
    x = layers.Conv2D(16, 3, strides=2, padding="same")(layers.Rescaling(1 / 255)(pixels))
    if norm == "of the stem":
        x = layers.BatchNormalization()(x)
    for _ in range(2):
        y = layers.BatchNormalization()(x) if norm == "before activations" else x
        y = layers.ReLU(max_value=most)(y)
        x = x + layers.Conv2D(16, 3, padding="same")(y)
    x = layers.GlobalAveragePooling2D()(layers.ReLU(max_value=most)(x))
    return keras.Model(pixels, layers.Dense(10, activation="softmax")(x))


def flattened_twice() -> Any:
    pixels = keras.Input((28, 28, 1))
    x = layers.Rescaling(1 / 255)(pixels)
    flatten = layers.Flatten()
    taken = [flatten(layers.Conv2D(4, 3, strides=k, activation="relu")(x)) for k in (1, 2)]
    return keras.Model(pixels, layers.Dense(10, "softmax")(layers.Concatenate()(taken)))


conv, deconv, norm = layers.Conv2D, layers.Conv2DTranspose, layers.BatchNormalization
NETWORKS: dict[str, Callable[[], Any]] = {
    f"{where}, {'ReLU' if most is None else 'ReLU6'}": (
        lambda where=where, most=most: residual(norm=where, most=most)
    )
    for where in ("before activations", "of the stem", "nowhere")
    for most in (None, 6.0)
}
NETWORKS |= {
    "a norm after an activation": lambda: of(conv(16, 3, strides=2, activation="relu"), norm()),
    "a norm before a convolution": lambda: of(norm(), conv(16, 3, strides=2, activation="relu")),
    "a norm on axis 1": lambda: of(conv(16, 3, strides=2), norm(axis=1), layers.ReLU()),
    "a layer that flattens two shapes": flattened_twice,
    "a norm after a transposed convolution": lambda: of(
        conv(8, 3, strides=2), deconv(8, 3, strides=2), norm(), layers.ReLU()
    ),
    "a transposed convolution": lambda: of(
        conv(8, 3, strides=2, activation="relu"), deconv(8, 3, strides=2, activation="relu")
    ),
}
# What cannot be made at int8, and the reason that is told.
TRANSPOSED = {
    "tflite": "TRANSPOSE_CONV takes a shape that is computed at run time",
    "onnx": "ONNX Runtime leaves ConvTranspose in float",
}
REFUSED = {
    "a norm after a transposed convolution": TRANSPOSED,
    "a transposed convolution": TRANSPOSED,
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory, mini_train: Labelled) -> dict[str, Source]:
    """Each network, trained for an epoch with a few images, and its data."""
    folder = tmp_path_factory.mktemp("others")
    found = {}
    images, labels = mini_train
    for name, make in NETWORKS.items():
        keras.utils.set_random_seed(0)
        model: Any = make()
        model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
        model.fit(images[:1500, :, :, None], labels[:1500], batch_size=16, verbose=0)
        for layer in model.layers:
            if isinstance(layer, norm):  # moving statistics as of a longer training
                gamma, beta, mean, variance = layer.get_weights()
                layer.set_weights([gamma * 1.2, beta + 0.1, mean, variance * 0 + 0.5])
        path = folder / f"{len(found)}.keras"
        model.save(path)
        with pytest.MonkeyPatch.context() as patch:  # of some the norms leave little
            patch.setattr(opening, "check_scaling", lambda *given: None)
            found[name] = open_source(path, data=TRAIN / "fashion_mnist_mini")
    return found


def exported(source: Source, format_: str, precision: str, out: Path) -> Path:
    return export_source(
        source,
        format=format_,
        precision=precision,
        name=None,
        out=out,
        calibration_images=200,
        seed=0,
        overwrite=False,
    ).path


def pairs(*, refused: bool) -> list[tuple[str, str]]:
    return [
        (name, format_)
        for name in NETWORKS
        for format_ in FORMATS
        if (format_ in REFUSED.get(name, {})) == refused
    ]


@pytest.mark.parametrize(("name", "format_"), pairs(refused=False))
def test_int8_agrees_with_keras(
    sources: dict[str, Source], mini_test: Labelled, tmp_path: Path, name: str, format_: str
) -> None:
    path = exported(sources[name], format_, "int8", tmp_path)
    images = mini_test[0][:200]
    model: Any = sources[name].model
    expected = model.predict(images[..., None], verbose=0)
    with Classifier.open(path) as classifier:
        rows = classifier.probabilities(images)
        card: Any = classifier.card
    assert np.corrcoef(rows.ravel(), expected.ravel())[0, 1] > 0.99
    assert np.abs(rows - expected).mean() < 0.1 * expected.std()
    assert card.get("float_operators", []) == []


@pytest.mark.parametrize(("name", "format_"), pairs(refused=True))
def test_what_does_not_quantize_is_refused_by_name_and_made_at_float32(
    sources: dict[str, Source], tmp_path: Path, name: str, format_: str
) -> None:
    with pytest.raises(EdgestitchError, match=REFUSED[name][format_]) as no:
        exported(sources[name], format_, "int8", tmp_path / "e")
    assert no.value.exit_code == 1
    assert not (tmp_path / "e").exists()
    assert exported(sources[name], format_, "float32", tmp_path).is_file()  # judged within 0.001


def test_an_activation_whose_input_others_take_is_computed_in_integers(
    sources: dict[str, Source], tmp_path: Path
) -> None:
    """ONNX Runtime's own rewrite, without edgestitch's reading of it."""
    for name in ("nowhere, ReLU", "nowhere, ReLU6"):
        path = exported(sources[name], "onnx", "int8", tmp_path)
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / "o.onnx")
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        kinds = {node.op_type for node in onnx.load(tmp_path / "o.onnx").graph.node}
        assert not kinds & {"QuantizeLinear", "DequantizeLinear", "Relu", "Clip", "Mul", "Add"}
        assert kinds >= {"QLinearConv", "QLinearAdd", "QLinearMul"}


@pytest.mark.parametrize(
    ("module", "function", "format_"),
    [
        ("tflite_format", "frozen_function", "tflite"),
        ("onnx_format", "canonical", "onnx"),
        ("onnx_format", "part_activations", "onnx"),
    ],
)
def test_whatever_a_converter_raises_is_told_in_one_line(
    sources: dict[str, Source],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    function: str,
    format_: str,
) -> None:
    import importlib

    def broken(*args: Any, **more: Any) -> None:
        raise KeyError("keras_tensor_7\nnot found")

    monkeypatch.setattr(importlib.import_module(f"edgestitch_export.{module}"), function, broken)
    with pytest.raises(EdgestitchError, match=r"cannot (make|be made)") as no:
        exported(sources["nowhere, ReLU"], format_, "int8", tmp_path / "e")
    assert "keras_tensor_7" in no.value.message and "\n" not in no.value.message
    assert no.value.hint and not (tmp_path / "e").exists()


def test_a_model_that_onnx_runtime_does_not_open_is_told_in_one_line(mini_run: Path) -> None:
    model = onnx.load(mini_run / "export" / "mlp-int8.onnx")
    model.graph.node[0].op_type = "Reshapen"
    with pytest.raises(EdgestitchError, match="ONNX Runtime cannot open what its own") as no:
        onnx_contract.read_back(model.SerializeToString(), "int8")
    assert no.value.hint


def test_an_artifact_that_its_engine_cannot_run_is_told_in_one_line(
    sources: dict[str, Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Classifier, images: np.ndarray) -> None:
        raise RuntimeError("Node number 3 (ADD)\nfailed to prepare.")

    monkeypatch.setattr(Classifier, "scores", broken)
    said = "litert opens the float32 artifact but cannot run it: Node number 3"
    with pytest.raises(EdgestitchError, match=said) as no:
        exported(sources["nowhere, ReLU"], "tflite", "float32", tmp_path / "e")
    assert no.value.exit_code == 1
    assert not (tmp_path / "e").exists()
