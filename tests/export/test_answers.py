"""When a model and its rewritten copy count as the same: by probability, and by logit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from edgestitch_export import export, source
from edgestitch_export.answers import check_rewritten, finite_answers, float_answers
from edgestitch_runtime import EdgestitchError
from edgestitch_runtime.run_folder import read_run


def ends_in(activation: str | None, *, shift: float = 0, factor: float = 1) -> Any:
    """A model of fixed random weights; its logits are multiplied by `factor`, then shifted."""
    model = keras.Sequential(
        [keras.Input((28, 28)), layers.Flatten(), layers.Dense(5, activation=activation)]
    )
    kernel = np.random.default_rng(0).normal(0, 0.002, (784, 5))
    model.layers[-1].set_weights([kernel * factor, np.full(5, shift)])
    return model


IMAGES = np.random.default_rng(1).integers(0, 256, (40, 28, 28), np.uint8)


def compared(other: Any, activation: str | None) -> None:
    kind = "logits" if activation is None else "probabilities"
    check_rewritten(other, IMAGES, float_answers(ends_in(activation), IMAGES), kind)


@pytest.mark.parametrize("activation", ["softmax", None])
@pytest.mark.parametrize("factor", [1, 1 + 1e-5])
def test_sums_in_another_order_pass(activation: str | None, factor: float) -> None:
    compared(ends_in(activation, factor=factor), activation)


@pytest.mark.parametrize(
    ("activation", "changes", "of"),
    [
        ("softmax", {"factor": 1.03}, "a probability"),
        (None, {"factor": 1.03}, "the logits"),
        (None, {"shift": 1.0}, "the logits"),  # the probabilities stay
        (None, {"factor": float("nan")}, "the logits"),
        ("softmax", {"factor": float("nan")}, "a probability"),
    ],
)
def test_other_answers_are_refused(activation: str | None, changes: Any, of: str) -> None:
    with pytest.raises(EdgestitchError, match=f"away from itself, more than 0.001 of {of}") as no:
        compared(ends_in(activation, **changes), activation)
    assert no.value.exit_code == 1


def test_values_that_are_not_finite_are_refused_and_the_images_named() -> None:
    with pytest.raises(EdgestitchError, match="answers test images with values that are not fin"):
        finite_answers(ends_in(None, shift=float("inf")), IMAGES, which="test")


def test_logits_are_compared_as_the_probabilities_that_they_make_too() -> None:
    rows = np.tile(np.array([800, 800, 0, 0, 0], np.float32), (40, 1))  # two classes are level

    class Changed:
        inputs = ends_in(None).inputs

        def predict(self, *args: Any, **more: Any) -> np.ndarray:
            return rows - np.array([0.4, 0, 0, 0, 0], np.float32)  # 0.0005 of the largest logit

    changed: Any = Changed()
    with pytest.raises(EdgestitchError, match="away from itself"):
        check_rewritten(changed, IMAGES, rows, "logits")


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
def test_a_rewrite_that_changes_the_model_is_caught_at_int8_too(
    mini_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    real = source.for_inference

    def worse(model: keras.Model) -> keras.Model:
        copy: Any = real(model)
        copy.layers[-1].set_weights([w * 1.05 for w in copy.layers[-1].get_weights()])
        return copy

    monkeypatch.setattr(source, "for_inference", worse)
    with pytest.raises(EdgestitchError, match="rewritten for inference, the model answers") as no:
        export(mini_run, format=format_, precision="int8", out=tmp_path / "o")
    assert no.value.exit_code == 1
    assert not (tmp_path / "o").exists()


def test_a_model_that_does_not_run_here_is_told_in_one_line(mini_run: Path, tmp_path: Path) -> None:
    pixels = keras.Input((28, 28))
    fixed: Any = keras.ops.reshape(layers.Flatten()(pixels), (7, 784))  # as of a batch of seven
    keras.Model(pixels, layers.Dense(10)(fixed)).save(tmp_path / "seven.keras")
    data = read_run(mini_run).record["data"]["folder"]
    with pytest.raises(EdgestitchError, match="the model cannot be run here") as no:
        export(tmp_path / "seven.keras", format="tflite", precision="float32", data=data)
    assert no.value.exit_code == 2
