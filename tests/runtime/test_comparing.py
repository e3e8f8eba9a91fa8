"""The intervals of `comparing`, against counts: how many of 1,000 simulated pairs hold the truth.

The noise is that of real blocks, made larger: blocks that resemble their neighbours, single slow
ones, a machine of two speeds, a machine that slows down.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from edgestitch_runtime.comparing import (
    CANNOT_TELL,
    FASTER,
    OVERHEAD_SPREAD,
    PROCESS_SPREAD,
    SLOWER,
    TIME_SPREAD,
    Ratio,
    interleaved_ratio,
    overhead,
    overhead_growth,
    repeat_interval,
    separate_ratio,
)

SEEDS = 1000
Noise = Callable[[np.random.Generator, int], np.ndarray]


def alone(generator: np.random.Generator, blocks: int) -> np.ndarray:
    return generator.normal(0, 0.04, blocks)


def quiet(generator: np.random.Generator, blocks: int) -> np.ndarray:
    return generator.normal(0, 0.003, blocks)


def like_its_neighbour(generator: np.random.Generator, blocks: int) -> np.ndarray:
    """An autoregressive series of order 1, correlation 0.4, standard deviation 4 %."""
    values = np.empty(blocks)
    values[0] = generator.normal()
    for k in range(1, blocks):
        values[k] = 0.4 * values[k - 1] + math.sqrt(1 - 0.4**2) * generator.normal()
    return 0.04 * values


def with_slow_ones(generator: np.random.Generator, blocks: int) -> np.ndarray:
    slow = np.where(generator.random(blocks) < 0.1, generator.exponential(0.5, blocks), 0)
    return generator.normal(0, 0.02, blocks) + slow


def of_two_speeds(generator: np.random.Generator, blocks: int) -> np.ndarray:
    return generator.normal(0, 0.01, blocks) + np.where(generator.random(blocks) < 0.3, 0.1, 0)


NOISES = (alone, quiet, like_its_neighbour, with_slow_ones, of_two_speeds)


def drift(generator: np.random.Generator, blocks: int) -> np.ndarray:
    """A machine whose speed wanders by 5 % from block to block, a fifth and more in all."""
    return generator.normal(0, 0.05, blocks).cumsum()


def measured(
    generator: np.random.Generator, noise: Noise, blocks: int, *, mean: float, between: float
) -> np.ndarray:
    """Medians of blocks of one process: its own luck, and the noise of each block."""
    return np.log(mean) + generator.normal(0, between) + noise(generator, blocks)


def covered(pairs: Callable[[np.random.Generator], Ratio], truth: float) -> float:
    """In how many of the seeds the interval holds `truth`, as a share."""
    found = [pairs(np.random.default_rng(seed)) for seed in range(SEEDS)]
    return sum(ratio.low <= truth <= ratio.high for ratio in found) / SEEDS


@pytest.mark.parametrize("blocks", [4, 10, 20])
@pytest.mark.parametrize("noise", NOISES)
def test_an_interleaved_interval_holds_the_truth_and_common_drift_cancels(
    noise: Noise, blocks: int
) -> None:
    def pair(generator: np.random.Generator) -> Ratio:
        machine = drift(generator, blocks)
        first = measured(generator, noise, blocks, mean=3.3, between=PROCESS_SPREAD)
        second = measured(generator, noise, blocks, mean=3.0, between=PROCESS_SPREAD)
        blocks_of = [np.exp(values + machine) for values in (first, second)]
        return interleaved_ratio(*(list(map(float, values)) for values in blocks_of))

    share = covered(pair, 1.1)
    assert 0.93 <= share <= (0.98 if noise in (quiet, like_its_neighbour) else 0.995)


@pytest.mark.parametrize("blocks", [4, 10, 20])
@pytest.mark.parametrize("noise", NOISES)
def test_an_interval_of_two_measurements_holds_the_truth(noise: Noise, blocks: int) -> None:
    between = math.hypot(PROCESS_SPREAD, TIME_SPREAD)

    def pair(generator: np.random.Generator) -> Ratio:
        first = measured(generator, noise, blocks, mean=3.3, between=between)
        second = measured(generator, noise, blocks, mean=3.0, between=between)
        return separate_ratio(np.exp(first).tolist(), np.exp(second).tolist())

    share = covered(pair, 1.1)
    assert 0.93 <= share <= (0.98 if noise in (quiet, like_its_neighbour) else 0.997)


@pytest.mark.parametrize("blocks", [4, 20])
def test_the_growth_of_an_overhead_holds_the_truth_whatever_the_two_machines_speeds(
    blocks: int,
) -> None:
    def report(generator: np.random.Generator, cost: float) -> tuple[list[float], list[float]]:
        machine = drift(generator, blocks) + generator.normal(0, 0.5)
        bare = machine + quiet(generator, blocks)
        luck = generator.normal(0, OVERHEAD_SPREAD)
        whole = machine + math.log(cost) + luck + with_slow_ones(generator, blocks)
        return np.exp(whole).tolist(), np.exp(bare).tolist()

    def pair(generator: np.random.Generator) -> Ratio:
        return overhead_growth(report(generator, 1.8), report(generator, 1.5))

    assert 0.93 <= covered(pair, 1.2) <= 0.998


def test_drift_of_the_machine_widens_no_interleaved_interval_and_does_widen_a_separate_one() -> (
    None
):
    generator = np.random.default_rng(3)
    own = [np.exp(quiet(generator, 20)) for _ in range(2)]
    machine = np.exp(np.linspace(0, 0.3, 20))

    def width(ratio: Ratio) -> float:
        return math.log(ratio.high / ratio.low)

    steady, drifting = [list(x) for x in own], [(x * machine).tolist() for x in own]
    assert width(interleaved_ratio(*drifting)) == pytest.approx(width(interleaved_ratio(*steady)))
    assert width(separate_ratio(*drifting)) > 3 * width(separate_ratio(*steady))


def test_a_pair_of_steady_blocks_has_the_known_spreads_and_nothing_more() -> None:
    """By hand: 1.96 standard deviations of two processes, and of two processes at two times."""
    ratio = interleaved_ratio([2.2] * 10, [2.0] * 10)
    assert ratio.value == pytest.approx(1.1)
    assert math.log(ratio.high / 1.1) == pytest.approx(1.96 * 2**0.5 * PROCESS_SPREAD, rel=1e-4)
    ratio = separate_ratio([2.2] * 10, [2.0] * 10)
    both = 2**0.5 * math.hypot(PROCESS_SPREAD, TIME_SPREAD)
    assert math.log(ratio.low / 1.1) == pytest.approx(-1.96 * both, rel=1e-4)
    assert repeat_interval(5.0, [2.0] * 10) == pytest.approx(
        (5 * math.exp(-1.96 * both), 5 * math.exp(1.96 * both)), rel=1e-4
    )


def test_student_t_is_that_of_the_tables() -> None:
    """Four blocks whose noise hides the known spreads: t at 3 degrees, 3.182, of the bootstrap's
    standard deviation, which is counted here over all 256 draws of four.
    """
    blocks = [1.0, 2.0, 4.0, 9.0]
    logs = np.log(blocks)
    draws = np.array(np.meshgrid(*[logs] * 4)).reshape(4, -1)
    spread = np.median(draws, axis=0).std() * math.sqrt(4 / 3 * 1.25 / 0.75)
    ratio = overhead(blocks, [1.0] * 4)
    assert ratio.value == pytest.approx(math.sqrt(8))
    assert math.log(ratio.high / ratio.value) == pytest.approx(3.182 * spread, rel=0.03)


def test_verdicts_are_of_the_first_and_need_the_whole_interval_on_one_side() -> None:
    assert Ratio(value=0.9, low=0.8, high=0.99).verdict == FASTER
    assert Ratio(value=1.1, low=1.01, high=1.2).verdict == SLOWER
    assert Ratio(value=1.1, low=1.0, high=1.2).verdict == CANNOT_TELL
    slow, fast = [3.3, 3.3, 3.3], [3.0, 3.0, 3.0]
    for compared in (interleaved_ratio, separate_ratio, overhead):
        assert compared(slow, fast).verdict == SLOWER
        assert compared(fast, slow).verdict == FASTER
        assert compared(fast, fast).verdict == CANNOT_TELL


def test_the_same_blocks_give_the_same_interval_to_the_bit() -> None:
    blocks = np.random.default_rng(1).lognormal(1, 0.1, 12).tolist()
    assert interleaved_ratio(blocks, blocks[::-1]) == interleaved_ratio(blocks, blocks[::-1])


@pytest.mark.parametrize(
    "bad", [[], [1.0], [1.0, 0.0], [1.0, -1.0], [1.0, math.nan], [1, math.inf]]
)
def test_what_is_no_median_of_two_blocks_is_refused(bad: list[float]) -> None:
    for compared in (interleaved_ratio, separate_ratio, overhead):
        with pytest.raises(ValueError, match="two blocks"):
            compared([1.0, 2.0], bad)
    with pytest.raises(ValueError, match="two blocks"):
        repeat_interval(1.0, bad)


def test_blocks_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ValueError, match="not as many"):
        interleaved_ratio([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="not as many"):
        overhead_growth(([1.0, 2.0], [1.0, 2.0]), ([1.0, 2.0], [1.0, 2.0, 3.0]))
