"""What planted faults (make mutants) got past the other tests here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_runtime.dataset import Part


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_is_cross_entropy_against_labels_smoothed_as_the_recipe_says(
    smoothing: float, mini_train: tuple[np.ndarray, np.ndarray]
) -> None:
    from edgestitch_train.fitting import Parts, Watch, fit
    from edgestitch_train.models import ARCHITECTURES, Shape
    from edgestitch_train.recipes import RECIPES

    images, labels = mini_train
    train = Part(images_u8=images[:640], labels=labels[:640])
    validation = Part(images_u8=images[640:840], labels=labels[640:840])
    recipe = replace(RECIPES["mlp"], epochs=1, label_smoothing=smoothing, dropout=0.0)
    model = ARCHITECTURES["mlp"].build(Shape(height=28, width=28, classes=10), recipe)
    fitted = fit(
        model,
        recipe,
        Parts(train=train, validation=validation, background=0),
        logits="no",
        watch=Watch(step=lambda *_: None, epoch=lambda _: None),
    )

    hidden, hidden_bias, last, last_bias = (w.astype(np.float64) for w in fitted.weights)
    pixels = validation.images_u8.reshape(-1, 784) / 255
    logits = np.maximum(pixels @ hidden + hidden_bias, 0) @ last + last_bias
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    wanted = (1 - smoothing) * np.eye(10)[validation.labels] + smoothing / 10
    by_hand = -(wanted * log_p).sum(axis=1).mean()
    assert fitted.history[0].val_loss == pytest.approx(by_hand, rel=1e-4)


def test_the_seed_decides_the_first_weights_and_not_only_the_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    from edgestitch_train import RECIPES, train

    monkeypatch.chdir(tmp_path)
    first = []
    for seed in (0, 1):
        # At this rate nothing is learned: what is saved is what the training began with.
        recipe = replace(RECIPES["mlp"], epochs=1, batch=600, learning_rate=1e-9, seed=seed)
        result = train(
            dataset="fashion-mnist-mini", recipe=recipe, name=f"seed-{seed}", progress="none"
        )
        model: Any = keras.saving.load_model(result.folder / "model.keras", compile=False)
        first.append(model.get_layer("hidden").get_weights()[0])
    limit = np.sqrt(6 / (784 + 128))  # Glorot's uniform range
    for kernel in first:
        assert 0.9 * limit < np.abs(kernel).max() <= limit + 1e-6
    assert np.abs(first[0] - first[1]).max() > limit / 2
