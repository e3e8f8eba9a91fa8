"""A profile as text, as wide as a terminal lets it be."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from .comparing import CANNOT_TELL, SLOWER, Ratio, overhead
from .distance import Distance
from .measurement import LatencyUs, Measurement
from .measuring import Profile, ProfileRow

_TABLE_COLUMNS = 60
_USUAL_COLUMNS = 80


def as_text(result: Profile, *, columns: int | None) -> str:
    """The profile as lines of at most `columns`, 20 or more; None: where nobody looks at a screen.

    Then 80 are used, and a longer word, a hash or a path, is left whole.
    """
    lines: list[str] = []
    for row in result.rows:
        lines += [*_row(row, columns or _USUAL_COLUMNS), ""]
    lines += [f"machine: {result.machine.line()}"]
    told = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    lines += [f"versions: {told}", f"images: {result.images}", "", *result.timed]
    if result.caveats:
        lines += ["", *(f"caveat: {caveat}" for caveat in result.caveats)]
    return "\n".join(_fitted(lines, columns))


def _fitted(lines: Iterable[str], columns: int | None) -> Iterable[str]:
    for line in lines:
        indent = line[: len(line) - len(line.lstrip())]
        if len(line) <= (columns or _USUAL_COLUMNS):
            yield line
        else:
            yield from textwrap.wrap(
                line.lstrip(),
                columns or _USUAL_COLUMNS,
                initial_indent=indent,
                subsequent_indent=indent + "  ",
                break_long_words=columns is not None,
                break_on_hyphens=False,
            )


def _row(row: ProfileRow, columns: int) -> list[str]:
    told = row.measurement
    version = f" {told.engine_version}" if told.engine_version else ""
    several = "threads" if told.threads != 1 else "thread"
    lines = [f"{told.artifact} on {told.engine}{version}, {told.threads} {several}"]
    lines.append(f"  sha256 {told.sha256}")
    if told.bytes is not None:
        lines.append(f"  {told.precision} {told.format}, {told.bytes:,} bytes")
    if told.reason is not None:
        lines.append(f"  {told.status}: {told.reason}")
    if told.latency_us is not None:
        lines += _latencies(told, columns)
    if row.against is not None:
        lines.append(f"  beside {row.against_row}: {in_words(row.against)}")
    if told.throughput:
        speeds = ", ".join(f"{s.images_per_s:,.0f} by {s.batch}" for s in told.throughput)
        lines.append(f"  images a second: {speeds}")
    if told.cold_start is not None and told.cold_start_ms is not None:
        cold = told.cold_start
        lines.append(
            f"  cold start {told.cold_start_ms:,.0f} ms: Python {cold.interpreter_ms:,.0f}, "
            f"imports {cold.import_ms:,.0f}, opening {cold.load_ms:,.0f}, "
            f"first answer {cold.first_ms:,.1f}"
        )
    if told.memory_mb is not None and told.peak_rss_mb is not None:
        lines.append(
            f"  memory {told.memory_mb:,.1f} MB above an empty Python, "
            f"{told.peak_rss_mb:,.1f} in all"
        )
    if told.engine_version is not None:
        lines.append(f"  self-test: {told.selftest or 'it holds no golden vectors'}")
    if isinstance(row.distance, Distance):
        lines.append(f"  distance from reference: {row.distance.line()}")
    else:
        lines.append(f"  no distance from reference: {row.distance.reason}")
    return lines


def _latencies(row: Measurement, columns: int) -> list[str]:
    held = [("bare", row.bare_latency_us), ("classify", row.latency_us)]
    found = [(name, latency) for name, latency in held if latency is not None]
    if columns >= _TABLE_COLUMNS:
        lines = [f"  {'microseconds':<13}{'p50':>10}{'p90':>10}{'p99':>10}{'runs':>12}"]
        for name, one in found:
            numbers = "".join(f" {_us(x):>9}" for x in (one.p50, one.p90, one.p99))
            lines.append(f"  {name:<13}{numbers} {one.runs:>11,}")
    else:
        lines = [
            f"  {name}: p50 {one.p50:,.2f} us, p90 {one.p90:,.2f}, p99 {one.p99:,.2f}, "
            f"{one.runs:,} runs"
            for name, one in found
        ]
    repeats = ", ".join(f"{name} {_interval(*one.repeat_p50)}" for name, one in found)
    lines.append(f"  p50 of a repeat here, at 95 %: {repeats} us")
    if row.bare_latency_us is not None and row.latency_us is not None:
        lines.append(f"  {_overhead(row.latency_us, row.bare_latency_us)}")
    return lines


def _us(value: float) -> str:
    """In nine columns up to 100 seconds: hundredths, where there is room for them."""
    return f"{value:,.2f}" if value < 99_999.995 else f"{value:,.0f}"


def _overhead(classify: LatencyUs, bare: LatencyUs) -> str:
    ratio = overhead(classify.block_p50, bare.block_p50)
    return (
        f"classify costs {ratio.value:.2f} times the bare call ({_interval(ratio.low, ratio.high)})"
    )


def in_words(ratio: Ratio) -> str:
    """'1.43 times as fast (1.38 to 1.48): faster', of a latency over another."""
    if ratio.verdict == SLOWER:
        return (
            f"{ratio.value:.2f} times as slow ({_interval(ratio.low, ratio.high)}): {ratio.verdict}"
        )
    fast = f"{1 / ratio.value:.2f} times as fast ({_interval(1 / ratio.high, 1 / ratio.low)})"
    return f"{fast}: {'cannot tell' if ratio.verdict == CANNOT_TELL else ratio.verdict}"


def _interval(low: float, high: float) -> str:
    return f"{low:,.2f} to {high:,.2f}"
