"""Whether a classifier is as often right as it is confident."""

from __future__ import annotations

import numpy as np

BINS = 15


def calibration_error_pp(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """The expected calibration error in percentage points, 0..100.

    `probabilities` are (n, classes) whose rows sum to 1, `truth` (n,) the true classes, n >= 1.
    The images are sorted by the confidence in their top-1 class into 15 bins of equal width, each
    with its upper edge; the error is the distance between mean confidence and accuracy of a bin,
    averaged over the images. Raises ValueError when the shapes do not belong together or n is 0.
    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 2; 15 bins as there.
    """
    if probabilities.ndim != 2 or truth.shape != probabilities.shape[:1] or not len(truth):
        raise ValueError(f"probabilities of {probabilities.shape}, classes of {truth.shape}")
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == truth
    inner_edges = np.linspace(0, 1, BINS + 1)[1:-1]
    bins = np.searchsorted(inner_edges, confidence, side="left")
    gaps = np.bincount(bins, weights=confidence - right, minlength=BINS)
    return 100 * float(np.abs(gaps).sum()) / len(truth)
