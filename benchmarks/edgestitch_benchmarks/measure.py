"""Measures the planned rows: each in a process of its own, their timing interleaved in blocks.

First every row in turn: its process is started, answers its first image (cold start, memory) and
then the whole test set (accuracy). Then, with all processes alive and silent but one, block after
block of single calls goes round the rows, so that a machine that slows down does so for all.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgestitch_runtime.agreement import compare
from edgestitch_runtime.dataset import Part, read_npy
from edgestitch_runtime.distance import REFERENCE, Distance, distance
from edgestitch_runtime.errors import EdgestitchError

from .plans import Plan
from .report import FAILED, OK, LatencyUs, Row
from .worker_process import RowFailed, WorkerProcess

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long to measure: each kind of call of a row gets `min_seconds` and `min_runs` or more."""

    min_seconds: float = 1.0
    min_runs: int = 300
    blocks: int = 10
    threads: int = 1
    quick: bool = False  # a report of a quick effort says so in its title
    patience_s: float = 180.0  # a worker that is silent for longer than its work needs is ended


QUICK = Effort(min_seconds=0.2, min_runs=50, blocks=4, quick=True)


def what_is_timed(effort: Effort, *, timer_ns: float) -> tuple[str, ...]:
    """The text above every table; `timer_ns` is what one reading of the clock costs."""
    return (
        "Latency is the whole classify(image) call: one uint8 image in, its label and scores out; "
        "the confidence, computed when it is read, is not in it. The bare latency "
        "is the engine's own set, invoke and get.",
        "Keras rows: one uint8 image in, class out, by model.predict or by calling the model.",
        "Accuracy comes from the call that is timed, image by image (Keras rows: in batches).",
        f"Each row is a process of its own on {effort.threads} thread"
        f"{'s' if effort.threads != 1 else ''}, warmed up, then timed in {effort.blocks} blocks "
        f"that go round the rows: at least {effort.min_seconds:g} s and {effort.min_runs:,} calls "
        "in all, on real test images in turn.",
        "Cold start: from starting Python to the first answer, once. Memory: the most that the "
        "process held until then. Not in the latency: starting, loading, reading picture files.",
        "Python's garbage collector is off inside a block; one reading of the clock "
        f"({timer_ns:.0f} ns here) is inside every sample.",
    )


def measure_rows(
    plans: Sequence[Plan], test: Part, *, effort: Effort, folder: Path, tell: Tell
) -> list[Row]:
    """Measures every plan on the test images, in the order given; one row a plan, always.

    `folder` is an empty folder for the files that the workers read and write. The first Keras
    plan that answers is what the others are compared with. A row that breaks ends as failed with
    its reason. Workers are ended on the way out, whatever happens.
    """
    images, first = folder / "images.npy", folder / "first.npy"
    np.save(images, test.images_u8)
    np.save(first, test.images_u8[:1])
    with contextlib.ExitStack() as stack:
        measured = []
        for number, plan in enumerate(plans, start=1):
            one = _Measured(plan)
            measured.append(one)
            if plan.command is not None:
                with one.failing():
                    worker = stack.enter_context(WorkerProcess(plan.command, folder=folder))
                    one.start(
                        worker,
                        images=images,
                        first=first,
                        n=len(test.labels),
                        effort=effort,
                        number=number,
                    )
            tell(f"[{number}/{len(plans)}] {one.row.name}: {one.so_far(test.labels)}")
        _time_blocks(measured, effort, tell)
    answered = [m for m in measured if m.scores is not None]
    float_scores = next((m.scores for m in answered if m.row.format == "keras"), None)
    exact = {m.row.sha256: m.scores for m in answered if m.row.engine == REFERENCE}
    return [m.finished(test.labels, float_scores, exact.get(m.row.sha256)) for m in measured]


