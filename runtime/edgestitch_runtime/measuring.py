"""Profiles artifacts: each on its engines in a process of its own, in blocks that go round."""

from __future__ import annotations

import contextlib
import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from . import machine
from .caveats import caveats
from .comparing import Ratio, interleaved_ratio
from .distance import Distance, NoDistance, by_reference, distance
from .errors import EdgestitchError
from .golden_check import DIFFERS, REFERENCE
from .measurement import MEASUREMENT_SCHEMA, OK, Measurement
from .other_load import cpu_times, other_load
from .profile_subjects import Images, images_for, subjects_of
from .rounds import measure
from .timing import CYCLED_IMAGES, MAX_SECONDS, timer_ns
from .to_measure import Effort, Measured, Progress, Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRow:
    """One artifact on one engine. `distance` is that of its answers from the engine `reference`,
    on real images alone; `against` is the latency of classify over that of the first row that was
    timed, None in that row itself and where it was not timed.
    """

    measurement: Measurement
    distance: Distance | NoDistance
    against_row: str | None = None
    against: Ratio | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: the measurement's keys, `distance` and `against`."""
        against = None
        if self.against is not None:
            against = {"row": self.against_row, **asdict(self.against)}
            against["verdict"] = self.against.verdict
        return {**asdict(self.measurement), "distance": asdict(self.distance), "against": against}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What artifacts cost on engines here. `timer_ns` is what was taken off every sample.

    `machine` is as it was before; `images` says what was classified, `timed` what is and what is
    not timed, `caveats` what makes the numbers worth less.
    """

    machine: machine.Machine
    versions: dict[str, str]
    command: str
    timer_ns: float
    images: str
    generated: bool
    timed: tuple[str, ...]
    caveats: tuple[str, ...]
    rows: tuple[ProfileRow, ...]

    @property
    def whole(self) -> bool:
        """Whether no row failed, or differs from the golden vectors of its file."""
        told = [row.measurement for row in self.rows]
        return all(one.status == OK and one.selftest != DIFFERS for one in told)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, kind "profile" of the measurement schema."""
        return {
            "schema": MEASUREMENT_SCHEMA,
            "kind": "profile",
            "machine": self.machine.to_json(),
            "machine_line": self.machine.line(),
            "versions": self.versions,
            "command": self.command,
            "timer_ns": self.timer_ns,
            "images": self.images,
            "timed": list(self.timed),
            "caveats": list(self.caveats),
            "rows": [row.to_json() for row in self.rows],
        }


def profile(
    artifacts: Path | Sequence[Path],
    *,
    engines: Sequence[str] = ("auto",),
    images: Path | None = None,
    data: Path | None = None,
    effort: Effort | None = None,
    command: str = "edgestitch_runtime.measuring.profile",
    tell: Callable[[Progress], None] = lambda progress: None,
) -> Profile:
    """Measures each artifact on each of `engines` that takes it, on the same real images.

    "auto" is the engine that `Classifier.open` would take, "all" every one that is installed. The
    images are those in `images` (.npy or IDX, uint8), else the test images of the data set `data`,
    else of the run that an artifact lies in, else generated pixels; the result says which. The
    answers to them are compared with those of `reference`. `command` is what made the profile;
    `tell` is told what runs. A row that breaks stays, with its reason. Raises EdgestitchError when
    an artifact, an engine or the images cannot be used; writes nothing but temporary files.
    """
    effort = effort or Effort()
    paths = [artifacts] if isinstance(artifacts, Path) else list(artifacts)
    if not paths or not engines:
        raise EdgestitchError("there is nothing to profile", hint="name an artifact and an engine")
    if not 0 < effort.min_seconds <= MAX_SECONDS or effort.min_runs < 1:
        raise EdgestitchError(
            f"{effort.min_seconds:g} seconds and {effort.min_runs} runs cannot be timed",
            hint=f"more than 0 and at most {MAX_SECONDS} seconds, and at least 1 run",
        )
    with tempfile.TemporaryDirectory(prefix="edgestitch-") as name:
        folder = Path(name)
        subjects, shape = subjects_of(paths, engines, threads=effort.threads, folder=folder)
        chosen = images_for(paths, shape, images=images, data=data)
        before, times = machine.describe(), cpu_times()
        measured = measure(subjects, chosen.images_u8, effort=effort, folder=folder, tell=tell)
        load, after = other_load(times, cpu_times()), machine.describe()
    clock = timer_ns()
    told = caveats(before, after, load, quick=effort.quick, generated=chosen.generated)
    return Profile(
        machine=before,
        versions=_versions(measured),
        command=command,
        timer_ns=clock,
        images=chosen.line(),
        generated=chosen.generated,
        timed=what_is_timed(effort, clock_ns=clock),
        caveats=tuple(told),
        rows=_rows(subjects, measured, chosen),
    )


