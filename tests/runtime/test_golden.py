"""Golden vectors: packed and read, compared with handmade answers."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.golden import Golden, pack_golden, unpack_golden
from edgestitch_runtime.golden_check import compare_golden


@pytest.fixture
def golden(mini_test: tuple[np.ndarray, np.ndarray]) -> Golden:
    """Four real images of three classes; the first three are the gate."""
    scores = np.array([[90, -10, -128], [-100, 100, -80], [-90, -90, 100], [1, 2, 0]], np.int8)
    return Golden(
        images_u8=mini_test[0][:4], scores=scores, gate=np.array([True, True, True, False])
    )


def changed(golden: Golden, row: int, column: int, by: int) -> np.ndarray:
    scores = golden.scores.copy()
    scores[row, column] += by
    return scores


def test_what_is_packed_is_unpacked_and_the_bytes_are_the_same_each_time(golden: Golden) -> None:
    packed = pack_golden(golden)
    assert packed == pack_golden(golden)
    found = unpack_golden(packed, "a.tflite")
    for name in ("images_u8", "scores", "gate"):
        mine, theirs = getattr(found, name), getattr(golden, name)
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)
    with np.load(io.BytesIO(packed)) as plain:  # and numpy reads it without us
        np.testing.assert_array_equal(plain["images"], golden.images_u8)


def _zip(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda packed, golden: packed[:100],
        lambda packed, golden: packed[:60] + b"\xff" * 40 + packed[100:],
        lambda packed, golden: b"",
        lambda packed, golden: _zip(images=golden.images_u8, scores=golden.scores),
        lambda packed, golden: pack_golden(replace(golden, gate=golden.gate[:3])),
        lambda packed, golden: pack_golden(replace(golden, gate=golden.gate & False)),
        lambda packed, golden: pack_golden(replace(golden, gate=golden.gate.astype(int))),
        lambda packed, golden: pack_golden(replace(golden, images_u8=golden.images_u8 / 255)),
        lambda packed, golden: pack_golden(replace(golden, scores=golden.scores[0])),
        lambda packed, golden: pack_golden(replace(golden, recorded=golden.scores[:3])),
        lambda packed, golden: pack_golden(replace(golden, scores=golden.scores.astype(str))),
    ],
    ids=[
        "cut", "overwritten", "empty", "without gate", "short gate", "nothing decides",
        "numbers for the gate", "float images", "one row", "few recorded", "words",
    ],
)  # fmt: skip
def test_damaged_vectors_are_refused_in_one_line(
    golden: Golden, spoil: Callable[[bytes, Golden], bytes]
) -> None:
    with pytest.raises(EdgestitchError, match=r"a\.tflite has damaged golden vectors") as no:
        unpack_golden(spoil(pack_golden(golden), golden), "a.tflite")
    assert "\n" not in no.value.message and no.value.hint


def test_vectors_that_unpack_to_too_much_are_not_unpacked(golden: Golden) -> None:
    bomb = _zip(images=np.zeros((9000, 28, 28), np.uint8), scores=golden.scores, gate=golden.gate)
    with pytest.raises(EdgestitchError, match="they cannot be read"):
        unpack_golden(bomb, "a.tflite")


def test_equal_answers_are_identical(golden: Golden) -> None:
    found = compare_golden(golden, golden.scores, tolerance=2)
    assert (found.verdict, found.largest) == ("identical", 0)
    assert (found.gate, found.gate_equal, found.close_calls, found.close_equal) == (3, 3, 1, 1)


@pytest.mark.parametrize(("by", "verdict"), [(2, "within"), (-2, "within"), (3, "differs")])
def test_a_score_of_the_gate_may_be_off_by_the_tolerance_and_no_more(
    golden: Golden, by: int, verdict: str
) -> None:
    found = compare_golden(golden, changed(golden, 1, 0, by), tolerance=2)
    assert (found.verdict, found.largest, found.gate_equal) == (verdict, abs(by), 2)


def test_a_flip_of_the_gate_is_told_and_is_beyond_the_tolerance_where_the_margin_is_wide(
    golden: Golden,
) -> None:
    scores = golden.scores.copy()
    scores[0] = [40, 41, -128]  # from 90 and -10: 50 steps are needed to turn a margin of 100
    for tolerance, verdict in ((49, "differs"), (51, "within")):
        found = compare_golden(golden, scores, tolerance=tolerance)
        assert (found.verdict, found.gate_flips) == (verdict, 1)
        assert ", 1 flipped)" in found.line()


def test_close_calls_are_counted_and_do_not_decide(golden: Golden) -> None:
    found = compare_golden(golden, changed(golden, 3, 2, 100), tolerance=2)
    assert (found.verdict, found.close_equal, found.close_flips) == ("identical", 0, 1)


def test_without_a_tolerance_close_calls_decide_too(golden: Golden) -> None:
    found = compare_golden(golden, changed(golden, 3, 0, 1), tolerance=0)
    assert (found.verdict, found.gate_equal, found.largest) == ("differs", 3, 1)


def test_int8_answers_do_not_wrap(golden: Golden) -> None:
    scores = golden.scores.copy()
    scores[0, 2] = 127  # 255 steps from -128: as int8 that would be 1
    assert compare_golden(golden, scores, tolerance=2).largest == 255


def test_answers_of_another_shape_or_dtype_or_nan_differ(golden: Golden) -> None:
    floats = replace(golden, scores=golden.scores.astype(np.float32))
    nan = floats.scores.copy()
    nan[0, 0] = np.nan
    for vectors, scores in (
        (golden, golden.scores[:, :2]),
        (golden, golden.scores.astype(np.int16)),
        (floats, nan),
    ):
        found = compare_golden(vectors, scores, tolerance=1e9)
        assert (found.verdict, found.largest) == ("differs", None)
        assert found.line().startswith("differs: scores that are no numbers, or of another shape")


def test_the_line_says_what_was_allowed(golden: Golden) -> None:
    found = compare_golden(golden, changed(golden, 1, 0, 2), tolerance=2)
    assert found.line() == (
        "within 2 steps, 2 allowed (1 of 3 gate images not equal); close calls: 1 of 1 equal, "
        "0 flips"
    )
