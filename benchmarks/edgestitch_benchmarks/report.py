"""What a benchmark found: one Row a model file and engine, one TargetRow a C file and target, one
Report a run. report.json is this.

The keys of report.json are the names here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edgestitch_runtime.distance import Distance

REPORT_SCHEMA = 1
OK, FAILED, ABSENT, STALE = "ok", "failed", "absent", "stale"


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
class FlashBytes:
    """Flash: machine code, the model's int8 weights and int32 biases, other read-only data, and the
    functions of the compiler's and the C library that are called (None: nothing could be linked,
    and `total` is without them).
    """

    code: int
    weights: int
    constants: int
    library: int | None
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RamBytes:
    """RAM: the arena, other static variables, the worst stack; `stack_unsure` is why that may be
    more, None where it is sound.
    """

    arena: int
    static: int
    stack: int
    stack_unsure: str | None
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderQemu:
    """What ran on an emulated board: golden vectors, and instructions an image over `images`.

    `instructions_within` is by how many a count may be wrong, 0 where it is exact.
    """

    machine: str
    qemu: str
    golden: int
    golden_answered: int  # to the bit
    images: int
    instructions_mean: float
    instructions_most: int
    instructions_within: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardFit:
    """A board by its title, and what is left of it in bytes: less than 0 where it is too small."""

    title: str
    fits: bool
    flash_left: int
    ram_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRow:
    """A C file on a core or board, as `edgestitch export --check` found it: not measured again.

    `sha256` is that of the file which lies there now. `reason` says why there are no numbers, or,
    where `flash` is not None, why nothing ran. `board` is None unless `target` is a board.
    """

    artifact: str
    sha256: str | None
    target: str | None
    core: str | None
    status: str  # ok, stale (checked before the file changed) or failed (no check can be read)
    reason: str | None = None
    about: str | None = None
    compiler: str | None = None
    flags: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()  # functions of libraries
    flash: FlashBytes | None = None
    ram: RamBytes | None = None
    qemu: UnderQemu | None = None
    board: BoardFit | None = None

    @property
    def name(self) -> str:
        """The row in words: its file and its target."""
        return f"{self.artifact} on {self.target or 'an unknown target'}"


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
    targets: tuple[TargetRow, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, the content of report.json."""
        content = asdict(self)
        del content["machine_line"]
        return {"schema": REPORT_SCHEMA, **content}
