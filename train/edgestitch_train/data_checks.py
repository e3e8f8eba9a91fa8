"""What data must be like to be trained on: sizes, classes, and images left for each class."""

from __future__ import annotations

import numpy as np

from edgestitch_runtime.dataset import Dataset
from edgestitch_runtime.errors import EdgestitchError

SIDES = (4, 64)  # smallest and largest height or width in pixels


def check_size(size: tuple[int, int], of: str) -> None:
    """Raises EdgestitchError unless height and width are within SIDES; `of` begins the message."""
    if not (SIDES[0] <= min(size) and max(size) <= SIDES[1]):
        raise EdgestitchError(
            f"{of} {size[0]} x {size[1]} pixels, expected {SIDES[0]} to {SIDES[1]} a side",
            hint="edgestitch is for small images: scale them down, height first: 28x28",
        )


def check_images(found: Dataset) -> None:
    """Raises EdgestitchError unless the images are small and of two classes at least."""
    height, width = found.train.images_u8.shape[1:]
    check_size((height, width), f"the images of {found.folder} are")
    if len(found.labels) < 2:
        raise EdgestitchError(
            f"{found.folder} has only one class", hint="a classifier needs two at least"
        )


def check_split(found: Dataset, train: np.ndarray) -> None:
    """Raises EdgestitchError when a class has none of the images `train`, (k,) int64 indices."""
    counts = np.bincount(found.train.labels[train], minlength=len(found.labels))
    if not counts.all():
        raise EdgestitchError(
            f"the validation images leave the class {found.labels[int(counts.argmin())]} of "
            f"{found.folder} none to train on",
            hint="give each class more images, or hold out fewer with --validation",
        )
