"""A data set in an .npz file: Keras's and MedMNIST's layouts, or images and labels alone."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .array_files import MAX_BYTES, read_npy, read_regular
from .errors import EdgestitchError
from .parts import MAX_CLASSES, Dataset, Part, check_sizes, idx_files, take_test

SPLIT = (  # train images, train labels, test images, test labels
    ("x_train", "y_train", "x_test", "y_test"),  # keras.datasets' files
    ("train_images", "train_labels", "test_images", "test_labels"),  # MedMNIST, medmnist.com
)
WHOLE = (("images", "labels"), ("x", "y"))


def read_npz(
    path: Path,
    *,
    labels: tuple[str, ...] | None,
    background: int,
    say: Callable[[str], None],
) -> Dataset:
    """The data set in `path`; its images are uint8, (n, height, width) or (n, height, width, 1).

    `labels` are the names of its classes, else they are called by their number. Without test
    images one in seven of each class is taken out for test. Raises EdgestitchError when the file
    is damaged or holds something else.
    """
    arrays = _arrays(path)
    keys = next((k for k in (*SPLIT, *WHOLE) if set(k) <= arrays.keys()), None)
    if keys is None:
        raise EdgestitchError(
            f"{path} holds {', '.join(sorted(arrays)) or 'nothing'}",
            hint=f"expected the arrays {', '.join(SPLIT[0])}; or {', '.join(SPLIT[1])}; or "
            f"{', '.join(WHOLE[0])}",
        )
    parts = [
        _part(path, arrays[keys[k]], arrays[keys[k + 1]], keys[k : k + 2])
        for k in range(0, len(keys), 2)
    ]
    aside = sorted(arrays.keys() - set(keys))
    if aside:
        say(f"{path}: {', '.join(aside)} left aside")
    highest = int(max(part.labels.max() for part in parts))
    names = labels or tuple(str(k) for k in range(highest + 1))
    if len(names) <= highest:
        raise EdgestitchError(
            f"{len(names)} classes are named, {path} uses class {highest}",
            hint=f"at least {highest + 1} names, one a line",
        )
    if len(parts) == 1:
        parts = list(take_test(parts[0], names))
        say(f"{path} has no test images: {len(parts[1].labels):,} were taken out, by their pixels")
    train, test = parts
    check_sizes(train, test, path)
    return Dataset(
        name=path.stem,
        folder=path,
        labels=names,
        files=idx_files(train, test),
        train=train,
        test=test,
        background=background,
    )


def _arrays(path: Path) -> dict[str, np.ndarray]:
    content = read_regular(path)
    hint = "save it with numpy.savez_compressed"
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > MAX_BYTES:
                raise EdgestitchError(
                    f"{path} unpacks to more than {MAX_BYTES >> 20} MiB",
                    hint="edgestitch is for small images",
                )
            return {
                entry.filename.removesuffix(".npy"): read_npy(
                    f"{path}: {entry.filename}", archive.read(entry)
                )
                for entry in entries
                if entry.filename.endswith(".npy")
            }
    except EdgestitchError:
        raise
    except Exception:  # zipfile and its decoders raise what a damaged file happens to break
        raise EdgestitchError(f"{path} is a damaged .npz file, or none", hint=hint) from None


def _part(path: Path, images: np.ndarray, labels: np.ndarray, keys: tuple[str, ...]) -> Part:
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if images.dtype != np.uint8 or images.ndim != 3 or not images.size:
        raise EdgestitchError(
            f"{path}: {keys[0]} is {images.dtype} of shape {images.shape}, expected uint8 "
            "(n, height, width) with n at least 1",
            hint="gray images, the raw pixels of 0 to 255; scaling is inside the model",
        )
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise EdgestitchError(
            f"{path}: {keys[1]} is {labels.dtype} of shape {labels.shape}, expected integers of "
            f"shape ({len(images)},)",
            hint="one class number for each image, from 0",
        )
    if labels.min() < 0 or labels.max() >= MAX_CLASSES:
        raise EdgestitchError(
            f"{path}: {keys[1]} has class numbers from {labels.min()} to {labels.max()}",
            hint=f"number the classes from 0 to {MAX_CLASSES - 1} at most",
        )
    return Part(images_u8=np.ascontiguousarray(images), labels=labels.astype(np.int64))
