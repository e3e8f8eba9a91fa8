"""A folder of pictures from training to classify: sizes, background, classes, skipped files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Labelled = tuple[np.ndarray, np.ndarray]
CLASSES = {"Sandalen ß": 5, "bags": 8, "trousers": 1}


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory,
    cli: Callable[..., Any],
    mini_train: Labelled,
) -> tuple[Path, Any]:
    """Dark garments on bright ground, larger than the model takes them; one file is broken."""
    folder = tmp_path_factory.mktemp("own")
    images, labels = mini_train
    for name, label in CLASSES.items():
        (folder / "my pictures" / name).mkdir(parents=True)
        for index, image in enumerate(images[labels == label][:120]):
            Image.fromarray(255 - image).resize((56, 56)).save(
                folder / "my pictures" / name / f"{index}.png"
            )
    (folder / "my pictures" / "bags" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    words = ["train", "--dataset", "my pictures", "--size", "24x20", "--background", "bright"]
    words += ["--model", "dscnn", "--epochs", "25", "--batch", "32", "--name", "mine"]
    return folder, cli(*words, cwd=folder)


def test_the_training_names_what_it_left_out_and_learns(trained: tuple[Path, Any]) -> None:
    folder, done = trained
    assert done.returncode == 0, done.stderr
    assert "skipped: my pictures/bags/broken.png" in done.stderr
    assert "my pictures: 1 of 361 files skipped" in done.stderr
    assert "no test pictures: 51 of 360 were taken out" in done.stderr
    assert "border" not in done.stderr
    record = json.loads((folder / "runs/mine/run.json").read_text())
    assert record["data"]["labels"] == sorted(CLASSES)
    assert (record["data"]["size"], record["data"]["background"]) == ([24, 20], 255)
    test = record["accuracy"]["test"]
    assert test["n"] == 51 and test["correct"] >= 45
    for name in CLASSES:
        assert f"  {name}\n" in done.stdout


def test_export_finds_the_pictures_again_and_the_artifact_answers_a_picture(
    trained: tuple[Path, Any], cli: Callable[..., Any]
) -> None:
    folder, _ = trained
    done = cli("export", "--format", "tflite", "--int8", cwd=folder)
    assert done.returncode == 0, done.stderr
    shown = cli("inspect", "runs/mine/export/mine-int8.tflite", cwd=folder)
    assert "bright background" in shown.stdout
    picture = folder / "my pictures" / "trousers" / "3.png"
    answer = cli("classify", picture, "--json", cwd=folder)
    assert answer.returncode == 0, answer.stderr
    assert "trousers" in answer.stdout and "warning" not in answer.stderr


def test_a_changed_picture_is_noticed_by_export(
    trained: tuple[Path, Any], cli: Callable[..., Any], refused: Callable[..., str]
) -> None:
    folder, _ = trained
    path = folder / "my pictures" / "bags" / "7.png"
    content = path.read_bytes()
    Image.new("L", (56, 56), 90).save(path)
    try:
        said = refused("export", "--format", "tflite", "--int8", "--force", cwd=folder)
    finally:
        path.write_bytes(content)
    assert "the data of this run (my pictures) was not found" in said
