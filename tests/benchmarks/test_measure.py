"""What real processes measured becomes rows: accuracy, flips, distance, ratios."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgestitch_benchmarks.against import with_against
from edgestitch_benchmarks.measure import Planned, rows_of
from edgestitch_benchmarks.report import Row
from edgestitch_runtime.dataset import Part
from edgestitch_runtime.rounds import Effort, Subject, measure

BRIEF = Effort(
    min_seconds=0.02, min_runs=6, blocks=3, batches=(1,), batch_seconds=0.001, patience_s=30
)
Make = Callable[..., Subject]


def measured(
    subjects: list[Subject], part: Part, folder: Path, *, runs: str | None = None
) -> list[Row]:
    """The rows of `subjects`, each of the run that a letter of `runs` names."""
    work = folder / "work"
    work.mkdir()
    found = measure(subjects, part.images_u8, effort=BRIEF, folder=work)
    planned = [
        Planned(run=run, artifact=subject.path.name, subject=subject)
        for run, subject in zip(runs or "a" * len(subjects), subjects, strict=True)
    ]
    return rows_of(planned, found, part.labels)


def test_a_rows_accuracy_and_flips_are_those_counted_by_hand(
    fake_subject: Make, test_part: Part, tmp_path: Path
) -> None:
    subjects = [fake_subject("float", format_="keras"), fake_subject("small")]
    reference, small = measured(subjects, test_part, tmp_path)
    answers = {name: np.load(tmp_path / f"{name}.npy") for name in ("float", "small")}
    lost = won = changed = 0
    for truth, old, new in zip(test_part.labels, answers["float"], answers["small"], strict=True):
        lost += old == truth != new
        won += new == truth != old
        changed += old != new
    assert small.accuracy == sum(answers["small"] == test_part.labels) / 60 and small.n == 60
    assert (small.flips_lost, small.flips_won, small.changed) == (lost, won, changed)
    assert small.drop_pp == pytest.approx(100 * (lost - won) / 60)
    assert small.drop_interval_pp is not None and small.drop_pp is not None
    assert small.drop_interval_pp[0] < small.drop_pp < small.drop_interval_pp[1]
    assert reference.accuracy is not None and reference.drop_pp is None
    assert reference.details is not None and reference.details.flips == ()
    assert small.details is not None and len(small.details.flips) == min(changed, 24)
    assert {f.image for f in small.details.flips} <= set(
        np.flatnonzero(answers["float"] != answers["small"]).tolist()
    )


def test_each_run_is_compared_with_its_own_float_model(
    fake_subject: Make, test_part: Part, tmp_path: Path
) -> None:
    subjects = [
        fake_subject("one", format_="keras"),
        fake_subject("two", format_="keras"),
        fake_subject("small"),
        fake_subject("little"),
    ]
    rows = measured(subjects, test_part, tmp_path, runs="abab")
    answers = {s.path.name: np.load(tmp_path / f"{s.path.name}.npy") for s in subjects}
    for row, other in ((rows[2], "one"), (rows[3], "two")):
        assert row.changed == int((answers[row.artifact] != answers[other]).sum())
    assert [row.run for row in rows] == list("abab")
    assert rows[0].drop_pp is None and rows[1].drop_pp is None
    changed = [int((answers["small"] != answers[name]).sum()) for name in ("one", "two")]
    assert changed[0] != changed[1]  # else nothing was told apart


def test_a_rows_distance_is_that_from_the_same_file_on_the_reference(
    fake_subject: Make, test_part: Part, tmp_path: Path
) -> None:
    same, other = b"one file", b"another"
    subjects = [
        fake_subject("near", content=same),
        fake_subject("exact", engine="reference", content=same),
        fake_subject("alone", content=other),
        fake_subject("broken", "exit", engine="reference", content=other),
    ]
    scores = np.load(tmp_path / "near-scores.npy")  # seven rows alike
    scores[:7] = np.load(tmp_path / "exact-scores.npy")[:7]
    np.save(tmp_path / "near-scores.npy", scores)
    near, exact, alone, broken = measured(subjects, test_part, tmp_path)
    names = ("near", "exact")
    held = [np.load(tmp_path / f"{name}-scores.npy").tolist() for name in names]
    rows = list(zip(*held, strict=True))
    assert near.distance is not None
    assert near.distance.n == 60
    assert near.distance.rows_equal == sum(a == b for a, b in rows) == 7
    assert near.distance.largest_step == max(
        abs(x - y) for a, b in rows for x, y in zip(a, b, strict=True)
    )
    assert near.distance.flips == sum(a.index(max(a)) != b.index(max(b)) for a, b in rows) > 0
    assert exact.distance is None and alone.distance is None and broken.distance is None


def test_absent_failed_and_killed_rows_stay_with_what_they_had(
    fake_subject: Make, test_part: Part, tmp_path: Path
) -> None:
    reason = "not installed here"
    subjects = [
        replace(fake_subject("a"), command=None, status="absent", reason=reason),
        fake_subject("b", "segfault"),
        fake_subject("c", "killed while timed"),
        fake_subject("d", "file deleted"),
        fake_subject("e"),
    ]
    absent, dead, killed, deleted, fine = measured(subjects, test_part, tmp_path)
    assert (absent.status, absent.reason, absent.accuracy) == ("absent", reason, None)
    assert dead.status == "failed" and "SIGSEGV" in (dead.reason or "") and dead.accuracy is None
    assert killed.status == "failed" and killed.accuracy is not None
    assert killed.latency_us is None and killed.against is None and killed.details is not None
    assert deleted.status == "failed" and "deleted" in (deleted.reason or "")
    assert deleted.accuracy is None and deleted.parts is None
    assert fine.status == "ok" and fine.latency_us is not None


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        (np.zeros((60, 4, 1), np.int8), "of shape (60, 4, 1)"),
        (np.full((60, 4), np.nan, np.float32), "not a number"),
    ],
)
def test_what_is_no_answer_has_no_accuracy_and_is_no_float_model(
    fake_subject: Make, test_part: Part, tmp_path: Path, scores: np.ndarray, says: str
) -> None:
    subjects = [fake_subject("float", format_="keras"), fake_subject("small")]
    np.save(tmp_path / "float-scores.npy", scores)
    broken, small = measured(subjects, test_part, tmp_path)
    assert broken.status == "failed" and says in (broken.reason or "")
    assert broken.accuracy is None and broken.details is None
    assert small.accuracy is not None and small.drop_pp is None


def test_images_a_second_are_a_million_microseconds_over_the_mean_latency(
    fake_subject: Make, test_part: Part, tmp_path: Path
) -> None:
    """Half of the calls take at least p50, so the mean is half of it or more."""
    (row,) = measured([fake_subject("a")], test_part, tmp_path)
    assert row.latency_us is not None and row.images_per_s is not None
    mean_us = 1e6 / row.images_per_s
    assert row.latency_us.p50 / 2 <= mean_us <= 50 * row.latency_us.p99


def timed(row: Row, blocks: list[float], **changes: str | None) -> Row:
    assert row.latency_us is not None
    latency_us = replace(row.latency_us, block_p50=tuple(blocks))
    return replace(row, latency_us=latency_us, **changes)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def plain_row(fake_subject: Make, test_part: Part, tmp_path: Path) -> Row:
    (row,) = measured([fake_subject("a")], test_part, tmp_path)
    return row


def test_a_ratio_is_that_of_the_blocks_of_one_round_each(plain_row: Row) -> None:
    """The machine slows down threefold; the ratio of each round stays 2."""
    drift = [1 + 0.1 * k for k in range(20)]
    baseline = timed(plain_row, drift, format="tflite", precision="float32", engine="litert")
    twice = timed(plain_row, [2 * p50 for p50 in drift], artifact="b")
    first, second = with_against([twice, baseline])
    assert second.against is None  # the baseline itself
    assert first.against is not None and first.against.row == "a on litert"
    assert first.against.value == pytest.approx(2) and first.against.verdict == "slower"
    assert first.against.low < 2 < first.against.high < 2.2
    same = timed(plain_row, drift, artifact="c")
    (found, _) = with_against([same, baseline])
    assert found.against is not None and found.against.verdict == "cannot tell"


def test_the_baseline_is_float32_tflite_else_onnx_else_the_keras_function_of_the_run(
    plain_row: Row,
) -> None:
    blocks = [1.0] * 20
    keras = timed(plain_row, blocks, format="keras", precision="float32", engine="keras function")
    onnx = timed(plain_row, blocks, format="onnx", precision="float32", engine="onnxruntime")
    tflite = timed(plain_row, blocks, format="tflite", precision="float32", engine="litert")
    row = timed(plain_row, [3.0] * 20, artifact="b")
    failed = replace(tflite, status="failed", latency_us=None)
    stranger = replace(tflite, run="another")
    for others, name in (
        ([keras, onnx, tflite], "a on litert"),
        ([keras, onnx, failed], "a on onnxruntime"),
        ([stranger, keras], "a on keras function"),
    ):
        found = with_against([row, *others])[0].against
        assert found is not None and found.row == name and math.isclose(found.value, 3)
    assert with_against([row, stranger, failed])[0].against is None


def test_rows_with_other_blocks_are_not_compared(plain_row: Row) -> None:
    tflite = timed(plain_row, [1.0] * 20, format="tflite", precision="float32", engine="litert")
    assert with_against([timed(plain_row, [3.0] * 19), tflite])[0].against is None
