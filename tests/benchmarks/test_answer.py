"""The sentence that a report comes to, and the rows that it recommends."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgestitch_benchmarks.accuracy_ties import cannot_be_told, difference_interval
from edgestitch_benchmarks.answer import (
    answer,
    basis,
    headlines,
    not_as_exported,
    recommended,
)
from edgestitch_benchmarks.report import Row
from edgestitch_runtime.agreement import compare
from made_reports import latency


def made(artifact: str, engine: str = "litert", *, p50: float = 8, **other: Any) -> Row:
    """A row of 10,000 images of which 8,900 are right, as the float model has them."""
    content: dict[str, Any] = {
        "sha256": "0" * 64,
        "format": artifact.rsplit(".", 1)[-1],
        "precision": next((p for p in ("int8", "dynamic") if p in artifact), "float32"),
        "status": "ok",
        "bytes": 131_000 if "int8" in artifact else 440_000,
        "run": "mlp",
        "accuracy": 0.89,
        "n": 10_000,
        "changed": 0,
        "drop_pp": 0.0,
        "drop_interval_pp": (-0.04, 0.21),
        "flips_lost": 0,
        "flips_won": 0,
        "latency_us": latency(p50),
    }
    return Row(artifact=artifact, engine=engine, **content | other)


FLOAT = made("mlp-float32.tflite")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (
            made("mlp-int8.tflite", p50=4),
            "int8 TFLite: 3.4 times smaller, 2.0 times faster (1.9 to 2.1), no measurable loss "
            "(at most 0.2 points).",
        ),
        (
            made("mlp-int8.tflite", p50=16, drop_pp=0.3, drop_interval_pp=(0.12, 0.51)),
            "int8 TFLite: 3.4 times smaller, 2.0 times slower (1.9 to 2.1), loses 0.3 points "
            "(0.1 to 0.5).",
        ),
        (
            made("mlp-int8.tflite", p50=4, bytes=880_000, drop_pp=None),
            "int8 TFLite: 2.0 times larger, 2.0 times faster (1.9 to 2.1), loss not known: no "
            "float Keras row.",
        ),
        (
            made("mlp-int8.tflite", p50=4, bytes=440_001),
            "int8 TFLite: of the same size, 2.0 times faster (1.9 to 2.1), no measurable loss "
            "(at most 0.2 points).",
        ),
    ],
)
def test_the_sentence_says_what_the_intervals_allow(row: Row, sentence: str) -> None:
    assert answer([FLOAT, row]) == sentence


def test_a_speed_that_cannot_be_told_is_called_so_and_a_gain_a_gain() -> None:
    row = made("mlp-int8.tflite", p50=8.02, drop_pp=-0.3, drop_interval_pp=(-0.5, -0.1))
    assert re.fullmatch(
        r"int8 TFLite: 3.4 times smaller, faster or slower: cannot tell \(0\.9\d to 1\.0\d times "
        r"the time\), gains 0.3 points \(0.1 to 0.5\)\.",
        answer([FLOAT, row]),
    )


def test_a_file_is_compared_with_float32_of_its_format_on_its_engine() -> None:
    rows = [
        made("mlp-int8.tflite", "tflite-runtime", p50=1),
        made("mlp-float32.onnx", "onnxruntime", p50=12),
        made("mlp-int8.onnx", "onnxruntime", p50=4),
        FLOAT,
    ]
    (found,) = headlines(rows)
    assert (found.row.artifact, found.other.artifact) == ("mlp-int8.onnx", "mlp-float32.onnx")
    assert answer(rows).startswith("int8 ONNX: 3.4 times smaller, 3.0 times faster")
    assert "mlp-int8.onnx beside mlp-float32.onnx, both on onnxruntime" in basis(rows)


def test_without_int8_the_sentence_is_about_another_precision_and_says_so() -> None:
    rows = [FLOAT, made("mlp-dynamic.tflite", p50=5, bytes=150_000)]
    assert answer(rows).startswith("No int8 was measured beside float32. Dynamic TFLite: 2.9 times")


def test_with_nothing_to_compare_the_sentence_says_that() -> None:
    keras = made("model.keras", "keras predict", format="keras")
    failed = replace(FLOAT, status="failed", latency_us=None)
    assert answer([]) == answer([failed]) == "Nothing was measured: no row has numbers."
    assert answer([keras, failed]).startswith("Only the float Keras model was measured")
    told = answer([made("mlp-int8.tflite", p50=4)])
    assert "mlp-int8.tflite on litert, 4 us" in told and "no gain" in told
    assert basis([keras]) == "" and recommended([keras, failed]) == ()


def test_several_runs_have_a_part_of_the_sentence_each() -> None:
    rows = [FLOAT, made("mlp-int8.tflite", p50=4)]
    rows += [replace(row, run="dscnn") for row in rows]
    told = answer(rows)
    assert told.count("3.4 times smaller") == 2 and told.count(";") == 1
    assert told.startswith("mlp: int8 TFLite is ") and "; dscnn: int8 TFLite is " in told


def test_rows_of_other_machines_are_in_neither() -> None:
    rows = [FLOAT, made("mlp-int8.tflite", p50=4)]
    pi = [replace(row, machine="pi4", latency_us=latency(0.1), bytes=1) for row in rows]
    assert answer([*pi, *rows]) == answer(rows)
    assert recommended([*pi, *rows]) == recommended(rows)


def test_blocks_that_do_not_pair_tell_nothing() -> None:
    row = made("mlp-int8.tflite", p50=4)
    assert row.latency_us is not None
    short = replace(row.latency_us, block_p50=row.latency_us.block_p50[:5])
    told = answer([FLOAT, replace(row, latency_us=short)])
    assert "of a speed that cannot be compared" in told


def test_each_recommended_row_has_its_reason_and_names_its_ties() -> None:
    rows = [
        FLOAT,
        made("mlp-float32.onnx", "onnxruntime", p50=4.03),
        made("mlp-int8.tflite", p50=4, flips_lost=30, flips_won=10, accuracy=0.888),
        made("mlp-int8.tflite", "reference", p50=26, flips_lost=30, flips_won=10, accuracy=0.888),
    ]
    smallest, fastest, best = recommended(rows)
    assert (smallest.kind, smallest.row) == ("smallest", "mlp-int8.tflite on litert")
    assert "131.0 kB; the next is mlp-float32.onnx with 440.0 kB" in smallest.reason
    assert (fastest.kind, fastest.row) == ("fastest", "mlp-int8.tflite on litert")
    assert "cannot be told from mlp-float32.onnx on onnxruntime" in fastest.reason
    # 20 images of 10,000 in net, 40 that differ: more than chance (a sign test has p = 0.002).
    assert (best.kind, best.row) == ("most accurate", "mlp-float32.onnx on onnxruntime")
    assert "cannot be told from mlp-float32.tflite" in best.reason
    assert "int8" not in best.reason


def test_the_fastest_row_without_ties_says_how_far_the_next_is() -> None:
    fastest = recommended([FLOAT, made("mlp-int8.tflite", p50=4)])[1]
    assert (
        "the next, mlp-float32.tflite on litert, takes 1.9 to 2.1 times as long" in fastest.reason
    )


def test_a_row_that_differs_from_its_golden_vectors_is_not_recommended() -> None:
    broken = made("mlp-int8.tflite", p50=1, selftest="differs")
    assert {one.row for one in recommended([FLOAT, broken])} == {FLOAT.name}


def test_a_row_that_differs_from_its_golden_vectors_makes_no_sentence_but_a_caveat() -> None:
    broken = made("mlp-int8.tflite", p50=1, selftest="differs")
    whole = made("mlp-int8.tflite", "reference", p50=4, selftest="identical")
    rows = [FLOAT, broken, replace(FLOAT, engine="reference"), whole]
    (found,) = headlines(rows)
    assert (found.row, found.other) == (whole, rows[2])
    assert headlines(rows[:2]) == []
    assert not_as_exported(rows) == (
        "mlp-int8.tflite on litert no longer answers its golden vectors as exported.",
    )
    (told,) = not_as_exported([broken, replace(broken, machine="pi4")])
    assert "mlp-int8.tflite on litert on pi4 no longer answer their golden" in told
    assert not_as_exported([FLOAT, whole]) == ()


def test_flips_that_nobody_counted_do_not_hide_a_difference() -> None:
    """Without float Keras rows: 30 points of 10,000 images are no tie; the float model has none."""
    uncounted: dict[str, Any] = {"flips_lost": None, "flips_won": None}
    good, bad = (made("mlp-int8.tflite", accuracy=a, **uncounted) for a in (0.9, 0.6))
    low, high = difference_interval(good, bad) or (0, 0)
    assert 0.28 < low < 0.3 < high < 0.32
    assert difference_interval(good, replace(bad, run="other")) == (low, high)
    keras = made("model.keras", "keras predict", **uncounted)
    near = made("mlp-int8.tflite", accuracy=0.888, flips_lost=30, flips_won=10)
    paired = difference_interval(keras, near) or (0, 0)
    assert 0 < paired[0] < 0.002 < paired[1] < 0.004


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_of_two_artifacts_is_never_narrower_than_the_paired_one(seed: int) -> None:
    """The oracle sees the answers, which the rows only count."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 10, 2000)
    of_float = np.where(generator.random(2000) < 0.9, truth, (truth + 1) % 10)
    found = []
    for share in (0.01, 0.03):
        changed = generator.random(2000) < share
        found.append(np.where(changed, generator.integers(0, 10, 2000), of_float))
    rows = []
    for answers in found:
        told = compare(truth, of_float, answers)
        rows.append(
            made(
                "x.tflite", n=2000, accuracy=told.accuracy, flips_lost=told.lost, flips_won=told.won
            )
        )
    low, high = difference_interval(*rows) or (0, 0)
    paired = compare(truth, found[0], found[1]).drop_interval_pp
    assert 100 * low <= paired[0] + 1e-9 and 100 * high >= paired[1] - 1e-9
    assert high - low < 0.05


