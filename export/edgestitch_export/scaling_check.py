"""Whether a model that somebody else made is right about the user's own data, before its export.

Pixels that reach a model in another range than it was trained on make it wrong, or right and far
too sure, and quantizing would be blamed. So its answers are judged first, and beside them what it
answers in the usual ranges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import keras
import numpy as np

from edgestitch_runtime.errors import EdgestitchError

from .answers import as_probabilities, finite_answers, float_answers, kind_of
from .input_range import USUAL, InputRange

SIGMAS = 3
_LEAST = 1e-7  # what a probability of nothing counts as


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    taken: InputRange
    recall: float  # the share right in each class, averaged: a frequent class is no merit
    losses: np.ndarray  # (n,): -log of the probability of the right class

    def told(self) -> str:
        return f"{100 * self.recall:.1f} % right in each class, loss {self.losses.mean():.2f}"


def check_scaling(
    model: keras.Model, images_u8: np.ndarray, labels: np.ndarray, given: InputRange
) -> None:
    """Raises EdgestitchError when `model` fits the data better in another range, or not at all.

    `model` is as it was saved, `images_u8` (n, height, width) and `labels` (n,) are of its training
    data, and `given` is the range that it is said to take. Better is: as often right or more, and
    of a loss that is lower by three standard errors. Not at all is near chance, within three
    standard errors of n coins.
    """
    counts = np.unique(labels, return_counts=True)[1]
    chance = 1 / len(counts)
    margin = SIGMAS * 0.5 * math.sqrt(float((1 / counts).sum())) * chance
    near_chance = chance + min(margin, (1 - chance) / 2)
    rows = finite_answers(model, _scaled(images_u8, given), which="training")
    found = _fit(rows, labels, given)
    others = [u for u in USUAL if (u.scale, u.offset) != (given.scale, given.offset)]
    fits = [_fit(float_answers(model, _scaled(images_u8, o)), labels, o) for o in others]
    better = [f for f in fits if f.recall > near_chance and _is_better(f, found, margin)]
    data = f"{len(labels):,} training images"
    if better:
        best = max(better, key=lambda fit: fit.recall)
        raise EdgestitchError(
            f"on {data} the model fits better with its input taken as {best.taken.text} "
            f"({best.told()}) than as {given.text} ({found.told()})",
            hint=f"--input-range {best.taken.text}: the scaling seems to be outside the model",
        )
    if found.recall <= near_chance:
        raise EdgestitchError(
            f"on {data} the model is near chance, {100 * chance:.1f} %, with its input taken as "
            f"{given.text}: {found.told()}",
            hint="--input-range says what it takes, where its scaling is outside the model (0..1, "
            "-1..1, or mean=M,std=S); else see that the classes stand in the order it was trained "
            "on, and that the background is right",
        )


def _scaled(images_u8: np.ndarray, taken: InputRange) -> np.ndarray:
    return images_u8.astype(np.float32) * np.float32(taken.scale) + np.float32(taken.offset)


def _is_better(other: _Fit, given: _Fit, margin: float) -> bool:
    if other.recall > given.recall + margin:
        return True
    gains = given.losses - other.losses
    error = float(gains.std()) / math.sqrt(len(gains))
    return other.recall >= given.recall and float(gains.mean()) > SIGMAS * error


def _fit(rows: np.ndarray, labels: np.ndarray, taken: InputRange) -> _Fit:
    rows = np.nan_to_num(rows)
    right = rows.argmax(axis=1) == labels
    of_truth = as_probabilities(rows, kind_of(rows))[np.arange(len(labels)), labels]
    return _Fit(
        taken=taken,
        recall=float(np.mean([right[labels == label].mean() for label in np.unique(labels)])),
        losses=-np.log(np.maximum(of_truth, _LEAST)),
    )
