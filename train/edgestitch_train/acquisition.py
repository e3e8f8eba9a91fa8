"""Finding a data set: a named folder, the caches, Debian's place, the bundle, a download."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgestitch_runtime.dataset import (
    FASHION_LABELS,
    FASHION_SHA256,
    Dataset,
    cache_folder,
    has_idx_files,
    places,
    read_idx_folder,
)
from edgestitch_runtime.errors import EdgestitchError

from .download import download

MINI_FOLDER = Path(__file__).parent / "fashion_mnist_mini"
# What train/make_mini.py makes; hashes of the uncompressed content, as everywhere.
MINI_SHA256 = {
    "train-images-idx3-ubyte": "b02849f9669e7dd43f3789d47724f08b821bd489527c29d84e6f9cc863c94b55",
    "train-labels-idx1-ubyte": "ad0c4fe5eccec0cb6a2542ddf83c0036f6f3405fd1f4a621aa69fe806d8afce2",
    "t10k-images-idx3-ubyte": "782a721fbcc8b12e4ce90bce3c7797569096659aa877c8d4a6c819bbdf6833fa",
    "t10k-labels-idx1-ubyte": "d2d56841a6e8e2efd63895f9414230ad22bf9201b8bf62bf9eb95459fc8b244a",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDataset:
    """A data set that has a name: its files' hashes, and what a title must say of it."""

    sha256: dict[str, str]
    bundled: Path | None
    in_title: str


DATASETS = {
    "fashion-mnist": KnownDataset(sha256=FASHION_SHA256, bundled=None, in_title="fashion-mnist"),
    "fashion-mnist-mini": KnownDataset(
        sha256=MINI_SHA256,
        bundled=MINI_FOLDER,
        in_title="fashion-mnist-mini (a sample of 6,000 training images, not the full data set)",
    ),
}
_ELSEWHERE = (
    "apt install dataset-fashion-mnist, or --dataset fashion-mnist-mini (a bundled sample), "
    "or --data FOLDER with the four IDX files"
)


def acquire(
    dataset: str = "fashion-mnist",
    *,
    folder: Path | None = None,
    say: Callable[[str], None] | None = None,
    fetch: Callable[..., None] = download,
) -> Dataset:
    """The data set of that name, or in the folder of that path, with its checksums verified.

    `dataset` is a name in DATASETS or a path to a folder of IDX files. `folder` is the only place
    looked at when given. `say` hears of every place that is passed over, and of a download.
    Raises EdgestitchError when the files are not to be had, are damaged, or are not the known ones.
    """
    say = say or (lambda text: None)
    known = DATASETS.get(dataset)
    if known is None:
        if folder is not None:
            raise EdgestitchError(
                f"{dataset} is a folder already, and {folder} is named beside it",
                hint=f"--data goes with --dataset {' or '.join(DATASETS)}",
            )
        return _from_path(dataset)
    if folder is not None:
        return _verified(folder, dataset, known)
    if known.bundled is not None:
        return _verified(known.bundled, dataset, known)
    named = os.environ.get("EDGESTITCH_DATA")
    if named and not any(has_idx_files(p) for p in (Path(named), Path(named) / dataset)):
        say(f"passed over EDGESTITCH_DATA: {named} has no four IDX files")
    for place in places(dataset):
        if not has_idx_files(place):
            continue
        try:
            return _verified(place, dataset, known)
        except EdgestitchError as error:
            say(f"passed over {place}: {error.message}")
    target = cache_folder() / dataset
    say(f"{dataset} is not on this machine: downloading 31 MB into {target}")
    try:
        fetch(target, known.sha256, progress=sys.stderr)
    except EdgestitchError as error:
        raise EdgestitchError(
            f"{dataset} is not on this machine: {error.message}",
            hint=_ELSEWHERE,
        ) from None
    return _verified(target, dataset, known)


def title_of(dataset: Dataset) -> str:
    """How a title names the data set: a sample says that it is one."""
    known = DATASETS.get(dataset.name)
    return known.in_title if known else dataset.name


def data_record(dataset: Dataset) -> dict[str, Any]:
    """The part of run.json by which export and bench find the same data again."""
    return {
        "name": dataset.name,
        "folder": str(dataset.folder.resolve()),
        "labels": list(dataset.labels),
        "files": [{"name": f.name, "sha256": f.sha256, "bytes": f.bytes} for f in dataset.files],
    }


def _verified(folder: Path, name: str, known: KnownDataset) -> Dataset:
    found = read_idx_folder(folder, name=name)
    different = [f.name for f in found.files if known.sha256[f.name] != f.sha256]
    if different:
        raise EdgestitchError(
            f"{folder} is not {name}: the checksum of {', '.join(different)} is another",
            hint=f"to train on these files as they are: --dataset {folder}",
        )
    return replace(found, labels=FASHION_LABELS)


def _from_path(dataset: str) -> Dataset:
    folder = Path(dataset)
    if not folder.is_dir():
        raise EdgestitchError(
            f"there is no data set {dataset!r}: it is neither a known name nor a folder",
            hint=f"known are {', '.join(DATASETS)}; a folder has four IDX files, as MNIST has",
        )
    found = read_idx_folder(folder)
    for name, known in DATASETS.items():
        if {f.name: f.sha256 for f in found.files} == known.sha256:
            return replace(found, name=name, labels=FASHION_LABELS)
    if found.name in DATASETS:  # a folder that only shares the name must not pass for it
        return replace(found, name=f"{found.name}-folder")
    return found