def test_the_interval_is_the_paired_one_where_the_flips_are_of_other_images() -> None:
    """The oracle sees the answers: 30 and 20 lost, 10 and 40 won, no image twice."""
    truth, of_float = np.zeros(1000, int), np.zeros(1000, int)
    of_float[500:] = 1
    answers = [of_float.copy(), of_float.copy()]
    answers[0][:30], answers[0][500:510] = 1, 0
    answers[1][30:50], answers[1][510:550] = 1, 0
    rows = [
        made("x.tflite", n=1000, accuracy=(500 - lost + won) / 1000, flips_lost=lost, flips_won=won)
        for lost, won in ((30, 10), (20, 40))
    ]
    low, high = compare(truth, *answers).drop_interval_pp
    assert difference_interval(*rows) == pytest.approx((low / 100, high / 100))


def test_two_runs_are_compared_as_independent_samples() -> None:
    """The oracle is printed: Newcombe 1998, Statistics in Medicine 17:873, table II, method 10."""
    first = made("a.tflite", n=10, accuracy=0.9)
    second = made("b.tflite", n=10, accuracy=0.3, run="other")
    assert difference_interval(first, second) == pytest.approx((0.1705, 0.8090), abs=5e-5)
    assert not cannot_be_told(first, second)
    assert cannot_be_told(first, replace(second, n=80))
