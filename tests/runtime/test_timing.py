"""The timing loop against calls whose cost, order and number are known."""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable

import numpy as np
import pytest

from edgestitch_runtime import timing
from edgestitch_runtime.timing import Timed


def spinning(microseconds: float) -> Callable[[object], None]:
    """A call that keeps the processor busy for a known time."""

    def call(_: object) -> None:
        end = time.perf_counter_ns() + 1000 * microseconds
        while time.perf_counter_ns() < end:
            pass

    return call


def test_a_call_of_known_cost_is_measured_at_that_cost() -> None:
    samples = timing.time_block(Timed(call=spinning(300), inputs=[0]), seconds=0.2, runs=50)
    assert 300 <= timing.latency(samples).p50_us < 360


def test_percentiles_are_those_of_a_ramp_known_by_hand() -> None:
    ramp_ns = np.random.default_rng(1).permutation(np.arange(101)) * 1000
    measured = timing.latency(ramp_ns.astype(np.int64))
    assert (measured.p50_us, measured.p90_us, measured.p99_us) == pytest.approx((50, 90, 99))
    assert (measured.mean_us, measured.runs) == (pytest.approx(50), 101)


def test_no_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        timing.latency(np.array([], np.int64))


def test_a_slow_call_still_gets_the_minimum_of_runs() -> None:
    samples = timing.time_block(Timed(call=spinning(2000), inputs=[0]), seconds=0.001, runs=7)
    assert len(samples) == 7


def test_a_fast_call_still_gets_the_minimum_of_time() -> None:
    samples = timing.time_block(Timed(call=spinning(50), inputs=[0]), seconds=0.1, runs=3)
    assert samples.sum() / 1e9 > 0.05 and len(samples) > 100


def test_inputs_are_cycled_in_order_from_the_start_asked_for() -> None:
    seen: list[int] = []
    inputs = [0, 1, 2, 3, 4]
    timing.time_block(Timed(call=seen.append, inputs=inputs), seconds=1e-9, runs=12, start=8)
    assert seen[-12:] == [(8 + k) % 5 for k in range(12)]


def test_the_first_calls_of_a_block_are_not_counted() -> None:
    slow_first = itertools.chain([20_000.0], itertools.repeat(10.0))
    call: Callable[[object], None] = lambda _: spinning(next(slow_first))(None)  # noqa: E731
    samples = timing.time_block(Timed(call=call, inputs=[0]), seconds=0.05, runs=10)
    assert samples.max() < 20_000_000


def test_the_collector_is_off_inside_a_block_and_on_again_after_it() -> None:
    states: list[bool] = []
    timed = Timed(call=lambda _: states.append(gc.isenabled()), inputs=[0])
    timing.time_block(timed, seconds=1e-6, runs=5)
    assert states and not any(states) and gc.isenabled()


def test_the_collector_is_on_again_after_a_call_that_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        timing.time_block(Timed(call=lambda value: 1 / value, inputs=[0]), seconds=1, runs=1)
    assert gc.isenabled()


def test_calls_take_turns_block_by_block() -> None:
    order: list[str] = []
    calls = {
        name: Timed(call=lambda _, name=name: order.append(name), inputs=[0])
        for name in ("first", "second")
    }
    measured = timing.interleaved(calls, min_seconds=0.02, min_runs=10, blocks=5)
    turns = [name for name, _ in itertools.groupby(order)]
    assert turns == ["first", "second"] * 6  # one turn of warm-up, five blocks
    assert all(latency.runs >= 10 for latency in measured.values())


def test_the_ratio_of_two_calls_is_the_ratio_of_their_costs() -> None:
    calls = {f"{us}": Timed(call=spinning(us), inputs=[0]) for us in (100, 250)}
    measured = timing.interleaved(calls, min_seconds=0.2, min_runs=50)
    assert measured["250"].p50_us / measured["100"].p50_us == pytest.approx(2.5, rel=0.1)


def test_warm_up_gives_both_its_time_and_its_runs() -> None:
    made: list[int] = []
    timing.warm_up(Timed(call=made.append, inputs=[1]), seconds=0, runs=4)
    assert len(made) == 4
    started = time.perf_counter()
    timing.warm_up(Timed(call=made.append, inputs=[1]), seconds=0.05, runs=1)
    assert time.perf_counter() - started >= 0.05


def test_reading_the_clock_costs_something_and_less_than_a_tenth_of_a_millisecond() -> None:
    assert 0 < timing.timer_ns() < 100_000
