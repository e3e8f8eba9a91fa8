"""Labelled images from files in any layout, the split, and finding data again.

A data set is known by the SHA-256 of its four IDX files' uncompressed content, those that it has
or those that it would be (`parts`): a gzipped copy, an .npz and a folder of pictures are the same.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .array_files import DataFile as DataFile
from .array_files import read_idx as read_idx
from .array_files import read_npy as read_npy
from .errors import EdgestitchError
from .idx_folder import FASHION_LABELS as FASHION_LABELS
from .idx_folder import FASHION_SHA256 as FASHION_SHA256
from .idx_folder import has_idx_files as has_idx_files
from .idx_folder import idx_path as idx_path
from .idx_folder import read_idx_folder as read_idx_folder
from .idx_folder import read_labels as read_labels
from .npz_file import read_npz
from .parts import DARK
from .parts import FILES as FILES
from .parts import Dataset as Dataset
from .parts import Part as Part
from .picture_folder import DEFAULT_SIZE, class_folders, read_picture_folder


def read_dataset(
    path: Path,
    *,
    labels: tuple[str, ...] | None = None,
    size: tuple[int, int] | None = None,
    background: int = DARK,
    strict: str = "no",
    say: Callable[[str], None] = lambda text: None,
) -> Dataset:
    """The data set at `path`: four IDX files, a folder of pictures a class, or an .npz file.

    `labels` names the classes, `size` is what pictures are scaled to (None: DEFAULT_SIZE), and
    `background` the gray around their objects; see `read_picture_folder`. Raises EdgestitchError
    when it is none of these, or not whole.
    """
    if path.is_dir() and not any(idx_path(path, name) for name in FILES) and class_folders(path):
        return read_picture_folder(
            path,
            size=size or DEFAULT_SIZE,
            labels=labels,
            background=background,
            strict=strict,
            say=say,
        )
    if path.is_file():
        if path.suffix.lower() != ".npz":
            raise EdgestitchError(
                f"{path} is no data set", hint="name a folder, or an .npz file with its arrays"
            )
        found = read_npz(path, labels=labels, background=background, say=say)
    else:
        found = replace(read_idx_folder(path, labels=labels), background=background)
    if size is not None and found.train.images_u8.shape[1:] != size:
        height, width = found.train.images_u8.shape[1:]
        raise EdgestitchError(
            f"the images of {path} are {height} x {width} pixels, {size[0]} x {size[1]} were asked",
            hint="only pictures are scaled; leave out the size",
        )
    return found


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

    Looked for in `folder` (or .npz file) alone when given; else in EDGESTITCH_DATA, the caches,
    Debian's place and where the run found it. Raises EdgestitchError when no place has it.
    """
    wanted = {f["name"]: f["sha256"] for f in record["files"]}
    candidates: Iterable[Path] = (
        [folder] if folder is not None else [*places(record["name"]), Path(record["folder"])]
    )
    failed = ""
    for place in candidates:
        if not _may_be_data(place):
            continue
        try:
            dataset = _as_recorded(place, record)
        except EdgestitchError as error:
            if folder is not None:
                raise
            failed = f"; {error.message}"
            continue  # a damaged copy must not hide a whole one further on
        if {f.name: f.sha256 for f in dataset.files} == wanted:
            return replace(
                dataset, name=record["name"], folder=place, labels=tuple(record["labels"])
            )
        if folder is not None:
            different = [f.name for f in dataset.files if wanted.get(f.name) != f.sha256]
            raise EdgestitchError(
                f"{folder} is not the data of this run: {', '.join(different)} differ",
                hint="name the folder that the run was trained on, or train a new run on this one",
            )
    where = str(folder) if folder is not None else "any known place"
    raise EdgestitchError(
        f"the data of this run ({record['name']}) was not found in {where}{failed}",
        hint="name its folder with --data, or set EDGESTITCH_DATA",
    )


def _may_be_data(place: Path) -> bool:
    with contextlib.suppress(OSError, EdgestitchError):
        if place.is_dir():
            return has_idx_files(place) or bool(class_folders(place))
        return place.is_file() and place.suffix.lower() == ".npz"
    return False


def _as_recorded(place: Path, record: dict[str, Any]) -> Dataset:
    """The data at `place` read as the run read its own: the order of classes, size, background."""
    background = int(record.get("background", DARK))
    if place.is_dir() and has_idx_files(place):
        return replace(read_idx_folder(place, name=record["name"]), background=background)
    pictures = place.is_dir()
    return read_dataset(
        place,
        labels=tuple(record["labels"]),
        size=tuple(record["size"]) if pictures and "size" in record else None,
        background=background,
    )
