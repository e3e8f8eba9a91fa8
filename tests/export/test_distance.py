"""What an int8 TFLite says of its engine beside `reference`, counted by LiteRT alone."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from keras import layers

from edgestitch_export import export
from edgestitch_runtime import inspect_artifact
from edgestitch_runtime.cli import main

TRAIN = Path(__file__).parents[2] / "train" / "edgestitch_train"
Labelled = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def separable(tmp_path_factory: pytest.TempPathFactory, mini_train: Labelled) -> Path:
    """A depthwise network, trained for a moment: LiteRT's fast kernels round it their own way."""
    keras.utils.set_random_seed(0)
    model: Any = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(12, 3, strides=2, activation="relu"),
            layers.DepthwiseConv2D(3, activation="relu"),
            layers.Conv2D(16, 1, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    images, labels = mini_train
    model.fit(images[:1500, :, :, None], labels[:1500], batch_size=16, verbose=0)
    path = tmp_path_factory.mktemp("separable") / "separable.keras"
    model.save(path)
    return path


def rows_of_litert(path: Path, images_u8: np.ndarray, kernels: OpResolverType) -> np.ndarray:
    opened = Interpreter(str(path), experimental_op_resolver_type=kernels, num_threads=1)
    opened.allocate_tensors()
    source, target = opened.get_input_details()[0], opened.get_output_details()[0]
    rows = []
    for image in images_u8:
        codes = (image.astype(np.int16) - 128).astype(np.int8)
        opened.set_tensor(source["index"], codes.reshape(source["shape"]))
        opened.invoke()
        rows.append(opened.get_tensor(target["index"])[0])
    return np.stack(rows)


def test_the_card_counts_how_far_litert_is_from_its_own_reference_kernels(
    separable: Path, mini_test: Labelled, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = export(
        separable, format="tflite", precision="int8", out=tmp_path,
        data=TRAIN / "fashion_mnist_mini",
    )  # fmt: skip
    images = mini_test[0]
    fast = rows_of_litert(made.path, images, OpResolverType.AUTO)
    exact = rows_of_litert(made.path, images, OpResolverType.BUILTIN_REF)
    steps = np.abs(fast.astype(int) - exact)
    assert steps.max() > 0  # else nothing is shown here
    counted = {
        "n": len(images),
        "rows_equal": int((steps.max(axis=1) == 0).sum()),
        "largest_step": int(steps.max()),
        "flips": int((fast.argmax(axis=1) != exact.argmax(axis=1)).sum()),
    }
    assert made.card["reference"] == {
        "engine": f"reference {version('edgestitch-runtime')}",
        "distances": {f"litert {version('ai-edge-litert')}": counted},
    }
    assert main(["inspect", str(made.path)]) == 0
    told = capsys.readouterr().out
    assert f"{counted['rows_equal']:,} of {counted['n']:,} rows equal, largest step" in told


def test_a_model_that_the_integer_graph_does_not_hold_is_exported_and_its_card_says_why(
    separable: Path, mini_train: Labelled, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained: Any = keras.models.load_model(separable, compile=False)
    scores = layers.Dense(10, "softmax")(layers.Activation("gelu")(trained.layers[-2].output))
    model: Any = keras.Model(trained.inputs, scores)
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(mini_train[0][:1000, :, :, None], mini_train[1][:1000], batch_size=16, verbose=0)
    model.save(tmp_path / "gelu.keras")
    words = ["export", str(tmp_path / "gelu.keras"), "--data", str(TRAIN / "fashion_mnist_mini")]
    assert main([*words, "--format", "tflite", "--int8"]) == 0
    told = capsys.readouterr().out
    found = inspect_artifact(tmp_path / "export" / "gelu-int8.tflite")
    assert found.card is not None
    reason = found.card["reference"]["refuses"]
    assert "GELU" in reason and reason.startswith("gelu-int8.tflite: operator ")
    assert reason in told and str(tmp_path) not in reason


def test_other_formats_and_precisions_have_no_distance(mini_run: Path) -> None:
    cards = {
        path.name: inspect_artifact(path).card or {}
        for path in (mini_run / "export").iterdir()
        if path.suffix in (".tflite", ".onnx")
    }
    assert [name for name, card in cards.items() if "reference" in card] == ["mlp-int8.tflite"]


def test_the_least_engines_of_the_card_are_those_that_inspect_computes(mini_run: Path) -> None:
    for path in (mini_run / "export").iterdir():
        found = inspect_artifact(path)
        assert found.card is not None and found.facts is not None
        computed = {one.engine: one.version for one in found.facts.least_versions if one.version}
        assert found.card["least_engines"] == computed != {}
