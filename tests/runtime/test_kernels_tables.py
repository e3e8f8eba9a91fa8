"""SOFTMAX, LOGISTIC, TANH and HARD_SWISH of the `reference` engine, against LiteRT's."""

from __future__ import annotations

import numpy as np
import pytest

from edgestitch_runtime.operator_fields import Unsupported
from one_operator import (
    CODES,
    check_equal,
    int8,
    kernel_rows,
    one_operator,
    random_codes,
    random_scale,
    random_zero_point,
)
from tflite_builder import Spec, reference_rows

QUANTIZATIONS = 300  # random ones of each operator
SHARES = (1 / 256, -128)  # the quantization of probabilities


def softmax(spec: Spec, beta: float = 1.0, output: tuple[float, int] = SHARES) -> bytes:
    return one_operator("SOFTMAX", [spec], int8(*output, spec.shape), beta=beta)


def test_every_code_has_litert_s_sigmoid() -> None:
    rng = np.random.default_rng(1)
    for k in range(QUANTIZATIONS):
        spec = int8(random_scale(rng, -5, 2), random_zero_point(rng))
        output = SHARES if k % 4 else (1 / 256, random_zero_point(rng))
        check_equal(one_operator("LOGISTIC", [spec], int8(*output)), CODES)


def test_every_code_has_litert_s_tangent() -> None:
    rng = np.random.default_rng(2)
    for k in range(QUANTIZATIONS):
        spec = int8(random_scale(rng, -5, 2), random_zero_point(rng))
        output = (random_scale(rng, -3, 0), random_zero_point(rng)) if k % 2 else (1 / 128, 0)
        check_equal(one_operator("TANH", [spec], int8(*output)), CODES)


def test_every_code_has_litert_s_hard_swish() -> None:
    rng = np.random.default_rng(3)
    for _ in range(QUANTIZATIONS):
        scale = random_scale(rng, -4, 1)
        out = scale * random_scale(rng, -1.5, 1.5)
        specs = [int8(scale, random_zero_point(rng))]
        check_equal(one_operator("HARD_SWISH", specs, int8(out, random_zero_point(rng))), CODES)


@pytest.mark.parametrize("scale", [1e-7, 1e-5, 1e-3, 0.1, 10.0, 1e3, 1e5, 1e7])
def test_hard_swish_saturates_and_shifts_out_as_litert_does(scale: float) -> None:
    for ratio in (1 / 127, 1, 1e2, 1e4, 1e7):
        check_equal(one_operator("HARD_SWISH", [int8(scale, 3)], int8(scale * ratio, -7)), CODES)


@pytest.mark.parametrize("classes", [2, 3, 10, 100, 511])
def test_rows_have_litert_s_softmax(classes: int) -> None:
    rng = np.random.default_rng(4)
    for k in range(120):
        rows = int(rng.choice([1, 7, 20]))
        codes = random_codes(rng, rows, classes)
        if k % 3 == 0:  # rows that are nearly tied
            codes //= rng.integers(2, 120)
        beta = float(rng.choice([1, 1, 0.5, 2, 0.013, 7.7]))
        spec = int8(random_scale(rng, -4, 1), random_zero_point(rng), (1, classes))
        check_equal(softmax(spec, beta), codes)


def test_softmax_is_over_the_last_axis() -> None:
    rng = np.random.default_rng(5)
    for images in (1, 4):
        content = softmax(int8(0.07, 5, (1, 3, 2, 9)))
        check_equal(content, random_codes(rng, images, 3, 2, 9))


@pytest.mark.parametrize("scale", [1.5e-8, 1e-6, 15.9, 16.0, 16.1, 33.0, 1e5])
def test_softmax_at_the_ends_of_its_scale_is_litert_s(scale: float) -> None:
    rng = np.random.default_rng(6)
    check_equal(softmax(int8(scale, 3)), CODES)
    check_equal(softmax(int8(scale, 3, (1, 300))), (random_codes(rng, 9, 300) >> 5) - 96)


def test_a_thousand_classes_have_litert_s_softmax() -> None:
    rng = np.random.default_rng(7)
    check_equal(softmax(int8(0.1, 3, (1, 1000))), random_codes(rng, 9, 1000))


def test_a_sum_at_which_litert_stops_the_process_is_near_the_true_one() -> None:
    codes = np.zeros((2, 700), np.int8)
    codes[:, 5] = 40
    found = kernel_rows(softmax(int8(0.05, 3, (1, 700))), codes)
    shares = np.exp(0.05 * codes) / np.exp(0.05 * codes).sum(axis=1, keepdims=True)
    assert np.abs(found.astype(int) + 128 - 256 * shares).max() <= 0.51


@pytest.mark.parametrize("name", ["SOFTMAX", "LOGISTIC"])
def test_an_output_that_litert_refuses_is_refused(name: str) -> None:
    fields = {"beta": 1.0} if name == "SOFTMAX" else {}
    outputs = [(1 / 255, -128), (1 / 128, 0)] + ([(1 / 256, 0)] if name == "SOFTMAX" else [])
    for output in outputs:
        content = one_operator(name, [int8(0.05, 3)], int8(*output), **fields)
        with pytest.raises(RuntimeError, match="failed to prepare"):
            reference_rows(content, CODES)
        with pytest.raises(Unsupported, match="the output's scale"):
            kernel_rows(content, CODES)


def test_a_hard_swish_that_litert_refuses_is_refused() -> None:
    content = one_operator("HARD_SWISH", [int8(1, 3)], int8(1 / 129, 0))
    with pytest.raises(RuntimeError, match="output_multiplier_exponent"):
        reference_rows(content, CODES)
    with pytest.raises(Unsupported, match="steps of the output"):
        kernel_rows(content, CODES)


def test_a_softmax_at_which_litert_stops_the_process_is_refused() -> None:
    for beta, scale in ((0.0, 1.0), (-1.0, 1.0), (1.0, 1e-9), (float("nan"), 1.0)):
        with pytest.raises(Unsupported, match="beta"):
            kernel_rows(softmax(int8(scale, 3), beta), CODES)