class _Measured:
    """A row while it is being measured."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.scores: np.ndarray | None = None
        self.kinds: list[str] = []
        self.latencies: dict[str, dict[str, Any]] = {}
        self.worker: WorkerProcess | None = None
        self.row = Row(
            artifact=plan.path.name,
            sha256=plan.sha256,
            format=plan.format,
            precision=plan.precision,
            engine=plan.engine,
            status=plan.status,
            reason=plan.reason,
            bytes=plan.bytes,
        )

    @contextlib.contextmanager
    def failing(self) -> Any:
        """Turns a failure inside into the end of this row, and ends its process."""
        try:
            yield
        except RowFailed as failure:
            reason = str(failure).replace(str(self.plan.path.absolute()), self.plan.path.name)
            self.row = replace(self.row, status=FAILED, reason=reason)
            if self.worker is not None:
                self.worker.close()
                self.worker = None

    def start(
        self,
        worker: WorkerProcess,
        *,
        images: Path,
        first: Path,
        n: int,
        effort: Effort,
        number: int,
    ) -> None:
        """Takes the worker as this row's, and has it answer the `n` test images in `images`."""
        self.worker = worker
        opened = worker.ask(
            "open",
            timeout_s=effort.patience_s,
            artifact=str(self.plan.path.absolute()),
            engine=self.plan.engine,
            threads=effort.threads,
            image=str(first),
        )
        self.row = replace(
            self.row,
            engine_version=opened["engine_version"],
            cold_start_ms=worker.age_ms(),
            peak_rss_mb=opened["peak_rss_mb"],
            python_version=opened["versions"]["python"],
            numpy_version=opened["versions"]["numpy"],
        )
        output = images.with_name(f"scores-{number}.npy")
        answered = worker.ask(
            "answers", timeout_s=effort.patience_s, images=str(images), output=str(output)
        )
        self.scores = _read_scores(output, n)
        self.kinds = answered["kinds"]

    def so_far(self, truth: np.ndarray) -> str:
        if self.worker is None or self.scores is None:
            return f"{self.row.status}: {self.row.reason}"
        right = int((self.scores.argmax(axis=1) == truth).sum())
        return (
            f"{100 * right / len(truth):.2f} % of {len(truth):,}, "
            f"cold start {self.row.cold_start_ms:,.0f} ms"
        )

    def block(self, kind: str, effort: Effort) -> None:
        assert self.worker is not None
        self.worker.ask(
            "block",
            timeout_s=effort.patience_s + effort.min_seconds,
            kind=kind,
            seconds=effort.min_seconds / effort.blocks,
            runs=math.ceil(effort.min_runs / effort.blocks),
        )

    def finished(
        self, truth: np.ndarray, float_scores: np.ndarray | None, exact: np.ndarray | None
    ) -> Row:
        """The row, compared with the float model and, where `exact` is given, with `reference`."""
        row = self.row
        if self.scores is None:
            return row
        answers = self.scores.argmax(axis=1)
        row = replace(row, accuracy=float((answers == truth).mean()), n=len(truth))
        if exact is not None and exact is not self.scores:
            row = replace(row, distance=_distance(self.scores, exact))
        if float_scores is not None and float_scores is not self.scores:
            agreement = compare(truth, float_scores.argmax(axis=1), answers)
            row = replace(
                row,
                changed=agreement.changed,
                drop_pp=agreement.drop_pp,
                drop_interval_pp=agreement.drop_interval_pp,
                flips_lost=agreement.lost,
                flips_won=agreement.won,
                mcnemar_p=agreement.mcnemar_p,
            )
        if row.status != OK:  # it answered, and broke while it was timed
            return row
        latencies = {kind: _latency_us(told) for kind, told in self.latencies.items()}
        return replace(
            row,
            latency_us=latencies["classify"],
            bare_latency_us=latencies.get("bare"),
            images_per_s=1e6 / self.latencies["classify"]["mean_us"],
        )


def _read_scores(path: Path, n: int) -> np.ndarray:
    try:
        scores = read_npy(path.name, path.read_bytes())
    except (OSError, EdgestitchError):
        raise RowFailed("the worker did not write its answers to the test images") from None
    if scores.ndim != 2 or len(scores) != n or not scores.size or scores.dtype.kind not in "iuf":
        raise RowFailed(
            f"the worker wrote {scores.dtype} of shape {scores.shape}, not scores of {n} images"
        )
    return scores


def _distance(scores: np.ndarray, exact: np.ndarray) -> Distance | None:
    try:
        return distance(scores, exact)
    except ValueError:  # an engine that gives another shape or dtype has no steps to count
        return None


def _time_blocks(measured: Sequence[_Measured], effort: Effort, tell: Tell) -> None:
    started = time.monotonic()
    for block in range(effort.blocks):
        alive = [one for one in measured if one.worker is not None]
        left = ""
        if block:
            seconds = (time.monotonic() - started) / block * (effort.blocks - block)
            left = f", about {seconds:.0f} s left"
        tell(f"timing block {block + 1} of {effort.blocks} on {len(alive)} rows{left}")
        for one in alive:
            with one.failing():
                for kind in one.kinds:
                    one.block(kind, effort)
    for one in measured:
        if one.worker is not None:
            with one.failing():
                for kind in one.kinds:
                    one.latencies[kind] = one.worker.ask(
                        "latency", timeout_s=effort.patience_s, kind=kind
                    )


def _latency_us(told: dict[str, Any]) -> LatencyUs:
    return LatencyUs(p50=told["p50_us"], p90=told["p90_us"], p99=told["p99_us"], runs=told["runs"])
