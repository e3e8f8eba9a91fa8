"""What a row answered, in detail: confusion, classes, calibration, the images that flipped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgestitch_runtime.agreement import compare_classes
from edgestitch_runtime.calibration_error import BINS, calibration_error_pp

from .report import MOST_FLIPS, Bin, Details, Flip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answered:
    """What was answered to n images: `answers` (n,) are top-1 classes by the scores, and
    `probabilities` (n, classes), rows that sum to 1, may have tied by rounding what differs there.
    """

    answers: np.ndarray
    probabilities: np.ndarray


def details_of(truth: np.ndarray, row: Answered, float_model: Answered | None) -> Details:
    """The details of one row, against the float model unless it is that itself (None).

    `truth` is (n,) of class indices, n >= 1. Raises ValueError when the shapes do not belong
    together.
    """
    shape = row.probabilities.shape
    if shape[0] != len(truth) or shape[1] <= max(truth.max(), row.answers.max()):
        raise ValueError(f"probabilities of {shape} for {len(truth)} images")
    compared, flips = (), ()
    if float_model is not None:
        if float_model.probabilities.shape != shape:
            raise ValueError(f"probabilities of {shape} and {float_model.probabilities.shape}")
        compared = compare_classes(truth, float_model.answers, row.answers, classes=shape[1])
        flips = _flips(truth, row, float_model)
    counts = np.bincount(truth * shape[1] + row.answers, minlength=shape[1] ** 2)
    return Details(
        confusion=tuple(map(tuple, counts.reshape(shape[1], shape[1]).tolist())),
        classes=compared,
        reliability=_reliability(truth, row.probabilities),
        calibration_error=calibration_error_pp(row.probabilities, truth) / 100,
        flips=flips,
    )


def _flips(truth: np.ndarray, row: Answered, float_model: Answered) -> tuple[Flip, ...]:
    images = np.flatnonzero(float_model.answers != row.answers)
    before, after = float_model.answers[images], row.answers[images]
    surest = float_model.probabilities[images, before]
    won, wrong = after == truth[images], before != truth[images]
    order = np.lexsort((images, -surest, np.where(wrong, np.where(won, 1, 2), 0)))[:MOST_FLIPS]
    return tuple(
        Flip(
            image=int(images[k]),
            truth=int(truth[images[k]]),
            float_answer=int(before[k]),
            float_probability=float(surest[k]),
            answer=int(after[k]),
            probability=float(row.probabilities[images[k], after[k]]),
        )
        for k in order
    )


def _reliability(truth: np.ndarray, probabilities: np.ndarray) -> tuple[Bin, ...]:
    """The bins of `calibration_error`: of equal width, each with its upper edge."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == truth
    edges = np.linspace(0, 1, BINS + 1)
    places = np.searchsorted(edges[1:-1], confidence, side="left")
    counts = np.bincount(places, minlength=BINS)
    sums = np.bincount(places, weights=confidence, minlength=BINS)
    hits = np.bincount(places, weights=right, minlength=BINS)
    return tuple(
        Bin(
            low=float(edges[k]),
            high=float(edges[k + 1]),
            n=int(counts[k]),
            confidence=float(sums[k] / counts[k]) if counts[k] else None,
            accuracy=float(hits[k] / counts[k]) if counts[k] else None,
        )
        for k in range(BINS)
    )
