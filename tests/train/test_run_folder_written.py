"""What a training leaves, checked against numpy's own pass through the saved weights."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from edgestitch_runtime.dataset import find_recorded, split_train
from edgestitch_runtime.run_folder import newest_run, read_run


def record(finished: Any) -> dict[str, Any]:
    return json.loads((finished.folder / "run.json").read_text())


def forward(path: Path, images_u8: np.ndarray) -> np.ndarray:
    """The mlp by hand: (n, 28, 28) uint8 to (n, 10) scores, from the weights in the .keras file."""
    with zipfile.ZipFile(path) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content) as file:
        arrays: dict[tuple[int, ...], np.ndarray] = {}
        file.visititems(
            lambda _, item: arrays.update(
                {item.shape: np.array(item)} if isinstance(item, h5py.Dataset) else {}
            )
        )
    x = images_u8.reshape(len(images_u8), -1) / 255
    hidden = np.maximum(x @ arrays[(784, 128)] + arrays[(128,)], 0)
    return hidden @ arrays[(128, 10)] + arrays[(10,)]


def test_the_same_seed_gives_the_same_model_file_in_two_processes_and_folders(
    twins: tuple[Any, Any],
) -> None:
    first, second = ((t.folder / "model.keras").read_bytes() for t in twins)
    assert first == second
    names = {p.name for p in twins[0].folder.iterdir()}
    assert names == {
        "model.keras",
        "run.json",
        "history.csv",
        "learning_curves.png",
        "dataset.png",
        "predictions.png",
        "confusion.png",
        "mistakes.png",
    }
    for name in ("dataset.png", "predictions.png", "confusion.png", "mistakes.png"):
        one, other = ((twin.folder / name).read_bytes() for twin in twins)
        assert one == other, name


def test_the_recorded_accuracies_are_those_of_the_saved_weights(finished: Any) -> None:
    told = record(finished)
    data = find_recorded(told["data"])
    scores = forward(finished.folder / "model.keras", data.test.images_u8)
    right = scores.argmax(1) == data.test.labels
    test = told["accuracy"]["test"]
    assert (test["correct"], test["n"], test["engine"]) == (int(right.sum()), 1000, "keras")
    assert [c["n"] for c in test["per_class"]] == [100] * 10
    assert [c["correct"] for c in test["per_class"]] == [
        int(right[data.test.labels == c].sum()) for c in range(10)
    ]
    confusion = np.array(test["confusion"])
    assert confusion.sum() == 1000 and np.trace(confusion) == test["correct"]
    assert np.diag(confusion).tolist() == [c["correct"] for c in test["per_class"]]
    assert (
        confusion[0].tolist()
        == np.bincount(scores[data.test.labels == 0].argmax(1), minlength=10).tolist()
    )
    train, held_out = split_train(
        data.train.labels,
        validation_count=told["split"]["validation_count"],
        seed=told["split"]["seed"],
    )
    scores = forward(finished.folder / "model.keras", data.train.images_u8[held_out])
    correct = int((scores.argmax(1) == data.train.labels[held_out]).sum())
    assert told["accuracy"]["validation"] == {"correct": correct, "n": 300, "engine": "keras"}
    assert told["data"]["counts"] == {"train": len(train), "validation": 300, "test": 1000}
    assert correct / 300 > 0.6  # two epochs learn something


def test_the_kept_weights_are_those_of_the_lowest_validation_loss(finished: Any) -> None:
    told = record(finished)
    losses = [e["val_loss"] for e in told["history"]]
    kept = told["weights_kept"]
    assert kept["epoch"] == int(np.argmin(losses)) + 1
    accuracy = told["accuracy"]["validation"]
    assert (
        abs(
            told["history"][kept["epoch"] - 1]["val_accuracy"] - accuracy["correct"] / accuracy["n"]
        )
        < 1e-6
    )


def test_the_run_is_recorded_with_its_hashes_recipe_and_command(
    finished: Any, twins: tuple[Any, Any]
) -> None:
    told = record(finished)
    content = (finished.folder / "model.keras").read_bytes()
    assert told["schema"] == 1
    assert told["model"] == {
        "architecture": "mlp",
        "source_sha256": None,
        "file": "model.keras",
        "sha256": hashlib.sha256(content).hexdigest(),
        "parameters": 784 * 128 + 128 + 128 * 10 + 10,
        "macs": 784 * 128 + 128 * 10,
    }
    assert told["title"] == (
        "mlp on fashion-mnist-mini (a sample of 6,000 training images, not the full data set)"
    )
    assert told["stopped"] == "finished"
    assert (told["recipe"]["epochs"], told["recipe"]["seed"], told["split"]["seed"]) == (2, 7, 7)
    assert told["command"] == (
        "edgestitch train --model mlp --dataset fashion-mnist-mini --epochs 2 --seed 7"
    )
    assert record(twins[1])["command"] == (
        "edgestitch train --model mlp --dataset fashion-mnist-mini --name b --runs deep/er "
        "--epochs 2 --seed 7"
    )
    assert set(told["versions"]) == {"python", "edgestitch", "tensorflow", "keras", "numpy"}
    assert Path(told["data"]["folder"]).is_absolute()
    assert read_run(finished.folder).name == "mlp"
    assert newest_run(finished.folder.parent).folder == finished.folder


def test_history_csv_holds_the_history_of_run_json(finished: Any) -> None:
    with (finished.folder / "history.csv").open() as stream:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(stream)]
    assert rows == record(finished)["history"]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[0]["learning_rate"] > rows[1]["learning_rate"] >= 0


def test_the_pictures_are_pngs_large_enough_to_read(finished: Any) -> None:
    for name, least in (
        ("learning_curves.png", (1000, 400)),
        ("dataset.png", (1000, 1000)),
        ("predictions.png", (1200, 1000)),
        ("confusion.png", (900, 800)),
        ("mistakes.png", (1000, 800)),
    ):
        with Image.open(finished.folder / name) as picture:
            assert picture.format == "PNG"
            assert picture.width >= least[0]
            assert picture.height >= least[1]
            pixels = np.asarray(picture.convert("L"))
        assert pixels.std() > 10  # something is drawn
        assert len(np.unique(pixels)) > 50


def test_the_model_file_carries_no_time_no_address_and_no_optimizer(finished: Any) -> None:
    with zipfile.ZipFile(finished.folder / "model.keras") as archive:
        assert {i.date_time for i in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        metadata = json.loads(archive.read("metadata.json"))
        config = archive.read("config.json").decode()
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
            assert "optimizer" not in weights
    assert metadata["date_saved"].startswith("1980-01-01")
    assert all(
        len(word.split(",")[0].split("}")[0]) < 5 for word in config.split('object_id":')[1:]
    )
    names = [layer["config"]["name"] for layer in json.loads(config)["config"]["layers"]]
    assert names == ["image", "scale", "flatten", "hidden", "probabilities"]


def test_what_is_printed_tells_counts_files_and_the_next_command(
    finished: Any, twins: tuple[Any, Any]
) -> None:
    told = record(finished)
    test = told["accuracy"]["test"]
    assert f"({test['correct']:,} of 1,000 right, keras)" in finished.stdout
    assert told["title"] in finished.stdout
    assert "101,770" in finished.stdout
    assert finished.stdout.rstrip().endswith("next: edgestitch export --format tflite --int8")
    assert "next: edgestitch export deep/er/b --format" in twins[1].stdout
    assert "epoch 1/2: loss " in finished.stderr
    assert "epoch 1/2" not in finished.stdout
    assert "absl" not in finished.stderr
    assert "5,700 images to train on, 300 held out" in finished.stderr
