"""Rows measured by real processes that die, hang, are interrupted or behave."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_runtime.rounds import Effort, Measured, Progress, Subject, measure
from scripted_worker import DictJournal, is_alive, logged, scripted

BRIEF = Effort(
    min_seconds=0.02, min_runs=8, blocks=4, batches=(1, 3), batch_seconds=0.001, patience_s=30
)
IMAGES_U8 = np.random.default_rng(5).integers(0, 256, (60, 4, 4)).astype(np.uint8)
SCORES = np.random.default_rng(6).integers(-128, 128, (60, 4)).astype(np.int8)
Make = Callable[..., Subject]


def interrupt(_: Progress) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return lambda name, behaviour="well", **more: scripted(
        tmp_path, name, behaviour, scores=SCORES, **more
    )


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., list[Measured]]:
    work = tmp_path / "work"
    work.mkdir()

    def call(*subjects: Subject, effort: Effort = BRIEF, **more: Any) -> list[Measured]:
        return measure(subjects, IMAGES_U8, effort=effort, folder=work, **more)

    return call


def test_a_row_gets_everything_that_a_measurement_has(make: Make, run: Callable[..., Any]) -> None:
    (found,) = run(make("a"))
    row = found.measurement
    assert (row.status, row.reason, row.selftest, row.engine_version) == (
        "ok", None, "identical", "1.0",
    )  # fmt: skip
    np.testing.assert_array_equal(found.scores, SCORES)
    assert found.probabilities.dtype == np.float32
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-5)
    latency = row.latency_us
    assert row.bare_latency_us is None and latency.runs >= BRIEF.min_runs
    assert 0 < latency.p50 <= latency.p90 <= latency.p99 and len(latency.block_p50) == 4
    assert min(latency.block_p50) <= latency.p50 <= max(latency.block_p50)
    assert list(latency.quantiles) == sorted(latency.quantiles)
    assert latency.quantiles[5] == latency.p50 and latency.quantiles[9] == latency.p99
    assert latency.repeat_p50[0] < latency.p50 < latency.repeat_p50[1]
    assert row.images_per_s == pytest.approx(1e6 / latency.mean)
    assert [speed.batch for speed in row.throughput] == [1, 3]
    assert all(speed.images_per_s > 0 for speed in row.throughput)
    assert row.cold_start_ms == pytest.approx(sum(asdict(row.cold_start).values()))
    assert row.cold_start.interpreter_ms > 1 and row.cold_start.import_ms >= 0
    assert 0 <= row.memory_mb < row.peak_rss_mb < 500


def test_blocks_go_round_the_rows(make: Make, run: Callable[..., Any], tmp_path: Path) -> None:
    run(*(make(name) for name in "abc"))
    calls = [name for name, what, _ in logged(tmp_path) if what == "call"]
    assert [name for name, _ in itertools.groupby(calls)] == list("abc") * BRIEF.blocks
    assert len({pid for _, _, pid in logged(tmp_path)}) == 3  # a process each, kept


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("segfault", ["signal 11", "SIGSEGV"]),
        ("abort", ["signal 6", "SIGABRT"]),
        ("exit", ["code 3", "bad operator"]),
        ("no module", ["No module named 'engine'"]),
        ("killed while timed", ["signal 9", "SIGKILL", "memory?"]),
        ("damaged golden vectors", ["golden vectors are damaged"]),
    ],
)
def test_a_row_that_breaks_says_how_and_the_others_finish(
    make: Make, run: Callable[..., Any], behaviour: str, words: list[str]
) -> None:
    before, broken, after = run(make("before"), make("broken", behaviour), make("after"))
    row = broken.measurement
    assert row.status == "failed" and row.latency_us is None and row.images_per_s is None
    assert all(word in row.reason for word in words) and "\n" not in row.reason
    for fine in (before, after):
        assert fine.measurement.status == "ok" and fine.measurement.latency_us is not None


def test_a_row_killed_while_timed_keeps_what_it_had(make: Make, run: Callable[..., Any]) -> None:
    (broken,) = run(make("a", "killed while timed"))
    np.testing.assert_array_equal(broken.scores, SCORES)
    row = broken.measurement
    assert row.selftest == "identical" and row.cold_start_ms > 0 and len(row.throughput) == 2


def test_a_worker_that_never_returns_is_ended_and_becomes_a_failed_row(
    make: Make, run: Callable[..., Any], tmp_path: Path
) -> None:
    started = time.monotonic()
    hanging, fine = run(make("h", "hang"), make("f"), effort=replace(BRIEF, patience_s=3))
    assert time.monotonic() - started < 30
    assert hanging.measurement.status == "failed"
    assert "no answer to answers within " in hanging.measurement.reason
    assert fine.measurement.status == "ok"
    assert not any(is_alive(pid) for _, _, pid in logged(tmp_path))


@pytest.mark.parametrize("what", ["deleted", "changed"])
def test_a_file_that_goes_or_changes_while_it_is_measured_keeps_nothing(
    make: Make, run: Callable[..., Any], what: str
) -> None:
    gone, fine = run(make("a", f"file {what}"), make("b"))
    row = gone.measurement
    assert row.status == "failed" and row.reason == f"a was {what} while it was measured"
    assert gone.scores is None and row.latency_us is None and row.cold_start_ms is None
    assert fine.measurement.status == "ok"


def test_a_file_other_than_planned_is_not_measured(
    make: Make, run: Callable[..., Any], tmp_path: Path
) -> None:
    changed, deleted = make("a"), make("b")
    changed.path.write_bytes(b"another")
    deleted.path.unlink()
    first, second = run(changed, deleted)
    assert first.measurement.reason == "a was changed before it was measured"
    assert second.measurement.reason == "b was deleted before it was measured"
    assert not (tmp_path / "log").exists()


def test_an_absent_row_stays_with_its_reason(make: Make, run: Callable[..., Any]) -> None:
    absent = replace(make("a"), command=None, status="absent", reason="not installed here")
    row, fine = run(absent, make("b"))
    assert (row.measurement.status, row.measurement.reason) == ("absent", "not installed here")
    assert row.scores is None and fine.measurement.status == "ok"


def test_progress_counts_to_the_end_and_tells_the_time_left(
    make: Make, run: Callable[..., Any]
) -> None:
    told: list[Progress] = []
    run(make("a"), make("b", "exit"), make("c"), tell=told.append)
    assert all(one.total == 3 + BRIEF.blocks for one in told)
    assert [one.done for one in told] == sorted(one.done for one in told)
    assert told[0].done == 0 and told[0].seconds_left is None and told[0].text.startswith("a on ")
    assert any(one.text.startswith("b on fake: failed: ") for one in told)
    assert told[-1].done == told[-1].total - 1 and "round 4 of 4, 2 rows" in told[-1].text
    assert all(one.seconds_left is not None and 0 < one.seconds_left < 60 for one in told[1:])


def test_an_interrupt_ends_every_worker(
    make: Make, run: Callable[..., Any], tmp_path: Path
) -> None:
    def tell(progress: Progress) -> None:
        if "round 2" in progress.text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(make("a"), make("b"), tell=tell)
    pids = {pid for _, _, pid in logged(tmp_path)}
    assert len(pids) == 2 and not any(is_alive(pid) for pid in pids)


@pytest.mark.parametrize("moment", ["b on fake: start", "round 1 of", "round 3 of"])
def test_an_interrupted_measurement_goes_on_and_asks_nothing_twice(
    make: Make, run: Callable[..., Any], tmp_path: Path, moment: str
) -> None:
    def tell(progress: Progress) -> None:
        if moment in progress.text:
            raise KeyboardInterrupt

    subjects = [make("a"), make("bad", "exit"), make("b")]
    first, second = DictJournal(), DictJournal()
    with pytest.raises(KeyboardInterrupt):
        run(*subjects, journal=first, tell=tell)
    second.content = dict(first.content)
    resumed = run(*subjects, journal=second)
    whole = [*first.puts, *second.puts]
    per_row = ["open", "selftest", "answers", "throughput 1", "throughput 3"]
    per_row += [f"block {k} classify" for k in range(BRIEF.blocks)]
    assert sorted(whole) == sorted(["2 failed", *(f"{n} {key}" for n in (1, 3) for key in per_row)])
    assert [found.measurement.status for found in resumed] == ["ok", "failed", "ok"]
    for found in (resumed[0], resumed[2]):
        held = [json.loads(second.content[f"1 block {k} classify"]) for k in range(BRIEF.blocks)]
        assert found.measurement.latency_us.runs >= BRIEF.min_runs
        assert len(found.measurement.latency_us.block_p50) == BRIEF.blocks
    assert resumed[0].measurement.latency_us.runs == sum(answer["runs"] for answer in held)
    assert sum(what == "open" for name, what, _ in logged(tmp_path) if name == "bad") == 1


def test_with_a_whole_journal_nothing_is_started_and_the_result_is_the_same(
    make: Make, run: Callable[..., Any], tmp_path: Path
) -> None:
    subjects = [make("a"), make("bad", "abort while timed"), make("gone", "file deleted")]
    journal = DictJournal()
    first = run(*subjects, journal=journal)
    log = logged(tmp_path)
    subjects[2].path.write_bytes(b"gone")
    again = DictJournal(journal.content)
    second = run(*subjects, journal=again, tell=interrupt)
    assert logged(tmp_path) == log and again.puts == []
    assert [x.measurement for x in second] == [x.measurement for x in first]
    np.testing.assert_array_equal(second[1].scores, SCORES)


def test_a_cold_start_is_of_the_first_process_and_a_later_one_is_warmed_up_anew(
    make: Make, run: Callable[..., Any], tmp_path: Path
) -> None:
    journal = DictJournal()
    (first,) = run(make("a"), journal=journal)
    log = logged(tmp_path)
    del journal.content["1 block 3 classify"]
    (again,) = run(make("a"), journal=journal)
    added = [what for _, what, _ in logged(tmp_path)[len(log) :]]
    assert again.measurement.cold_start == first.measurement.cold_start
    assert added[:2] == ["open", "prepare"] and set(added[2:]) == {"call"}
    assert len(added) > 2 + BRIEF.block_runs


def test_answers_whose_files_are_gone_are_asked_again(
    make: Make, run: Callable[..., Any], tmp_path: Path
) -> None:
    journal = DictJournal()
    run(make("a"), journal=journal)
    (tmp_path / "work" / "scores-1.npy").unlink()
    puts = len(journal.puts)
    (found,) = run(make("a"), journal=journal)
    np.testing.assert_array_equal(found.scores, SCORES)
    assert journal.puts[puts:] == ["1 answers"]


def test_too_few_blocks_and_no_images_are_refused(make: Make, run: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="1 blocks"):
        run(make("a"), effort=replace(BRIEF, blocks=1))
