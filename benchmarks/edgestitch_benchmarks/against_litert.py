"""What the engine native gains or loses beside litert, in words."""

from __future__ import annotations

from pathlib import PurePath

from edgestitch_runtime.comparing import CANNOT_TELL, Ratio, interleaved_ratio
from edgestitch_runtime.measurement import LatencyUs

from .report import Report, Row

Place = tuple[str | None, str | None]


def against_litert(report: Report) -> list[str]:
    """A line for each native row and the litert row of the same model on the same machine, both
    timed bare, their blocks paired.
    """
    litert: dict[Place, dict[str, LatencyUs]] = {}
    for row in report.rows:
        if row.engine == "litert" and row.bare_latency_us:
            model = PurePath(row.artifact).stem
            litert.setdefault(_place(row), {})[model] = row.bare_latency_us
    told = []
    for row in report.rows:
        if row.engine != "native" or not row.bare_latency_us:
            continue
        beside = litert.get(_place(row), {})
        model = _model(row, beside)
        if model is None:
            continue
        ratio = _ratio(row.bare_latency_us, beside[model])
        if ratio is not None:
            where = f", on {row.machine}" if row.machine else ""
            told.append(f"{_line(model, ratio)} (bare call{where})")
    return told


def _place(row: Row) -> Place:
    return row.run, row.machine


def _model(row: Row, of_litert: dict[str, LatencyUs]) -> str | None:
    """The model of NAME-int8-TARGET.so among `of_litert`, NAME-int8."""
    name = PurePath(row.artifact).name
    found = [model for model in of_litert if name.startswith(f"{model}-")]
    return max(found, key=len, default=None)


def _ratio(native: LatencyUs, litert: LatencyUs) -> Ratio | None:
    try:
        return interleaved_ratio(native.block_p50, litert.block_p50)
    except ValueError:  # one of them was not there in every round
        return None


def _line(model: str, ratio: Ratio) -> str:
    if ratio.verdict == CANNOT_TELL:
        low, high = f"{ratio.low:.2f}", f"{ratio.high:.2f}"
        return f"native or litert, which is faster for {model}: cannot tell [{low}, {high}]"
    slower, faster, value, low, high = "native", "litert", ratio.value, ratio.low, ratio.high
    if value < 1:
        slower, faster, value, low, high = faster, slower, 1 / value, 1 / high, 1 / low
    times = f"{_times(value)} times [{_times(low)}, {_times(high)}]"
    return f"{slower} takes {times} as long as {faster} for {model}"


def _times(value: float) -> str:
    if value < 1.1:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"
