"""Labelled images in memory, and what identifies them: the hashes of their four IDX files.

Data in any layout is known by the SHA-256 of its parts written as IDX in the MNIST layout, so a
folder of pictures, an .npz and four IDX files of the same images and labels are the same data.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .array_files import DataFile
from .errors import EdgestitchError
from .picture import BRIGHT as BRIGHT
from .picture import DARK as DARK

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
MAX_CLASSES = 256  # a label is one byte
TEST_ONE_IN = 7  # as MNIST has it: 10,000 of 70,000


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Images (n, height, width) uint8, 0..255, and their classes (n,) int64, 0..classes-1."""

    images_u8: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Train and test images with class names, from one folder or file.

    `background` is the gray that surrounds the object in its images, DARK (0) or BRIGHT (255).
    """

    name: str
    folder: Path
    labels: tuple[str, ...]
    files: tuple[DataFile, ...]
    train: Part
    test: Part
    background: int = DARK


def idx_files(train: Part, test: Part) -> tuple[DataFile, ...]:
    """What identifies the data: the four files that it would be, in the order of FILES."""
    arrays = (train.images_u8, train.labels, test.images_u8, test.labels)
    found = []
    for name, array in zip(FILES, arrays, strict=True):
        values = np.ascontiguousarray(array, np.uint8)
        header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
        digest = hashlib.sha256(header)
        digest.update(values.data)
        found.append(
            DataFile(name=name, sha256=digest.hexdigest(), bytes=len(header) + values.nbytes)
        )
    return tuple(found)


def take_test(whole: Part, names: tuple[str, ...]) -> tuple[Part, Part]:
    """(train, test) of data that has no test part: one image in seven of each class is test.

    Which ones hangs on the pixels alone, by the order of their SHA-256, not on names or a seed, so
    the test images stay the same whatever is trained. Equal images of a class stay together.
    `names` are those of the classes.
    Raises EdgestitchError for a class with too few images to give one.
    """
    hashes = np.array([hashlib.sha256(image.tobytes()).hexdigest() for image in whole.images_u8])
    test = np.zeros(len(whole.labels), bool)
    for label in np.unique(whole.labels):
        members = np.flatnonzero(whole.labels == label)
        ordered = np.sort(hashes[members])
        last = ordered[max(1, round(len(members) / TEST_ONE_IN)) - 1]
        chosen = members[hashes[members] <= last]
        if len(chosen) == len(members):
            raise EdgestitchError(
                f"class {names[label]} has {len(members)} images, {len(set(ordered))} of them "
                "different: too few to take some out for test",
                hint="give it more, or test images of its own",
            )
        test[chosen] = True
    return (
        Part(images_u8=whole.images_u8[~test], labels=whole.labels[~test]),
        Part(images_u8=whole.images_u8[test], labels=whole.labels[test]),
    )


def copies(train: Part, test: Part) -> tuple[int, int]:
    """How many images have a twin of another class, and how many of test have a twin in train."""
    classes: dict[bytes, set[int]] = {}
    keys = []
    for part in (train, test):
        keys.append([hashlib.sha256(image.tobytes()).digest() for image in part.images_u8])
        for key, label in zip(keys[-1], part.labels.tolist(), strict=True):
            classes.setdefault(key, set()).add(label)
    seen = set(keys[0])
    contradicting = sum(len(classes[key]) > 1 for part in keys for key in part)
    return contradicting, sum(key in seen for key in keys[1])


def check_sizes(train: Part, test: Part, where: Path) -> None:
    """Raises EdgestitchError unless train and test images have one height and width."""
    sizes = [part.images_u8.shape[1:] for part in (train, test)]
    if sizes[0] != sizes[1]:
        raise EdgestitchError(
            f"{where}: train images are {sizes[0]}, test images {sizes[1]}",
            hint="train and test must have one image size",
        )


def check_names(labels: tuple[str, ...], where: Path) -> tuple[str, ...]:
    """`labels` themselves. Raises EdgestitchError unless they are 1 to 256 different names."""
    bad = [label for label in labels if not label.strip() or not label.isprintable()]
    if bad:
        raise EdgestitchError(
            f"{where} has a class name that cannot be printed: {bad[0]!r}",
            hint="a class name is a line of printable text",
        )
    if len(labels) > MAX_CLASSES or len(set(labels)) < len(labels):
        raise EdgestitchError(
            f"{where} has {len(labels)} class names, {len(set(labels))} of them different",
            hint=f"each class needs a name of its own, at most {MAX_CLASSES}",
        )
    return labels