def what_is_timed(effort: Effort, *, clock_ns: float) -> tuple[str, ...]:
    """What is and what is not timed, in sentences."""
    several = "threads" if effort.threads != 1 else "thread"
    return (
        "bare: the engine's own call on input that it can take as it is: set, invoke, get.",
        "classify: from a uint8 image to label and index, the bare call inside; not the "
        "confidence, which is computed when it is read.",
        f"What one reading of the clock costs ({clock_ns:.0f} ns here) is taken off every call. "
        "Python's garbage collector is off meanwhile.",
        f"Each row is a process of its own on {effort.threads} {several}, warmed up until its "
        f"calls are steady, then timed in {effort.blocks} blocks that go round the rows: at least "
        f"{effort.min_seconds:g} s and {effort.min_runs:,} calls of each kind, the first "
        f"{CYCLED_IMAGES} images in turn.",
        "Throughput: so many images in one call of classify. Cold start: from starting Python to "
        "the first answer, once. Memory: the most until then, without what an empty Python holds.",
        "Not timed: reading and resizing pictures.",
    )


def _rows(
    subjects: Sequence[Subject], measured: Sequence[Measured], images: Images
) -> tuple[ProfileRow, ...]:
    exact: dict[str | None, np.ndarray | NoDistance] = {
        m.measurement.sha256: m.scores
        for m in measured
        if m.measurement.engine == REFERENCE and m.scores is not None
    }
    rows: list[ProfileRow] = []
    first: Measurement | None = None
    for subject, found in zip(subjects, measured, strict=True):
        row = ProfileRow(
            measurement=found.measurement,
            distance=_distance(subject, found.scores, exact, images),
        )
        latency = found.measurement.latency_us
        if latency is not None and first is not None and first.latency_us is not None:
            ratio = interleaved_ratio(latency.block_p50, first.latency_us.block_p50)
            row = replace(row, against_row=first.name, against=ratio)
        elif latency is not None:
            first = found.measurement
        rows.append(row)
    return tuple(rows)


def _distance(
    subject: Subject,
    scores: np.ndarray | None,
    exact: dict[str | None, np.ndarray | NoDistance],
    images: Images,
) -> Distance | NoDistance:
    """`exact`, by a file's hash, gets the answers of the reference that it lacks."""
    if images.generated:  # how engines differ on noise says nothing of how they do on images
        return NoDistance(reason="there are no real images at hand")
    if scores is None:
        return NoDistance(reason="it gave no answers")
    if subject.engine == REFERENCE:
        return NoDistance(reason="it is the reference")
    if subject.sha256 not in exact:
        exact[subject.sha256] = by_reference(subject.path, images.images_u8, scores.dtype)
    found = exact[subject.sha256]
    try:
        return found if isinstance(found, NoDistance) else distance(scores, found)
    except ValueError:
        return NoDistance(reason="its scores are of another shape or dtype than the reference's")


def _versions(measured: Sequence[Measured]) -> dict[str, str]:
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    with contextlib.suppress(PackageNotFoundError):  # where its folder only lies on the path
        versions = {"edgestitch-runtime": version("edgestitch-runtime"), **versions}
    for found in measured:
        row = found.measurement
        if row.engine_version is not None:
            versions[row.engine] = row.engine_version
    return versions
