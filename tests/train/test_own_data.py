"""`acquire` for data of one's own: names, what is told, and what is refused before a training."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgestitch_runtime.cli import main
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_train import acquire
from edgestitch_train.acquisition import MINI_FOLDER, MINI_SHA256

Labelled = tuple[np.ndarray, np.ndarray]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(dataset: str, **more: object) -> EdgestitchError:
    with pytest.raises(EdgestitchError) as caught:
        acquire(dataset, **more)  # type: ignore[arg-type]
    assert caught.value.hint
    return caught.value


def npz(name: str, labelled: Labelled, **changes: np.ndarray) -> str:
    x, y = labelled
    arrays = {"x_train": x[:400], "y_train": y[:400], "x_test": x[400:500], "y_test": y[400:500]}
    np.savez(name, allow_pickle=True, **(arrays | changes))
    return name


def test_the_sample_under_another_name_or_in_an_npz_is_recognized(
    here: Path, mini_train: Labelled, mini_test: Labelled
) -> None:
    (x, y), (tx, ty) = mini_train, mini_test
    np.savez("copy.npz", x_train=x, y_train=y, x_test=tx, y_test=ty)
    found = acquire("copy.npz")
    assert {f.name: f.sha256 for f in found.files} == MINI_SHA256
    assert found.name == "fashion-mnist-mini" and found.labels[9] == "Ankle boot"
    shutil.copytree(MINI_FOLDER, here / "idx")
    (here / "names.txt").write_text("".join(f"kind {k}\n" for k in range(10)))
    assert acquire("idx", labels=Path("names.txt")).labels[3] == "kind 3"


def test_a_class_without_training_images_is_refused(mini_train: Labelled) -> None:
    x, y = mini_train
    gap = np.where(y == 4, 11, y)
    name = npz("gap.npz", mini_train, y_train=gap[:400], y_test=gap[400:500])
    assert "no image of the class 4 to train on" in refusal(name).message
    only = npz("only.npz", mini_train, y_test=np.full(100, 10))
    assert "has the class 10 in test, but not in train" in refusal(only).message
    assert len(x) == len(y)


def test_copies_are_told_and_refused_when_strict(mini_train: Labelled) -> None:
    x, y = mini_train
    said: list[str] = []
    leak = [*range(30), *range(430, 500)]
    name = npz("leak.npz", mini_train, x_test=x[leak], y_test=y[leak])
    acquire(name, say=said.append)
    assert any("30 test images are in train too" in line for line in said)
    assert "test images are in train too" in refusal(name, strict=True).message
    other = npz("contradicting.npz", mini_train, x_test=x[leak], y_test=(y[leak] + 1) % 10)
    assert "60 images have the same pixels as one of" in refusal(other, strict=True).message
    clean: list[str] = []
    acquire(npz("clean.npz", mini_train), strict=True, say=clean.append)
    assert clean == []


def test_what_is_settled_for_a_known_data_set_cannot_be_changed() -> None:
    for more in ({"labels": Path("x")}, {"size": (8, 8)}, {"background": "bright"}):
        assert "settled" in refusal("fashion-mnist-mini", **more).message
    assert "background is 'grey'" in refusal(str(MINI_FOLDER), background="grey").message


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--dataset", "nowhere"], "there is no data set 'nowhere'"),
        (["--dataset", "one"], "one has 1 class"),
        (["--dataset", "two", "--size", "0x5"], "size is 0 x 5 pixels"),
        (["--dataset", "two", "--size", "28x"], "is no size"),
        (["--dataset", "two", "--size", "70"], "70 x 70 pixels, expected 4 to 64"),
        (["--dataset", "two", "--labels", "none.txt"], "none.txt cannot be read as text"),
        (["--dataset", "two", "--data", "one"], "two is a path already"),
        (["--dataset", "two", "--background", "grey"], "invalid choice: 'grey'"),
        (["--dataset", "two", "--strict"], "two/b/bad.png"),
        (["--dataset", "tiny"], "class a has 1 images"),
    ],
)
def test_the_command_refuses_in_one_line_and_leaves_nothing(
    here: Path,
    capsys: pytest.CaptureFixture[str],
    mini_train: Labelled,
    words: list[str],
    says: str,
) -> None:
    images = mini_train[0]
    for folder, count in (("one/a", 9), ("two/a", 9), ("two/b", 9), ("tiny/a", 1), ("tiny/b", 1)):
        Path(folder).mkdir(parents=True)
        for index in range(count):
            offset = 100 * folder.endswith("b")
            Image.fromarray(images[index + offset]).save(f"{folder}/{index}.png")
    Path("two/b/bad.png").write_bytes(b"no picture")
    assert main(["train", "--epochs", "1", *words]) == 2
    out, err = capsys.readouterr()
    lines = err.strip().splitlines()
    assert out == "" and "Traceback" not in err
    assert says in lines[-2] and lines[-2].startswith("edgestitch: ")
    assert lines[-1].startswith("hint: ")
    assert not Path("runs").exists()


def test_no_class_may_lose_all_its_images_to_the_validation(
    here: Path, capsys: pytest.CaptureFixture[str], mini_train: Labelled
) -> None:
    x, y = mini_train
    few = np.concatenate([np.flatnonzero(y == k)[: 2 if k else 40] for k in range(10)])
    np.savez("few.npz", images=x[few], labels=y[few])
    assert main(["train", "--dataset", "few.npz", "--validation", "9", "--epochs", "1"]) == 2
    err = capsys.readouterr().err
    assert "the validation images leave the class" in err and "hint: give each class more" in err
    assert not Path("runs").exists()


def test_a_size_too_large_is_refused_before_a_picture_is_read(here: Path) -> None:
    for name in ("cat", "dog"):
        (here / "pets" / name).mkdir(parents=True)
    assert "size is 4096 x 28 pixels, expected 4 to 64" in refusal("pets", size=(4096, 28)).message


def test_a_file_that_names_no_class_is_refused(here: Path, mini_train: Labelled) -> None:
    Path("names.txt").write_text("\n\n")
    name = npz("data.npz", mini_train)
    assert "names.txt names no class" in refusal(name, labels=Path("names.txt")).message
