"""The verdict on an artifact in plain words, and what it rests on besides the agreement."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgestitch_runtime.agreement import (
    Z95,
    Agreement,
    ClassAgreement,
    compare_classes,
    paired_interval,
)
from edgestitch_runtime.calibration_error import calibration_error_pp

BUDGET_PP = 0.5
NO_LOSS, LOSES, GAINS, CANNOT_TELL = "no measurable loss", "loses", "gains", "cannot tell"
_Z80_ONE_SIDED = 0.8416212335729143  # so that four test sets in five would tell
_FEWEST_SWITCHED = 10  # lost and won together: below, how often that happens is not known
_MOST_TIMES = 1000  # as many images: an extrapolation beyond means nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the agreement says. `outcome` is one of the four words above, `text` a line with it.

    `images_needed`, where the outcome is "cannot tell" and it can be said, is about how many
    test images would tell.
    """

    outcome: str
    text: str
    budget_pp: float
    images_needed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One class's probability in one image, before and after. `image` counts from 0."""

    image: int
    class_index: int
    float_probability: float
    artifact_probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What changed, on all test images: for each true class, at most, and in confidence.

    `largest_change` is the largest difference of any probability. The calibration errors are the
    runtime's `calibration_error_pp`.
    """

    classes: tuple[ClassAgreement, ...]
    largest_change: Change
    float_calibration_error_pp: float
    artifact_calibration_error_pp: float


def verdict(found: Agreement, budget_pp: float = BUDGET_PP) -> Verdict:
    """Judges by the two-sided 95 % interval of the drop.

    It lies above 0: "loses"; below: "gains". Else 0 is in it, and the drop is "no measurable loss"
    when all of it is within `budget_pp` points; when not, these images cannot tell.
    """
    low, high = found.drop_interval_pp
    allowed = f"{budget_pp:g} allowed"
    needed = None
    if low > 0:
        outcome = LOSES
        text = f"loses {found.drop_pp:.2f} points ({low:.2f} to {high:.2f}), "
        if high <= budget_pp:
            text += f"within the {allowed}"
        else:
            text += f"{'' if low > budget_pp else 'perhaps '}more than the {allowed}"
    elif high < 0:
        outcome = GAINS
        text = f"gains {-found.drop_pp:.2f} points ({-high:.2f} to {-low:.2f})"
    elif high <= budget_pp:
        outcome = NO_LOSS
        text = f"no measurable loss: at most {_rounded_up(high):.2f} points, {allowed}"
    else:
        outcome = CANNOT_TELL
        needed = _images_needed(found, budget_pp)
        text = f"cannot tell with {found.n:,} image{'' if found.n == 1 else 's'}: it may lose "
        text += f"{_rounded_up(high):.2f} points, {allowed}"
        if needed is not None:
            text += f"; about {needed:,} would tell"
    return Verdict(outcome=outcome, text=text, budget_pp=budget_pp, images_needed=needed)


def gather(
    truth: np.ndarray,
    float_index: np.ndarray,
    artifact_index: np.ndarray,
    float_probabilities: np.ndarray,
    artifact_probabilities: np.ndarray,
) -> Evidence:
    """The evidence from n images: the true classes and both top-1 answers, (n,) integers, and the
    probabilities of both, (n, classes) whose rows sum to 1."""
    classes = float_probabilities.shape[1]
    apart = np.abs(artifact_probabilities - float_probabilities)
    image, class_index = divmod(int(apart.argmax()), classes)
    return Evidence(
        classes=compare_classes(truth, float_index, artifact_index, classes=classes),
        largest_change=Change(
            image=image,
            class_index=class_index,
            float_probability=float(float_probabilities[image, class_index]),
            artifact_probability=float(artifact_probabilities[image, class_index]),
        ),
        float_calibration_error_pp=calibration_error_pp(float_probabilities, truth),
        artifact_calibration_error_pp=calibration_error_pp(artifact_probabilities, truth),
    )


def _rounded_up(points: float) -> float:
    """To hundredths, never down: "at most" stays true."""
    return math.ceil(round(100 * points, 6)) / 100


def _images_needed(found: Agreement, budget_pp: float) -> int | None:
    """About how many images would tell, to two digits, were answers lost and won as often there.

    The interval of that many images, wider by the z of 80 % power, would exclude 0 or lie within
    the budget. None where too few answers switched for a rate, or none of a sensible size would.
    """
    if found.lost + found.won < _FEWEST_SWITCHED:
        return None
    both = found.float_correct - found.lost
    neither = found.n - both - found.lost - found.won
    times = 1.0
    while times < _MOST_TIMES:
        times *= 1.02
        more = [round(times * k) for k in (both, found.lost, found.won, neither)]
        low, high = paired_interval(
            both=more[0], lost=more[1], won=more[2], n=sum(more), z=Z95 + _Z80_ONE_SIDED
        )
        if low > 0 or 100 * high <= budget_pp:
            digits = 10 ** max(0, len(str(sum(more))) - 2)
            return math.ceil(sum(more) / digits) * digits
    return None
