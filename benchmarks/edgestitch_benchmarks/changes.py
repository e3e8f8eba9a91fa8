"""What a comparison of two reports found. Pairs are (old, new); times are microseconds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

COMPARISON_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """By how much a row may get worse; None judges nothing of the kind.

    `slower` and `overhead` are shares (0.1 is 10 %): of classify's latency, and of classify over
    the bare call. `drop_pp` is accuracy in percentage points.
    """

    slower: float | None = 0.1
    drop_pp: float | None = 0.2
    overhead: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two files, and how it was measured."""

    file: str
    kind: str
    machine_line: str
    versions: dict[str, str]
    command: str
    quick: bool
    caveats: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineChange:
    """What differs of a machine, by name: empty where it is the same. `label` as in a row.

    `told` are differences that leave it the same machine: the kernel (as os), the versions of
    Python and of the engines.
    """

    label: str | None
    differs: dict[str, tuple[str, str]]
    told: dict[str, tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeChange:
    """A latency, or a quotient of two, before and after; `ratio` is new over old.

    The interval and the verdict on the new are None where fewer than two blocks were timed.
    """

    old: float
    new: float
    ratio: float
    low: float | None
    high: float | None
    verdict: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyChange:
    """Shares of right answers, 0..1, of `n` test images; the change is in percentage points.

    `not_judged` says why the two are not of the same images, None where they are.
    """

    old: float
    new: float
    n: tuple[int, int]
    change_pp: float
    not_judged: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """A row that is in both. `regressions` are sentences, empty where it got no worse.

    `latency_judged` is False where the machines differ, no limit was set, or there is no verdict.
    """

    name: str
    artifact: str
    engine: str
    threads: int
    machine: str | None
    same_file: bool | None  # None where a hash is not known
    status: tuple[str, str]
    reason: tuple[str | None, str | None]
    selftest: tuple[str | None, str | None]
    latency: TimeChange | None
    bare: TimeChange | None
    overhead: TimeChange | None
    latency_judged: bool
    accuracy: AccuracyChange | None
    bytes: tuple[int | None, int | None]
    cold_start_ms: tuple[float | None, float | None]
    memory_mb: tuple[float | None, float | None]
    regressions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two files side by side. `missing` rows ran in the old and are in the new no more, or their
    engine is not there; `added` are in the new alone.
    """

    old: Side
    new: Side
    limits: Limits
    machines: tuple[MachineChange, ...]
    rows: tuple[RowChange, ...]
    missing: tuple[str, ...]
    added: tuple[str, ...]

    @property
    def regressions(self) -> tuple[str, ...]:
        """Each row that got worse, with why."""
        return tuple(f"{row.name}: {why}" for row in self.rows for why in row.regressions)

    @property
    def passed(self) -> bool:
        return not self.regressions

    @property
    def judged(self) -> dict[str, int]:
        """In how many rows each kind was judged that a limit is set for."""
        rows, limits, found = self.rows, self.limits, {}
        if limits.slower is not None:
            found["latency"] = sum(row.latency_judged for row in rows)
        if limits.drop_pp is not None:
            accuracies = [row.accuracy for row in rows if row.accuracy]
            found["accuracy"] = sum(one.not_judged is None for one in accuracies)
        if limits.overhead is not None:
            found["overhead"] = sum(row.overhead is not None for row in rows)
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "schema": COMPARISON_SCHEMA,
            "kind": "comparison",
            "passed": self.passed,
            "regressions": list(self.regressions),
            "judged": self.judged,
            **asdict(self),
        }
