"""Benchmarks runs: the float models and every artifact on every engine, as one Report."""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edgestitch_runtime import machine
from edgestitch_runtime.dataset import Dataset, find_recorded
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.inspecting import inspect_artifact
from edgestitch_runtime.other_load import cpu_times, other_load
from edgestitch_runtime.rounds import Effort, Progress, measure
from edgestitch_runtime.timing import timer_ns

from .added import added_rows, read_profiles
from .answer import answer, not_as_exported, recommended
from .chosen_runs import ChosenRun, choose_runs, printable, test_hashes
from .doubts import not_measured, note_on_added, own_caveats
from .flip_images import flip_images
from .journal import FileJournal, NoFileJournal
from .measure import KERAS, Planned, rows_of, what_is_timed
from .memory_need import available_mb, memory_warning
from .plans import plan_rows
from .python_versions import versions_of
from .report import FAILED, Report, Row, RunOfReport, TargetRow
from .sittings import Sitting, caveats_of, sittings_of
from .target_checks import read_targets

Journal = FileJournal | NoFileJournal
Runs = Path | str | Sequence[Path | str] | None


def bench(
    runs: Runs = None,
    *,
    data: Path | None = None,
    engine_pythons: Mapping[str, Path] | None = None,
    effort: Effort | None = None,
    add: Sequence[Path] = (),
    keep: Path | None = None,
    fresh: bool = False,
    command: str = "edgestitch_benchmarks.bench",
    tell: Callable[[Progress], None] = lambda progress: None,
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Measures the runs in these folders (none: the newest in runs/) and returns their Report.

    Every row is measured on the runs' whole test set, found again by hash, in the folder `data`
    alone when given. `engine_pythons` names for an engine the Python of another environment,
    where the slim runtime is installed too. `add` are profiles of other machines.

    What is measured is kept in the folder `keep` as it comes, and what an interrupted call left
    there is not measured again, unless `fresh`; take it away with `journal.forget` once the report
    is written. `command` is what the report says made it; `tell` gets the progress, `say` a line
    where something is to be known. Writes nothing else but temporary files; see `write_report`.
    Raises EdgestitchError when the runs, their artifacts or their data cannot be found or do not
    belong together, or `keep` holds an unfinished measurement of something else.
    """
    effort = effort or Effort()
    chosen = choose_runs(_folders(runs))
    planned, targets = _planned(chosen, engine_pythons or {})
    # A file of another model has a row here, and no place for a device's.
    own = [plan.subject for plan in planned if plan.subject.status != FAILED]
    hashes = frozenset(subject.sha256 for subject in own if subject.sha256)
    profiled = read_profiles(add, hashes, say=say)
    warning = memory_warning([plan.subject for plan in planned], available_mb=available_mb())
    if warning:
        say(warning)
    dataset = find_recorded(chosen[0].run.record["data"], folder=data)
    here, times = machine.describe(), cpu_times()
    of = _of(planned, chosen, effort, here)
    with contextlib.ExitStack() as stack:
        journal, folder = stack.enter_context(_journal(keep, of, fresh=fresh, say=say))
        if journal.answers:
            say(_goes_on(journal.answers, len(planned), effort.blocks))
        # The float models first: they start slowest, and a quick measurement starts two at once.
        order = sorted(range(len(planned)), key=lambda k: planned[k].subject.format != KERAS)
        try:
            found = measure(
                [planned[k].subject for k in order],
                dataset.test.images_u8,
                effort=effort,
                folder=folder,
                journal=journal,
                tell=tell,
            )
        finally:
            now = Sitting(
                machine=here,
                temperature_c=machine.describe().temperature_c,
                load=other_load(times, cpu_times()),
            )
            journal.tell(now.to_json())
        count, sittings = journal.sittings, sittings_of(journal.told) or [now]
    here = sittings[-1].machine
    measured = dict(zip(order, found, strict=True))
    rows = rows_of(planned, [measured[k] for k in range(len(planned))], dataset.test.labels)
    rows += added_rows(profiled, rows)
    added = tuple(one.profile for one in profiled)
    told = [_told(one, dataset) for one in chosen]
    own = own_caveats(rows, dataset=told[0].dataset, n=len(dataset.test.labels), sittings=count)
    there = [f"{one.label}: {caveat}" for one in added for caveat in one.caveats]
    return Report(
        run=told[0],
        runs=tuple(told),
        labels=tuple(map(printable, dataset.labels)),
        machine=here.to_json(),
        machine_line=here.line(),
        versions=_versions(rows, here.python),
        command=command,
        quick=effort.quick,
        caveats=(*caveats_of(sittings, quick=effort.quick), *not_as_exported(rows), *own, *there),
        not_measured=not_measured(rows, targets, added, effort),
        timed=(*what_is_timed(effort, timer_ns=timer_ns()), *note_on_added(added)),
        answer=answer(rows),
        recommended=recommended(rows),
        rows=tuple(rows),
        targets=tuple(targets),
        added=added,
        graphs=_graphs(planned),
        pictures=flip_images(rows, dataset.test.images_u8),
    )


def _folders(runs: Runs) -> list[Path]:
    if runs is None:
        return []
    return [Path(runs)] if isinstance(runs, Path | str) else [Path(run) for run in runs]


def _planned(
    chosen: Sequence[ChosenRun], engine_pythons: Mapping[str, Path]
) -> tuple[list[Planned], list[TargetRow]]:
    """The rows to come, and those of microcontrollers; a file's name says its run where two of the
    runs have a file of that name.
    """
    subjects = [(one, plan_rows(one.run, engine_pythons=engine_pythons)) for one in chosen]
    targets = [(one, read_targets(one.run)) for one in chosen]
    names = Counter(name for _, found in subjects for name in {s.path.name for s in found})
    names += Counter(name for _, found in targets for name in {t.artifact for t in found})

    def called(one: ChosenRun, name: str) -> str:
        return printable(f"{one.label}/{name}" if names[name] > 1 else name)

    planned = [
        Planned(run=one.label, artifact=called(one, subject.path.name), subject=subject)
        for one, found in subjects
        for subject in found
    ]
    return planned, [
        replace(
            target,
            artifact=called(one, target.artifact),
            reason=target.reason and printable(target.reason),
        )
        for one, found in targets
        for target in found
    ]


def _of(
    planned: Sequence[Planned],
    chosen: Sequence[ChosenRun],
    effort: Effort,
    here: machine.Machine,
) -> dict[str, Any]:
    """What a measurement is of: an interrupted one is gone on with if all this is the same."""
    subjects = [plan.subject for plan in planned]
    return {
        "files": [
            [p.run, p.artifact, p.subject.sha256, p.subject.engine, p.subject.status]
            for p in planned
        ],
        "test images": test_hashes(chosen[0].run),
        "effort": asdict(effort),
        "versions": versions_of(subjects),
        "machine": [here.cpu, here.architecture, here.cores, here.os],
    }


@contextlib.contextmanager
def _journal(
    keep: Path | None, of: dict[str, Any], *, fresh: bool, say: Callable[[str], None]
) -> Iterator[tuple[Journal, Path]]:
    """The journal, and the folder of the files of the workers."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="edgestitch-bench-") as folder:
            yield NoFileJournal(), Path(folder)
        return
    with FileJournal(keep.absolute(), of, fresh=fresh, say=say) as journal:
        yield journal, journal.folder


def _goes_on(answers: Mapping[str, Any], rows: int, rounds: int) -> str:
    """What an interrupted measurement had done, by the keys that rounds.py gives its answers."""
    opened = {key.partition(" ")[0] for key in answers if key.endswith(" open")}
    alive = [row for row in opened if f"{row} failed" not in answers]
    blocks = [(row, kind) for row in alive for kind in _kinds(answers.get(f"{row} answers"))]
    whole = sum(
        all(f"{row} block {number} {kind}" in answers for row, kind in blocks)
        for number in range(rounds if blocks else 0)
    )
    return (
        f"goes on from an unfinished measurement: {len(opened)} of {rows} rows started, "
        f"{whole} of {rounds} rounds"
    )


def _kinds(answered: Any) -> list[Any]:
    """The kinds of call of a row, by its answer to all images; one that is not here, without it."""
    kinds = answered.get("kinds") if isinstance(answered, dict) else None
    return kinds if isinstance(kinds, list) and kinds else ["classify"]


def _told(one: ChosenRun, dataset: Dataset) -> RunOfReport:
    files = one.run.record["data"]["files"]
    return RunOfReport(
        name=one.label,
        title=printable(one.run.title),
        model_sha256=one.run.record["model"]["sha256"],
        dataset=printable(dataset.name),
        dataset_sha256={printable(file["name"]): file["sha256"] for file in files},
    )


def _graphs(planned: Sequence[Planned]) -> dict[str, str]:
    """The drawn graph of each run's int8 TFLite file, else of its float32 one, where one can be, by
    the name of the run and the file.
    """
    graphs: dict[str, str] = {}
    drawn: set[str] = set()
    for precision in ("int8", "float32"):
        for plan in planned:
            subject = plan.subject
            wanted = subject.format == "tflite" and subject.precision == precision
            # What is damaged or of another model is not the run's graph.
            if wanted and subject.status != FAILED and plan.run not in drawn:
                with contextlib.suppress(EdgestitchError):
                    svg = inspect_artifact(subject.path).svg()
                    graphs[f"{plan.run}: {printable(subject.path.name)}"] = svg
                    drawn.add(plan.run)
    return graphs


def _versions(rows: Sequence[Row], python: str) -> dict[str, str]:
    """edgestitch, Python and numpy here; each engine, with its own Python where that differs."""
    versions = {
        "edgestitch": version("edgestitch-benchmarks"),
        "python": python,
        "numpy": np.__version__,
    }
    for row in rows:
        if row.engine_version is None or row.machine is not None:
            continue
        name = "keras" if row.format == "keras" else row.engine
        elsewhere = (row.python_version, row.numpy_version) != (python, np.__version__)
        suffix = f" (Python {row.python_version}, numpy {row.numpy_version})" if elsewhere else ""
        versions[name] = row.engine_version + suffix
    return versions
