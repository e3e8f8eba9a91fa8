"""What is told and kept of a row that fails, and how long one is waited for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_runtime import measured_row
from edgestitch_runtime.rounds import Effort, Measured, Progress, Subject, measure
from edgestitch_runtime.worker_process import WorkerProcess
from scripted_worker import DictJournal, scripted

BRIEF = Effort(
    min_seconds=0.02, min_runs=8, blocks=4, batches=(1, 3), batch_seconds=0.001, patience_s=30
)
IMAGES_U8 = np.random.default_rng(5).integers(0, 256, (60, 4, 4)).astype(np.uint8)
SCORES = np.random.default_rng(6).integers(-128, 128, (60, 4)).astype(np.int8)
Make = Callable[..., Subject]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return lambda name, behaviour="well": scripted(tmp_path, name, behaviour, scores=SCORES)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., list[Measured]]:
    def call(*subjects: Subject, effort: Effort = BRIEF, **more: Any) -> list[Measured]:
        return measure(subjects, IMAGES_U8, effort=effort, folder=tmp_path, **more)

    return call


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        ("terminated while timed", "SIGTERM"),
        ("killed while timed", "SIGKILL"),
        ("no room", "No space left on device"),
        ("hang", "no answer to"),
    ],
)
def test_what_may_be_of_the_moment_is_tried_again_another_time(
    make: Make, run: Callable[..., Any], behaviour: str, says: str
) -> None:
    journal = DictJournal()
    patience_s = 1 if behaviour == "hang" else 30
    effort = replace(BRIEF, patience_s=patience_s)
    (found,) = run(make("a", behaviour), journal=journal, effort=effort)
    assert found.measurement.status == "failed" and says in found.measurement.reason
    assert "1 failed" not in journal.content
    (found,) = run(make("a"), journal=journal)
    assert found.measurement.status == "ok"


@pytest.mark.parametrize("moment", ["start", "answers", "round 1"])
def test_a_row_that_fails_before_its_turn_is_started_once_and_told_once(
    make: Make, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Its process is started while the row before it is at work."""

    def tell(progress: Progress) -> None:
        if moment in progress.text:
            raise KeyboardInterrupt

    subjects = [make(name) for name in "abc"]
    journal, effort = DictJournal(), replace(BRIEF, quick=True)
    if moment != "start":
        with pytest.raises(KeyboardInterrupt):
            run(*subjects, journal=journal, effort=effort, tell=tell)
    started: list[str] = []

    def start(command: tuple[str, ...], **more: Any) -> WorkerProcess:
        started.append(command[0])
        return WorkerProcess(command, **more)

    monkeypatch.setattr(measured_row, "WorkerProcess", start)
    told: list[str] = []
    found = run(
        subjects[0],
        replace(subjects[1], command=("/nonexistent/python",)),
        replace(subjects[2], command=("/bin/false",)),
        journal=journal,
        effort=effort,
        tell=lambda progress: told.append(progress.text),
    )
    assert [one.measurement.status for one in found] == ["ok", "failed", "failed"]
    python, *others = started
    assert python == sys.executable
    assert sorted(others) == ["/bin/false", "/nonexistent/python"]
    failed = [text.partition(":")[0] for text in told if ": failed: " in text]
    assert sorted(failed) == ["b on fake", "c on fake"]
    assert [key for key in journal.puts if "failed" in key] == ["3 failed"]


def test_patience_grows_with_the_images_that_are_asked_for(
    make: Make, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, float] = {}
    ask = WorkerProcess.ask

    def noting(worker: WorkerProcess, do: str, *, timeout_s: float, **more: Any) -> Any:
        given[f"{do} {more.get('batch', '')}".strip()] = timeout_s
        return ask(worker, do, timeout_s=timeout_s, **more)

    monkeypatch.setattr(WorkerProcess, "ask", noting)
    (found,) = run(make("a"))
    one_s, least = found.measurement.cold_start.first_ms / 1000, 30 + BRIEF.min_seconds
    assert one_s > 0 and given["open"] == 30
    assert given["answers"] == pytest.approx(least + 3 * 60 * one_s)
    assert given["throughput 3"] == pytest.approx(least + 3 * 9 * one_s)


def test_a_file_that_cannot_be_read_is_not_told_as_deleted(
    make: Make, run: Callable[..., Any]
) -> None:
    subject, journal = make("a"), DictJournal()
    subject.path.unlink()
    subject.path.mkdir()
    (found,) = run(subject, journal=journal)
    assert found.measurement.reason == "cannot read a: is a directory (before it was measured)"
    assert journal.puts == []
