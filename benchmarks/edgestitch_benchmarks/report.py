"""What a benchmark found: one Row a model file and engine, one TargetRow a C file and target, one
Report of one or more runs. report.json is this, with the names here as keys (docs/report.md).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from edgestitch_runtime.agreement import ClassAgreement
from edgestitch_runtime.distance import Distance
from edgestitch_runtime.measurement import ABSENT, FAILED, MEASUREMENT_SCHEMA, OK, Measurement

__all__ = ["ABSENT", "FAILED", "OK", "STALE"]
STALE = "stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """A row's whole call over that of another row: latency ratio, 95 % interval, verdict."""

    row: str  # the other row's name
    value: float
    low: float
    high: float
    verdict: str  # faster, slower or cannot tell: this row


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Answers whose confidence is in low..high, of a reliability curve: how many, their mean
    confidence and the share that is right (both None where there are none).
    """

    low: float
    high: float
    n: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A test image whose answer is not the float model's, both with their probability, 0..1."""

    image: int  # index among the test images
    truth: int
    float_answer: int
    float_probability: float
    answer: int
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What a row answered. `confusion[t][a]` counts images of class t that were taken for a.

    `classes` compares class by class with the float model (empty in the float model's own row);
    `flips` are at most MOST_FLIPS of them: lost ones first, then won, then wrong both ways, and
    within each those of which the float model was surest. `calibration_error` is the expected
    calibration error over `reliability`, 0..1.
    """

    confusion: tuple[tuple[int, ...], ...]
    classes: tuple[ClassAgreement, ...]
    reliability: tuple[Bin, ...]
    calibration_error: float
    flips: tuple[Flip, ...]


MOST_FLIPS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Measurement):
    """A measurement with what the answers are worth; the float model's rows are rows too.

    `run` is the name of the run that the file belongs to; `machine` None for this machine, else
    the label of an added profile. `accuracy` is a share, 0..1, of `n` test images. `drop_pp` and
    its 95 % interval are percentage points against the float model; they, the flips and the
    McNemar p-value are None in the row of the float model itself. `distance` is that of the row's
    scores from those of the same file on the engine `reference`: of int8 TFLite alone. `parts` are
    the bytes of the file by part, in the order of the file.
    """

    run: str | None = None
    machine: str | None = None
    accuracy: float | None = None
    n: int | None = None
    changed: int | None = None
    drop_pp: float | None = None
    drop_interval_pp: tuple[float, float] | None = None
    flips_lost: int | None = None
    flips_won: int | None = None
    mcnemar_p: float | None = None
    distance: Distance | None = None
    against: Against | None = None
    parts: dict[str, int] | None = None
    details: Details | None = None

    @property
    def name(self) -> str:
        """The row in words: its file, its engine, and its machine where that is another one."""
        where = f" on {self.machine}" if self.machine else ""
        return f"{self.artifact} on {self.engine}{where}"


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
class AddedProfile:
    """A profile of another machine whose rows are in the report, by its `label`; its `caveats`."""

    label: str
    machine: dict[str, Any]
    machine_line: str
    versions: dict[str, str]
    command: str
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommended:
    """A row worth taking: `kind` is smallest, fastest or most accurate."""

    kind: str
    row: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that a report shows. `timed` says what is and what is not timed.

    `run` is the first of `runs`. `caveats` are what makes the numbers worth less, `not_measured`
    what a reader may miss. `graphs` (SVG by run and file) and `pictures` (PNG by the index of a
    test image that flipped) are for the page alone and not in the JSON.
    """

    run: RunOfReport
    runs: tuple[RunOfReport, ...]
    labels: tuple[str, ...]
    machine: dict[str, Any]
    machine_line: str
    versions: dict[str, str]
    command: str
    quick: bool
    caveats: tuple[str, ...]
    not_measured: tuple[str, ...]
    timed: tuple[str, ...]
    answer: str
    recommended: tuple[Recommended, ...]
    rows: tuple[Row, ...]
    targets: tuple[TargetRow, ...] = ()
    added: tuple[AddedProfile, ...] = ()
    graphs: dict[str, str] = field(default_factory=dict)
    pictures: dict[int, bytes] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, the content of report.json."""
        content = asdict(self)
        for name in ("machine_line", "graphs", "pictures"):
            del content[name]
        return {"schema": MEASUREMENT_SCHEMA, "kind": "report", **content}
