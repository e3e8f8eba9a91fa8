"""Augmentation: training images altered anew each epoch, from the recipe and a seeded generator."""

from __future__ import annotations

import numpy as np

from edgestitch_runtime.picture import DARK

ERASED_SIDES = (1 / 8, 1 / 2)  # shortest and longest side of an erased rectangle, of the image's


def augmented(
    images_u8: np.ndarray,
    *,
    flip: float,
    shift: int,
    erase: float,
    background: int = DARK,
    generator: np.random.Generator,
) -> np.ndarray:
    """A copy of (n, height, width) uint8 images, each altered at random.

    A share `flip` of them is mirrored left to right; each is moved by up to `shift` pixels both
    ways, what comes in being `background`; in a share `erase` of them one rectangle becomes one
    random gray (Zhong et al., Random Erasing, https://arxiv.org/abs/1708.04896).
    """
    out = images_u8.copy()
    if flip:
        mirrored = generator.random(len(out)) < flip
        out[mirrored] = out[mirrored][:, :, ::-1]
    if shift:
        out = _shifted(out, shift, background, generator)
    if erase:
        _erase(out, generator.random(len(out)) < erase, generator)
    return out


def _shifted(
    images: np.ndarray, most: int, background: int, generator: np.random.Generator
) -> np.ndarray:
    n, height, width = images.shape
    offsets = generator.integers(0, 2 * most + 1, (n, 2))
    padded = np.pad(images, ((0, 0), (most, most), (most, most)), constant_values=background)
    out = np.empty_like(images)
    for down in range(2 * most + 1):
        for right in range(2 * most + 1):
            chosen = np.flatnonzero((offsets == (down, right)).all(axis=1))
            out[chosen] = padded[chosen, down : down + height, right : right + width]
    return out


def _erase(images: np.ndarray, chosen: np.ndarray, generator: np.random.Generator) -> None:
    """In place: one rectangle of one gray in each image that `chosen`, (n,) bool, names."""
    where = np.flatnonzero(chosen)
    inside = []
    for side in images.shape[1:]:
        low, high = (max(1, round(share * side)) for share in ERASED_SIDES)
        length = generator.integers(low, high + 1, len(where))
        start = generator.integers(0, side - length + 1)
        position = np.arange(side)
        inside.append((position >= start[:, None]) & (position < (start + length)[:, None]))
    gray = generator.integers(0, 256, len(where), dtype=np.uint8)
    rectangle = inside[0][:, :, None] & inside[1][:, None, :]
    images[where] = np.where(rectangle, gray[:, None, None], images[where])
