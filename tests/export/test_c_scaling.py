"""The scalings of generated C: its formulas, in Python's whole numbers, against `reference`.

The formulas are evaluated from the records as they stand in the C, by what c_kernels/scaling.c says
of them; the codes of `reference` come of its own arithmetic (requantize).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from edgestitch_export.c_scaling import (
    Line,
    Steps,
    WideLine,
    line_of,
    long_line_of,
    steps_of,
    wide_line_of,
)
from edgestitch_runtime.fixed_point import multipliers_of
from edgestitch_runtime.requantize import Finish, Sums, Target, rounded_as_reals, rounded_twice

RANDOM_SUMS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What a layer's sums are and become: `most` and `factors` are (channels,).

    Codes are held within `clamp` in the end, by the reference and by the C.
    """

    most: np.ndarray
    factors: np.ndarray
    finish: Finish
    clamp: tuple[int, int] = (-128, 127)

    @property
    def steps(self) -> Steps:
        return steps_of(self.finish, self.most, self.clamp)

    def codes(self, sums: np.ndarray) -> np.ndarray:
        """What `reference` makes of sums, (n, channels)."""
        return self.finish(sums.astype(np.float64))


Rounding = Callable[[Sums, np.ndarray, Target], Finish]


def as_reals(sums: Sums, factors: np.ndarray, target: Target) -> Finish:
    return rounded_as_reals(sums, factors, target)


def twice(sums: Sums, factors: np.ndarray, target: Target) -> Finish:
    return rounded_twice(sums, *multipliers_of(factors), target)


