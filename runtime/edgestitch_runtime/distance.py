"""How far an engine's answers are from those of `reference`, which says what an int8 model means.

In integers nothing is a matter of precision: two engines give the same row, or one of them differs
by so many steps.
"""

from __future__ import annotations

from dataclasses import dataclass

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


def from_reference(
    classifier: Classifier, images_u8: np.ndarray, scores: np.ndarray
) -> Distance | NoDistance:
    """How far `scores`, which the opened artifact's engine gave for these images, are off.

    `images_u8` are (n, height, width) uint8, `scores` (n, classes), n >= 1. `reference` answers
    the images here, which takes it up to a millisecond or more for each.
    """
    if classifier.engine == REFERENCE:
        return NoDistance(reason="it is the reference")
    found = reference_scores(classifier, images_u8)
    return found if isinstance(found, NoDistance) else distance(scores, found)


def reference_scores(classifier: Classifier, images_u8: np.ndarray) -> np.ndarray | NoDistance:
    """What `reference` answers with the opened artifact: (n, classes) integers.

    Or why it does not: the artifact is no int8 TFLite, or the integer graph refuses it.
    """
    if classifier.output_dtype.kind not in "iu":
        reason = f"its scores are {classifier.output_dtype}, and steps are of integers"
        return NoDistance(reason=reason)
    try:
        with Classifier.open(classifier.path, engine=REFERENCE) as reference:
            return reference.scores(images_u8)
    except EdgestitchError as error:
        path = classifier.path
        return NoDistance(reason=error.message.replace(str(path), path.name))
