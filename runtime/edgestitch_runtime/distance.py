"""How far an engine's answers are from those of `reference`, which says what an int8 model means.

In integers nothing is a matter of precision: two engines give the same row, or one of them differs
by so many steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .classifier import Classifier
from .errors import EdgestitchError
from .golden_check import REFERENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """An engine beside `reference` on the same `n` images.

    `rows_equal` of them got the same scores, every one. `largest_step` is the most by which any
    score of any image differs, in steps of the output. `flips` are the images whose top-1 class is
    another.
    """

    n: int
    rows_equal: int
    largest_step: int
    flips: int

    def line(self) -> str:
        """'9,871 of 10,000 rows equal, largest step 1, 3 flips'."""
        return (
            f"{self.rows_equal:,} of {self.n:,} rows equal, largest step {self.largest_step}, "
            f"{self.flips} flip{'' if self.flips == 1 else 's'}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NoDistance:
    """Why there is no distance: the engine is the reference, or the reference does not run it."""

    reason: str


def distance(scores: np.ndarray, reference_scores: np.ndarray) -> Distance:
    """Compares two engines' integer scores, both (n, classes), n >= 1, of one dtype.

    Raises ValueError when they are no integers, or differ in shape or dtype.
    """
    if scores.shape != reference_scores.shape or scores.ndim != 2 or not scores.size:
        raise ValueError(f"scores of {scores.shape} and {reference_scores.shape}")
    if scores.dtype != reference_scores.dtype or scores.dtype.kind not in "iu":
        raise ValueError(f"scores of {scores.dtype} and {reference_scores.dtype}")
    steps = np.abs(scores.astype(np.int64) - reference_scores)
    return Distance(
        n=len(scores),
        rows_equal=int((steps == 0).all(axis=1).sum()),
        largest_step=int(steps.max()),
        flips=int((scores.argmax(axis=1) != reference_scores.argmax(axis=1)).sum()),
    )


def reference_scores(classifier: Classifier, images_u8: np.ndarray) -> np.ndarray | NoDistance:
    """What `reference` answers with the opened artifact: (n, classes) integers.

    Or why it does not: the artifact is no int8 TFLite, or the integer graph refuses it.
    """
    return by_reference(classifier.path, images_u8, classifier.output_dtype)


def by_reference(path: Path, images_u8: np.ndarray, dtype: np.dtype) -> np.ndarray | NoDistance:
    """What `reference` answers with the artifact `path`, whose scores are of `dtype`: (n, classes).

    `images_u8` are (n, height, width) uint8, n >= 1, and take it up to a millisecond or more each.
    Or why it does not: the artifact is no int8 TFLite, or the integer graph refuses it.
    """
    if dtype.kind not in "iu":
        return NoDistance(reason=f"its scores are {dtype}, and steps are of integers")
    try:
        with Classifier.open(path, engine=REFERENCE) as reference:
            return reference.scores(images_u8)
    except EdgestitchError as error:
        return NoDistance(reason=error.message.replace(str(path), path.name))
