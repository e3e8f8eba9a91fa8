"""The report as text for a terminal, and the sentences that every form of it has in common."""

from __future__ import annotations

from . import target_table
from .against_litert import against_litert
from .columns import (
    ACCURACY,
    AGAINST,
    ARTIFACT,
    BARE,
    COLD,
    DISTANCE,
    DROP,
    ENGINE,
    FLIPS,
    MCNEMAR,
    OWN_MEMORY,
    P50,
    P90,
    P99,
    PEAK,
    PER_SECOND,
    RUN,
    RUNS,
    SELFTEST,
    SIZE,
    throughput,
)
from .grid import Column, fitting, renamed, wrapped
from .report import OK, Report, Row

TEXT_COLUMNS = (
    ARTIFACT, ENGINE, SIZE, ACCURACY, DROP, FLIPS, MCNEMAR, DISTANCE,
    P50, P90, P99, RUNS, BARE, AGAINST, PER_SECOND, COLD, PEAK,
)  # fmt: skip
# For a pull request: what decides, then the rest.
DECIDING = (ARTIFACT, ENGINE, SIZE, ACCURACY, DROP, P50, P99, AGAINST)
OTHER = (FLIPS, MCNEMAR, P90, RUNS, BARE, COLD, PEAK, OWN_MEMORY, SELFTEST, DISTANCE)


def comparisons(report: Report) -> str:
    """What drop, flips, ratio and distance compare with, in words."""
    told = [
        "Drop and flips (lost/won) compare with the float Keras model on the same images, in "
        "percentage points."
    ]
    others = list(dict.fromkeys(row.against.row for row in report.rows if row.against))
    if others:
        told.append(
            f"Speed is compared with {', '.join(others)}, whole call with whole call: faster and "
            "slower are said at 95 %, else it is cannot tell."
        )
    if any(row.distance for row in report.rows):
        told.append(
            "The distance (equal/step/flips) of int8 TFLite is from the same file on the engine "
            "reference: rows of equal scores, the largest difference of a score in steps, top-1 "
            "answers that are others."
        )
    return " ".join(told)


def batches(report: Report) -> list[int]:
    """The batch sizes of the rows' throughput, ascending."""
    return sorted({speed.batch for row in report.rows for speed in row.throughput})


def with_run(report: Report, columns: tuple[Column[Row], ...]) -> tuple[Column[Row], ...]:
    """The columns, the run's name first where there are several."""
    return (RUN, *columns) if len(report.runs) > 1 else columns


def other_columns(report: Report) -> tuple[Column[Row], ...]:
    """The columns of the second table of a pull request."""
    speeds = [throughput(batch) for batch in batches(report)] or [PER_SECOND]
    return (ARTIFACT, ENGINE, *OTHER[:5], *speeds, *OTHER[5:])


def heading(report: Report) -> str:
    """The title of a report: the runs' own, and that it was quick where it was."""
    counted = next((r.n for r in report.rows if r.n is not None), None)
    images = f", {counted:,} test images" if counted else ""
    titles = "; ".join(run.title for run in report.runs)
    return f"{titles}{images}" + (" (quick: few runs)" if report.quick else "")


def reasons(report: Report) -> list[str]:
    """Why rows have no numbers, a line each; rows that say the same share a line."""
    together: dict[tuple[str, str, str | None], list[str]] = {}
    for row in report.rows:
        if row.status != OK:
            key = (ENGINE.cell(row), row.status, row.reason)
            together.setdefault(key, []).append(row.artifact)
    return [
        f"{', '.join(artifacts)} on {engine}, {status}: {reason or 'no reason is known'}"
        for (engine, status, reason), artifacts in together.items()
    ]


def recommendations(report: Report) -> list[str]:
    """The recommended rows, a line each."""
    return [f"{one.kind}: {one.row} ({one.reason})" for one in report.recommended]


def _short(report: Report) -> Column[Row]:
    """The artifact without the run's name, which stands above the table, where that is one."""
    if len(report.runs) > 1:
        return ARTIFACT
    prefix = f"{report.run.name}-"
    return Column(heading="artifact", cell=lambda r: r.artifact.removeprefix(prefix), number=False)


def as_text(report: Report, *, width: int) -> str:
    """The report for a terminal of `width` columns: the answer, every column, the caveats last.

    One table if all columns fit; else accuracy and speed are two, then something of either in a
    third; where even these do not fit, one block a row.
    """
    short = _short(report)
    accuracy = (short, ENGINE, SIZE, renamed(ACCURACY, "acc %"), DROP, FLIPS, MCNEMAR)
    distance = renamed(DISTANCE, "distance")
    latency = (P50, P90, P99, RUNS, renamed(BARE, "bare us"))
    process = (PER_SECOND, renamed(COLD, "cold ms"), renamed(PEAK, "MB"))
    speed = (*latency, *process)
    layouts = (
        ((*accuracy, distance, *latency, AGAINST, *process),),
        ((*accuracy, distance), (short, ENGINE, *latency, AGAINST, *process)),
        ((*accuracy, distance), (short, ENGINE, *speed), (short, ENGINE, AGAINST)),
        (accuracy, (short, ENGINE, *speed), (short, ENGINE, distance, AGAINST)),
        (
            accuracy,
            (short, ENGINE, *latency),
            (short, ENGINE, *process, distance),
            (short, ENGINE, AGAINST),
        ),
    )
    first = _all_wrapped([report.answer, *recommendations(report)], width)
    lines = _all_wrapped([heading(report)], width)
    lines += ["", *_all_wrapped([*report.timed, comparisons(report)], width)]
    names = [f"{short.cell(row)} on {ENGINE.cell(row)}" for row in report.rows]
    for table in fitting(layouts, report.rows, names=names, width=width):
        lines += ["", *table]
    targets = target_table.as_text(report, width=width)
    compared = [*against_litert(report), *reasons(report)]
    told = [
        f"machine: {report.machine_line}",
        *(f"{one.label}: {one.machine_line}" for one in report.added),
        "versions: " + ", ".join(f"{name} {v}" for name, v in report.versions.items()),
        f"command: {report.command}",
    ]
    caveats = [f"caveat: {text}" for text in report.caveats]
    parts = [
        first, lines, _all_wrapped(compared, width), targets, _all_wrapped(told, width),
        _all_wrapped(caveats, width),
    ]  # fmt: skip
    return "\n\n".join("\n".join(part) for part in parts if part)


def _all_wrapped(lines: list[str], width: int) -> list[str]:
    return [part for line in lines for part in wrapped(line, width)]
