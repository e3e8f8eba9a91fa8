"""Finding a data set: the user's own, the caches, Debian's place, the bundle, a download."""

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
    read_dataset,
    read_idx_folder,
    read_labels,
)
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.parts import copies
from edgestitch_runtime.picture import BACKGROUNDS

from .data_checks import check_size
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
    labels: Path | None = None,
    size: tuple[int, int] | None = None,
    background: str = "dark",
    strict: bool = False,
    say: Callable[[str], None] | None = None,
    fetch: Callable[..., None] = download,
) -> Dataset:
    """The data set of that name, or at that path.

    `dataset` is a name in DATASETS, whose checksums are verified, or a path: a folder of IDX files,
    one with a folder of pictures a class, or an .npz file. `folder` is the only place looked at
    for a name when given. For data at a path, `labels` is a file of class names, one a line,
    `size` the (height, width) that pictures are scaled to, and `background` "dark" or "bright",
    what surrounds the object in them; `strict` refuses what is otherwise left out and told.

    `say` hears of all that is passed over, skipped or odd, and of a download. Raises
    EdgestitchError when the files are not to be had, are damaged, or are not the known ones.
    """
    say = say or (lambda text: None)
    known = DATASETS.get(dataset)
    if known is None:
        if folder is not None:
            raise EdgestitchError(
                f"{dataset} is a path already, and {folder} is named beside it",
                hint=f"--data goes with --dataset {' or '.join(DATASETS)}",
            )
        return _from_path(
            dataset, labels=labels, size=size, background=background, strict=strict, say=say
        )
    if labels is not None or size is not None or background != "dark" or strict:
        raise EdgestitchError(
            f"{dataset} is a known data set: its class names, size and background are settled",
            hint="labels, size, background and strict go with a folder or file of your own",
        )
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
        "size": list(dataset.train.images_u8.shape[1:]),
        "background": dataset.background,
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


def _from_path(
    dataset: str,
    *,
    labels: Path | None,
    size: tuple[int, int] | None,
    background: str,
    strict: bool,
    say: Callable[[str], None],
) -> Dataset:
    path = Path(dataset)
    if not path.exists():
        raise EdgestitchError(
            f"there is no data set {dataset!r}: it is neither a known name nor a folder",
            hint=f"known are {', '.join(DATASETS)}; a folder has four IDX files, as MNIST has, or "
            "a folder of pictures for each class; .npz works too",
        )
    if background not in BACKGROUNDS:
        raise EdgestitchError(
            f"background is {background!r}", hint=f"choose {' or '.join(BACKGROUNDS)}"
        )
    if size is not None:
        check_size(size, "size is")
    found = read_dataset(
        path,
        labels=read_labels(labels) if labels is not None else None,
        size=size,
        background=BACKGROUNDS[background],
        strict="yes" if strict else "no",
        say=say,
    )
    _check_classes(found)
    _tell_copies(found, strict=strict, say=say)
    for name, known in DATASETS.items():
        if {f.name: f.sha256 for f in found.files} == known.sha256:
            return replace(
                found, name=name, labels=FASHION_LABELS if labels is None else found.labels
            )
    if found.name in DATASETS:  # a folder that only shares the name must not pass for it
        return replace(found, name=f"{found.name}-folder")
    return found


def _check_classes(found: Dataset) -> None:
    """Every class has images to train on, and test asks of no other."""
    in_train = set(found.train.labels.tolist())
    only_test = sorted(set(found.test.labels.tolist()) - in_train)
    if only_test:
        raise EdgestitchError(
            f"{found.folder} has the class {found.labels[only_test[0]]} in test, but not in train",
            hint="a model can only be tested on classes that it was trained on",
        )
    empty = [label for k, label in enumerate(found.labels) if k not in in_train]
    if empty:
        raise EdgestitchError(
            f"{found.folder} has no image of the class {empty[0]} to train on",
            hint="name only classes that have images, and number them from 0 without a gap",
        )


def _tell_copies(found: Dataset, *, strict: bool, say: Callable[[str], None]) -> None:
    contradicting, leaked = copies(found.train, found.test)
    for count, what in (
        (contradicting, "images have the same pixels as one of another class"),
        (leaked, "test images are in train too: the accuracy will look better than it is"),
    ):
        if count and strict:
            raise EdgestitchError(
                f"{found.folder}: {count:,} {what}", hint="without --strict this is only told"
            )
        if count:
            say(f"warning: {found.folder}: {count:,} {what}")
