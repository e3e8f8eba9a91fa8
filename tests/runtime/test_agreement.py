import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestitch_runtime.agreement import (
    Z95,
    ClassAgreement,
    compare,
    compare_classes,
    mcnemar_exact,
    paired_interval,
    wilson,
)


def test_flips_are_counted_both_ways_and_the_drop_is_float_minus_artifact():
    truth = np.array([0, 1, 2, 3, 4, 5])
    float_index = np.array([0, 1, 2, 0, 0, 1])
    artifact_index = np.array([0, 9, 9, 3, 0, 2])
    found = compare(truth, float_index, artifact_index)
    assert (found.n, found.changed, found.lost, found.won) == (6, 4, 2, 1)
    assert (found.float_correct, found.artifact_correct) == (3, 2)
    assert found.drop_pp == pytest.approx(100 / 6)
    assert found.accuracy == pytest.approx(2 / 6)
    assert found.float_accuracy == pytest.approx(3 / 6)


def test_each_true_class_is_counted_by_itself_and_may_be_empty():
    truth = np.array([0, 0, 0, 2, 2, 3])
    float_index = np.array([0, 0, 1, 1, 1, 3])
    artifact_index = np.array([0, 2, 1, 2, 2, 0])
    found = compare_classes(truth, float_index, artifact_index, classes=5)
    assert found == (
        ClassAgreement(n=3, float_correct=2, artifact_correct=1, lost=1, won=0),
        ClassAgreement(n=0, float_correct=0, artifact_correct=0, lost=0, won=0),
        ClassAgreement(n=2, float_correct=0, artifact_correct=2, lost=0, won=2),
        ClassAgreement(n=1, float_correct=1, artifact_correct=0, lost=1, won=0),
        ClassAgreement(n=0, float_correct=0, artifact_correct=0, lost=0, won=0),
    )


@pytest.mark.parametrize(("lost", "won"), [(0, 0), (1, 0), (5, 5), (2, 9), (20, 6)])
def test_mcnemar_is_the_sum_over_all_coin_tosses_at_least_as_uneven(lost, won):
    n = lost + won
    if n > 12:  # by the binomial distribution written out
        low = sum(math.comb(n, k) * 0.5**n for k in range(min(lost, won) + 1))
        expected = min(1.0, 2 * low)
    else:  # by counting every outcome
        uneven = abs(lost - won)
        tosses = list(itertools.product((1, -1), repeat=n))
        expected = sum(abs(sum(t)) >= uneven for t in tosses) / len(tosses)
    assert mcnemar_exact(lost=lost, won=won) == pytest.approx(expected)


def test_wilson_solves_the_score_equation():
    for correct, n in ((0, 10), (3, 10), (8899, 10000)):
        p = correct / n
        for end in wilson(correct=correct, n=n):
            if 0 < end < 1:
                assert abs(p - end) == pytest.approx(Z95 * math.sqrt(end * (1 - end) / n), abs=1e-9)


def test_newcombe_gives_the_published_example():
    # Newcombe 1998 (Statistics in Medicine 17:2635), table III, method 10: a=36, b=12, c=2, d=0
    low, high = paired_interval(both=36, lost=12, won=2, n=50, z=Z95)
    assert low == pytest.approx(0.0569, abs=5e-5)
    assert high == pytest.approx(0.3404, abs=5e-5)


def test_no_flip_on_ten_images_is_not_a_zero_width_interval():
    low, high = paired_interval(both=9, lost=0, won=0, n=10, z=Z95)
    assert low < -0.01
    assert high > 0.01


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(1, 50))
def test_interval_holds_the_difference_and_turns_over_with_the_roles(both, lost, won, neither):
    n = both + lost + won + neither
    low, high = paired_interval(both=both, lost=lost, won=won, n=n, z=Z95)
    assert -1 <= low <= (lost - won) / n <= high <= 1
    mirrored = paired_interval(both=both, lost=won, won=lost, n=n, z=Z95)
    assert mirrored == pytest.approx((-high, -low))


def test_the_one_sided_bound_lies_inside_the_two_sided_interval():
    truth = np.zeros(1000, int)
    float_index = np.zeros(1000, int)
    artifact_index = (np.arange(1000) < 13).astype(int)
    found = compare(truth, float_index, artifact_index)
    assert found.drop_pp < found.drop_upper_pp < found.drop_interval_pp[1]


def test_vectors_of_different_length_are_refused():
    with pytest.raises(ValueError, match="one length"):
        compare(np.zeros(3, int), np.zeros(3, int), np.zeros(2, int))
    with pytest.raises(ValueError, match="one image"):
        compare(np.zeros(0, int), np.zeros(0, int), np.zeros(0, int))
