"""What a .keras file is judged on: pictures, their size and background, or IDX files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from edgestitch_export import export, source
from edgestitch_runtime import EdgestitchError

TRAIN = Path(__file__).parents[2] / "train" / "edgestitch_train"


def test_skipped_pictures_are_told_and_the_card_says_the_background(
    tmp_path: Path, cli: Callable[..., Any], mini_test: tuple[np.ndarray, np.ndarray]
) -> None:
    mlp = keras.models.load_model(TRAIN / "pretrained/mlp/model.keras")
    of_bright = keras.Sequential([keras.Input((28, 28)), layers.Rescaling(-1.0, 255.0), mlp])
    of_bright.save(tmp_path / "mine.keras")
    images, labels = mini_test
    for label in range(10):
        folder = tmp_path / "pictures" / f"class {label}"
        folder.mkdir(parents=True)
        for index, image in enumerate(images[labels == label][:20]):
            Image.fromarray(255 - image).save(folder / f"{index}.png")
    (tmp_path / "pictures/class 3/broken.png").write_bytes(b"no picture")
    words = ["export", "mine.keras", "--data", "pictures", "--format", "tflite", "--float32"]
    done = cli(*words, "--background", "bright", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "skipped: pictures/class 3/broken.png is not a picture" in done.stderr
    assert "border" not in done.stderr
    (artifact,) = json.loads(done.stdout)
    assert artifact["card"]["preprocessing"]["background"] == 255
    again = cli(*words, "--force", "--json", cwd=tmp_path)
    assert "have a bright border where a dark one is expected" in again.stderr
    assert json.loads(again.stdout)[0]["card"]["preprocessing"]["background"] == 0


def of_32_pixels(folder: Path) -> Path:
    model = keras.Sequential([keras.Input((32, 32)), layers.Flatten(), layers.Dense(10)])
    model.save(folder / "my32.keras")
    return folder / "my32.keras"


def test_a_model_of_other_images_than_the_idx_files_is_told_both_sizes(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    of_32_pixels(tmp_path)
    words = ["export", "my32.keras", "--data", TRAIN / "fashion_mnist_mini"]
    said = refused(*words, "--format", "tflite", "--int8", cwd=tmp_path)
    assert "the model takes images of (32, 32), the data has (28, 28)" in said
    assert "hint: name the data that the model was trained on" in said


def test_pictures_are_brought_to_the_size_that_the_model_takes(
    tmp_path: Path, mini_test: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "check_scaling", lambda *given: None)  # it is not trained
    images, labels = mini_test
    for label in range(10):
        (tmp_path / "pictures" / str(label)).mkdir(parents=True)
        for index, image in enumerate(images[labels == label][:14]):
            Image.fromarray(image).save(tmp_path / "pictures" / str(label) / f"{index}.png")
    made = export(
        of_32_pixels(tmp_path), format="tflite", precision="float32", data=tmp_path / "pictures"
    )
    assert made.card["input"]["shape"] == [None, 32, 32]
    assert made.card["preprocessing"]["background"] == 0


@pytest.mark.parametrize("background", ["dark", "bright"])
@pytest.mark.parametrize("model", ["runs/mlp", "runs/mlp/model.keras"])
def test_a_background_is_refused_for_a_run_that_has_its_own(
    own_run: Path, refused: Callable[..., str], background: str, model: str
) -> None:
    words = ["export", model, "--background", background, "--format", "tflite", "--int8"]
    said = refused(*words, cwd=own_run.parent.parent)
    assert "a background was given for runs/mlp, whose own is in its run.json" in said


def test_class_names_of_a_model_of_ones_own_come_from_a_file_and_of_a_run_from_the_run(
    tmp_path: Path,
    own_run: Path,
    refused: Callable[..., str],
    mini_test: tuple[np.ndarray, np.ndarray],
) -> None:
    images, labels = mini_test
    np.savez(tmp_path / "mine.npz", images=images, labels=labels)
    shutil.copy(TRAIN / "pretrained/mlp/model.keras", tmp_path / "mine.keras")
    names = [f"garment {k}" for k in range(10)]

    def labels_of(lines: list[str]) -> list[str]:
        path = tmp_path / "names.txt"
        path.write_text("\n".join(lines), "utf-8")
        asked: Any = {"format": "tflite", "precision": "float32", "data": tmp_path / "mine.npz"}
        return export(tmp_path / "mine.keras", labels=path, **asked).card["labels"]

    assert labels_of(names) == names
    with pytest.raises(EdgestitchError, match=r"9 classes are named, .*mine.npz uses class 9"):
        labels_of(names[:9])
    with pytest.raises(EdgestitchError, match="the model has 10 classes, the data 11"):
        labels_of([*names, "hat"])
    words = ["export", own_run, "--labels", "names.txt", "--format", "tflite", "--int8"]
    assert "class names were given for" in refused(*words, cwd=tmp_path)


def test_a_background_is_dark_or_bright(own_run: Path) -> None:
    with pytest.raises(EdgestitchError, match="background is 'grey'"):
        export(own_run, format="tflite", precision="float32", background="grey")
