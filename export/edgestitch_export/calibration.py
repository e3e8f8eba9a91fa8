"""Which training images the quantizer sees: seeded, counted, never from validation or test."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgestitch_runtime.errors import EdgestitchError

DEFAULT_COUNT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Calibration images, (count, height, width) uint8, and how they were chosen."""

    images_u8: np.ndarray
    seed: int
    indices_sha256: str  # of the chosen positions in the training file, int64 little-endian
    method: str = "min-max"  # one of range_estimates.METHODS
    kept: tuple[str, ...] = ()  # operators that stay float, as the format's `operators` names them

    def as_json(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "source": "train",
            "count": len(self.images_u8),
            "seed": self.seed,
            "indices_sha256": self.indices_sha256,
        }


def choose(
    images_u8: np.ndarray, train_indices: np.ndarray, *, count: int | None, seed: int
) -> Calibration:
    """`count` images at seeded positions among `train_indices`, int64 positions in `images_u8`.

    None takes 500, or all where there are fewer. Raises EdgestitchError when `count` is too many.
    """
    if count is None:
        count = min(DEFAULT_COUNT, len(train_indices))
    if not 0 < count <= len(train_indices):
        raise EdgestitchError(
            f"{count} calibration images cannot be taken from {len(train_indices)} training images",
            hint=f"--calibration-images takes 1 to {len(train_indices)}",
        )
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.choice(train_indices, size=count, replace=False)).astype("<i8")
    return Calibration(
        images_u8=images_u8[chosen],
        seed=seed,
        indices_sha256=hashlib.sha256(chosen.tobytes()).hexdigest(),
    )
