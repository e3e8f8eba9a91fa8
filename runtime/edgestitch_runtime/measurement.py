"""What was measured of one artifact on one engine: a row of a profile and of a benchmark.

The names are the keys of a row in the JSON of both. What could not be measured is None.
"""

from __future__ import annotations

from dataclasses import dataclass

MEASUREMENT_SCHEMA = 2  # of profile's JSON and of report.json
OK, FAILED, ABSENT = "ok", "failed", "absent"
# Shares of the calls at which `quantiles` are given.
LEVELS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyUs:
    """Single calls, in microseconds; `runs` is how many were counted.

    `quantiles` are those of all calls at LEVELS, `block_p50` the median of each block in the order
    of time, `repeat_p50` the 95 % prediction interval of the p50 of a repeat on the same machine.
    """

    p50: float
    p90: float
    p99: float
    mean: float
    runs: int
    quantiles: tuple[float, ...]
    block_p50: tuple[float, ...]
    repeat_p50: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """From starting Python to the first answer, once, in milliseconds: the interpreter until its
    first own line, the imports, opening the artifact, the first answer.
    """

    interpreter_ms: float
    import_ms: float
    load_ms: float
    first_ms: float

    @property
    def total_ms(self) -> float:
        return self.interpreter_ms + self.import_ms + self.load_ms + self.first_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSpeed:
    """Images a second where `batch` of them go through one call of `classify`: the median call."""

    batch: int
    images_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One model file on one engine. `reason` says why numbers are None.

    `latency_us` is the whole `classify` call, `bare_latency_us` the engine's own. `images_per_s` is
    one image at a time, `throughput` over batch sizes. `cold_start_ms` is the sum of `cold_start`.
    `peak_rss_mb` is the most memory the process held until its first answer, `memory_mb` how much
    of it an empty Python does not hold; MB are 10**6 bytes. `selftest` is the verdict on the
    golden vectors of the file ("identical", "within 1 step", "differs"), None where it has none.
    """

    artifact: str
    sha256: str | None
    format: str
    precision: str
    engine: str
    status: str  # ok, failed (it ran and broke) or absent (the engine is not here)
    bytes: int | None
    reason: str | None = None
    threads: int = 1
    engine_version: str | None = None
    python_version: str | None = None
    numpy_version: str | None = None
    selftest: str | None = None
    latency_us: LatencyUs | None = None
    bare_latency_us: LatencyUs | None = None
    images_per_s: float | None = None
    throughput: tuple[BatchSpeed, ...] = ()
    cold_start_ms: float | None = None
    cold_start: ColdStart | None = None
    peak_rss_mb: float | None = None
    memory_mb: float | None = None

    @property
    def name(self) -> str:
        """The row in words: its file and its engine."""
        return f"{self.artifact} on {self.engine}"
