"""A bare .keras file judged on pictures: what is skipped is told, the card has the background."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

TRAIN = Path(__file__).parents[2] / "train" / "edgestitch_train"


def test_skipped_pictures_are_told_and_the_card_says_the_background(
    tmp_path: Path, cli: Callable[..., Any], mini_test: tuple[np.ndarray, np.ndarray]
) -> None:
    shutil.copy(TRAIN / "pretrained/mlp/model.keras", tmp_path / "mine.keras")
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
