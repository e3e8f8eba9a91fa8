"""Measures subjects: each in a process of its own, their timing interleaved in blocks.

First every subject in turn: its process is started, answers its first image (cold start, memory),
its golden vectors, and batches of images. Then all images are answered, which is not timed, by two
processes at once. Then, with all processes alive and silent but
one, round after round of blocks of single calls goes round the rows, so that a machine that slows
down does so for all. Last the files are looked at again.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from .errors import os_error
from .measured_row import MeasuredRow, Setting
from .to_measure import QUICK, Effort, Journal, Measured, NoJournal, Progress, Subject
from .worker_process import RowFailed

__all__ = [
    "QUICK", "Effort", "Journal", "Measured", "NoJournal", "Progress", "RowFailed", "Subject",
    "measure",
]  # fmt: skip
Tell = Callable[[Progress], None]
_KINDS = 2  # of call that a row is thought to have before it says so


def measure(
    subjects: Sequence[Subject],
    images_u8: np.ndarray,
    *,
    effort: Effort,
    folder: Path,
    journal: Journal | None = None,
    tell: Tell = lambda progress: None,
) -> list[Measured]:
    """Measures every subject on `images_u8`, (n, height, width) uint8, n >= 1, in this order.

    One result a subject, always: one that breaks ends as failed with its reason, and with what it
    had until then but the latency. `folder` is for the files that the workers read and write; with
    a `journal` that goes on from before it is the folder of then, and what the journal holds is
    not asked again. A failure is kept there too, unless it may be of the moment: a full disk, a
    killed process, no answer in time. Workers are ended on the way out, whatever happens. Raises
    ValueError for an effort of fewer than two blocks or no image, EdgestitchError when `folder`
    cannot be written.
    """
    if effort.blocks < 2 or not len(images_u8):
        raise ValueError(f"{effort.blocks} blocks and {len(images_u8)} images, expected 2 and 1")
    folder = folder.absolute()
    images, first = folder / "images.npy", folder / "first.npy"
    try:
        np.save(images, images_u8)
        np.save(first, images_u8[:1])
    except OSError as error:
        raise os_error(f"write in {folder}", error) from None
    setting = Setting(
        effort=effort,
        journal=NoJournal() if journal is None else journal,
        folder=folder,
        images=images,
        first=first,
        n=len(images_u8),
    )
    rows = [
        MeasuredRow(subject, number=number, setting=setting)
        for number, subject in enumerate(subjects, start=1)
    ]
    with contextlib.ExitStack() as stack:
        for row in rows:
            stack.callback(row.close)
        steps = _Steps(rows, effort, tell)
        _start(rows, effort, steps)
        _answer(rows, steps)
        _time_rounds(rows, effort, steps)
        for row in rows:
            with steps.watching(row):
                row.check_file("while it was measured")
    return [row.measured() for row in rows]


def _start(rows: Sequence[MeasuredRow], effort: Effort, steps: _Steps) -> None:
    for place, row in enumerate(rows):
        with steps.watching(row):
            row.check_file("before it was measured")
        if row.needs_start():
            steps.tell(f"{row.name}: start, batches")
            if effort.quick:  # two starts at once: sooner, and neither as fast as alone
                _begin([near for near in rows[place : place + 2] if near.needs_start()], steps)
            if row.measurable:
                with steps.watching(row), row.failing(), steps.timing(steps.starts):
                    row.start()
        steps.done += 1


def _answer(rows: Sequence[MeasuredRow], steps: _Steps) -> None:
    asked = [row for row in rows if row.needs_answers()]
    for place, row in enumerate(asked):
        if not row.measurable:  # it failed while the one before it was at work
            continue
        steps.tell(f"{row.name}: answers")
        for near in asked[place : place + 2]:  # not timed: two at once
            with steps.watching(near), near.failing():
                near.begin_answers()
        if row.measurable:
            with steps.watching(row), row.failing(), steps.timing(steps.answers):
                row.answer()


def _begin(rows: Sequence[MeasuredRow], steps: _Steps) -> None:
    for row in rows:
        with steps.watching(row), row.failing():
            row.begin()


def _time_rounds(rows: Sequence[MeasuredRow], effort: Effort, steps: _Steps) -> None:
    timed = [row for row in rows if row.needs_block()]
    for place, row in enumerate(timed):
        _begin(timed[place : place + 2], steps)  # nothing of this is measured
        if row.measurable:
            with steps.watching(row), row.failing():
                row.reopen()
    for number in range(effort.blocks):
        asked = [row for row in rows if row.needs_block(number)]
        if asked:
            several = "rows" if len(asked) != 1 else "row"
            steps.tell(f"timing round {number + 1} of {effort.blocks}, {len(asked)} {several}")
        with steps.timing(steps.rounds) if asked else contextlib.nullcontext():
            for row in asked:
                with steps.watching(row), row.failing():
                    row.block(number)
        steps.done += 1


class _Steps:
    """Counts the steps, starts and rounds, and says what time the rest may take."""

    def __init__(self, rows: Sequence[MeasuredRow], effort: Effort, tell: Tell) -> None:
        self.done = 0
        self.starts: list[float] = []
        self.answers: list[float] = []
        self.rounds: list[float] = []
        self._rows = rows
        self._effort = effort
        self._tell = tell

    def tell(self, text: str) -> None:
        total = len(self._rows) + self._effort.blocks
        left = self._seconds_left()
        self._tell(Progress(text=text, done=self.done, total=total, seconds_left=left))

    @contextlib.contextmanager
    def watching(self, row: MeasuredRow) -> Iterator[None]:
        """Tells when the row fails inside."""
        before = row.failure
        yield
        if row.failure != before:
            self.tell(f"{row.name}: failed: {row.failure}")

    @contextlib.contextmanager
    def timing(self, spans: list[float]) -> Iterator[None]:
        """Adds the seconds inside to `spans`, if it ends well."""
        began = time.monotonic()
        yield
        spans.append(time.monotonic() - began)

    def _seconds_left(self) -> float | None:
        starts = sum(row.needs_start() for row in self._rows[self.done :])
        if starts and not self.starts:
            return None
        left = starts * statistics.mean(self.starts) if starts else 0.0
        if self.answers:
            asked = sum(row.needs_answers() for row in self._rows)
            left += asked * statistics.mean(self.answers)
        begun = max(self.done - len(self._rows), 0)
        rounds = sum(
            any(row.needs_block(k) or row.needs_answers() for row in self._rows)
            for k in range(begun, self._effort.blocks)
        )
        # The first round holds the warm-up: later ones tell more.
        spans = self.rounds[1:] or self.rounds
        if spans:
            return left + rounds * statistics.median(spans)
        kinds = sum(len(row.kinds) or _KINDS for row in self._rows if row.measurable)
        return left + rounds * kinds * self._effort.block_seconds
