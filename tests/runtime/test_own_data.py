"""Data of one's own: folders of pictures and .npz files, against Pillow, numpy and IDX files."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgestitch_runtime.array_files import read_idx
from edgestitch_runtime.dataset import (
    FILES,
    Dataset,
    Part,
    find_recorded,
    read_dataset,
    read_idx_folder,
    read_labels,
)
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.parts import BRIGHT, copies, idx_files, take_test
from edgestitch_runtime.picture import Expected, load

Labelled = tuple[np.ndarray, np.ndarray]
NAMES = ("bag", "coat", "dress")


def save(folder: Path, images: np.ndarray, *, suffix: str = ".png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index:04d}{suffix}")


def of_class(labelled: Labelled, label: int, count: int) -> np.ndarray:
    images, labels = labelled
    return images[labels == label][:count]


@pytest.fixture
def folder(tmp_path: Path, mini_train: Labelled, mini_test: Labelled) -> Path:
    """train/ and test/ with three classes of real images, 20 and 8 of each."""
    root = tmp_path / "clothes"
    for label, name in enumerate(NAMES):
        save(root / "train" / name, of_class(mini_train, label, 20))
        save(root / "test" / name, of_class(mini_test, label, 8))
    return root


@pytest.fixture
def said() -> list[str]:
    return []


def read(path: Path, said: list[str], **more: object) -> Dataset:
    return read_dataset(path, say=said.append, **more)  # type: ignore[arg-type]


def refusal(path: Path, **more: object) -> EdgestitchError:
    with pytest.raises(EdgestitchError) as caught:
        read(path, [], **more)
    assert caught.value.hint and "\n" not in caught.value.message
    return caught.value


def test_a_folder_of_pictures_holds_the_pixels_and_classes_of_its_files(
    folder: Path, said: list[str]
) -> None:
    found = read(folder, said)
    assert (found.labels, found.name, said) == (NAMES, "clothes", [])
    for part, name in ((found.train, "train"), (found.test, "test")):
        paths = sorted((folder / name).rglob("*.png"))
        by_pillow = np.stack([np.asarray(Image.open(path)) for path in paths])
        assert np.array_equal(part.images_u8, by_pillow)
        assert [NAMES[k] for k in part.labels] == [path.parent.name for path in paths]


def test_the_same_images_are_the_same_data_in_every_layout(
    tmp_path: Path, mini_train: Labelled, mini_test: Labelled, said: list[str]
) -> None:
    mini = read_idx_folder(Path("train/edgestitch_train/fashion_mnist_mini").resolve())
    (x, y), (tx, ty) = mini_train, mini_test
    order, torder = np.argsort(y, kind="stable"), np.argsort(ty, kind="stable")
    root = tmp_path / "pictures"
    for part, images, labels in (("train", x, y), ("test", tx, ty)):
        for label in range(10):
            save(root / part / f"class {label}", images[labels == label])
    np.savez(tmp_path / "a.npz", x_train=x[order], y_train=y[order], x_test=tx[torder],
             y_test=ty[torder])  # fmt: skip
    np.savez_compressed(
        tmp_path / "b.npz", train_images=x[order][..., None], train_labels=y[order][:, None],
        test_images=tx[torder][..., None], test_labels=ty[torder][:, None].astype(np.uint8),
        val_images=tx[:3], val_labels=ty[:3],
    )  # fmt: skip
    idx = tmp_path / "idx"
    idx.mkdir()
    for name, array in zip(FILES, (x[order], y[order], tx[torder], ty[torder]), strict=True):
        head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        (idx / f"{name}.gz").write_bytes(gzip.compress(head + array.astype("u1").tobytes(), 1))
    sets = [read(p, said) for p in (root, tmp_path / "a.npz", tmp_path / "b.npz", idx)]
    for found in sets:
        assert np.array_equal(found.train.images_u8, x[order])
        assert np.array_equal(found.test.labels, ty[torder])
        assert found.files == sets[0].files
    assert [f.name for f in sets[0].files] == list(FILES)
    assert sets[0].files[0].sha256 == read_idx(idx / f"{FILES[0]}.gz")[1].sha256
    assert said == [f"{tmp_path / 'b.npz'}: val_images, val_labels left aside"]
    assert idx_files(mini.train, mini.test) == mini.files


def record(found: Dataset, folder: Path) -> dict[str, object]:
    return {
        "name": found.name,
        "folder": str(folder),
        "labels": list(found.labels),
        "size": list(found.train.images_u8.shape[1:]),
        "background": found.background,
        "files": [{"name": f.name, "sha256": f.sha256} for f in found.files],
    }


def test_export_and_bench_find_a_folder_or_npz_again_by_its_content(
    folder: Path, tmp_path: Path, said: list[str]
) -> None:
    found = read(folder, said, size=(20, 24), labels=("dress", "bag", "coat"), background=BRIGHT)
    told = record(found, folder)
    again = find_recorded(told)
    assert again.labels == ("dress", "bag", "coat")
    assert (again.background, again.files) == (BRIGHT, found.files)
    moved = tmp_path / "moved"
    folder.rename(moved)
    with pytest.raises(EdgestitchError, match="was not found in any known place"):
        find_recorded(told)
    assert find_recorded(told, folder=moved).files == found.files
    np.savez(tmp_path / "same.npz", x_train=found.train.images_u8, y_train=found.train.labels,
             x_test=found.test.images_u8, y_test=found.test.labels)  # fmt: skip
    assert find_recorded(told, folder=tmp_path / "same.npz").labels == found.labels
    path = moved / "test" / "bag" / "0000.png"
    Image.fromarray(np.asarray(Image.open(path)) ^ 1).save(path)
    with pytest.raises(EdgestitchError, match="t10k-images-idx3-ubyte differ"):
        find_recorded(told, folder=moved)


def test_pictures_of_any_size_and_mode_go_through_the_one_conversion(
    tmp_path: Path, mini_train: Labelled, said: list[str]
) -> None:
    for label, name in enumerate(("a", "b")):
        images = of_class(mini_train, label, 10)
        (tmp_path / name).mkdir()
        for index, image in enumerate(images):
            large = Image.fromarray(image).resize((90, 61 + index))
            mode, suffix = (("RGB", "jpg"), ("RGBA", "png"), ("L", "bmp"), ("P", "png"))[index % 4]
            large.convert(mode).save(tmp_path / name / f"{index}.{suffix}")
    found = read(tmp_path, said, size=(16, 20))
    expected = Expected(height=16, width=20)
    wanted = {
        load(path, expected, invert="no").images_u8.tobytes()
        for path in tmp_path.rglob("*.*")
        if path.is_file()
    }
    both = np.concatenate([found.train.images_u8, found.test.images_u8])
    assert both.shape == (20, 16, 20)
    assert {image.tobytes() for image in both} == wanted


def test_without_test_pictures_one_in_seven_of_each_class_is_taken_by_content_alone(
    tmp_path: Path, mini_train: Labelled, said: list[str]
) -> None:
    for label, name in enumerate(("a", "b")):
        save(tmp_path / "one" / name, of_class(mini_train, label, 70))
        save(tmp_path / "other" / name, of_class(mini_train, label, 70)[::-1], suffix=".bmp")
    one, other = (read(tmp_path / name, said) for name in ("one", "other"))
    for found in (one, other):
        assert np.bincount(found.test.labels).tolist() == [10, 10]
        assert np.bincount(found.train.labels).tolist() == [60, 60]
    assert {i.tobytes() for i in one.test.images_u8} == {i.tobytes() for i in other.test.images_u8}
    assert "20 of 140 were taken out" in said[0]


def test_equal_images_stay_on_one_side(mini_train: Labelled) -> None:
    images = np.repeat(of_class(mini_train, 0, 10), 4, axis=0)
    train, test = take_test(Part(images_u8=images, labels=np.zeros(40, np.int64)), ("cat",))
    assert len(train.labels) + len(test.labels) == 40 and len(test.labels) % 4 == 0
    assert copies(train, test) == (0, 0)
    with pytest.raises(EdgestitchError, match="class cat has 4 images, 1 of them different"):
        take_test(Part(images_u8=images[:4], labels=np.zeros(4, np.int64)), ("cat",))


def test_copies_are_counted_within_other_classes_and_across_train_and_test(
    mini_train: Labelled,
) -> None:
    images = of_class(mini_train, 0, 6)
    train = Part(images_u8=images[[0, 1, 1, 2]], labels=np.array([0, 0, 1, 1]))
    test = Part(images_u8=images[[2, 3, 0, 0]], labels=np.array([1, 0, 1, 0]))
    # image 0 is of classes 0 and 1 (three times in all), image 1 of both (twice)
    assert copies(train, test) == (5, 3)


def test_what_is_no_picture_is_skipped_by_name_and_refused_when_strict(
    folder: Path, said: list[str]
) -> None:
    bag = folder / "train" / "bag"
    (bag / "notes.txt").write_text("x")
    (bag / "broken.png").write_bytes((bag / "0000.png").read_bytes()[:60])
    (bag / "text.jpg").write_text("no picture")
    (bag / ".hidden").write_text("x")
    (bag / "deeper").mkdir()
    (bag / "loop.png").symlink_to("loop.png")
    np.save(bag / "array", np.zeros((3, 28, 28), np.uint8))
    (bag / "array.npy").rename(bag / "array.png")
    found = read(folder, said)
    assert np.bincount(found.train.labels).tolist() == [20, 20, 20]
    assert f"{folder}: 6 of 90 files skipped" in said
    text = "\n".join(said)
    for name in ("notes.txt", "broken.png", "text.jpg", "deeper", "loop.png", "array.png"):
        assert text.count(f"{bag / name}") >= 1
    assert ".hidden" not in text
    error = refusal(folder, strict="yes")
    assert "and 5 more like it" in error.message and "the 6 would be skipped" in error.hint


def test_of_many_skipped_ten_are_named(folder: Path, said: list[str]) -> None:
    for index in range(25):
        (folder / "train" / "coat" / f"x{index:02d}.png").write_bytes(b"no")
    read(folder, said)
    assert sum(line.startswith("skipped: ") for line in said) == 10
    assert said[-1] == f"{folder}: 25 of 109 files skipped (15 more than named)"


def test_a_picture_bomb_is_skipped_by_name(folder: Path, said: list[str]) -> None:
    path = folder / "train" / "bag" / "bomb.png"
    huge = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(huge, "PNG")
    path.write_bytes(huge.getvalue())
    assert path.stat().st_size < 1_000_000
    read(folder, said)
    assert any("bomb.png" in line and "64 million" in line for line in said)


def test_bright_borders_are_counted_and_said_once(folder: Path, said: list[str]) -> None:
    for path in (folder / "train" / "dress").iterdir():
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    read(folder, said)
    pictures = [np.asarray(Image.open(p)) for p in folder.rglob("*.png")]
    edges = [np.concatenate([p[0], p[-1], p[1:-1, 0], p[1:-1, -1]]) for p in pictures]
    bright = sum(float(np.median(edge)) > 127 for edge in edges)
    assert bright >= 15
    assert said == [
        f"warning: {bright} of 84 pictures have a bright border where a dark one is expected; "
        "--background bright says that it is so in all"
    ]


Change = Callable[[Path], None]


def _swap(old: str, new: str) -> Change:
    def change(root: Path) -> None:
        (root / old).rename(root / new)

    return change


def _empty(root: Path) -> None:
    for path in (root / "train" / "coat").iterdir():
        path.unlink()


def _one_class(root: Path) -> None:
    for part in ("train", "test"):
        for name in NAMES[1:]:
            for path in (root / part / name).iterdir():
                path.unlink()
            (root / part / name).rmdir()


def _twice(root: Path) -> None:
    picture = Image.open(root / "train/bag/0003.png")
    picture.save(root / "train/bag/0003.bmp")


def _many(root: Path) -> None:
    for index in range(300):
        (root / "train" / f"c{index}").mkdir()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_empty, "train/coat has no picture that can be read"),
        (_one_class, "train has 1 class"),
        (_twice, "0003.bmp and"),
        (_many, "303 class names"),
        (_swap("train/coat", "train/Bag"), "the classes 'Bag' and 'bag'"),
        (_swap("train/coat", "train/bag "), "the classes 'bag' and 'bag '"),
        (_swap("test/coat", "test/skirt"), "has the class 'skirt', which"),
        (_swap("train/coat", "train/new\nline"), "a class name that cannot be printed"),
    ],
)
def test_a_folder_that_is_no_data_set_is_refused(folder: Path, change: Change, says: str) -> None:
    change(folder)
    assert says in refusal(folder).message


def test_a_split_by_other_names_is_pointed_out(folder: Path) -> None:
    (folder / "test").rename(folder / "val")
    refused = refusal(folder)
    assert "train has no picture that can be read" in refused.message
    assert "FOLDER/train/cat/*.png beside FOLDER/test" in refused.hint


def test_an_accent_apart_from_its_letter_is_the_same_class(folder: Path, said: list[str]) -> None:
    (folder / "train/coat").rename(folder / "train/caf\u00e9")
    (folder / "test/coat").rename(folder / "test/cafe\u0301")
    found = read(folder, said, labels=("dress", "cafe\u0301", "bag"))
    assert found.labels == ("dress", "caf\u00e9", "bag")
    assert np.bincount(found.test.labels).tolist() == [8, 8, 8]
    assert read(folder, said).labels == ("bag", "caf\u00e9", "dress")


def test_without_pillow_that_is_what_is_said(
    folder: Path, said: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = read(folder, said)
    told = record(found, folder)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "needs Pillow" in refusal(folder).message
    with pytest.raises(EdgestitchError) as caught:
        find_recorded(told)  # export's way to the data of a run
    assert "needs Pillow" in caught.value.message


def test_a_class_that_test_lacks_is_told(folder: Path, said: list[str]) -> None:
    for path in (folder / "test" / "dress").iterdir():
        path.unlink()
    found = read(folder, said)
    assert np.bincount(found.test.labels, minlength=3).tolist() == [8, 8, 0]
    assert said == [f"{folder / 'test'} has no picture of dress: its accuracy will not be known"]


def test_class_names_from_a_file_set_the_order_and_must_be_the_folders(
    folder: Path, tmp_path: Path, said: list[str]
) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("\ufeffdress\n\n  bag \ncoat\n", encoding="utf-8")
    found = read(folder, said, labels=read_labels(path))
    assert found.labels == ("dress", "bag", "coat")
    first = np.asarray(Image.open(folder / "train/dress/0000.png"))
    assert np.array_equal(found.train.images_u8[found.train.labels == 0][0], first)
    assert "differ by 'coat'" in refusal(folder, labels=("dress", "bag")).message
    for text, says in (("a\na\n", "2 class names, 1 of them"), ("a\x07\nb", "cannot be printed")):
        path.write_text(text)
        with pytest.raises(EdgestitchError, match=says):
            read_labels(path)
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(EdgestitchError, match="cannot be read as text"):
        read_labels(path)


@pytest.fixture
def arrays(mini_train: Labelled, mini_test: Labelled) -> dict[str, np.ndarray]:
    (x, y), (tx, ty) = mini_train, mini_test
    return {"x_train": x[:200], "y_train": y[:200], "x_test": tx[:50], "y_test": ty[:50]}


def test_an_npz_without_test_images_gives_one_in_seven(
    tmp_path: Path, mini_train: Labelled, said: list[str]
) -> None:
    x, y = mini_train
    np.savez(tmp_path / "d.npz", images=x[:700], labels=y[:700].astype(np.uint8))
    found = read(tmp_path / "d.npz", said, labels=tuple("abcdefghij"))
    assert found.labels == tuple("abcdefghij")
    assert abs(len(found.test.labels) - 100) <= 5
    assert f"{len(found.test.labels)} were taken out" in said[0]


def test_npz_arrays_of_another_kind_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray]
) -> None:
    path = tmp_path / "d.npz"
    x, y = arrays["x_train"], arrays["y_train"]
    for changes, says in (
        ({"x_train": x / 255}, "x_train is float64 of shape (200, 28, 28), expected uint8"),
        ({"x_train": np.stack([x] * 3, -1)}, "of shape (200, 28, 28, 3)"),
        ({"y_train": y[:-1]}, "y_train is int64 of shape (199,)"),
        ({"y_train": np.eye(10)[y]}, "y_train is float64 of shape (200, 10)"),
        ({"y_train": y - 1}, "class numbers from -1 to 8"),
        ({"y_train": y * 100}, "class numbers from 0 to 900"),
        ({"x_test": arrays["x_test"][:, :20]}, "train images are (28, 28), test images (20, 28)"),
        ({"x_train": x[:0], "y_train": y[:0]}, "of shape (0, 28, 28)"),
    ):
        np.savez(path, allow_pickle=True, **(arrays | changes))
        assert says in refusal(path).message
    np.savez(path, pictures=x, answers=y)
    error = refusal(path)
    assert "holds answers, pictures" in error.message and "x_train" in error.hint
    np.savez(path, allow_pickle=True, **arrays)
    assert "3 classes are named" in refusal(path, labels=("a", "b", "c")).message
    assert "20 x 20 were asked" in refusal(path, size=(20, 20)).message


def test_a_damaged_npz_and_one_that_unpacks_to_too_much_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray]
) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, allow_pickle=True, **arrays)
    whole = path.read_bytes()
    for content in (whole[:1000], b"", b"PK\x03\x04" + bytes(100)):
        path.write_bytes(content)
        assert "damaged .npz file" in refusal(path).message
    np.savez(path, x_train=np.array([{}], object))
    assert "Python objects" in refusal(path).message
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x_train.npy", "w", force_zip64=True) as stream,
    ):
        for _ in range(1030):
            stream.write(bytes(1 << 20))
    assert path.stat().st_size < 5_000_000
    assert "unpacks to more than 1024 MiB" in refusal(path).message


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.csv").write_text("1,2")
    assert "has no train-images-idx3-ubyte" in refusal(tmp_path / "empty").message
    assert "file.csv is no data set" in refusal(tmp_path / "file.csv").message