def layer(
    rng: np.random.Generator,
    rounding: Rounding,
    *,
    ties: bool = False,
    clamp: tuple[int, int] = (-128, 127),
    bits: tuple[int, int] = (11, 23),
) -> Layer:
    """A layer as converters make them, channels alike: a dozen bits of sums for 255 steps, or from
    the first of `bits` up to below the second.
    """
    channels = int(rng.integers(1, 9))
    most = rng.integers(1 << bits[0] - 1, 1 << int(rng.integers(*bits)), channels)
    factors = 255 / most * np.exp(rng.normal(-0.5, 0.8, channels))
    if ties:
        factors = 2.0 ** np.rint(np.log2(factors))
    offsets = rng.integers(-most // 2, most // 2 + 1)
    zero_point = int(rng.choice([-128, 0, 127, int(rng.integers(-128, 128))]))
    sums = Sums(most=most, offsets=offsets)
    target = Target(zero_point=zero_point, low=clamp[0], high=clamp[1])
    return Layer(most=most, factors=factors, finish=rounding(sums, factors, target), clamp=clamp)


def int8_of(steps: int) -> int:
    return max(-128, min(127, steps))


def code_by_line(record: bytes, up: int, down: int, total: int) -> int:
    word = int.from_bytes(record, "little")
    multiplier, more, offset = (word & 0x3FFFFFF) << 5, word >> 26 & 3, word >> 28
    if offset >= 1 << 27:
        offset -= 1 << 28
    high = (total << up) * multiplier >> 32
    assert -(1 << 31) <= total << up < 1 << 31
    assert -(1 << 31) <= high + offset < 1 << 31
    return int8_of((high + offset) >> (down + more))


def code_by_wide(multiplier: int, offset: int, up: int, down: int, total: int) -> int:
    assert 0 <= multiplier < 1 << 31
    assert -(1 << 31) <= offset < 1 << 31
    found = total * multiplier + (offset << up)
    assert -(1 << 63) <= offset << up < 1 << 63
    assert -(1 << 63) <= found < 1 << 63
    return int8_of(found >> down)


def code_by_long(multiplier: int, offset: int, down: int, total: int) -> int:
    found = total * multiplier + offset
    assert all(-(1 << 63) <= x < 1 << 63 for x in (multiplier, offset, total * multiplier, found))
    return int8_of(found >> down)


def wrong(one: Layer, code: Callable[[int, int], int], count: int, seed: int = 0) -> int:
    """How many sums get another code than `reference` gives: those beside each step of each
    channel, and `count` others. `code` takes a channel and a sum.
    """
    rng = np.random.default_rng(seed)
    least = one.steps.least
    beside = np.concatenate([least - 1, least, [-one.most], [one.most]])
    beside = np.clip(beside, -one.most, one.most)
    others = rng.integers(-one.most, one.most + 1, (count // len(one.most), len(one.most)))
    sums = np.concatenate([beside, others])
    expected = one.codes(sums)
    low, high = one.clamp
    return sum(
        max(low, min(high, code(k, total))) != answer
        for k in range(len(one.most))
        for total, answer in zip(sums[:, k].tolist(), expected[:, k].tolist(), strict=True)
    )


def of_line(line: Line) -> Callable[[int, int], int]:
    records = line.records().tobytes()
    return lambda k, total: code_by_line(records[7 * k : 7 * k + 7], line.up, line.down, total)


def of_wide(wide: WideLine) -> Callable[[int, int], int]:
    return lambda k, total: code_by_wide(
        int(wide.multipliers[k]), int(wide.offsets[k]), wide.up, wide.down, total
    )


def of_long(wide: WideLine) -> Callable[[int, int], int]:
    return lambda k, total: code_by_long(
        int(wide.multipliers[k]), int(wide.offsets[k]), wide.down, total
    )


@pytest.mark.parametrize("rounding", [as_reals, twice])
def test_the_steps_are_where_the_reference_s_codes_rise(rounding: Rounding) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        one = layer(rng, rounding, ties=bool(rng.integers(2)))
        least = one.steps.least
        codes = np.arange(-127, 128)[:, None]
        at = one.codes(np.clip(least, -one.most, one.most))
        before = one.codes(np.clip(least - 1, -one.most, one.most))
        assert (at >= codes)[least <= one.most].all()
        assert (before < codes)[least > -one.most].all()
        assert (least[1:] >= least[:-1]).all()
        assert ((-one.most <= least) & (least <= one.most + 1)).all()


@pytest.mark.parametrize(("rounding", "least"), [(as_reals, 12), (twice, 6)])
def test_a_line_gives_the_reference_s_codes(rounding: Rounding, least: int) -> None:
    rng = np.random.default_rng(2)
    found = 0
    for _ in range(24):
        one = layer(rng, rounding)
        line = line_of(one.steps, one.factors)
        if line is not None:
            found += 1
            assert wrong(one, of_line(line), RANDOM_SUMS // 24) == 0
    assert found >= least


@pytest.mark.parametrize("clamp", [(0, 127), (-128, 40), (-30, 31), (5, 5)])
def test_within_an_activation_s_limits_a_line_gives_the_reference_s_codes(
    clamp: tuple[int, int],
) -> None:
    """What is beyond them is held within them afterwards, and need not be right."""
    rng = np.random.default_rng(8)
    found = {"line": 0, "wide": 0}
    for _ in range(12):
        one = layer(rng, as_reals, clamp=clamp)
        line, wide = line_of(one.steps, one.factors), wide_line_of(one.steps, one.factors)
        if line is not None:
            found["line"] += 1
            assert wrong(one, of_line(line), 1000) == 0
        if wide is not None:
            found["wide"] += 1
            assert wrong(one, of_wide(wide), 1000) == 0
    assert min(found.values()) >= 6, found


def test_a_line_holds_for_a_hundred_thousand_sums() -> None:
    rng = np.random.default_rng(3)
    one = layer(rng, as_reals)
    line = line_of(one.steps, one.factors)
    assert line is not None
    assert wrong(one, of_line(line), RANDOM_SUMS) == 0


@pytest.mark.parametrize("ties", [False, True])
def test_a_wide_line_gives_the_reference_s_codes(ties: bool) -> None:
    """Halves away from zero, as the reference rounds them in FULLY_CONNECTED."""
    rng = np.random.default_rng(4)
    found = 0
    for _ in range(60):
        one = layer(rng, as_reals, ties=ties)
        wide = wide_line_of(one.steps, one.factors)
        if wide is not None:
            found += 1
            assert wrong(one, of_wide(wide), RANDOM_SUMS // 60) == 0
    assert found >= 20


@pytest.mark.parametrize("ties", [False, True])
def test_a_long_line_gives_the_reference_s_codes_of_large_sums(ties: bool) -> None:
    """For most of which there is no wide line, unless factors are powers of two."""
    rng = np.random.default_rng(9)
    found = {"long": 0, "wide": 0}
    for _ in range(40):
        one = layer(rng, as_reals, ties=ties, bits=(24, 27))
        long = long_line_of(one.steps, one.factors)
        found["wide"] += wide_line_of(one.steps, one.factors) is not None
        if long is not None:
            found["long"] += 1
            assert (long.up, wrong(one, of_long(long), RANDOM_SUMS // 40)) == (0, 0)
    assert found["wide"] + 10 <= found["long"] == 40, found


@pytest.mark.parametrize("exponent", range(-45, 3, 3))
def test_factors_of_any_size_are_right_or_refused(exponent: int) -> None:
    rng = np.random.default_rng(100 + exponent)
    for _ in range(6):
        channels = int(rng.integers(1, 5))
        most = rng.integers(1, 1 << int(rng.integers(2, 30)), channels)
        factors = np.exp2(exponent + rng.uniform(-1, 1, channels))
        sums = Sums(most=most, offsets=rng.integers(-most, most + 1))
        target = Target(zero_point=int(rng.integers(-128, 128)), low=-128, high=127)
        one = Layer(most=most, factors=factors, finish=as_reals(sums, factors, target))
        line, wide = line_of(one.steps, factors), wide_line_of(one.steps, factors)
        long = long_line_of(one.steps, factors)
        if line is not None:
            assert wrong(one, of_line(line), 1000) == 0
        if wide is not None:
            assert wrong(one, of_wide(wide), 1000) == 0
        if long is not None:
            assert wrong(one, of_long(long), 1000) == 0


def test_a_record_holds_its_line() -> None:
    rng = np.random.default_rng(5)
    line = Line(
        up=9,
        down=17,
        multipliers=rng.integers(0, 1 << 26, 50) << 5,
        more=rng.integers(0, 4, 50),
        offsets=rng.integers(-(1 << 27), 1 << 27, 50),
    )
    words = line.records().reshape(50, 7).astype(object) @ [1 << 8 * k for k in range(7)]
    assert [int(w) & 0x3FFFFFF for w in words] == (line.multipliers >> 5).tolist()
    assert [int(w) >> 26 & 3 for w in words] == line.more.tolist()
    assert [(int(w) >> 28) - (int(w) >> 55 << 28) for w in words] == line.offsets.tolist()


@pytest.mark.parametrize("rounding", [as_reals, twice])
def test_a_line_that_is_a_little_off_is_noticed(rounding: Rounding) -> None:
    """That is: the tests above would fail. A grain is what a record can hold least."""
    rng = np.random.default_rng(6)
    noticed = {"multiplier": 0, "offset": 0, "shift": 0}
    tried = 0
    while tried < 10:
        one = layer(rng, rounding)
        line = line_of(one.steps, one.factors)
        if line is None:
            continue
        tried += 1
        # By how many grains until it is seen: from what a multiplier adds at the farthest sum.
        sum_grains = int(line.multipliers.max()) * (1 << line.up) >> 32
        off = replace(line, offsets=line.offsets + sum_grains + 1)
        noticed["offset"] += wrong(one, of_line(off), 0) > 0
        by = math.ceil(line.multipliers.max() / one.most.max() / 32) * 2 * 32
        steep = replace(line, multipliers=np.minimum(line.multipliers + by, (1 << 31) - 32))
        noticed["multiplier"] += wrong(one, of_line(steep), 0) > 0
        shifted = replace(line, more=(line.more + 1) & 3)
        noticed["shift"] += wrong(one, of_line(shifted), 0) > 0
    assert noticed["offset"] == noticed["shift"] == tried
    assert noticed["multiplier"] >= 0.8 * tried


def test_where_every_offset_counts_one_more_or_less_is_noticed() -> None:
    """Sums that are as fine as the line's own grain leave the offset a single value or a few."""
    rng = np.random.default_rng(7)
    tight = 0
    for _ in range(30):
        most = rng.integers(1 << 21, 1 << 22, 1)
        factors = 255 / most * np.exp(rng.normal(0.5, 0.3))
        sums = Sums(most=most, offsets=rng.integers(-most // 4, most // 4))
        target = Target(zero_point=-7, low=-128, high=127)
        one = Layer(most=most, factors=factors, finish=as_reals(sums, factors, target))
        line = line_of(one.steps, factors)
        if line is None:
            continue
        assert wrong(one, of_line(line), 0) == 0
        moved = [replace(line, offsets=line.offsets + by) for by in (-4, 4)]
        tight += all(wrong(one, of_line(other), 0) > 0 for other in moved)
    assert tight >= 1


def test_no_line_is_found_where_there_is_none() -> None:
    """A staircase with one step that is twice as long is no line."""
    most = np.array([100_000])
    least = np.arange(-127, 128)[:, None] * 700
    bent = np.where(least > 0, least + 700, least)
    assert line_of(Steps(least=least, most=most), np.array([1 / 700])) is not None
    assert line_of(Steps(least=bent, most=most), np.array([1 / 700])) is None
    assert wide_line_of(Steps(least=bent, most=most), np.array([1 / 700])) is None
    assert long_line_of(Steps(least=bent, most=most), np.array([1 / 700])) is None
