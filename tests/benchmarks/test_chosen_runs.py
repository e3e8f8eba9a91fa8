"""Which runs make one report, and what they are called in it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgestitch_benchmarks.chosen_runs import choose_runs, printable
from edgestitch_benchmarks.report_shape import UNPRINTABLE
from edgestitch_runtime.errors import EdgestitchError

Make = Callable[..., Path]


@pytest.fixture
def make(mini_run: Path, tmp_path: Path) -> Make:
    """Makes a run of a name in a folder; `change` alters its record."""

    def make_run(
        folder: str, name: str, change: Callable[[dict[str, Any]], None] = lambda record: None
    ) -> Path:
        target = tmp_path / folder
        target.mkdir(parents=True)
        shutil.copy(mini_run / "model.keras", target)
        record = json.loads((mini_run / "run.json").read_text("utf-8"))
        record["name"] = name
        change(record)
        (target / "run.json").write_text(json.dumps(record), encoding="utf-8")
        return target

    return make_run


def test_runs_are_called_by_their_names_in_the_order_given(make: Make) -> None:
    folders = [make("a", "wide"), make("b", "narrow")]
    assert [one.label for one in choose_runs(folders)] == ["wide", "narrow"]
    assert [one.run.folder for one in choose_runs(folders)] == folders


def test_runs_of_one_name_are_called_by_their_folders(make: Make) -> None:
    folders = [make("mlp", "mlp"), make("mlp-old", "mlp"), make("third", "dscnn")]
    assert [one.label for one in choose_runs(folders)] == ["mlp", "mlp-old", "dscnn"]


def test_a_run_that_is_named_twice_is_there_once(make: Make, tmp_path: Path) -> None:
    first, second = make("a", "wide"), make("b", "narrow")
    link = tmp_path / "link"
    link.symlink_to(first)
    chosen = choose_runs([first, second, link])
    assert [one.run.folder for one in chosen] == [first, second]


def test_runs_that_cannot_be_told_apart_are_refused(make: Make) -> None:
    with pytest.raises(EdgestitchError, match="cannot be told apart") as caught:
        choose_runs([make("x/mlp", "mlp"), make("y/mlp", "mlp")])
    assert caught.value.hint


def _other_test_images(record: dict[str, Any]) -> None:
    for file in record["data"]["files"]:
        if file["name"] == "t10k-images-idx3-ubyte":
            file["sha256"] = "0" * 64


def _other_train_images(record: dict[str, Any]) -> None:
    for file in record["data"]["files"]:
        if file["name"] == "train-images-idx3-ubyte":
            file["sha256"] = "0" * 64


def _other_labels(record: dict[str, Any]) -> None:
    record["data"]["labels"][0] = "Jersey"


@pytest.mark.parametrize(
    ("change", "says"),
    [(_other_test_images, "different test images"), (_other_labels, "different classes")],
)
def test_runs_on_other_test_data_are_refused_by_name(
    make: Make, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    first, second = make("a", "wide"), make("b", "narrow", change)
    with pytest.raises(EdgestitchError, match=says) as caught:
        choose_runs([first, second])
    assert str(first) in caught.value.message and str(second) in caught.value.message
    assert caught.value.hint


def test_runs_that_were_trained_on_other_images_and_tested_on_the_same_are_taken(
    make: Make,
) -> None:
    assert len(choose_runs([make("a", "wide"), make("b", "narrow", _other_train_images)])) == 2


def test_a_folder_that_is_no_run_is_refused_by_name(make: Make, tmp_path: Path) -> None:
    first = make("a", "wide")
    (tmp_path / "notes").mkdir()
    (tmp_path / "file.txt").write_text("x", encoding="utf-8")
    for other in (tmp_path / "notes", tmp_path / "file.txt", tmp_path / "nowhere"):
        with pytest.raises(EdgestitchError) as caught:
            choose_runs([first, other])
        assert str(other) in caught.value.message and caught.value.hint


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a\x1b[31m.tflite", "a\\x1b[31m.tflite"),
        ("a\nb.tflite", "a\\nb.tflite"),
        ("\u202egnp.tflite", "\\u202egnp.tflite"),
        (os.fsdecode(b"\xff.tflite"), "\\udcff.tflite"),
        ("名前 <b>|.tflite", "名前 <b>|.tflite"),
    ],
)
def test_a_name_becomes_a_line_that_a_report_may_hold(name: str, told: str) -> None:
    assert printable(name) == told
    assert not UNPRINTABLE.search(told)
