"""What goes into measuring and what comes out: subjects, the effort, a journal, progress."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .measurement import OK, Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model file and the engine that it is to be measured on.

    `command` starts its worker; None: it is not measured, and `status` and `reason` say why. A file
    whose bytes are not those of `sha256` is not measured either.
    """

    path: Path
    sha256: str | None
    bytes: int | None
    format: str
    precision: str
    engine: str
    command: tuple[str, ...] | None
    status: str = OK
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long to measure: each kind of call of a row gets `min_seconds` and `min_runs` or more,
    in `blocks` (2 or more) that go round the rows.

    Each of `batches` is how many images go through one call, for `batch_seconds` or more. A worker
    that is silent for `patience_s` longer than its work needs is ended.
    """

    min_seconds: float = 2.0
    min_runs: int = 1000
    blocks: int = 20
    threads: int = 1
    batches: tuple[int, ...] = (1, 16, 256)
    batch_seconds: float = 0.2
    patience_s: float = 180.0
    quick: bool = False

    @property
    def block_seconds(self) -> float:
        """The least time of one block of one kind of call."""
        return self.min_seconds / self.blocks

    @property
    def block_runs(self) -> int:
        """The least calls of one block of one kind."""
        return -(-self.min_runs // self.blocks)


QUICK = Effort(min_seconds=0.1, min_runs=50, blocks=4, batch_seconds=0.02, quick=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """One subject's measurement and its answers: `scores` are (n, classes) of the model's dtype,
    `probabilities` (n, classes) float32 whose rows sum to 1; None where it gave none.
    """

    measurement: Measurement
    scores: np.ndarray | None
    probabilities: np.ndarray | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What runs now, how many of all steps are done, and about how many seconds are left."""

    text: str
    done: int
    total: int
    seconds_left: float | None


class Journal(Protocol):
    """Keeps what workers answered, so that an interrupted measurement can be gone on with."""

    def get(self, key: str) -> dict[str, Any] | None:
        """What was put under `key`, or None."""
        ...

    def put(self, key: str, answer: dict[str, Any]) -> None:
        """Keeps `answer`, plain JSON, under `key`."""
        ...


class NoJournal:
    """Keeps nothing."""

    def get(self, key: str) -> dict[str, Any] | None:
        return None

    def put(self, key: str, answer: dict[str, Any]) -> None:
        pass
