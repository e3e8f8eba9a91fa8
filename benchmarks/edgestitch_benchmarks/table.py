"""The report as a table: one place says what each column holds and how its numbers are written."""

from __future__ import annotations

from collections.abc import Callable

from . import target_table
from .against_litert import against_litert
from .grid import MISSING, Column, fitting, renamed, wrapped
from .report import OK, Report, Row

_LEAST_P = 1e-12
COMPARISONS = (
    "Drop and flips (lost/won) compare with the float Keras model on the same images; the distance "
    "(equal/step/flips) of int8 TFLite with the same file on the engine reference: rows of equal "
    "scores, the largest difference of a score in steps, top-1 answers that are others."
)


def microseconds(value: float) -> str:
    """About three digits: 3.92, 13.5, 97,202."""
    if value < 10:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def kilobytes(count: int) -> str:
    """Bytes as kB of 1,000 bytes, one digit after the point."""
    return f"{count / 1000:,.1f}"


def percent(share: float) -> str:
    """0.8855 as 88.55."""
    return f"{100 * share:.2f}"


def p_value(p: float) -> str:
    """Three digits; a p too small to be written so is named by its bound, never 0."""
    return f"{p:.3g}" if p >= _LEAST_P else f"< {_LEAST_P:g}"


def drop(row: Row) -> str:
    """The drop in percentage points with its 95 % interval."""
    if row.drop_pp is None or row.drop_interval_pp is None:
        return MISSING
    low, high = row.drop_interval_pp
    return f"{row.drop_pp:.2f} [{low:.2f}, {high:.2f}]"


def from_reference(row: Row) -> str:
    """Rows equal / largest step / flips, of the row's scores beside those of `reference`."""
    found = row.distance
    if found is None:
        return MISSING
    return f"{found.rows_equal:,}/{found.largest_step}/{found.flips}"


def _or_missing(write: Callable[..., str], value: object) -> str:
    return MISSING if value is None else write(value)


def _latency(name: str) -> Callable[[Row], str]:
    return lambda row: (
        MISSING if row.latency_us is None else microseconds(getattr(row.latency_us, name))
    )


_WHOLE = "{:,.0f}".format


def _column(*, heading: str, cell: Callable[[Row], str], number: bool = True) -> Column[Row]:
    return Column(heading=heading, cell=cell, number=number)


ARTIFACT = _column(heading="artifact", cell=lambda r: r.artifact, number=False)
ENGINE = _column(heading="engine", cell=lambda r: r.engine, number=False)
SIZE = _column(heading="kB", cell=lambda r: _or_missing(kilobytes, r.bytes))
ACCURACY = _column(
    heading="accuracy %",
    cell=lambda r: percent(r.accuracy) if r.accuracy is not None else r.status,
)
DROP = _column(heading="drop pp [95 %]", cell=drop)
FLIPS = _column(
    heading="lost/won",
    cell=lambda r: MISSING if r.flips_lost is None else f"{r.flips_lost}/{r.flips_won}",
)
MCNEMAR = _column(heading="McNemar p", cell=lambda r: _or_missing(p_value, r.mcnemar_p))
DISTANCE = _column(heading="distance (equal/step/flips)", cell=from_reference)
P50 = _column(heading="p50 us", cell=_latency("p50"))
P90 = _column(heading="p90 us", cell=_latency("p90"))
P99 = _column(heading="p99 us", cell=_latency("p99"))
RUNS = _column(
    heading="runs", cell=lambda r: MISSING if r.latency_us is None else _WHOLE(r.latency_us.runs)
)
BARE = _column(
    heading="bare p50 us",
    cell=lambda r: MISSING if r.bare_latency_us is None else microseconds(r.bare_latency_us.p50),
)
PER_SECOND = _column(heading="images/s", cell=lambda r: _or_missing(_WHOLE, r.images_per_s))
COLD = _column(heading="cold start ms", cell=lambda r: _or_missing(_WHOLE, r.cold_start_ms))
MEMORY = _column(heading="memory MB", cell=lambda r: _or_missing(_WHOLE, r.peak_rss_mb))

COLUMNS = (
    ARTIFACT, ENGINE, SIZE, ACCURACY, DROP, FLIPS, MCNEMAR, DISTANCE,
    P50, P90, P99, RUNS, BARE, PER_SECOND, COLD, MEMORY,
)  # fmt: skip


def _short(report: Report) -> Column[Row]:
    """The artifact without the run's name, which stands above the table."""
    return _column(
        heading="artifact",
        cell=lambda r: r.artifact.removeprefix(f"{report.run.name}-"),
        number=False,
    )


def heading(report: Report) -> str:
    """The title of a report: the run's own, and that it was quick where it was."""
    counted = next((r.n for r in report.rows if r.n is not None), None)
    images = f", {counted:,} test images" if counted else ""
    return f"{report.run.title}{images}" + (" (quick: few runs)" if report.quick else "")


def reasons(report: Report) -> list[str]:
    """Why rows have no numbers, a line each; rows that say the same share a line."""
    together: dict[tuple[str, str, str | None], list[str]] = {}
    for row in report.rows:
        if row.status != OK:
            together.setdefault((row.engine, row.status, row.reason), []).append(row.artifact)
    return [
        f"{', '.join(artifacts)} on {engine}, {status}: {reason}"
        for (engine, status, reason), artifacts in together.items()
    ]


def as_text(report: Report, *, width: int) -> str:
    """The report for a terminal of `width` columns: every column, in one table if they all fit.

    Else accuracy and speed are two tables, then something of either in a third; where even these do
    not fit, one block a row.
    """
    short = _short(report)
    accuracy = (short, ENGINE, SIZE, renamed(ACCURACY, "acc %"), DROP, FLIPS, MCNEMAR)
    distance = renamed(DISTANCE, "distance")
    latency = (P50, P90, P99, RUNS, renamed(BARE, "bare us"))
    process = (PER_SECOND, renamed(COLD, "cold ms"), renamed(MEMORY, "MB"))
    speed = (*latency, *process)
    layouts = (
        ((*accuracy, distance, *speed),),
        ((*accuracy, distance), (short, ENGINE, *speed)),
        (accuracy, (short, ENGINE, *speed), (short, ENGINE, distance)),
        (accuracy, (short, ENGINE, *latency), (short, ENGINE, *process, distance)),
    )
    lines = [heading(report), "", *report.timed, COMPARISONS]
    lines = _all_wrapped(lines, width)
    names = [f"{short.cell(row)} on {row.engine}" for row in report.rows]
    for table in fitting(layouts, report.rows, names=names, width=width):
        lines += ["", *table]
    targets = target_table.as_text(report, width=width)
    compared = [*against_litert(report), *reasons(report)]
    told = [
        f"machine: {report.machine_line}",
        "versions: " + ", ".join(f"{name} {v}" for name, v in report.versions.items()),
        f"command: {report.command}",
    ]
    parts = [lines, _all_wrapped(compared, width), targets, _all_wrapped(told, width)]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _all_wrapped(lines: list[str], width: int) -> list[str]:
    return [part for line in lines for part in wrapped(line, width)]
