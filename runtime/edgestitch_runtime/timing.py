"""Times calls: warm-up, then interleaved blocks of single calls; percentiles in microseconds.

How one sample is taken: the next input is picked, the clock (`time.perf_counter_ns`) is read, the
call made and its result dropped, the clock read again. Picking the input and storing the sample
lie outside. One reading of the clock lies inside: `timer_ns` says what it costs, `without_timer`
takes it off, as profiles and benchmarks do. Python's cyclic garbage is collected before the first
block, and the collector is off inside every block. A block begins with calls that are not counted,
since another ran before it.
"""

from __future__ import annotations

import gc
import itertools
import math
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

BLOCKS = 40  # short enough that a machine which changes its speed changes it for every call
BLOCK_WARM_UP_SECONDS = 0.01
MAX_SECONDS = 600  # for one kind of call: more tells no more
STABLE_WITHIN = 0.02  # the median of a window of calls beside that of the window before
WINDOW_CALLS, WINDOW_SECONDS = 20, 0.02
MOST_WARM_UP_SECONDS, LEAST_WARM_UP_CALLS = 2.0, 3
BLOCK_TIMER_READINGS = 2001
CYCLED_IMAGES = 256  # a few hundred kilobytes: real inputs that do not repeat at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """What single calls took, in microseconds; `runs` is how many were counted."""

    p50_us: float
    p90_us: float
    p99_us: float
    mean_us: float
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A call of one argument, and the arguments that are cycled through it."""

    call: Callable[[Any], Any]
    inputs: Sequence[Any]


def timer_ns(*, readings: int = 20_001) -> float:
    """The usual cost of one reading of the clock on this machine, now, in nanoseconds.

    It is read twice as `time_block` does, with no call between. The mean of the middle half: a
    clock of coarse steps has no finer median.
    """
    samples = array("q")
    store, clock = samples.append, time.perf_counter_ns
    for _ in range(readings):
        before = clock()
        after = clock()
        store(after - before)
    quarter = readings // 4
    return float(np.sort(np.array(samples, np.int64))[quarter : readings - quarter].mean())


def without_timer(samples_ns: np.ndarray, *, cost_ns: float) -> np.ndarray:
    """Samples of `time_block` less the reading of the clock inside each: (n,) int64, 1 or more."""
    return np.maximum(samples_ns - round(cost_ns), 1)


def warm_up(timed: Timed, *, seconds: float, runs: int) -> None:
    """Makes uncounted calls for at least `seconds` and at least `runs` times."""
    end = time.perf_counter() + seconds
    for made, value in enumerate(itertools.cycle(timed.inputs), start=1):
        timed.call(value)
        if made >= runs and time.perf_counter() >= end:
            return


def warm_up_until_stable(timed: Timed, *, seconds: float) -> None:
    """Makes uncounted calls for `seconds`, and until they are as long as those before.

    That is when the median of a window, of WINDOW_CALLS and WINDOW_SECONDS at least, is within
    STABLE_WITHIN of that of the window before. Calls that never become so are given up after 20
    times `seconds`, at most MOST_WARM_UP_SECONDS, and LEAST_WARM_UP_CALLS.
    """
    started = time.perf_counter()
    patience = min(20 * seconds, MOST_WARM_UP_SECONDS)
    stable, before = False, 0.0
    window = array("d")
    window_ends = started + WINDOW_SECONDS
    for made, value in enumerate(itertools.cycle(timed.inputs), start=1):
        begun = time.perf_counter()
        timed.call(value)
        now = time.perf_counter()
        window.append(now - begun)
        if len(window) >= WINDOW_CALLS and now >= window_ends:
            middle = float(np.median(window))
            stable = abs(middle - before) <= STABLE_WITHIN * before
            before, window, window_ends = middle, array("d"), now + WINDOW_SECONDS
        waited = now - started
        if made >= LEAST_WARM_UP_CALLS and (
            (stable and waited >= seconds) or waited >= max(patience, seconds)
        ):
            return


def time_block(timed: Timed, *, seconds: float, runs: int, start: int = 0) -> np.ndarray:
    """Samples of single calls in nanoseconds, (n,) int64: at least `seconds` and `runs` of them.

    `start` says at which input to begin. A block begins with calls that are not counted: one,
    and more until BLOCK_WARM_UP_SECONDS are over, but never longer than a tenth of `seconds`.
    """
    call, inputs, count = timed.call, timed.inputs, len(timed.inputs)
    samples = array("q")
    store, clock = samples.append, time.perf_counter_ns
    collecting = gc.isenabled()
    gc.disable()
    try:
        warm_up(timed, seconds=min(BLOCK_WARM_UP_SECONDS, seconds / 10), runs=1)
        position = start % count
        end = clock() + int(seconds * 1e9)
        while True:
            value = inputs[position]
            position = position + 1 if position + 1 < count else 0
            before = clock()
            call(value)
            after = clock()
            store(after - before)
            if after >= end and len(samples) >= runs:
                return np.array(samples, np.int64)
    finally:
        if collecting:
            gc.enable()


def latency(samples_ns: np.ndarray) -> Latency:
    """Percentiles (linear between samples, as numpy's) and mean of samples in nanoseconds, (n,).

    Raises ValueError when there is no sample.
    """
    if samples_ns.ndim != 1 or not len(samples_ns):
        raise ValueError("at least one sample is needed")
    p50, p90, p99 = np.percentile(samples_ns, (50, 90, 99)) / 1000
    return Latency(
        p50_us=float(p50),
        p90_us=float(p90),
        p99_us=float(p99),
        mean_us=float(samples_ns.mean() / 1000),
        runs=len(samples_ns),
    )


def interleaved(
    calls: Mapping[str, Timed], *, min_seconds: float, min_runs: int, blocks: int = BLOCKS
) -> dict[str, Latency]:
    """Times several calls in alternating blocks, so that their ratio means something.

    Each is warmed up, then gets `blocks` blocks, in all at least `min_seconds` and `min_runs`.
    Returns a Latency for each name of `calls`.
    """
    gc.collect()
    for timed in calls.values():
        warm_up(timed, seconds=min(0.2, min_seconds / 4), runs=3)
    samples: dict[str, list[np.ndarray]] = {name: [] for name in calls}
    runs = math.ceil(min_runs / blocks)
    for block in range(blocks):
        for name, timed in calls.items():
            samples[name].append(
                time_block(timed, seconds=min_seconds / blocks, runs=runs, start=block * runs)
            )
    return {name: latency(np.concatenate(parts)) for name, parts in samples.items()}
