"""What a benchmark found: one Row a model file and engine, one Report a run. report.json is this.

The keys of report.json are the names here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edgestitch_runtime.distance import Distance

REPORT_SCHEMA = 1
OK, FAILED, ABSENT = "ok", "failed", "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyUs:
    """Single calls, in microseconds: percentiles and how many calls were counted."""

    p50: float
    p90: float
    p99: float
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model file on one engine. What could not be measured is None, and `reason` says why.

    `accuracy` is a share, 0..1, of `n` test images. `drop_pp` and its 95 % interval are percentage
    points against the float model; they, the flips and the McNemar p-value are None in the row of
    the float model itself. `distance` is that of the row's scores from those of the same file on
    the engine `reference`: of int8 TFLite alone. `latency_us` is the whole `classify` call,
    `bare_latency_us` the engine's own. `images_per_s` is one image at a time. MB are 10**6 bytes.
    """

    artifact: str
    sha256: str | None
    format: str
    precision: str
    engine: str
    status: str  # ok, failed (it ran and broke) or absent (the engine is not here)
    bytes: int | None
    reason: str | None = None
    engine_version: str | None = None
    python_version: str | None = None
    numpy_version: str | None = None
    accuracy: float | None = None
    n: int | None = None
    changed: int | None = None
    drop_pp: float | None = None
    drop_interval_pp: tuple[float, float] | None = None
    flips_lost: int | None = None
    flips_won: int | None = None
    mcnemar_p: float | None = None
    distance: Distance | None = None
    latency_us: LatencyUs | None = None
    bare_latency_us: LatencyUs | None = None
    images_per_s: float | None = None
    cold_start_ms: float | None = None
    peak_rss_mb: float | None = None

    @property
    def name(self) -> str:
        """The row in words: its file and its engine."""
        return f"{self.artifact} on {self.engine}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOfReport:
    """The run that was measured. `title` says what it is made from, a sample included."""

    name: str
    title: str
    model_sha256: str
    dataset: str
    dataset_sha256: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that a report shows. `timed` says what is and what is not timed."""

    run: RunOfReport
    machine: dict[str, Any]
    machine_line: str
    versions: dict[str, str]
    command: str
    quick: bool
    timed: tuple[str, ...]
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, the content of report.json."""
        content = asdict(self)
        del content["machine_line"]
        return {"schema": REPORT_SCHEMA, **content}
