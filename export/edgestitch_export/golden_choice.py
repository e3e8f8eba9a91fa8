"""Choosing the golden vectors: which test images an artifact carries with its answers to them.

The gate decides, so no sound engine may flip it: its images are those whose margin between the two
highest scores is several times what engines were seen to differ by. Of these the ones nearest to
that bound come first, since they tell most, and of those the ones that pack small.
"""

from __future__ import annotations

import math
import zlib

import numpy as np

from edgestitch_runtime.golden import Golden

GATE, CLOSE_CALLS = 32, 16
_WIDE = 4  # times the largest difference between two engines
_AMONG = 8  # times as many images are looked at for small ones
_SAFE = 2  # the tolerance, times the largest difference on the gate


def choose_golden(
    images_u8: np.ndarray,
    truth: np.ndarray,
    answers: np.ndarray,
    rival: np.ndarray,
    *,
    least: float,
    recorded: np.ndarray | None = None,
) -> tuple[Golden, float]:
    """The golden vectors out of n test images, and the tolerance that goes with them.

    `images_u8` are (n, height, width), `truth` (n,) their classes; `answers` (n, classes) are the
    artifact's, `rival` those of the same file computed in another way, and `least` is by how much
    engines may differ where these two do not; `recorded`, as `answers`, go with them. The gate has
    32 images or more, as many of each class as there are; the 16 close calls have the smallest
    margins. The tolerance and `least` are in steps of an integer output, else in its own unit.
    """
    values = answers.astype(np.float64)
    apart = np.abs(values - rival).max(axis=1)
    top = np.sort(values, axis=1)[:, -2:]
    margin = top[:, 1] - top[:, 0]
    packed = np.array([len(zlib.compress(image.tobytes(), 9)) for image in images_u8])
    right = values.argmax(axis=1) == truth
    classes = values.shape[1]
    each = math.ceil(GATE / classes)
    bound = _WIDE * max(float(apart.max()), least)
    gate: list[int] = []
    for label in range(classes):
        of_class = np.flatnonzero(truth == label)
        wide = of_class[right[of_class] & (margin[of_class] >= bound)]
        if len(wide) < each:  # a class that is hardly told apart: its clearest images
            wide = of_class[np.argsort(-margin[of_class], kind="stable")][:each]
        near = wide[np.argsort(margin[wide], kind="stable")][: _AMONG * each]
        gate += near[np.argsort(packed[near], kind="stable")][:each].tolist()
    others = np.setdiff1d(np.arange(len(truth)), gate)
    near = others[np.argsort(margin[others], kind="stable")][: _AMONG * CLOSE_CALLS]
    close = near[np.argsort(packed[near], kind="stable")][:CLOSE_CALLS].tolist()
    chosen = np.array([*sorted(gate), *sorted(close)])
    tolerance = _SAFE * max(float(apart[gate].max()), least)
    return Golden(
        images_u8=np.ascontiguousarray(images_u8[chosen]),
        scores=np.ascontiguousarray(answers[chosen]),
        gate=np.arange(len(chosen)) < len(gate),
        recorded=None if recorded is None else np.ascontiguousarray(recorded[chosen]),
    ), math.ceil(tolerance) if answers.dtype.kind in "iu" else tolerance
