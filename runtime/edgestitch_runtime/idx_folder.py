"""A data set as four IDX files in the MNIST layout, with labels.txt; and Fashion-MNIST's hashes."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from .array_files import DataFile, read_idx
from .errors import EdgestitchError
from .parts import FILES, Dataset, Part, check_names, check_sizes

FASHION_LABELS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
# Read off Debian's package dataset-fashion-mnist 0.0~git20200523.55506a9-1 with `zcat | sha256sum`
FASHION_SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


def idx_path(folder: Path, name: str) -> Path | None:
    """Where `folder` has the IDX file `name`, plain or gzipped; None when it has neither."""
    for candidate in (folder / name, folder / f"{name}.gz"):
        with contextlib.suppress(OSError):  # a folder that may not be looked into has no files
            if candidate.is_file():
                return candidate
    return None


def has_idx_files(folder: Path) -> bool:
    """Whether `folder` has all four files of the MNIST layout."""
    return all(idx_path(folder, name) for name in FILES)


def read_idx_folder(
    folder: Path, *, name: str | None = None, labels: tuple[str, ...] | None = None
) -> Dataset:
    """The data set in `folder`: four IDX files in the MNIST layout, and labels.txt if it is there.

    `labels` goes before labels.txt. `name` is the folder's own name unless given; files whose
    hashes are Fashion-MNIST's are called fashion-mnist. Without labels.txt the classes are called
    by their number. Raises EdgestitchError when a file is missing or damaged, or when images and
    labels differ in number.
    """
    arrays: dict[str, np.ndarray] = {}
    files: list[DataFile] = []
    for file_name in FILES:
        path = idx_path(folder, file_name)
        if path is None:
            raise EdgestitchError(
                f"{folder} has no {file_name} (nor {file_name}.gz)",
                hint=f"a data folder holds the four files {', '.join(FILES)}, or a folder of "
                "pictures for each class",
            )
        arrays[file_name], data_file = read_idx(path)
        files.append(data_file)
    parts = []
    for prefix in ("train", "t10k"):
        images = arrays[f"{prefix}-images-idx3-ubyte"]
        classes = arrays[f"{prefix}-labels-idx1-ubyte"]
        if images.ndim != 3 or classes.ndim != 1 or len(images) != len(classes) or not len(images):
            raise EdgestitchError(
                f"{folder}: {prefix} has images of shape {images.shape} and labels of shape "
                f"{classes.shape}; expected (n, height, width) and (n,) with n at least 1",
                hint="images and labels must come from the same data set",
            )
        parts.append(Part(images_u8=images, labels=classes.astype(np.int64)))
    train, test = parts
    check_sizes(train, test, folder)
    if {f.name: f.sha256 for f in files} == FASHION_SHA256:
        name, labels = name or "fashion-mnist", labels or FASHION_LABELS
    else:
        highest = int(max(train.labels.max(), test.labels.max()))
        labels = _labels_for(folder, labels, highest=highest)
        if name is None and folder.resolve().name == "fashion-mnist":
            name = "fashion-mnist-folder"  # a borrowed name must not pass for the known data
    return Dataset(
        name=name or folder.resolve().name,
        folder=folder,
        labels=labels,
        files=tuple(files),
        train=train,
        test=test,
    )


def read_labels(path: Path) -> tuple[str, ...]:
    """The class names in a text file, one a line. Raises EdgestitchError when they will not do."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise EdgestitchError(
            f"{path} cannot be read as text", hint="one class name a line, UTF-8"
        ) from None
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise EdgestitchError(f"{path} names no class", hint="one class name a line, UTF-8")
    return check_names(names, path)


def _labels_for(folder: Path, given: tuple[str, ...] | None, *, highest: int) -> tuple[str, ...]:
    path = folder / "labels.txt"
    if given is None and not path.is_file():
        return tuple(str(k) for k in range(highest + 1))
    labels = given or read_labels(path)
    if len(labels) <= highest:
        raise EdgestitchError(
            f"{path if given is None else 'the list of class names'} names {len(labels)} classes, "
            f"the data uses class {highest}",
            hint=f"one class name a line, at least {highest + 1} lines",
        )
    return labels
