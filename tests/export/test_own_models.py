"""Models that edgestitch did not make, through the whole export, against Keras itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from edgestitch_export import export
from edgestitch_runtime import Classifier, EdgestitchError
from edgestitch_runtime.card import read_artifact


def convolutional(*, head: str | None) -> Any:
    pixels = keras.Input((28, 28, 1))
    x = layers.Rescaling(1 / 255)(pixels)
    x = layers.Conv2D(8, 3, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Dense(10, activation=head)(layers.Flatten()(x))
    return keras.Model(pixels, x)


def dense(*, head: str) -> Any:
    return keras.Sequential(
        [
            keras.Input((28, 28)),
            layers.Rescaling(1 / 127.5, -1.0),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dense(10, activation=head),
        ]
    )


def nested() -> Any:
    body = keras.Sequential(
        [
            keras.Input((28, 28)),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dropout(0.1),
        ]
    )
    head = keras.Sequential([keras.Input((32,)), layers.Dense(10, activation="softmax")])
    return keras.Sequential([keras.Input((28, 28)), body, head])


MODELS = {
    "nested": nested,
    "cnn": lambda: convolutional(head="softmax"),
    "logits": lambda: convolutional(head=None),
    "sigmoid": lambda: dense(head="sigmoid"),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory, mini_train) -> dict[str, tuple[Path, Any]]:
    """Each model, trained for an epoch on the real sample: its file, and the model itself."""
    folder = tmp_path_factory.mktemp("own")
    found = {}
    keras.utils.set_random_seed(0)
    for name, make in MODELS.items():
        model: Any = make()
        from_logits = name == "logits"
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits))
        model.fit(mini_train[0], mini_train[1], epochs=1, batch_size=32, verbose=0)
        path = folder / f"{name}.keras"
        model.save(path)
        found[name] = path, model
    return found


def probabilities(name: str, model: Any, images_u8: np.ndarray) -> np.ndarray:
    rows = np.asarray(model(images_u8.astype(np.float32).reshape(-1, *model.inputs[0].shape[1:])))
    if name == "logits":
        rows = np.exp(rows - rows.max(axis=1, keepdims=True))
    return rows / rows.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
@pytest.mark.parametrize("name", MODELS)
def test_probabilities_are_those_of_keras(saved, mini_run, mini_test, tmp_path, name, format_):
    from edgestitch_runtime.run_folder import read_run

    path, model = saved[name]
    data = read_run(mini_run).record["data"]["folder"]
    images = mini_test[0][:300]
    expected = probabilities(name, model, images)
    for precision, limit in (("float32", 1e-4), ("int8", 0.15)):
        exported = export(path, format=format_, precision=precision, data=data, out=tmp_path)
        with Classifier.open(exported.path) as classifier:
            rows = classifier.probabilities(images)
            singles = np.array([classifier.classify(i).probabilities for i in images[:70]])
            confidences = [classifier.classify(i).confidence for i in images[:70]]
        np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)
        assert np.abs(rows - expected).max() < limit
        np.testing.assert_allclose(singles, rows[:70], atol=1e-5)
        np.testing.assert_allclose(confidences, singles.max(axis=1), atol=1e-5)
        card = read_artifact(exported.path).card
        assert card is not None
        assert card["output"]["kind"] == ("logits" if name == "logits" else "probabilities")


def test_a_convolutional_network_leaves_nothing_in_float(saved, mini_run, tmp_path):
    from edgestitch_runtime.run_folder import read_run

    data = read_run(mini_run).record["data"]["folder"]
    exported = export(saved["cnn"][0], format="onnx", precision="int8", data=data, out=tmp_path)
    assert exported.card["float_operators"] == []


def test_a_converter_that_changes_the_model_is_caught(saved, mini_run, tmp_path, monkeypatch):
    from edgestitch_export.formats import FORMATS
    from edgestitch_runtime.run_folder import read_run

    real = FORMATS["onnx"]

    def worse(model, precision, calibration, kind):
        weights = model.get_weights()
        model.set_weights([w * 1.05 for w in weights])
        return real.convert(model, precision, calibration, kind)

    monkeypatch.setitem(FORMATS, "onnx", replace(real, convert=worse))
    data = read_run(mini_run).record["data"]["folder"]
    with pytest.raises(EdgestitchError, match="away from the float model") as caught:
        export(saved["cnn"][0], format="onnx", precision="float32", data=data, out=tmp_path / "o")
    assert caught.value.exit_code == 1
    assert not (tmp_path / "o").exists()
