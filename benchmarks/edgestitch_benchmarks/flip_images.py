"""The test images that flipped, as small PNG files for the page."""

from __future__ import annotations

import io
from collections.abc import Iterable

import numpy as np

from .report import Row


def flip_images(rows: Iterable[Row], images_u8: np.ndarray) -> dict[int, bytes]:
    """PNG by index of each image that is a flip in the details of some row, in order.

    `images_u8` are the test images, (n, height, width) uint8. The same images give the same bytes.
    """
    chosen = {flip.image for row in rows if row.details for flip in row.details.flips}
    return {k: png_of(images_u8[k]) for k in sorted(chosen)}


def png_of(image_u8: np.ndarray) -> bytes:
    """A grayscale image, (height, width) uint8, as PNG."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image_u8)).save(stream, format="png", optimize=True)
    return stream.getvalue()
