"""Going on with an interrupted or killed training: equal to the bit, or refused by what differs."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_runtime.cli import main
from edgestitch_train import checkpoint
from edgestitch_train.acquisition import MINI_FOLDER

from .conftest import command, environment

# All that a training carries from step to step: moments, averages, a dropout's state, the rate.
WORDS = ["train", "--dataset", "fashion-mnist-mini", "--batch", "500", "--dropout", "0.2"]
WORDS += ["--average", "0.3", "--flip", "0.5", "--shift", "2", "--erase", "0.3", "--epochs", "5"]
MODELS = ["mlp", "dscnn"]


def stop_after(folder: Path, epoch: int, by: signal.Signals, *words: str) -> int:
    """Runs a training in a process of its own and sends it `by` once `epoch` is said to be done."""
    process = subprocess.Popen(
        command(*WORDS, *words), cwd=folder, env=environment(folder), stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    heard = ""
    while f"epoch {epoch}/5" not in heard:
        line = process.stderr.readline()
        assert line, heard
        heard += line
    process.send_signal(by)
    process.communicate(timeout=120)
    return process.returncode


def finish(folder: Path, *words: str) -> str:
    done = subprocess.run(
        command(*WORDS, *words), cwd=folder, env=environment(folder), capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same training without an interruption, of each model."""
    folder = tmp_path_factory.mktemp("whole")
    for model in MODELS:
        finish(folder, "--model", model)
    return {model: folder / "runs" / model for model in MODELS}


@pytest.mark.parametrize(
    ("model", "by", "code"),
    [
        ("mlp", signal.SIGINT, 130),
        ("mlp", signal.SIGKILL, -9),
        pytest.param("dscnn", signal.SIGTERM, 143, marks=pytest.mark.slow),
        ("dscnn", signal.SIGKILL, -9),
    ],
)
def test_a_resumed_training_ends_with_the_same_bytes_as_an_uninterrupted_one(
    tmp_path: Path, whole: dict[str, Path], model: str, by: signal.Signals, code: int
) -> None:
    assert stop_after(tmp_path, 2, by, "--model", model) == code
    assert (tmp_path / "runs" / f".{model}.unfinished.npz").is_file()
    said = finish(tmp_path, "--model", model, "--resume")
    assert "going on after epoch " in said
    assert "epoch 1/5" not in said and "epoch 5/5" in said
    resumed = tmp_path / "runs" / model
    assert (resumed / "model.keras").read_bytes() == (whole[model] / "model.keras").read_bytes()
    old, new = (json.loads((f / "run.json").read_text()) for f in (whole[model], resumed))
    for record in (old, new):
        for epoch in record["history"]:
            del epoch["seconds"]
    assert new["history"] == old["history"]
    assert (new["stopped"], new["accuracy"]) == ("finished", old["accuracy"])
    assert not (tmp_path / "runs" / f".{model}.unfinished.npz").exists()


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a training of the mlp was killed. To be copied."""
    folder = tmp_path_factory.mktemp("unfinished")
    stop_after(folder, 2, signal.SIGKILL)
    return folder


@pytest.fixture
def here(tmp_path: Path, unfinished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(unfinished / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    before = Path("runs/.mlp.unfinished.npz").read_bytes()
    assert main([*WORDS, *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err
    assert Path("runs/.mlp.unfinished.npz").read_bytes() == before  # nothing is lost
    return err


def test_an_unfinished_training_is_neither_forgotten_nor_lost_by_accident(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys)
    assert "an unfinished training of runs/mlp is there" in said and "--resume" in said
    assert main([*WORDS, "--force", "--epochs", "1", "--progress", "none"]) == 0
    assert len(json.loads(Path("runs/mlp/run.json").read_text())["history"]) == 1
    assert not Path("runs/.mlp.unfinished.npz").exists()
    assert main([*WORDS, "--resume"]) == 2
    assert "there is no unfinished training of runs/mlp" in capsys.readouterr().err


def test_another_recipe_is_refused_by_the_values_that_differ(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "--resume", "--epochs", "6", "--seed", "3")
    assert "other recipe: epochs 5, now 6; seed 0, now 3" in said
    assert "edgestitch train --model mlp --dataset fashion-mnist-mini" in said


def test_other_data_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(MINI_FOLDER, here / "other")
    labels = (here / "other/labels.txt").read_text().splitlines()
    labels[0] = "Singlet"
    (here / "other/labels.txt").write_text("\n".join(labels))
    path = here / "other/t10k-labels-idx1-ubyte.gz"
    path.write_bytes((MINI_FOLDER / path.name).read_bytes())
    import gzip

    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] = (content[-1] + 1) % 10
    path.write_bytes(gzip.compress(bytes(content)))
    said = refused(capsys, "--resume", "--dataset", "other")
    assert "other data" in said


def test_another_background_is_other_data(tmp_path: Path, capsys: Any) -> None:
    from edgestitch_train import acquire

    data = acquire("fashion-mnist-mini")
    path = tmp_path / "data.npz"
    np.savez(path, images=data.train.images_u8[:600], labels=data.train.labels[:600])
    words = ["--dataset", str(path), "--runs", str(tmp_path / "runs")]
    stop_after(tmp_path, 2, signal.SIGKILL, *words)
    assert main([*WORDS, *words, "--background", "bright", "--resume"]) == 2
    assert "other data: the hashes, the class names or the background differ" in (
        capsys.readouterr().err
    )


def test_other_layers_from_a_file_beside_the_named_one_are_refused(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("width_of.py").write_text("WIDTH = 12\n")
    Path("net.py").write_text(
        "from keras import Input, Sequential, layers\nfrom width_of import WIDTH\n"
        "def build(): return Sequential([Input((28, 28)), layers.Flatten(), layers.Dense(WIDTH), "
        "layers.Dense(10)])\n"
    )
    stop_after(tmp_path, 2, signal.SIGKILL, "--model", "net.py:build")
    Path("width_of.py").write_text("WIDTH = 13\n")
    assert main([*WORDS, "--model", "net.py:build", "--resume"]) == 2
    assert "another model: its layers differ" in capsys.readouterr().err


def test_another_version_of_keras_is_refused_by_name(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = here / "runs/.mlp.unfinished.npz"
    state, about = checkpoint.read(path)
    about["versions"]["keras"] = "3.0.0"
    checkpoint.write(path, state, about)
    assert "other versions: keras 3.0.0, now 3." in refused(capsys, "--resume")


@pytest.mark.parametrize("damage", ["cut", "empty", "another npz"])
def test_a_damaged_file_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    path = here / "runs/.mlp.unfinished.npz"
    if damage == "another npz":
        np.savez(path, x=np.zeros(3))
    else:
        path.write_bytes(path.read_bytes()[: 5000 if damage == "cut" else 0])
    assert "no unfinished training that this edgestitch can read" in refused(capsys, "--resume")


def test_what_is_saved_is_read_back_to_the_bit(here: Path) -> None:
    path = here / "runs/.mlp.unfinished.npz"
    state, about = checkpoint.read(path)
    again = here / "again.npz"
    checkpoint.write(again, state, about)
    other, about_again = checkpoint.read(again)
    assert about_again == about and other.history == state.history
    lists: list[tuple[Any, Any]] = [
        (state.kept, other.kept),
        (state.variables, other.variables),
        (state.optimizer, other.optimizer),
    ]
    for mine, theirs in lists:
        assert len(mine) == len(theirs) > 0
        for a, b in zip(mine, theirs, strict=True):
            assert a.dtype == b.dtype and a.tobytes() == b.tobytes()
