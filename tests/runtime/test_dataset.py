"""IDX files, hashes, the split, and finding a run's data again."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestitch_runtime import dataset
from edgestitch_runtime.errors import EdgestitchError

SPLITS = ("train", "t10k")


def idx(array: np.ndarray) -> bytes:
    """The layout as the MNIST page describes it, written here on its own."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_folder(folder: Path, *, seed: int = 0, n: int = 12, side: int = 5) -> Path:
    """Four plain IDX files of random images with classes 0, 1, 2."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for prefix in SPLITS:
        images = random.integers(0, 256, (n, side, side + 1), np.uint8)
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx(images))
        classes = (np.arange(n) % 3).astype(np.uint8)
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(classes))
    return folder


def record_of(data: dataset.Dataset, *, folder: Path) -> dict[str, object]:
    return {
        "name": data.name,
        "folder": str(folder),
        "labels": list(data.labels),
        "files": [{"name": f.name, "sha256": f.sha256, "bytes": f.bytes} for f in data.files],
    }


@pytest.fixture(autouse=True)
def empty_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CACHE_HOME", "KERAS_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("EDGESTITCH_DATA", raising=False)


@given(shape=st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 7)), data=st.data())
def test_an_idx_file_is_read_as_written_gzipped_or_not(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, int, int], data: st.DataObject
) -> None:
    size = int(np.prod(shape))
    content = data.draw(st.binary(min_size=size, max_size=size))
    array = np.frombuffer(content, np.uint8).reshape(shape)
    folder = tmp_path_factory.mktemp("idx")
    plain, gz = folder / "a-idx3-ubyte", folder / "a-idx3-ubyte.gz"
    plain.write_bytes(idx(array))
    gz.write_bytes(gzip.compress(idx(array)))
    for path in (plain, gz):
        found, file = dataset.read_idx(path)
        assert found.tolist() == array.tolist()
        assert file.name == "a-idx3-ubyte"
        assert file.sha256 == hashlib.sha256(idx(array)).hexdigest()
        assert file.bytes == len(idx(array))


WHOLE = idx(np.zeros((2, 3, 3), np.uint8))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "begins with nothing"),
        (b"\x00\x00", "expected 00000801"),
        (b"\x00\x00\x0d\x03" + WHOLE[4:], "begins with 00000d03"),
        (b"\x00\x00\x08\x02" + WHOLE[4:], "begins with 00000802"),
        (b"PK\x03\x04" + WHOLE[4:], "begins with 504b0304"),
        (WHOLE[:9], "cut or damaged"),
        (WHOLE[:-1], "holds 33 bytes, its header says 34"),
        (WHOLE + b"\0", "holds 35 bytes, its header says 34"),
        (gzip.compress(WHOLE)[:-5], "damaged gzip"),
        (gzip.compress(WHOLE)[:-8] + b"\0" * 8, "damaged gzip"),
        (b"\x1f\x8b", "damaged gzip"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1), "its header says"),
    ],
)
def test_a_damaged_idx_file_is_refused_by_name(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(EdgestitchError) as caught:
        dataset.read_idx(path)
    assert str(path) in caught.value.message
    assert words in caught.value.message
    assert caught.value.hint


def test_a_folder_is_read_with_the_class_names_of_labels_txt(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "toys")
    assert dataset.read_idx_folder(folder).labels == ("0", "1", "2")
    (folder / "labels.txt").write_text("cat\n dog \n\nT-shirt/top\n", encoding="utf-8")
    found = dataset.read_idx_folder(folder)
    assert (found.name, found.labels) == ("toys", ("cat", "dog", "T-shirt/top"))
    assert found.train.images_u8.shape == (12, 5, 6)
    assert found.train.labels.dtype == np.int64
    assert [f.name for f in found.files] == list(dataset.FILES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"cat\ndog\n", "names 2 classes, the data uses class 2"),
        (b"", "names no class"),
        (b"\xff\xfe\x00", "cannot be read as text"),
        (b"cat\ndog\ncat\n", "3 class names, 2 of them different"),
    ],
)
def test_a_bad_labels_file_is_refused(tmp_path: Path, text: bytes, words: str) -> None:
    folder = write_folder(tmp_path)
    (folder / "labels.txt").write_bytes(text)
    with pytest.raises(EdgestitchError, match=words):
        dataset.read_idx_folder(folder)


def test_a_folder_whose_parts_do_not_fit_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a")
    (folder / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(EdgestitchError, match="has no train-labels-idx1-ubyte"):
        dataset.read_idx_folder(folder)
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(11, np.uint8)))
    with pytest.raises(EdgestitchError, match=r"\(12, 5, 6\) and labels of shape \(11,\)"):
        dataset.read_idx_folder(folder)
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros((12, 1, 1), np.uint8)))
    with pytest.raises(EdgestitchError, match="expected"):
        dataset.read_idx_folder(folder)
    write_folder(folder)
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((12, 9, 6), np.uint8)))
    with pytest.raises(EdgestitchError, match=r"train images are \(5, 6\), test images \(9, 6\)"):
        dataset.read_idx_folder(folder)


@given(
    counts=st.lists(st.integers(1, 60), min_size=2, max_size=6),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_split_is_disjoint_complete_stratified_and_seeded(
    counts: list[int], share: float, seed: int
) -> None:
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    n = len(labels)
    wanted = min(n - 1, max(1, int(share * n)))
    train, validation = dataset.split_train(labels, validation_count=wanted, seed=seed)
    assert len(validation) == wanted
    assert sorted([*train, *validation]) == list(range(n))
    assert list(validation) == sorted(validation)
    assert list(train) == sorted(train)
    for index, count in enumerate(counts):
        assert abs(int((labels[validation] == index).sum()) - count * wanted / n) < 1
    again = dataset.split_train(labels, validation_count=wanted, seed=seed)
    assert all(np.array_equal(a, b) for a, b in zip((train, validation), again, strict=True))


def test_another_seed_holds_out_other_images() -> None:
    labels = np.arange(1000) % 10
    first = dataset.split_train(labels, validation_count=100, seed=0)[1]
    second = dataset.split_train(labels, validation_count=100, seed=1)[1]
    assert len(set(first) & set(second)) < 40  # 10 are expected by chance


@pytest.mark.parametrize("count", [0, -1, 10, 11])
def test_a_split_that_leaves_a_part_empty_is_refused(count: int) -> None:
    with pytest.raises(EdgestitchError, match="cannot be taken out of 10"):
        dataset.split_train(np.zeros(10, np.int64), validation_count=count, seed=0)


def test_places_are_the_named_folder_then_the_caches_then_debians(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGESTITCH_DATA", str(tmp_path / "named"))
    assert dataset.places("d") == [
        tmp_path / "named",
        tmp_path / "named" / "d",
        tmp_path / "XDG_CACHE_HOME" / "edgestitch" / "d",
        tmp_path / "KERAS_HOME" / "datasets" / "d",
        Path("/usr/share/datasets/d"),
    ]


def test_a_runs_data_is_found_again_by_hash_past_other_and_damaged_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = write_folder(tmp_path / "true", seed=1)
    record = record_of(dataset.read_idx_folder(true, name="d"), folder=tmp_path / "gone")
    monkeypatch.setenv("EDGESTITCH_DATA", str(tmp_path / "named"))
    write_folder(tmp_path / "named", seed=2)
    damaged = write_folder(tmp_path / "named" / "d", seed=1)
    (damaged / "t10k-labels-idx1-ubyte").write_bytes(b"")
    with pytest.raises(EdgestitchError, match="was not found"):
        dataset.find_recorded(record)
    cached = tmp_path / "XDG_CACHE_HOME" / "edgestitch" / "d"
    write_folder(cached, seed=1)
    assert dataset.find_recorded(record).folder == cached
    assert dataset.find_recorded(record, folder=true).folder == true


def test_other_data_than_the_runs_is_refused_by_file(tmp_path: Path) -> None:
    true = write_folder(tmp_path / "true", seed=1)
    record = record_of(dataset.read_idx_folder(true, name="d"), folder=true)
    other = write_folder(tmp_path / "other", seed=1)
    path = other / "t10k-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # one bit of one pixel
    path.write_bytes(bytes(content))
    with pytest.raises(EdgestitchError, match="not the data of this run: t10k-images-idx3-ubyte"):
        dataset.find_recorded(record, folder=other)
    with pytest.raises(EdgestitchError, match="was not found in"):
        dataset.find_recorded(record, folder=tmp_path / "nowhere")


def test_a_folder_that_may_not_be_looked_into_has_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "shut")
    assert dataset.has_idx_files(folder)

    def refuse(path: Path, **_: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refuse)
    assert not dataset.has_idx_files(folder)
