"""`train` called in this process: seeds, replacing, interruption, and what it refuses."""

from __future__ import annotations

import gzip
import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_runtime.cli import main
from edgestitch_train import RECIPES, train
from edgestitch_train.acquisition import MINI_FOLDER

from .conftest import command, environment

QUICK = ["train", "--dataset", "fashion-mnist-mini", "--epochs", "1", "--batch", "500"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listing(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line with which a command line is refused, once all else about it is checked."""
    before = listing(Path())
    code = main(list(words))
    out, err = capsys.readouterr()
    lines = err.strip().splitlines()
    assert code == 2, err
    assert out == ""
    assert "Traceback" not in err
    assert lines[-1].startswith("hint: ")
    assert len(lines[-1]) > len("hint: ")
    assert lines[-2].startswith("edgestitch: ")
    assert listing(Path()) == before
    return lines[-2]


def test_another_seed_gives_other_weights_and_the_same_seed_the_same_in_one_process(
    here: Path,
) -> None:
    hashes = [
        train(
            dataset="fashion-mnist-mini",
            recipe=replace(RECIPES["mlp"], epochs=1, batch=500, dropout=0.2, seed=seed),
            runs=here,
            name=f"r{index}",
            progress="none",
        ).model_sha256
        for index, seed in enumerate((0, 0, 1))
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_an_older_run_is_refused_without_force_and_replaced_with_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = here / "runs" / "mlp"
    (old / "export").mkdir(parents=True)
    (old / "export" / "mlp-int8.tflite").write_bytes(b"old")
    assert "runs/mlp exists" in refused(capsys, *QUICK)
    assert main([*QUICK, "--force", "--json", "--optimizer", "sgd", "--learning-rate", "0.1"]) == 0
    out, _ = capsys.readouterr()
    told = json.loads(out)
    assert told["dropped"] == ["export"]
    assert told["folder"] == "runs/mlp"
    assert (told["epochs"], told["test_n"]) == (1, 1000)
    assert not (old / "export").exists()
    assert json.loads((old / "run.json").read_text())["recipe"]["optimizer"] == "sgd"
    assert listing(here / "runs") == sorted(
        ["mlp", *(f"mlp/{p.name}" for p in old.iterdir())]
    )  # no temporary folder beside it


def test_a_disk_that_takes_no_more_leaves_nothing_and_the_old_run(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = here / "runs" / "mlp"
    old.mkdir(parents=True)
    (old / "run.json").write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        line = refused(capsys, *QUICK, "--force")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, kept)
    assert "cannot write runs/mlp" in line
    assert (old / "run.json").read_text() == "old"


def test_a_place_that_cannot_be_written_is_refused_before_training(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "file").write_text("")
    started = time.monotonic()
    assert "cannot write file/mlp: not a directory" in refused(capsys, *QUICK, "--runs", "file")
    (here / "runs").mkdir()
    (here / "runs" / "mlp").write_text("")
    assert "runs/mlp is not a folder" in refused(capsys, *QUICK, "--force")

    def full(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", full)
    assert "cannot write other/mlp: permission denied" in refused(capsys, *QUICK, "--runs", "other")
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--epochs", "0"], "epochs is 0, expected 1 to"),
        (["--epochs", "1.5"], "invalid int value: '1.5'"),
        (["--batch", "-3"], "batch is -3"),
        (["--learning-rate", "-1"], "learning_rate is -1.0"),
        (["--learning-rate", "nan"], "learning_rate is nan"),
        (["--learning-rate", "inf"], "learning_rate is inf"),
        (["--label-smoothing", "1"], "label_smoothing is 1.0, expected 0 to 0.9"),
        (["--dropout", "1"], "dropout is 1.0"),
        (["--warmup", "2"], "warmup is 2 epochs of 1"),
        (["--validation", "6000"], "6000 validation images cannot be taken out of 6000"),
        (["--validation", "0"], "validation is 0.0"),
        (["--validation", "10.5"], "validation is 10.5, expected a whole number"),
        (["--seed", "-1"], "seed is -1"),
        (["--optimizer", "adagrad"], "invalid choice: 'adagrad'"),
        (["--model", "resnet"], "there is no model 'resnet'"),
        (["--name", "../x"], "'../x' is not a name for a run"),
        (["--name", ""], "'' is not a name for a run"),
        (["--dataset", "mnist"], "there is no data set 'mnist'"),
        (["--data", "nowhere"], "nowhere has no train-images-idx3-ubyte"),
        (["--learning-rate", "100", "--weight-decay", "1", "--batch", "50"], "training diverged"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(
    capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert says in refused(capsys, *QUICK, *words)


@pytest.mark.parametrize(("side", "fits"), [(3, False), (4, True), (64, True), (65, False)])
def test_images_of_another_size_are_trained_on_within_the_limits(
    here: Path, capsys: pytest.CaptureFixture[str], side: int, fits: bool
) -> None:
    folder = here / "tiles"
    folder.mkdir()
    for prefix in ("train", "t10k"):
        header = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (40, side, side))
        images = np.random.default_rng(0).integers(0, 256, 40 * side * side, np.uint8)
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        header = b"\0\0\x08\x01" + (40).to_bytes(4, "big")
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(header + bytes([0, 1, 2, 3] * 10))
    words = ["train", "--dataset", "tiles", "--epochs", "1"]
    if not fits:
        assert f"{side} x {side} pixels, expected 4 to 64" in refused(capsys, *words)
        return
    assert main(words) == 0
    told = json.loads(Path("runs/mlp/run.json").read_text())
    assert told["title"] == "mlp on tiles"
    assert told["data"]["labels"] == ["0", "1", "2", "3"]
    assert told["model"]["parameters"] == side * side * 128 + 128 + 128 * 4 + 4


def test_fashion_mnist_with_one_other_file_is_refused_by_that_file(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(MINI_FOLDER, here / "copy")
    path = here / "copy" / "t10k-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] = (content[-1] + 1) % 10
    path.write_bytes(gzip.compress(bytes(content)))
    line = refused(capsys, *QUICK, "--data", "copy")
    assert "the checksum of t10k-labels-idx1-ubyte is another" in line


def interrupt(
    folder: Path, *words: str, after: str, by: signal.Signals = signal.SIGINT
) -> tuple[int, str, str]:
    """Runs a training and sends it Ctrl-C (or `by`) once its stderr has the words `after`."""
    process = subprocess.Popen(
        command("train", "--dataset", "fashion-mnist-mini", "--progress", "lines", *words),
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    heard = ""
    while after not in heard:
        line = process.stderr.readline()
        assert line, heard
        heard += line
    process.send_signal(by)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, heard + err


def test_ctrl_c_keeps_the_best_weights_so_far_and_says_so(here: Path) -> None:
    code, out, err = interrupt(here, "--epochs", "5000", after="epoch 2/")
    assert code == 130
    told: dict[str, Any] = json.loads((here / "runs/mlp/run.json").read_text())
    done = len(told["history"])
    assert told["stopped"] == "interrupted"
    assert 2 <= done < 5000
    losses = [e["val_loss"] for e in told["history"]]
    assert told["weights_kept"]["epoch"] == int(np.argmin(losses)) + 1
    assert f"interrupted after {done} of 5000 epochs" in err
    assert f"of {done} done and 5000 asked: interrupted" in out
    assert "the same command with --resume" in out
    assert listing(here / "runs") == sorted(
        [".mlp.unfinished.npz", "mlp", *(f"mlp/{p.name}" for p in (here / "runs/mlp").iterdir())]
    )
    assert (here / "runs/mlp/predictions.png").stat().st_size > 10_000


def test_ctrl_c_before_the_first_epoch_is_done_writes_nothing(here: Path) -> None:
    code, out, err = interrupt(here, "--batch", "1", after="images to train on")
    assert code == 130
    assert out == ""
    assert "Traceback" not in err
    assert err.strip().endswith("edgestitch: interrupted")
    assert not (here / "runs").exists()


def test_sigterm_leaves_the_old_run_and_what_resume_needs(here: Path) -> None:
    old = here / "runs" / "mlp"
    old.mkdir(parents=True)
    (old / "run.json").write_text("old")
    code, out, err = interrupt(
        here, "--epochs", "5000", "--force", after="epoch 2/", by=signal.SIGTERM
    )
    assert code == 143 and out == "" and "Traceback" not in err
    assert err.strip().endswith("edgestitch: terminated")
    assert listing(here / "runs") == [".mlp.unfinished.npz", "mlp", "mlp/run.json"]
    assert (old / "run.json").read_text() == "old"


def test_a_flag_of_the_recipe_says_what_its_number_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    page = capsys.readouterr().out
    for words in ("--epochs EPOCHS", "--learning-rate RATE", "--dropout SHARE", "--seed SEED"):
        assert words in page
    assert " N " not in page and max(map(len, page.splitlines())) < 80


def test_help_needs_neither_tensorflow_nor_numpy() -> None:
    check = (
        "import sys; from edgestitch_runtime.cli import main; code = main(['train', '--help']); "
        "heavy = {'tensorflow', 'keras', 'numpy', 'matplotlib'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for flag in ("--label-smoothing", "--seed", "--epochs", "--dropout", "--validation"):
        assert flag in done.stdout
