"""One row while it is being measured: its process, what it answered, and how it ended.

Every answer is asked from the journal first, and put there after. A process is started only when
something is to be asked: a row that the journal holds whole never has one. One that is started
again is prepared as before, and its cold start is not measured again.

More than 300 lines: one state, of which every part asks, keeps or tells.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .array_files import read_npy, read_regular
from .block_latency import latency_of
from .errors import EdgestitchError
from .file_graph import printable
from .json_shape import Shape, misfit, word
from .measurement import FAILED, OK, BatchSpeed, ColdStart, LatencyUs, Measurement
from .to_measure import Effort, Journal, Measured, Subject
from .worker_process import RowFailed, WorkerProcess, wrong_in

_MOST_WORK_S = 86_400.0
_MOST_NAME = 300  # characters: a file's name has at most 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the rows of one measurement share: `images` are `n`, in a file in `folder`, of which
    `first` holds the first.
    """

    effort: Effort
    journal: Journal
    folder: Path
    images: Path
    first: Path
    n: int


class MeasuredRow:
    """The state of a row; `number`, from 1 on, is its place and its name in the journal."""

    def __init__(self, subject: Subject, *, number: int, setting: Setting) -> None:
        self.subject = subject
        self.name = printable(f"{subject.path.name} on {subject.engine}", _MOST_NAME)
        self._number = number
        self._setting = setting
        self._worker: WorkerProcess | None = None
        self._opened = self._prepared = False
        self._told: dict[str, dict[str, Any]] = {}
        self._patience_s = setting.effort.patience_s + setting.effort.min_seconds
        self._failed = _failure_in(setting.journal.get(f"{number} failed"))
        self._answers: tuple[np.ndarray, np.ndarray] | None = None
        self._wrong: str | None = None  # why what was written is no answers

    @property
    def measurable(self) -> bool:
        """Whether there is something to ask: it is here and has not failed."""
        return self.subject.command is not None and self._failed is None

    @property
    def failure(self) -> str | None:
        """Why it failed, or None."""
        return None if self._failed is None else self._failed["reason"]

    @contextlib.contextmanager
    def failing(self) -> Iterator[None]:
        """Turns a failure inside into the end of this row, and ends its process."""
        try:
            yield
        except RowFailed as failure:
            self._fail(str(failure), kept=True, noted=not failure.passing)

    def _fail(self, reason: str, *, kept: bool, noted: bool = True) -> None:
        path = self.subject.path
        reason = reason.replace(str(path.absolute()), path.name)
        self._failed = {"reason": reason, "kept": kept}
        if noted:
            self._setting.journal.put(f"{self._number} failed", self._failed)
        self.close()

    def close(self) -> None:
        """Ends the process, if there is one."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def check_file(self, when: str) -> None:
        """Fails the row when its file is gone or has other bytes; `when`: "before it was measured".

        Nothing that was measured is kept then: it may be of another file.
        """
        if not self.measurable:
            return
        try:
            found = hashlib.sha256(read_regular(self.subject.path)).hexdigest()
        except EdgestitchError as error:
            path = self.subject.path
            gone = isinstance(error.__context__, FileNotFoundError)
            told = f"{error.message} ({when})".replace(str(path), path.name)
            self._fail(f"{path.name} was deleted {when}" if gone else told, kept=False, noted=gone)
            return
        if found != self.subject.sha256:
            self._fail(f"{self.subject.path.name} was changed {when}", kept=False)

    def needs_start(self) -> bool:
        """Whether anything but answers to all images and blocks is still to be asked."""
        asked = ["open", "selftest", *(f"throughput {n}" for n in self._setting.effort.batches)]
        return self.measurable and any(self._held(key) is None for key in asked)

    def needs_answers(self) -> bool:
        """Whether not all images are answered."""
        return self.measurable and not self._read()

    def needs_block(self, number: int | None = None) -> bool:
        """Whether the round `number`, from 0 on, or any is still to be asked of this row."""
        rounds = range(self._setting.effort.blocks) if number is None else (number,)
        return self.measurable and any(
            self._held(f"block {k} {kind}") is None for k in rounds for kind in self.kinds
        )

    @property
    def kinds(self) -> list[str]:
        """The kinds of call that are timed; none before `answer`."""
        answered = self._held("answers")
        return [] if answered is None else answered["kinds"]

    def start(self) -> None:
        """Opens, tests and has batches timed, as far as not done before."""
        effort = self._setting.effort
        if self._held("open") is None:
            self._running()
        self._ask("selftest")
        for batch in effort.batches:
            self._ask(f"throughput {batch}", batch=batch, seconds=effort.batch_seconds)

    def begin_answers(self) -> None:
        """Has it answer all images, and does not wait until it has."""
        if self.needs_answers() and self._running().sent != "answers":
            self._running().send("answers", **self._answers_asked())

    def answer(self) -> None:
        """Has all images answered, if that was not done before."""
        if not self._read():
            self._question("answers", **self._answers_asked())
            self._prepared = True
            if not self._read():
                none = "the worker did not write its answers to the images"
                raise RowFailed(self._wrong or none)

    def _answers_asked(self) -> dict[str, str]:
        scores, probabilities = map(str, self._files())
        images = str(self._setting.images)
        return {"images": images, "scores": scores, "probabilities": probabilities}

    def reopen(self) -> None:
        """Has its process run again where it does not."""
        self._running(prepared=True)

    def block(self, number: int) -> None:
        """Times the blocks of round `number`, of each kind, as far as not done before."""
        effort = self._setting.effort
        for kind in self.kinds:
            self._ask(
                f"block {number} {kind}",
                kind=kind,
                seconds=effort.block_seconds,
                runs=effort.block_runs,
            )

    def _ask(self, key: str, **arguments: Any) -> dict[str, Any]:
        held = self._held(key)
        return self._question(key, **arguments) if held is None else held

    def _question(self, key: str, **arguments: Any) -> dict[str, Any]:
        do = key.partition(" ")[0]
        worker = self._running(prepared=do in ("throughput", "block"))
        patience_s = self._patience_s + self._work_s(do, arguments)
        answer = worker.ask(do, timeout_s=patience_s, **arguments)
        self._keep(key, answer)
        return answer

    def _work_s(self, do: str, asked: dict[str, Any]) -> float:
        """Three times what the images of a command take if each does as long as the first."""
        images = {"answers": self._setting.n, "throughput": 3 * asked.get("batch", 0)}
        opened = self._held("open")
        first_ms = 0.0 if opened is None else opened["cold_start"]["first_ms"]
        return min(3 * images.get(do, asked.get("runs", 0)) * first_ms / 1000, _MOST_WORK_S)

    def _held(self, key: str) -> dict[str, Any] | None:
        if key not in self._told:
            answer = self._setting.journal.get(f"{self._number} {key}")
            if answer is None or wrong_in(key.partition(" ")[0], answer) is not None:
                return None
            self._told[key] = answer
        return self._told[key]

    def _keep(self, key: str, answer: dict[str, Any]) -> None:
        self._told[key] = answer
        self._setting.journal.put(f"{self._number} {key}", answer)

    def begin(self) -> None:
        """Starts its process where it does not run, and does not wait until it is open."""
        if self.measurable:
            self._begun()

    def _begun(self) -> WorkerProcess:
        assert self.subject.command is not None
        if self._worker is None:
            self._worker = WorkerProcess(
                self.subject.command,
                folder=self._setting.folder,
                threads=self._setting.effort.threads,
            )
            self._opened = self._prepared = False
            self._worker.send(
                "open",
                artifact=str(self.subject.path.absolute()),
                engine=self.subject.engine,
                threads=self._setting.effort.threads,
                image=str(self._setting.first),
                started_ns=self._worker.started_ns,
            )
        return self._worker

    def _running(self, *, prepared: bool = False) -> WorkerProcess:
        """The process, started if need be; `prepared`: it has taken the images for timing."""
        worker = self._begun()
        if not self._opened:
            opened = worker.ask("open", timeout_s=self._setting.effort.patience_s)
            self._opened = True
            if self._held("open") is None:
                self._keep("open", opened)
        if prepared and not self._prepared:
            worker.ask("prepare", timeout_s=self._patience_s, images=str(self._setting.images))
            self._prepared = True
        return worker

    def _files(self) -> tuple[Path, Path]:
        folder, number = self._setting.folder, self._number
        return folder / f"scores-{number}.npy", folder / f"probabilities-{number}.npy"

    def _read(self) -> bool:
        """Whether all images are answered, here or before; takes the answers, if they are such."""
        if self._answers is None and self._held("answers") is not None:
            with contextlib.suppress(OSError, EdgestitchError):
                first, second = (read_npy(path.name, path.read_bytes()) for path in self._files())
                self._wrong = _wrong_answers((first, second), self._setting.n)
                self._answers = None if self._wrong else (first, second)
        return self._answers is not None

    def measured(self) -> Measured:
        """What came out; a row that failed keeps what it had before it was timed."""
        subject, effort = self.subject, self._setting.effort
        row = Measurement(
            artifact=subject.path.name,
            sha256=subject.sha256,
            format=subject.format,
            precision=subject.precision,
            engine=subject.engine,
            status=subject.status,
            reason=subject.reason,
            bytes=subject.bytes,
            threads=effort.threads,
        )
        if self._failed is not None:
            row = replace(row, status=FAILED, reason=self._failed["reason"])
        if subject.command is None or (self._failed is not None and not self._failed["kept"]):
            return Measured(measurement=row, scores=None, probabilities=None)
        opened, selftest = self._held("open"), self._held("selftest")
        if opened is not None:
            cold_start = ColdStart(**{k: opened["cold_start"][k] for k in ColdStart.__slots__})
            row = replace(
                row,
                engine_version=opened["engine_version"],
                python_version=opened["versions"]["python"],
                numpy_version=opened["versions"]["numpy"],
                cold_start=cold_start,
                cold_start_ms=cold_start.total_ms,
                peak_rss_mb=opened["peak_rss_mb"],
                memory_mb=opened["memory_mb"],
            )
        speeds = [(batch, self._held(f"throughput {batch}")) for batch in effort.batches]
        row = replace(
            row,
            selftest=None if selftest is None else selftest["verdict"],
            throughput=tuple(
                BatchSpeed(batch=batch, images_per_s=told["images_per_s"])
                for batch, told in speeds
                if told is not None
            ),
        )
        if row.status == OK:
            latencies = {kind: self._latency(kind) for kind in self.kinds}
            row = replace(
                row,
                latency_us=latencies["classify"],
                bare_latency_us=latencies.get("bare"),
                images_per_s=1e6 / latencies["classify"].mean,
            )
        scores, probabilities = self._answers if self._read() and self._answers else (None, None)
        return Measured(measurement=row, scores=scores, probabilities=probabilities)

    def _latency(self, kind: str) -> LatencyUs:
        held = [self._held(f"block {k} {kind}") for k in range(self._setting.effort.blocks)]
        return latency_of([told for told in held if told is not None])


def _failure_in(told: dict[str, Any] | None) -> dict[str, Any] | None:
    shape: Shape = {"reason": word, "kept": lambda value: isinstance(value, bool)}
    return told if told is not None and misfit(told, shape) is None else None


def _wrong_answers(answers: tuple[np.ndarray, np.ndarray], n: int) -> str | None:
    """Why these are not scores and probabilities of `n` images, or None."""
    for array, kinds in zip(answers, ("iuf", "f"), strict=True):
        fits = array.ndim == 2 and len(array) == n and array.size > 0
        if not fits or array.dtype.kind not in kinds:
            return (
                f"the worker wrote {array.dtype} of shape {array.shape}, not answers to {n} images"
            )
        if np.isnan(array).any():
            return "a score is not a number (NaN): no answer"
    return None
