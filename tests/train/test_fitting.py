"""Fitting: the averaged weights, early stopping, divergence, what is said and logged meanwhile."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_runtime.cli import main
from edgestitch_runtime.dataset import Part
from edgestitch_train.duration import duration
from edgestitch_train.models import ARCHITECTURES, Shape
from edgestitch_train.recipes import RECIPES, Recipe

QUICK = ["train", "--dataset", "fashion-mnist-mini", "--batch", "500", "--progress", "lines"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def record() -> dict[str, Any]:
    return json.loads(Path("runs/mlp/run.json").read_text())


def fitted(
    recipe: Recipe, images: np.ndarray, labels: np.ndarray, *, name: str = "mlp"
) -> tuple[Any, Any]:
    """(model after the fit, Fitted) of a model on the first images; 500 more to validate on."""
    import keras

    from edgestitch_train.fitting import Parts, Watch, fit

    keras.utils.set_random_seed(0)
    model = ARCHITECTURES[name].build(Shape(height=28, width=28, classes=10), recipe)
    parts = Parts(
        train=Part(images_u8=images[:1000], labels=labels[:1000]),
        validation=Part(images_u8=images[1000:1500], labels=labels[1000:1500]),
        background=0,
    )
    watch = Watch(step=lambda *_: None, epoch=lambda _: None)
    return model, fit(model, recipe, parts, logits="no", watch=watch)


def test_the_kept_weights_are_the_running_mean_of_those_after_each_step(
    mini_train: tuple[np.ndarray, np.ndarray],
) -> None:
    # One step an epoch, so that the weights after each step are those after each epoch.
    plain = replace(RECIPES["mlp"], epochs=6, batch=1000, schedule="constant")
    each = []
    for epochs in range(1, 7):
        model, _ = fitted(replace(plain, epochs=epochs), *mini_train)
        each.append(model.get_weights())
    model, averaged = fitted(replace(plain, average=0.5), *mini_train)
    momentum = 1 - 1 / (0.5 * 6)
    by_hand = each[0]
    for weights in each[1:]:
        by_hand = [momentum * a + (1 - momentum) * b for a, b in zip(by_hand, weights, strict=True)]
    assert averaged.kept_epoch == 6
    for mine, theirs in zip(averaged.weights, by_hand, strict=True):
        assert np.abs(mine - theirs).max() < 1e-6
    for mine, theirs in zip(model.get_weights(), each[-1], strict=True):
        assert np.abs(mine - theirs).max() < 1e-6  # the training itself went on as without


def test_batch_normalization_is_trained_by_the_fused_kernel(
    mini_train: tuple[np.ndarray, np.ndarray],
) -> None:
    from edgestitch_train.fused_norm import FusedBatchNormalization

    model, _ = fitted(replace(RECIPES["dscnn"], epochs=1), *mini_train, name="dscnn")
    norms = [layer for layer in model.layers if layer.name.endswith("_norm")]
    assert len(norms) == 11
    assert all(isinstance(layer, FusedBatchNormalization) for layer in norms)


def test_patience_ends_a_training_that_does_not_get_better(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--epochs", "40", "--optimizer", "sgd", "--learning-rate", "2", "--schedule"]
    assert main([*QUICK, *words, "constant", "--patience", "2"]) == 0
    out, err = capsys.readouterr()
    told = record()
    losses = [e["val_loss"] for e in told["history"]]
    kept = told["weights_kept"]["epoch"]
    assert told["stopped"] == "early" and len(losses) < 40
    assert len(losses) - kept == 2 and losses[kept - 1] == min(losses)
    assert f"stopped after {len(losses)} of 40 epochs: 2 without a lower" in err
    assert f"of {len(losses)} done and 40 asked: no lower validation loss came" in out
    assert not Path("runs/.mlp.unfinished.npz").exists()


def test_a_loss_that_is_not_finite_stops_names_the_epoch_and_keeps_the_good_weights(
    capsys: pytest.CaptureFixture[str],
) -> None:
    import keras

    # The rate climbs for eight epochs, up to where it throws the weights beyond float32.
    words = ["--epochs", "8", "--warmup", "8", "--optimizer", "sgd", "--weight-decay", "1"]
    assert main([*QUICK, *words, "--learning-rate", "60"]) == 1
    out, err = capsys.readouterr()
    told = record()
    done = len(told["history"])
    assert told["stopped"] == "diverged" and 1 <= done < 8
    assert f"the loss of epoch {done + 1} is not a finite number" in err
    assert "the loss was no longer finite" in out
    model: Any = keras.saving.load_model("runs/mlp/model.keras", compile=False)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    losses = [e["val_loss"] for e in told["history"]]
    assert losses[told["weights_kept"]["epoch"] - 1] == min(losses)


def test_the_time_left_is_told_after_every_epoch_but_the_last(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*QUICK, "--epochs", "3"]) == 0
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("epoch ")]
    assert [line.partition(":")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert [" left" in line for line in lines] == [True, True, False]
    for line, epoch in zip(lines, record()["history"], strict=True):
        assert f"validation {epoch['val_loss']:.4f}, {100 * epoch['val_accuracy']:.2f} %" in line
        assert f"loss {epoch['loss']:.4f}, " in line


def test_the_bar_redraws_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK[:-1], "bar", "--epochs", "2"]) == 0
    err = capsys.readouterr().err
    drawn = [part for line in err.splitlines() for part in line.split("\r") if "[" in part]
    assert len(drawn) >= 2 and max(map(len, drawn)) < 100
    assert "epoch 1/2 [====================]" in err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (450, "7 min 30 s"), (3600, "1 h 0 min"), (9000, "2 h 30")],
)
def test_a_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds).startswith(text)


def test_tensorboard_files_hold_the_history(here: Path) -> None:
    import tensorflow as tf

    assert main([*QUICK, "--epochs", "2", "--tensorboard", "logs"]) == 0
    (path,) = (here / "logs/mlp").iterdir()
    found: dict[tuple[str, int], float] = {}
    for raw in tf.data.TFRecordDataset(str(path)):
        event = tf.compat.v1.Event.FromString(raw.numpy())
        for value in event.summary.value:
            assert value.metadata.plugin_data.plugin_name in ("scalars", "")
            found[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    for line in record()["history"]:
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert found[name, line["epoch"]] == pytest.approx(line[name], rel=1e-6)


def test_tensorboard_in_a_place_that_cannot_be_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "file").write_text("")
    assert main([*QUICK, "--epochs", "1", "--tensorboard", "file"]) == 2
    assert "cannot write file/mlp" in capsys.readouterr().err
    assert not Path("runs").exists()
    assert main([*QUICK, "--validation", "6000", "--tensorboard", "logs"]) == 2
    assert not Path("logs").exists()  # what is refused leaves nothing


def test_every_class_has_its_accuracy_told_and_an_imbalance_is_shown(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgestitch_train import acquire

    data = acquire("fashion-mnist-mini")
    few = np.flatnonzero((data.train.labels != 3) | (np.arange(6000) % 10 == 0))
    folder = here / "uneven"
    folder.mkdir()
    for prefix, images, labels in (
        ("train", data.train.images_u8[few], data.train.labels[few]),
        ("t10k", data.test.images_u8, data.test.labels),
    ):
        head = [n.to_bytes(4, "big") for n in images.shape]
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(
            b"\0\0\x08\x03" + b"".join(head) + images.tobytes()
        )
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(
            b"\0\0\x08\x01" + head[0] + labels.astype(np.uint8).tobytes()
        )
    assert main([*QUICK, "--dataset", "uneven", "--epochs", "1"]) == 0
    out, err = capsys.readouterr()
    fewest = int((data.train.labels[few] == 3).sum())
    assert f"10 classes of {fewest} (3) to 600 images" in err
    for each in record()["accuracy"]["test"]["per_class"]:
        assert f"{100 * each['correct'] / each['n']:6.2f} % of 100  {each['label']}\n" in out
