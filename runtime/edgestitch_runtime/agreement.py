"""How far two classifiers agree on the same images: flips, drop, interval, exact McNemar.

Every function takes counts or boolean vectors of the same images in the same order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Z95 = 1.959963984540054  # two-sided 95 %
Z95_ONE_SIDED = 1.6448536269514722


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Float model against artifact on `n` images. Points are percentage points."""

    n: int
    float_correct: int
    artifact_correct: int
    changed: int  # top-1 answers that differ, whether or not either is right
    lost: int  # float right, artifact wrong
    won: int  # float wrong, artifact right
    drop_pp: float
    drop_interval_pp: tuple[float, float]  # two-sided 95 %, Newcombe's paired score interval
    drop_upper_pp: float  # one-sided 95 % upper bound
    mcnemar_p: float

    @property
    def accuracy(self) -> float:
        return self.artifact_correct / self.n

    @property
    def float_accuracy(self) -> float:
        return self.float_correct / self.n


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassAgreement:
    """Float model against artifact on the `n` images of one true class; the words of Agreement."""

    n: int
    float_correct: int
    artifact_correct: int
    lost: int
    won: int


def compare(truth: np.ndarray, float_index: np.ndarray, artifact_index: np.ndarray) -> Agreement:
    """Compares two sets of top-1 answers.

    All three are integer vectors of shape (n,), n >= 1: the true class, the float model's
    answer and the artifact's. Raises ValueError when the shapes differ or n is 0.
    """
    if not (truth.shape == float_index.shape == artifact_index.shape) or truth.ndim != 1:
        raise ValueError("truth and both answers must be vectors of one length")
    n = len(truth)
    if n == 0:
        raise ValueError("at least one image is needed")
    float_right = float_index == truth
    artifact_right = artifact_index == truth
    both = int(np.sum(float_right & artifact_right))
    lost = int(np.sum(float_right & ~artifact_right))
    won = int(np.sum(~float_right & artifact_right))
    low, high = paired_interval(both=both, lost=lost, won=won, n=n, z=Z95)
    _, upper = paired_interval(both=both, lost=lost, won=won, n=n, z=Z95_ONE_SIDED)
    return Agreement(
        n=n,
        float_correct=both + lost,
        artifact_correct=both + won,
        changed=int(np.sum(float_index != artifact_index)),
        lost=lost,
        won=won,
        drop_pp=100 * (lost - won) / n,
        drop_interval_pp=(100 * low, 100 * high),
        drop_upper_pp=100 * upper,
        mcnemar_p=mcnemar_exact(lost=lost, won=won),
    )


def compare_classes(
    truth: np.ndarray, float_index: np.ndarray, artifact_index: np.ndarray, *, classes: int
) -> tuple[ClassAgreement, ...]:
    """As `compare`, for each of `classes` true classes in order; a class may have no image."""
    float_right = float_index == truth
    artifact_right = artifact_index == truth

    def counted(chosen: np.ndarray) -> list[int]:
        return np.bincount(truth[chosen], minlength=classes).tolist()

    columns = zip(
        counted(np.ones(len(truth), bool)),
        counted(float_right),
        counted(artifact_right),
        counted(float_right & ~artifact_right),
        counted(~float_right & artifact_right),
        strict=True,
    )
    return tuple(
        ClassAgreement(n=n, float_correct=before, artifact_correct=after, lost=lost, won=won)
        for n, before, after, lost, won in columns
    )


def mcnemar_exact(*, lost: int, won: int) -> float:
    """Two-sided exact McNemar p-value: the binomial test of `lost` in `lost + won` at one half.

    Source: McNemar 1947; the exact form is the sign test. 1.0 when nothing changed sides.
    """
    discordant = lost + won
    if discordant == 0:
        return 1.0
    tail = sum(math.comb(discordant, k) for k in range(min(lost, won) + 1))
    return min(1.0, 2 * tail / 2**discordant)


def wilson(*, correct: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a proportion, both ends in 0..1. Source: Wilson 1927."""
    p = correct / n
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def paired_interval(*, both: int, lost: int, won: int, n: int, z: float) -> tuple[float, float]:
    """Newcombe's score interval of the difference of two paired proportions, float minus artifact.

    `both` right, `lost` right only in float, `won` right only in the artifact, of `n` images.
    Both ends lie in -1..1. Source: Newcombe 1998, Statistics in Medicine 17:2635, method 10:
    Wilson limits of each proportion, joined with the correlation phi, continuity-corrected.
    """
    neither = n - both - lost - won
    first, second = both + lost, both + won
    low_1, high_1 = wilson(correct=first, n=n, z=z)
    low_2, high_2 = wilson(correct=second, n=n, z=z)
    margins = first * (n - first) * second * (n - second)
    if margins == 0:
        phi = 0.0
    else:
        covariance = both * neither - lost * won
        if covariance > 0:
            covariance = max(covariance - n / 2, 0)
        phi = covariance / math.sqrt(margins)
    p1, p2 = first / n, second / n
    difference = p1 - p2
    down = _joined(p1 - low_1, high_2 - p2, phi)
    up = _joined(high_1 - p1, p2 - low_2, phi)
    return difference - down, difference + up


def _joined(a: float, b: float, phi: float) -> float:
    return math.sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))
