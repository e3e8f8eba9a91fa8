import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestitch_runtime.calibration_error import calibration_error_pp


def by_the_definition(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Guo et al. 2017, equation 3, image by image and bin by bin."""
    error = 0.0
    for m in range(1, 16):
        inside = [
            (max(row), list(row).index(max(row)) == label)
            for row, label in zip(probabilities.tolist(), truth.tolist(), strict=True)
            if (m - 1) / 15 < max(row) <= m / 15
        ]
        if inside:
            accuracy = sum(right for _, right in inside) / len(inside)
            confidence = sum(sure for sure, _ in inside) / len(inside)
            error += len(inside) / len(truth) * abs(accuracy - confidence)
    return 100 * error


def test_four_images_by_hand():
    rows = np.array([[0.9, 0.1], [0.1, 0.9], [0.55, 0.45], [0.42, 0.58]])
    # 0.9 twice, one right: |0.5 - 0.9|; 0.55 and 0.58 lie in one bin, both right: |1 - 0.565|
    found = calibration_error_pp(rows, np.array([0, 0, 0, 1]))
    assert found == pytest.approx(100 * (2 * 0.4 + 2 * 0.435) / 4)


def test_gaps_of_two_bins_do_not_cancel():
    rows = np.array([[0.95, 0.05], [0.55, 0.45]])
    assert calibration_error_pp(rows, np.array([1, 0])) == pytest.approx(100 * (0.95 + 0.45) / 2)


def test_sure_and_right_is_no_error_sure_and_wrong_all_of_it():
    rows = np.eye(3, dtype=np.float32)
    assert calibration_error_pp(rows, np.arange(3)) == 0
    assert calibration_error_pp(rows, np.array([1, 2, 0])) == 100


def test_a_bin_holds_its_upper_edge():
    rows = np.array([[9 / 15, 6 / 15], [8.5 / 15, 6.5 / 15]])  # one bin: the gaps partly cancel
    found = calibration_error_pp(rows, np.array([0, 1]))
    assert found == pytest.approx(100 * abs(9 / 15 + 8.5 / 15 - 1) / 2)


@given(st.integers(1, 300), st.integers(2, 12), st.integers(0, 2**32 - 1), st.floats(0.1, 20))
def test_it_is_the_sum_of_the_definition(n, classes, seed, sharpness):
    random = np.random.default_rng(seed)
    rows = np.exp(sharpness * random.standard_normal((n, classes)))
    rows = (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)
    truth = random.integers(0, classes, n)
    assert calibration_error_pp(rows, truth) == pytest.approx(
        by_the_definition(rows, truth), abs=1e-9
    )


@pytest.mark.parametrize(
    ("shape", "n"), [((3,), 3), ((3, 2), 2), ((0, 2), 0)], ids=["vector", "lengths", "none"]
)
def test_what_does_not_belong_together_is_refused(shape, n):
    with pytest.raises(ValueError, match="probabilities of"):
        calibration_error_pp(np.ones(shape), np.zeros(n, int))
