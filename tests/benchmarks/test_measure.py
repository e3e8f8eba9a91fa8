"""Rows measured by real processes that die, hang, chatter or behave."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgestitch_benchmarks.measure import Effort, measure_rows
from edgestitch_benchmarks.plans import Plan
from edgestitch_benchmarks.report import Row
from edgestitch_runtime.dataset import Part

BRIEF = Effort(min_seconds=0.02, min_runs=6, blocks=3, patience_s=30)
Make = Callable[..., Plan]


def measured(
    plans: list[Plan],
    part: Part,
    folder: Path,
    effort: Effort = BRIEF,
    tell: Callable[[str], None] = lambda line: None,
) -> list[Row]:
    work = folder / "work"
    work.mkdir()
    return measure_rows(plans, part, effort=effort, folder=work, tell=tell)


def log(folder: Path) -> list[tuple[str, str, int]]:
    lines = (folder / "log").read_text(encoding="utf-8").splitlines()
    return [(name, what, int(pid)) for name, what, pid in (line.split() for line in lines)]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_rows_accuracy_and_flips_are_those_counted_by_hand(
    fake_plan: Make, test_part: Part, tmp_path: Path
) -> None:
    plans = [fake_plan("float", format_="keras"), fake_plan("small")]
    reference, small = measured(plans, test_part, tmp_path)
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


def test_a_rows_distance_is_that_from_the_same_file_on_the_reference(
    fake_plan: Make, test_part: Part, tmp_path: Path
) -> None:
    same, other = "1" * 64, "2" * 64
    plans = [
        replace(fake_plan("near"), sha256=same),
        replace(fake_plan("exact", engine="reference"), sha256=same),
        replace(fake_plan("alone"), sha256=other),
        replace(fake_plan("broken", "exit", engine="reference"), sha256=other),
    ]
    scores = np.load(tmp_path / "near-scores.npy")  # seven rows alike
    scores[:7] = np.load(tmp_path / "exact-scores.npy")[:7]
    np.save(tmp_path / "near-scores.npy", scores)
    near, exact, alone, broken = measured(plans, test_part, tmp_path)
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


def test_blocks_go_round_the_rows(fake_plan: Make, test_part: Part, tmp_path: Path) -> None:
    measured([fake_plan(name) for name in "abc"], test_part, tmp_path)
    calls = [name for name, what, _ in log(tmp_path) if what == "call"]
    assert [name for name, _ in itertools.groupby(calls)] == list("abc") * BRIEF.blocks
    assert len({pid for _, _, pid in log(tmp_path)}) == 3  # a process each, kept


def test_every_row_gets_its_runs_and_ordered_percentiles(
    fake_plan: Make, test_part: Part, tmp_path: Path
) -> None:
    (row,) = measured([fake_plan("a")], test_part, tmp_path)
    assert row.latency_us is not None and row.bare_latency_us is None
    assert row.latency_us.runs >= BRIEF.min_runs
    assert 0 < row.latency_us.p50 <= row.latency_us.p90 <= row.latency_us.p99
    assert row.images_per_s is not None and row.images_per_s > 0
    assert row.cold_start_ms is not None and row.cold_start_ms > 20
    assert row.peak_rss_mb is not None and 10 < row.peak_rss_mb < 500


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("segfault", ["signal 11", "SIGSEGV"]),
        ("exit", ["code 3", "bad operator"]),
        ("no module", ["No module named 'engine'"]),
        ("killed while timed", ["signal 9", "SIGKILL"]),
    ],
)
def test_a_row_that_breaks_says_how_and_the_others_finish(
    fake_plan: Make, test_part: Part, tmp_path: Path, behaviour: str, words: list[str]
) -> None:
    plans = [fake_plan("before"), fake_plan("broken", behaviour), fake_plan("after")]
    before, broken, after = measured(plans, test_part, tmp_path)
    assert broken.status == "failed" and broken.latency_us is None
    assert broken.reason is not None and all(word in broken.reason for word in words)
    assert "\n" not in broken.reason
    for fine in (before, after):
        assert fine.status == "ok" and fine.latency_us is not None and fine.accuracy is not None


def test_a_row_killed_while_timed_keeps_the_accuracy_it_had(
    fake_plan: Make, test_part: Part, tmp_path: Path
) -> None:
    (broken,) = measured([fake_plan("a", "killed while timed")], test_part, tmp_path)
    assert broken.accuracy is not None and broken.images_per_s is None


def test_a_worker_that_never_returns_is_ended_and_becomes_a_failed_row(
    fake_plan: Make, test_part: Part, tmp_path: Path
) -> None:
    started = time.monotonic()
    hanging, fine = measured(
        [fake_plan("h", "hang"), fake_plan("f")],
        test_part,
        tmp_path,
        effort=replace(BRIEF, patience_s=3),
    )
    assert time.monotonic() - started < 20
    assert hanging.status == "failed" and hanging.reason is not None
    assert "within 3 s" in hanging.reason and fine.status == "ok"
    assert not any(is_alive(pid) for _, _, pid in log(tmp_path))


def test_a_program_that_is_no_worker_becomes_a_failed_row(
    fake_plan: Make, test_part: Part, tmp_path: Path
) -> None:
    plans = [
        replace(fake_plan("a"), command=("/nonexistent/python", "-m", "x")),
        replace(fake_plan("b"), command=("/bin/echo", "hello")),
        replace(fake_plan("c"), command=("/bin/true",)),
    ]
    missing, talker, silent = measured(plans, test_part, tmp_path)
    assert missing.reason is not None and "/nonexistent/python" in missing.reason
    assert talker.reason is not None and "hello" in talker.reason
    assert silent.status == "failed"


def test_an_absent_row_stays_with_its_reason(
    fake_plan: Make, test_part: Part, tmp_path: Path
) -> None:
    absent = replace(fake_plan("a"), command=None, status="absent", reason="not installed here")
    row, fine = measured([absent, fake_plan("b")], test_part, tmp_path)
    assert (row.status, row.reason, row.accuracy) == ("absent", "not installed here", None)
    assert fine.status == "ok"


def test_ctrl_c_ends_every_worker(fake_plan: Make, test_part: Part, tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        if "block 2" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measured([fake_plan("a"), fake_plan("b")], test_part, tmp_path, tell=interrupt)
    pids = {pid for _, _, pid in log(tmp_path)}
    assert len(pids) == 2 and not any(is_alive(pid) for pid in pids)


def test_progress_names_every_row_and_what_is_left(
    fake_plan: Make, test_part: Part, tmp_path: Path
) -> None:
    told: list[str] = []
    measured([fake_plan("a"), fake_plan("b", "exit")], test_part, tmp_path, tell=told.append)
    assert told[0].startswith("[1/2] a on fake: ") and "%" in told[0]
    assert told[1].startswith("[2/2] b on fake: failed: ")
    assert "left" in told[-1]


OPENED = (
    '{"ok": true, "engine_version": "1", "peak_rss_mb": 1.5, '
    '"versions": {"python": "3", "numpy": "1"}, "kinds": ["classify"]}'
)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("1", "expected a JSON object"),
        ("[]", "expected a JSON object"),
        ("null", "expected a JSON object"),
        ("[" * 100_000, "expected JSON"),
        ('{"ok": true}', "engine_version"),
        ('{"ok": 1}', "refused"),
        (OPENED.replace("1.5", "NaN"), "peak_rss_mb"),
        (OPENED.replace('{"python": "3", "numpy": "1"}', "3"), "versions"),
        (OPENED.replace('["classify"]', "[]"), "kinds"),
        (OPENED.replace('["classify"]', '["classify", {}]'), "kinds"),
        (OPENED, "did not write its answers"),
    ],
    ids=lambda text: text[:24],
)
def test_a_program_that_answers_what_no_worker_does_becomes_a_failed_row(
    fake_plan: Make, test_part: Part, tmp_path: Path, answer: str, says: str
) -> None:
    (tmp_path / "answer").write_text(answer + "\n", encoding="utf-8")
    script = f"while read line; do cat {tmp_path / 'answer'}; done"
    liar, fine = measured(
        [replace(fake_plan("a"), command=("/bin/sh", "-c", script)), fake_plan("b")],
        test_part,
        tmp_path,
    )
    assert liar.status == "failed" and liar.reason is not None and says in liar.reason
    assert "\n" not in liar.reason and len(liar.reason) < 400
    assert fine.status == "ok"
