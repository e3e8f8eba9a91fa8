"""What every row is compared with in latency: the float model as it would be deployed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgestitch_runtime.comparing import interleaved_ratio

from .report import OK, Against, Row

# Of the rows of a run on a machine, the first that was timed: format, precision, engine.
BASELINES = (
    ("tflite", "float32", "litert"),
    ("onnx", "float32", "onnxruntime"),
    ("keras", "float32", "keras function"),
)


def with_against(rows: Sequence[Row]) -> list[Row]:
    """The rows, each with its latency over that of the baseline of its run, blocks paired.

    `rows` are of one machine, and their blocks went round. A row has none where it or the baseline
    was not timed, and the baseline itself has none.
    """
    baselines = {run: _baseline(rows, run) for run in {row.run for row in rows}}
    return [replace(row, against=_against(row, baselines[row.run])) for row in rows]


def _baseline(rows: Sequence[Row], run: str | None) -> Row | None:
    timed = [row for row in rows if row.run == run and row.status == OK and row.latency_us]
    found = (
        row
        for wanted in BASELINES
        for row in timed
        if (row.format, row.precision, row.engine) == wanted
    )
    return next(found, None)


def _against(row: Row, baseline: Row | None) -> Against | None:
    if baseline is None or baseline is row or row.latency_us is None:
        return None
    assert baseline.latency_us is not None
    try:
        ratio = interleaved_ratio(row.latency_us.block_p50, baseline.latency_us.block_p50)
    except ValueError:  # one of them was not there in every round
        return None
    return Against(
        row=baseline.name,
        value=ratio.value,
        low=ratio.low,
        high=ratio.high,
        verdict=ratio.verdict,
    )
