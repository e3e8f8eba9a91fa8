"""Labelled images from files: IDX in the MNIST layout, hashes, the split, and finding data again.

A data set is known by the SHA-256 of its four IDX files' uncompressed content, so that a
gzipped copy and a plain one are the same data.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .array_files import DataFile as DataFile
from .array_files import read_idx as read_idx
from .array_files import read_npy as read_npy
from .errors import EdgestitchError

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
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
MAX_CLASSES = 256  # a label is one byte


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Images (n, height, width) uint8, 0..255, and their classes (n,) int64, 0..classes-1."""

    images_u8: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Train and test images with class names, from the four files of one folder."""

    name: str
    folder: Path
    labels: tuple[str, ...]
    files: tuple[DataFile, ...]
    train: Part
    test: Part


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


def read_idx_folder(folder: Path, *, name: str | None = None) -> Dataset:
    """The data set in `folder`: four IDX files in the MNIST layout, and labels.txt if it is there.

    `name` is the folder's own name unless given; files whose hashes are Fashion-MNIST's are
    called fashion-mnist. Without labels.txt the classes are called by their number.
    Raises EdgestitchError when a file is missing or damaged, or when images and labels differ in
    number.
    """
    arrays: dict[str, np.ndarray] = {}
    files: list[DataFile] = []
    for file_name in FILES:
        path = idx_path(folder, file_name)
        if path is None:
            raise EdgestitchError(
                f"{folder} has no {file_name} (nor {file_name}.gz)",
                hint=f"a data folder holds the four files {', '.join(FILES)}",
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
    if train.images_u8.shape[1:] != test.images_u8.shape[1:]:
        raise EdgestitchError(
            f"{folder}: train images are {train.images_u8.shape[1:]}, test images "
            f"{test.images_u8.shape[1:]}",
            hint="train and test must have one image size",
        )
    if {f.name: f.sha256 for f in files} == FASHION_SHA256:
        name, labels = name or "fashion-mnist", FASHION_LABELS
    else:
        labels = _read_labels(folder, highest=int(max(train.labels.max(), test.labels.max())))
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


def split_train(
    labels: np.ndarray, *, validation_count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of train and of validation, taken out of train: seeded and stratified by class.

    `labels` is (n,) int64. Returns two sorted int64 vectors, together 0..n-1. Each class gives
    its share of `validation_count`, rounded so that the total is exact (largest remainders).
    """
    n = len(labels)
    if not 0 < validation_count < n:
        raise EdgestitchError(
            f"{validation_count} validation images cannot be taken out of {n}",
            hint=f"choose a number from 1 to {n - 1}",
        )
    classes, counts = np.unique(labels, return_counts=True)
    shares = counts * validation_count / n
    taken = np.floor(shares).astype(int)
    by_remainder = np.argsort(-(shares - taken), kind="stable")
    taken[by_remainder[: validation_count - taken.sum()]] += 1
    generator = np.random.default_rng(seed)
    validation = np.concatenate(
        [
            generator.permutation(np.flatnonzero(labels == c))[:k]
            for c, k in zip(classes, taken, strict=True)
        ]
    )
    chosen = np.zeros(n, bool)
    chosen[validation] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def cache_folder() -> Path:
    """Where downloads are kept: XDG_CACHE_HOME/edgestitch, else ~/.cache/edgestitch."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "edgestitch"


def places(name: str) -> list[Path]:
    """The folders in which the data set `name` is looked for, in this order, existing or not."""
    found = []
    named = os.environ.get("EDGESTITCH_DATA")
    if named:
        found += [Path(named), Path(named) / name]
    keras_home = os.environ.get("KERAS_HOME")
    keras = Path(keras_home) if keras_home else Path.home() / ".keras"
    found += [
        cache_folder() / name,
        keras / "datasets" / name,
        Path("/usr/share/datasets") / name,  # Debian's packages dataset-*
    ]
    if name == "fashion-mnist-mini":
        found += [folder / "fashion_mnist_mini" for folder in _package_folders("edgestitch_train")]
    return found


def _package_folders(package: str) -> list[Path]:
    """Where a sibling's files lie, found without importing it."""
    spec = importlib.util.find_spec(package)
    return [Path(p) for p in (spec.submodule_search_locations or [])] if spec else []


def find_recorded(record: dict[str, Any], *, folder: Path | None = None) -> Dataset:
    """The data set that a run's `data` record names, found again by the hashes of its files.

    Looked for in `folder` alone when given; else in EDGESTITCH_DATA, the caches, Debian's place
    and the folder that the run recorded. Raises EdgestitchError when no place holds these files.
    """
    wanted = {f["name"]: f["sha256"] for f in record["files"]}
    candidates: Iterable[Path] = (
        [folder] if folder is not None else [*places(record["name"]), Path(record["folder"])]
    )
    for place in candidates:
        if not has_idx_files(place):
            continue
        try:
            dataset = read_idx_folder(place, name=record["name"])
        except EdgestitchError:
            if folder is not None:
                raise
            continue  # a damaged copy must not hide a whole one further on
        if {f.name: f.sha256 for f in dataset.files} == wanted:
            return Dataset(
                name=record["name"],
                folder=place,
                labels=tuple(record["labels"]),
                files=dataset.files,
                train=dataset.train,
                test=dataset.test,
            )
        if folder is not None:
            different = [f.name for f in dataset.files if wanted.get(f.name) != f.sha256]
            raise EdgestitchError(
                f"{folder} is not the data of this run: {', '.join(different)} differ",
                hint="name the folder that the run was trained on, or train a new run on this one",
            )
    where = str(folder) if folder is not None else "any known place"
    raise EdgestitchError(
        f"the data of this run ({record['name']}) was not found in {where}",
        hint="name its folder with --data, or set EDGESTITCH_DATA",
    )


def _read_labels(folder: Path, *, highest: int) -> tuple[str, ...]:
    path = folder / "labels.txt"
    if not path.is_file():
        return tuple(str(k) for k in range(highest + 1))
    try:
        labels = tuple(
            line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
        )
    except (OSError, UnicodeDecodeError):
        raise EdgestitchError(
            f"{path} cannot be read as text", hint="one class name a line, UTF-8"
        ) from None
    if len(labels) <= highest:
        raise EdgestitchError(
            f"{path} names {len(labels)} classes, the data uses class {highest}",
            hint=f"one class name a line, at least {highest + 1} lines",
        )
    if len(labels) > MAX_CLASSES or len(set(labels)) < len(labels):
        raise EdgestitchError(
            f"{path} has {len(labels)} class names, {len(set(labels))} of them different",
            hint=f"each class needs a name of its own, at most {MAX_CLASSES}",
        )
    return labels
