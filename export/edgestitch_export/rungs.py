"""The rungs of the ladder, from the simplest on: what is tried, in this order.

Each yields a model and its calibration; whoever climbs says by `best` which was best so far, and
the next ones build on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import keras
import numpy as np

from . import calibration as calibrating
from .attempt import Attempt, keeping
from .bias_correction import bias_corrected
from .calibration import Calibration
from .equalization import equalized
from .fine_tuning import EPOCHS, RATES, fine_tuned
from .imitation import WEIGHT_LEVELS, kernel_axes
from .layer_damage import Damage
from .range_estimates import METHODS

MORE = 4  # times as many calibration images, where there are as many
# What fine-tuning keeps is the rounding of activations: of dscnn's answers it changes 0.37 % with
# these ranges and 0.57 % by min-max, where the rounding of weights hides which is better.
LEARNED_WITH = "percentile"
LOOKED_AT = 500  # calibration images that biases are corrected by
KEPT = (1, 2, 4)  # operators that precision mixed keeps float


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What the rungs are made of: the model rewritten for inference, and images to fit on."""

    model: keras.Model
    kind: str
    format: str
    images_u8: np.ndarray  # the training file's, (n, height, width)
    fit_indices: np.ndarray  # (k,) int64 positions among them
    calibration: Calibration  # by min-max: what the first rung takes
    seed: int


def plain(material: Material, method: str) -> Attempt:
    """The model as it is, with activation ranges by `method`."""
    return Attempt(
        title=method,
        model=material.model,
        calibration=replace(material.calibration, method=method),
    )


def calibrated(material: Material, best: Callable[[], Attempt]) -> Iterator[Attempt]:
    """Ranges by other estimates, by more images, then weights that suit them better.

    `best` is the best attempt so far.
    """
    for method in METHODS:
        yield plain(material, method)
    method, more = best().calibration.method, _more(material)
    if more is not material.calibration:
        yield Attempt(
            title=f"{method} of {len(more.images_u8):,} images",
            model=material.model,
            calibration=replace(more, method=method),
        )
    if not kernel_axes(material.model):
        return
    calibration = best().calibration
    equal, pairs = equalized(material.model, calibration.images_u8)
    if pairs:
        yield Attempt(
            title=f"equalization of {pairs} pairs of layers", model=equal, calibration=calibration
        )
    yield Attempt(
        title="equalization and bias correction" if pairs else "bias correction",
        model=bias_corrected(
            equal,
            method=calibration.method,
            levels=WEIGHT_LEVELS[material.format],
            images_u8=calibration.images_u8[:LOOKED_AT],
        ),
        uncorrected=equal,
        calibration=calibration,
    )


def tuned(material: Material) -> Iterator[Attempt]:
    """Quantization-aware fine-tuning of the equalized model, with ranges by LEARNED_WITH.

    Nothing where no layer has weights that are known. Biases are not corrected after it: they were
    learned with the rounding, and more answers changed with both.
    """
    if not kernel_axes(material.model):
        return
    calibration = replace(_more(material), method=LEARNED_WITH)
    equal, _ = equalized(material.model, calibration.images_u8)
    for rate in RATES:
        yield Attempt(
            title=f"fine-tuning for {EPOCHS} epochs at {rate:g}",
            model=fine_tuned(
                equal,
                teacher=material.model,
                kind=material.kind,
                method=calibration.method,
                levels=WEIGHT_LEVELS[material.format],
                images_u8=material.images_u8[material.fit_indices],
                calibration_u8=calibration.images_u8,
                rate=rate,
                seed=material.seed,
            ),
            calibration=calibration,
        )


def partly_float(start: Attempt, worst: list[Damage]) -> Iterator[Attempt]:
    """`start` with the most harmful operators kept float: one, then two, then four."""
    for count in (k for k in KEPT if k < len(worst)):
        yield keeping(start, {damage.name: damage.title for damage in worst[:count]})


def _more(material: Material) -> Calibration:
    """By min-max, of MORE times as many images, or of all; the first one where it has all."""
    first = material.calibration
    count = min(MORE * len(first.images_u8), len(material.fit_indices))
    if count <= len(first.images_u8):
        return first
    return calibrating.choose(
        material.images_u8, material.fit_indices, count=count, seed=material.seed
    )
