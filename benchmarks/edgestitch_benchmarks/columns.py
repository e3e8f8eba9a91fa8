"""The columns of the tables of rows: one place says what each holds and how numbers are written."""

from __future__ import annotations

from collections.abc import Callable

from edgestitch_runtime.agreement import wilson
from edgestitch_runtime.comparing import SLOWER

from .grid import MISSING, Column
from .report import OK, Against, Row

_LEAST_P = 1e-12


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


def accuracy_interval(row: Row) -> tuple[float, float] | None:
    """Wilson's 95 % interval of the accuracy, 0..1; None where there is no accuracy."""
    if row.accuracy is None or not row.n:
        return None
    return wilson(correct=round(row.accuracy * row.n), n=row.n)


def drop(row: Row) -> str:
    """The drop in percentage points with its 95 % interval."""
    if row.drop_pp is None or row.drop_interval_pp is None:
        return MISSING
    low, high = row.drop_interval_pp
    return f"{row.drop_pp:.2f} [{low:.2f}, {high:.2f}]"


def verdict(against: Against | None) -> str:
    """How many times as fast, or as slow, as the row it is against, 95 % interval, verdict."""
    if against is None or min(against.value, against.low, against.high) <= 0:
        return MISSING
    word, ratios = "slow", (against.value, against.low, against.high)
    if against.verdict != SLOWER:
        word, ratios = "fast", (1 / against.value, 1 / against.high, 1 / against.low)
    value, low, high = (f"{r:.2f}" if r < 100 else f"{r:,.0f}" for r in ratios)
    return f"{value} x as {word} [{low}, {high}] {against.verdict}"


def from_reference(row: Row) -> str:
    """Rows equal / largest step / flips, of the row's scores beside those of `reference`."""
    found = row.distance
    if found is None:
        return MISSING
    return f"{found.rows_equal:,}/{found.largest_step}/{found.flips}"


def _accuracy_with_interval(row: Row) -> str:
    interval = accuracy_interval(row)
    if row.accuracy is None or interval is None:
        return row.status if row.status != OK else MISSING
    return f"{percent(row.accuracy)} [{percent(interval[0])}, {percent(interval[1])}]"


def _accuracy(row: Row) -> str:
    if row.accuracy is None:
        return row.status if row.status != OK else MISSING
    return percent(row.accuracy)


def _or_missing(write: Callable[..., str], value: object) -> str:
    return MISSING if value is None else write(value)


def _latency(name: str) -> Column[Row]:
    def value(row: Row) -> float | None:
        return None if row.latency_us is None else getattr(row.latency_us, name)

    return _column(
        heading=f"{name} us", cell=lambda r: _or_missing(microseconds, value(r)), value=value
    )


def throughput(batch: int) -> Column[Row]:
    """Images a second where `batch` of them go through one call."""

    def value(row: Row) -> float | None:
        found = (speed.images_per_s for speed in row.throughput if speed.batch == batch)
        return next(found, None)

    return _column(
        heading=f"images/s, {batch} a call",
        cell=lambda r: _or_missing(_WHOLE, value(r)),
        value=value,
    )


_WHOLE = "{:,.0f}".format
Value = Callable[[Row], float | None]


def _column(*, heading: str, cell: Callable[[Row], str], value: Value | None = None) -> Column[Row]:
    return Column(heading=heading, cell=cell, number=value is not None, value=value)


RUN = _column(heading="run", cell=lambda r: r.run or MISSING)
ARTIFACT = _column(heading="artifact", cell=lambda r: r.artifact)
ENGINE = _column(
    heading="engine", cell=lambda r: f"{r.engine} on {r.machine}" if r.machine else r.engine
)
PRECISION = _column(heading="precision", cell=lambda r: r.precision)
SIZE = _column(
    heading="kB", cell=lambda r: _or_missing(kilobytes, r.bytes), value=lambda r: r.bytes
)
ACCURACY = _column(heading="accuracy %", cell=_accuracy, value=lambda r: r.accuracy)
ACCURACY_INTERVAL = _column(
    heading="accuracy % [95 %]", cell=_accuracy_with_interval, value=lambda r: r.accuracy
)
DROP = _column(heading="drop pp [95 %]", cell=drop, value=lambda r: r.drop_pp)
FLIPS = _column(
    heading="lost/won",
    cell=lambda r: MISSING if r.flips_lost is None else f"{r.flips_lost}/{r.flips_won}",
    value=lambda r: r.flips_lost,
)
MCNEMAR = _column(
    heading="McNemar p",
    cell=lambda r: _or_missing(p_value, r.mcnemar_p),
    value=lambda r: r.mcnemar_p,
)
DISTANCE = _column(
    heading="distance (equal/step/flips)",
    cell=from_reference,
    value=lambda r: None if r.distance is None else r.distance.rows_equal,
)
P50, P90, P99 = _latency("p50"), _latency("p90"), _latency("p99")
RUNS = _column(
    heading="runs",
    cell=lambda r: MISSING if r.latency_us is None else _WHOLE(r.latency_us.runs),
    value=lambda r: None if r.latency_us is None else r.latency_us.runs,
)
BARE = _column(
    heading="bare p50 us",
    cell=lambda r: MISSING if r.bare_latency_us is None else microseconds(r.bare_latency_us.p50),
    value=lambda r: None if r.bare_latency_us is None else r.bare_latency_us.p50,
)
AGAINST = _column(
    heading="against float32 [95 %]",
    cell=lambda r: verdict(r.against),
    value=lambda r: 1 / r.against.value if r.against and r.against.value > 0 else None,
)
PER_SECOND = _column(
    heading="images/s",
    cell=lambda r: _or_missing(_WHOLE, r.images_per_s),
    value=lambda r: r.images_per_s,
)
COLD = _column(
    heading="cold start ms",
    cell=lambda r: _or_missing(_WHOLE, r.cold_start_ms),
    value=lambda r: r.cold_start_ms,
)
PEAK = _column(
    heading="memory MB",
    cell=lambda r: _or_missing(_WHOLE, r.peak_rss_mb),
    value=lambda r: r.peak_rss_mb,
)
OWN_MEMORY = _column(
    heading="above an empty Python MB",
    cell=lambda r: _or_missing("{:,.1f}".format, r.memory_mb),
    value=lambda r: r.memory_mb,
)
SELFTEST = _column(heading="self-test", cell=lambda r: r.selftest or MISSING)
THREADS = _column(heading="threads", cell=lambda r: f"{r.threads}", value=lambda r: r.threads)
CALIBRATION = _column(
    heading="calibration error %",
    cell=lambda r: MISSING if r.details is None else percent(r.details.calibration_error),
    value=lambda r: None if r.details is None else r.details.calibration_error,
)
