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


def test_the_cost_of_the_clock_is_that_of_two_readings_in_a_row() -> None:
    """A call that does nothing takes what any empty call takes, and not a reading more."""
    nothing = Timed(call=(0).__add__, inputs=[0])
    raw = timing.time_block(nothing, seconds=0.02, runs=100)
    cost = timing.timer_ns(readings=5001)
    clean = timing.without_timer(raw, cost_ns=cost)
    assert np.median(raw) - np.median(clean) == pytest.approx(cost, abs=1)
    assert 1 <= np.median(clean) < np.median(raw)
    assert (timing.without_timer(np.array([5, 50]), cost_ns=10.4) == [1, 40]).all()


class Pretended:
    """A clock that only calls move: `seconds` gives what the call of each number takes."""

    def __init__(self, seconds: Callable[[int], float]) -> None:
        self.now, self.made, self._seconds = 0.0, 0, seconds

    def perf_counter(self) -> float:
        return self.now

    def call(self, _: object) -> None:
        self.now += self._seconds(self.made)
        self.made += 1


@pytest.mark.parametrize(
    ("seconds", "takes", "calls"),
    [
        # Shorter by 1 % each call until call 100: the sixth window is the first like its last.
        (lambda k: 0.01 * 0.99 ** min(k, 100), 0.05, range(121, 161)),
        # Steady calls: as long as asked for, and two windows to see that they are.
        (lambda k: 0.0002, 0.2, range(1000, 1103)),
        (lambda k: 0.0002, 0.0001, range(10, 12)),
        (lambda k: 0.000001, 0.1, range(99_000, 121_000)),
        # A Keras predict of 50 ms: two windows of 20, two seconds.
        (lambda k: 0.05, 0.1, range(40, 41)),
        # Longer by 1 ms each call: given up after twenty times what was asked for.
        (lambda k: 0.001 * k, 0.02, range(28, 31)),
        # 1 s a call: given up at once, but not before a few.
        (lambda k: 1.0, 0.001, range(3, 4)),
    ],
    ids=["becoming faster", "steady", "short", "tiny", "predict", "never steady", "slow"],
)
def test_warming_up_ends_when_calls_are_as_long_as_those_before_or_patience_does(
    monkeypatch: pytest.MonkeyPatch, seconds: Callable[[int], float], takes: float, calls: range
) -> None:
    pretended = Pretended(seconds)
    monkeypatch.setattr(timing, "time", pretended)
    timing.warm_up_until_stable(Timed(call=pretended.call, inputs=[0]), seconds=takes)
    assert pretended.made in calls
    assert pretended.now <= 3
