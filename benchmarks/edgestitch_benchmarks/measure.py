"""What was measured of each file becomes a row: compared with the float model of its run."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from edgestitch_runtime.agreement import compare
from edgestitch_runtime.distance import REFERENCE, Distance, distance
from edgestitch_runtime.measurement import Measurement
from edgestitch_runtime.rounds import Effort, Measured, Subject

from .against import with_against
from .chosen_runs import printable
from .details import Answered, details_of
from .report import Row
from .sizes_by_part import parts_of

KERAS = "keras"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A row to come: what is measured, and how run and file are called in the report."""

    run: str
    artifact: str
    subject: Subject


def what_is_timed(effort: Effort, *, timer_ns: float) -> tuple[str, ...]:
    """The text above every table; `timer_ns` is what one reading of the clock costs."""
    batches = ", ".join(map(str, effort.batches))
    return (
        "Latency is the whole classify(image) call: one uint8 image in, its label and scores out; "
        "the confidence, computed when it is read, is not in it. The bare latency "
        "is the engine's own set, invoke and get.",
        "Keras rows: one uint8 image in, class out, by model.predict, by calling the model, or by "
        "a tf.function of it that was traced before.",
        "Accuracy comes from the same file, by the call that is timed, image by image (Keras rows "
        "and reference: in batches, which changes no answer of reference).",
        f"Each row is a process of its own on {effort.threads} thread"
        f"{'s' if effort.threads != 1 else ''}, warmed up, then timed in {effort.blocks} blocks "
        f"that go round the rows: at least {effort.min_seconds:g} s and {effort.min_runs:,} calls "
        "in all, on real test images in turn.",
        "A ratio compares blocks of the same round; its interval is of 95 %, by bootstrap over "
        "the rounds.",
        f"Images a second over batches of {batches}: a call of classify on so many images at once.",
        "Cold start: from starting Python to the first answer, once. Memory: the most that the "
        "process held until then. Not in the latency: starting, loading, reading picture files.",
        "Python's garbage collector is off inside a block; what one reading of the clock costs "
        f"({timer_ns:.0f} ns here) is taken off every sample.",
    )


def rows_of(
    planned: Sequence[Planned], measured: Sequence[Measured], truth: np.ndarray
) -> list[Row]:
    """A row for each of `planned`, of what was `measured` of it, in the same order.

    `truth` is (n,), the classes of the test images. The first Keras row of a run that answered is
    its float model. Latencies are compared within a run.
    """
    floats: dict[str, Measured] = {}
    exact: dict[str | None, np.ndarray] = {}
    for plan, found in zip(planned, measured, strict=True):
        if found.scores is None:
            continue
        if plan.subject.format == KERAS:
            floats.setdefault(plan.run, found)
        if plan.subject.engine == REFERENCE:
            exact[plan.subject.sha256] = found.scores
    parts = {
        plan.subject.path: parts_of(plan.subject.path, keras=plan.subject.format == KERAS)
        for plan in planned
    }
    rows = [
        _row(plan, found, truth, floats.get(plan.run), exact.get(plan.subject.sha256))
        for plan, found in zip(planned, measured, strict=True)
    ]
    for place, plan in enumerate(planned):
        split = parts[plan.subject.path]
        if split is not None and sum(split.values()) == plan.subject.bytes:
            rows[place] = replace(rows[place], parts=split)
    return with_against(rows)


def _row(
    plan: Planned,
    found: Measured,
    truth: np.ndarray,
    float_model: Measured | None,
    exact: np.ndarray | None,
) -> Row:
    """The row, compared with the float model and, where `exact` is given, with `reference`."""
    told: dict[str, Any] = {
        field.name: getattr(found.measurement, field.name) for field in fields(Measurement)
    }
    told |= {"artifact": plan.artifact, "run": plan.run}
    told["reason"] = told["reason"] and printable(told["reason"])
    row = Row(**told)
    if found.scores is None:
        return row
    scores = found.scores
    answers = scores.argmax(axis=1)
    row = replace(row, accuracy=float((answers == truth).mean()), n=len(truth))
    if exact is not None and exact is not scores:
        row = replace(row, distance=_distance(scores, exact))
    other = None if float_model is found or float_model is None else _answered(float_model)
    if other is not None:
        agreement = compare(truth, other.answers, answers)
        row = replace(
            row,
            changed=agreement.changed,
            drop_pp=agreement.drop_pp,
            drop_interval_pp=agreement.drop_interval_pp,
            flips_lost=agreement.lost,
            flips_won=agreement.won,
            mcnemar_p=agreement.mcnemar_p,
        )
    with contextlib.suppress(ValueError):  # its classes are not those of the data
        row = replace(row, details=details_of(truth, _answered(found), other))
    return row


def _answered(found: Measured) -> Answered:
    assert found.scores is not None and found.probabilities is not None
    return Answered(answers=found.scores.argmax(axis=1), probabilities=found.probabilities)


def _distance(scores: np.ndarray, exact: np.ndarray) -> Distance | None:
    try:
        return distance(scores, exact)
    except ValueError:  # an engine that gives another shape or dtype has no steps to count
        return None
