"""Confusion, classes, reliability and flips of a row, against loops over the images."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgestitch_benchmarks.details import Answered, details_of
from edgestitch_benchmarks.report import MOST_FLIPS
from edgestitch_runtime.calibration_error import BINS

CLASSES = 4


def answered(seed: int, n: int, sharpness: float) -> np.ndarray:
    """Rows that sum to 1, (n, CLASSES) float32, surer the sharper."""
    scores = np.random.default_rng(seed).normal(0, sharpness, (n, CLASSES))
    powers = np.exp(scores)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def of(probabilities: np.ndarray, answers: np.ndarray | None = None) -> Answered:
    top = probabilities.argmax(axis=1) if answers is None else answers
    return Answered(answers=top, probabilities=probabilities)


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return np.random.default_rng(3).integers(0, CLASSES, 400)


def test_confusion_counts_every_image_by_its_class_and_its_answer(truth: np.ndarray) -> None:
    probabilities = answered(1, 400, 2)
    expected = [[0] * CLASSES for _ in range(CLASSES)]
    for label, row in zip(truth, probabilities.tolist(), strict=True):
        expected[label][row.index(max(row))] += 1
    found = details_of(truth, of(probabilities), None)
    assert [list(row) for row in found.confusion] == expected
    assert found.flips == () and found.classes == ()  # the float model itself


def test_classes_are_compared_one_by_one(truth: np.ndarray) -> None:
    before, after = answered(1, 400, 2), answered(2, 400, 2)
    found = details_of(truth, of(after), of(before))
    for label in range(CLASSES):
        mine = [k for k in range(400) if truth[k] == label]
        old = [before[k].argmax() == label for k in mine]
        new = [after[k].argmax() == label for k in mine]
        told = found.classes[label]
        counts = (told.n, told.float_correct, told.artifact_correct)
        assert counts == (len(mine), sum(old), sum(new))
        assert told.lost == sum(a and not b for a, b in zip(old, new, strict=True))
        assert told.won == sum(b and not a for a, b in zip(old, new, strict=True))


def test_flips_are_lost_then_won_then_wrong_both_ways_and_the_surest_float_answer_first() -> None:
    truth = np.array([0, 0, 0, 1, 1, 2, 2, 3])
    before = np.full((8, CLASSES), 0.1, np.float32)
    after = before.copy()
    old = [(0, 0.4), (0, 0.7), (0, 0.5), (0, 0.6), (0, 0.8), (0, 0.9), (1, 0.3), (3, 0.7)]
    new = [(1, 0.6), (2, 0.6), (0, 0.6), (1, 0.5), (1, 0.4), (1, 0.3), (0, 0.35), (3, 0.9)]
    for k in range(8):
        before[k, old[k][0]] = old[k][1]
        after[k, new[k][0]] = new[k][1]
    flips = details_of(truth, of(after), of(before)).flips
    assert [flip.image for flip in flips] == [1, 0, 4, 3, 5, 6]
    first = flips[0]
    assert (first.truth, first.float_answer, first.answer) == (0, 0, 2)
    assert first.float_probability == pytest.approx(0.7)
    assert first.probability == pytest.approx(0.6)


def test_of_many_flips_only_the_first_are_kept(truth: np.ndarray) -> None:
    before, after = answered(1, 400, 1), answered(2, 400, 1)
    flips = details_of(truth, of(after), of(before)).flips
    lost = sum(
        int(b.argmax() == label != a.argmax())
        for label, b, a in zip(truth, before, after, strict=True)
    )
    assert lost > MOST_FLIPS == len(flips)
    assert all(f.float_answer == f.truth != f.answer for f in flips)
    surest = [f.float_probability for f in flips]
    assert surest == sorted(surest, reverse=True)


def test_a_top_score_that_rounding_tied_is_answered_by_the_scores(truth: np.ndarray) -> None:
    before = answered(1, 400, 2)
    answers = (before.argmax(axis=1) + 1) % CLASSES
    found = details_of(truth, of(before, answers), of(before))
    assert len(found.flips) == MOST_FLIPS
    assert sum(found.confusion[t][t] for t in range(CLASSES)) == int((answers == truth).sum())


def test_reliability_bins_hold_their_upper_edge_and_give_the_calibration_error(
    truth: np.ndarray,
) -> None:
    probabilities = answered(5, 400, 3).astype(np.float64)
    probabilities[0] = [0.2, 9 / BINS, 0.2, 0.0]  # the upper edge of the ninth bin
    found = details_of(truth, of(probabilities), None)
    assert len(found.reliability) == BINS
    gap = 0.0
    for k, told in enumerate(found.reliability):
        low, high = k / BINS, (k + 1) / BINS
        mine = [
            (float(row.max()), row.argmax() == label)
            for row, label in zip(probabilities.astype(np.float64), truth, strict=True)
            if low < row.max() <= high or (k == 0 and row.max() == 0)
        ]
        assert (told.low, told.high) == (pytest.approx(low), pytest.approx(high))
        assert told.n == len(mine)
        if not mine:
            assert told.confidence is None and told.accuracy is None
            continue
        confidence = math.fsum(c for c, _ in mine) / len(mine)
        accuracy = sum(r for _, r in mine) / len(mine)
        assert told.confidence == pytest.approx(confidence)
        assert told.accuracy == pytest.approx(accuracy)
        gap += len(mine) / 400 * abs(confidence - accuracy)
    assert sum(told.n for told in found.reliability) == 400
    assert found.calibration_error == pytest.approx(gap) and 0 < gap < 1


def test_probabilities_of_another_number_of_classes_are_refused(truth: np.ndarray) -> None:
    with pytest.raises(ValueError, match="400, 4"):
        details_of(truth, of(answered(1, 400, 1)), of(np.ones((400, 3), np.float32)))
    with pytest.raises(ValueError, match="400, 3"):  # and a class that none of them stands for
        details_of(truth, of(np.ones((400, 3), np.float32)), None)
