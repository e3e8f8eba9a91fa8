"""REDUCE_MAX, the example of docs/adding-an-operator.md: on the page, and from Keras on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from edgestitch_export import export
from edgestitch_runtime import Classifier
from edgestitch_runtime.card import model_bytes, read_artifact
from edgestitch_runtime.dataset import read_idx
from tflite_builder import reference_rows

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "train" / "edgestitch_train" / "fashion_mnist_mini"


def test_the_guide_shows_the_code_that_there_is() -> None:
    guide = (ROOT / "docs" / "adding-an-operator.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", guide, re.DOTALL)
    assert len(blocks) == guide.count("```") // 2 == 5
    for path, code in blocks:
        source = (ROOT / path).read_text(encoding="utf-8")
        assert [part for part in code.split("...\n") if part not in source] == []


def test_a_network_with_global_max_pooling_answers_on_reference_as_on_litert(
    mini_train: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    keras.utils.set_random_seed(0)
    model: Any = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(16, 5, strides=2, activation="relu"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    images, labels = mini_train
    model.fit(images[:2000, :, :, None], labels[:2000], batch_size=25, verbose=0)
    model.save(tmp_path / "most.keras")
    path = export(
        tmp_path / "most.keras", format="tflite", precision="int8", data=SAMPLE,
        calibration_images=50,
    ).path  # fmt: skip
    images = read_idx(SAMPLE / "t10k-images-idx3-ubyte.gz")[0][:200]
    with Classifier.open(path, engine="reference") as classifier:
        rows = classifier.scores(images)
    artifact = read_artifact(path)
    assert artifact.card and "REDUCE_MAX" in artifact.card["operators"]
    content = model_bytes("tflite", artifact.content)
    expected = reference_rows(content, (images ^ 128).view(np.int8)[..., None])
    assert len(np.unique(expected)) > 20
    np.testing.assert_array_equal(rows, expected)
