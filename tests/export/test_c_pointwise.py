"""The C of the operators without weights, compiled and run, against the `reference` engine."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from edgestitch_export.c_pointwise import POINTWISE
from edgestitch_export.c_weighted_sum import weighted_sum
from edgestitch_runtime.kernels_tables import _exponentials
from edgestitch_runtime.operator_fields import Unsupported, operand, scale_of
from one_operator import (
    CODES,
    int8,
    one_operator,
)
from step_cases import FAMILIES, softmax_of
from step_programs import case_of, check_steps, exponentials
from tflite_builder import Spec

SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
SEPARATE = ("-fno-inline-functions",)  # else a thousand copies of each kernel take half a minute
COMPILERS = {
    "gcc, sanitized": ("gcc", "-std=c99", "-O1", *SANITIZERS),
    "gcc -O3": ("gcc", "-std=c99", "-O3", *SEPARATE, "-fno-inline-functions-called-once"),
    "gcc, C++": ("g++", "-x", "c++", "-std=c++11", "-O0"),
    "clang -O3": ("clang", "-std=c99", "-O3", *SEPARATE),
    "clang, C++": ("clang++", "-x", "c++", "-std=c++11", "-O0"),
}
each_compiler = pytest.mark.parametrize(
    "compiler",
    [
        pytest.param(
            words,
            id=name,
            marks=pytest.mark.skipif(not shutil.which(words[0]), reason=f"no {words[0]}"),
        )
        for name, words in COMPILERS.items()
    ],
)
Compiler = tuple[str, ...]


@each_compiler
def test_every_step_gives_the_answers_of_the_reference(compiler: Compiler, tmp_path: Path) -> None:
    cases = [case for made, few, _ in FAMILIES.values() for case in made(1, few)]
    assert {case.node.operator for case in cases} == POINTWISE.keys()
    check_steps(cases, compiler, tmp_path)


@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")
def test_exponentials_are_those_of_the_reference_up_to_where_nothing_comes_of_them(
    tmp_path: Path,
) -> None:
    scales = np.geomspace(2.0**-25, 20, 200)
    cases = [softmax_of(float(np.float32(scale))) for scale in scales]
    found = exponentials([POINTWISE["SOFTMAX"](case.node, "s") for case in cases], tmp_path)
    for row, case in zip(found, cases, strict=True):
        expected = _exponentials(float(scale_of(operand(case.node, 0))))
        counts = (expected + (1 << 11)) >> 12 > 0  # in a sum
        assert counts.argmin() > 0 or counts.all()
        np.testing.assert_array_equal(row[counts], expected[counts])
        np.testing.assert_array_equal((row[~counts] + (1 << 11)) >> 12, 0)


def test_what_only_holds_codes_between_bounds_has_no_table() -> None:
    for name, kernels in (("RELU", ("clamp",)), ("QUANTIZE", ())):
        step = POINTWISE[name](case_of(one_operator(name, [int8(0.1, 3)], int8(0.1, 3))).node, "s")
        assert (step.kernels, step.constants) == (kernels, ())


@pytest.mark.parametrize("name", ["ADD", "SUB"])
def test_usual_scales_take_one_weighted_sum_and_far_finer_ones_do_not(name: str) -> None:
    usual = case_of(
        one_operator(name, [int8(0.0100573, 3), int8(0.0455701, -9)], int8(0.0288171, 5))
    )
    assert POINTWISE[name](usual.node, "s").kernels == ("weighted_sum",)
    halves = case_of(one_operator(name, [int8(0.5, 3), int8(0.5, -9)], int8(1.0, 5)))
    assert POINTWISE[name](halves.node, "s").kernels == ("weighted_sum",)
    finer = case_of(one_operator(name, [int8(0.5, 0), int8(0.5, 0)], int8(0.002, 0)))
    assert POINTWISE[name](finer.node, "s").kernels == ("add" if name == "ADD" else "subtract",)


def test_answers_of_which_one_is_no_weighted_sum_have_none() -> None:
    answers = np.clip((CODES.T.astype(np.int64) + CODES) // 3, -50, 90)
    assert weighted_sum(answers, 1 / 3, 1 / 3, -1 / 3) is not None
    answers[99, 128] += 1
    assert weighted_sum(answers, 1 / 3, 1 / 3, -1 / 3) is None


@pytest.mark.parametrize("name", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
def test_a_pool_may_take_its_input_s_place_where_it_runs_ahead_of_what_it_writes(name: str) -> None:
    fields = {"filterHeight": 2, "filterWidth": 2, "padding": 1}
    for stride, size, over in ((2, (1, 3, 3, 2), (0,)), (1, (1, 5, 5, 2), (0,))):
        content = one_operator(
            name, [int8(0.1, 3, (1, 6, 6, 2))], int8(0.1, 3, size), strideH=stride, strideW=stride,
            **fields,
        )  # fmt: skip
        assert POINTWISE[name](case_of(content).node, "s").over == over
    fields |= {"padding": 0, "strideH": 1, "strideW": 1, "filterHeight": 3, "filterWidth": 3}
    content = one_operator(name, [int8(0.1, 3, (1, 6, 6, 2))], int8(0.1, 3, (1, 6, 6, 2)), **fields)
    assert POINTWISE[name](case_of(content).node, "s").over == ()


def test_what_a_kernel_does_not_hold_is_refused() -> None:
    uint8 = Spec(shape=(1, 256), dtype="uint8", scales=0.1, zero_points=3)
    case = case_of(one_operator("QUANTIZE", [uint8], int8(0.1, 3)))
    with pytest.raises(Unsupported, match="it takes uint8"):
        POINTWISE["QUANTIZE"](case.node, "s")
    fields = {"filterHeight": 1, "filterWidth": 1, "strideH": 1, "strideW": 40_000, "padding": 1}
    tensor = int8(0.1, 3, (1, 1, 1, 1))
    case = case_of(one_operator("MAX_POOL_2D", [tensor], tensor, **fields))
    with pytest.raises(Unsupported, match="beyond 32,767"):
        POINTWISE["MAX_POOL_2D"](case.node, "s")


@pytest.mark.slow
@each_compiler
@pytest.mark.parametrize("family", FAMILIES)
def test_many_steps_give_the_answers_of_the_reference(
    family: str, compiler: Compiler, tmp_path: Path
) -> None:
    """A minute or two; `pytest -m slow tests/export/test_c_pointwise.py`."""
    made, _, many = FAMILIES[family]
    check_steps(made(2, many), compiler, tmp_path)
