"""The range of real values that an 8-bit tensor covers, estimated from what it takes on images.

min-max covers every value that was seen, and one outlier makes all steps coarse. The others cut:
what lies beyond the range saturates. `percentile` leaves a ten-thousandth of the values out,
half of it on each side; `mse` takes the range with the least mean square error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

METHODS = ("min-max", "percentile", "mse")
_CUT = 1e-4  # of the values, by `percentile`
_BINS = 1 << 14
_STEPS = 255  # of an 8-bit tensor
_SHARES = np.geomspace(1.0, 0.02, 80)  # of an end's distance from zero, as tried by `mse`

Ranges = dict[str, tuple[float, float]]
Batches = Callable[[], Iterator[dict[str, np.ndarray]]]


def estimate(method: str, batches: Batches) -> Ranges:
    """(low, high) of each tensor, low <= 0 <= high, by one of METHODS.

    `batches()` gives the tensors' values, float32 of any shape by name, batch by batch, and is
    called twice: for the ends, then for the histograms between them.
    """
    ends: Ranges = {}
    for values in batches():
        for name, array in values.items():
            low, high = ends.get(name, (0.0, 0.0))
            ends[name] = (min(low, float(array.min())), max(high, float(array.max())))
    if method == "min-max":
        return ends
    counts = {name: np.zeros(_BINS) for name in ends}
    for values in batches():
        for name, array in values.items():
            taken = array[array != 0]  # zero is exact in any range, and half of a ReLU's values
            counts[name] += np.histogram(taken, _BINS, ends[name])[0]
    choose = {"percentile": _percentile, "mse": _least_error}[method]
    return {
        name: choose(counts[name], np.linspace(*ends[name], _BINS + 1))
        if counts[name].any()
        else ends[name]
        for name in ends
    }


def _percentile(counts: np.ndarray, edges: np.ndarray) -> tuple[float, float]:
    below = np.cumsum(counts) / counts.sum()
    low = edges[np.searchsorted(below, _CUT / 2)]
    high = edges[min(np.searchsorted(below, 1 - _CUT / 2) + 1, _BINS)]
    return min(0.0, float(low)), max(0.0, float(high))


def _least_error(counts: np.ndarray, edges: np.ndarray) -> tuple[float, float]:
    """Of the ranges that shrink both ends, then each alone, that of the least square error.

    A value within the range is off by a step's variance, step^2 / 12, one that becomes zero by
    itself, one beyond the range by its distance.
    """
    centres = (edges[:-1] + edges[1:]) / 2

    def error(low: float, high: float) -> float:
        beyond = np.maximum(centres - high, 0) + np.maximum(low - centres, 0)
        step = (high - low) / _STEPS
        inside = np.where(np.abs(centres) < step / 2, centres**2, step**2 / 12)
        return float(counts @ np.where(beyond > 0, beyond**2, inside))

    first, last = float(edges[0]), float(edges[-1])
    share = min(_SHARES, key=lambda s: error(s * first, s * last))
    low, high = share * first, share * last
    low = min(_SHARES * first, key=lambda end: error(end, high))
    return float(low), float(min(_SHARES * last, key=lambda end: error(low, end)))
