"""What the engine native gains or loses beside litert, in words."""

from __future__ import annotations

from pathlib import PurePath

from .report import LatencyUs, Report, Row

_EQUAL = 1.05  # a ratio nearer to 1 says nothing on a machine that does other things too


def against_litert(report: Report) -> list[str]:
    """A line for each native row and the litert row of the same model, both timed bare."""
    litert = {
        PurePath(row.artifact).stem: row.bare_latency_us
        for row in report.rows
        if row.engine == "litert" and row.bare_latency_us
    }
    told = []
    for row in report.rows:
        if row.engine != "native" or not row.bare_latency_us:
            continue
        model = _model(row, litert)
        if model is not None:
            told.append(_line(model, row.bare_latency_us.p50, litert[model].p50))
    return told


def _model(row: Row, of_litert: dict[str, LatencyUs]) -> str | None:
    """The model of NAME-int8-TARGET.so among `of_litert`, NAME-int8."""
    found = [name for name in of_litert if row.artifact.startswith(f"{name}-")]
    return max(found, key=len, default=None)


def _line(model: str, native_us: float, litert_us: float) -> str:
    slower, faster, ratio = "native", "litert", native_us / litert_us
    if ratio < 1:
        slower, faster, ratio = faster, slower, 1 / ratio
    if ratio < _EQUAL:
        return f"native and litert take the same time for {model} (bare call, within 5 %)"
    times = f"{ratio:.1f}" if ratio < 10 else f"{ratio:,.0f}"
    return f"{slower} takes {times} times as long as {faster} for {model} (bare call)"
