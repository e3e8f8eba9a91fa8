"""Benchmarks a run: the float model and every artifact on every engine, as one Report."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np

from edgestitch_runtime import machine
from edgestitch_runtime.dataset import find_recorded
from edgestitch_runtime.run_folder import find_run
from edgestitch_runtime.timing import timer_ns

from .measure import Effort, measure_rows, what_is_timed
from .plans import plan_rows
from .report import Report, Row, RunOfReport
from .target_checks import read_targets


def bench(
    run: Path | str | None = None,
    *,
    data: Path | None = None,
    engine_pythons: Mapping[str, Path] | None = None,
    effort: Effort | None = None,
    command: str = "edgestitch_benchmarks.bench",
    tell: Callable[[str], None] = lambda line: None,
) -> Report:
    """Measures the run in the folder `run` (None: the newest in runs/) and returns its Report.

    Every row is measured on the run's whole test set, found again by hash, in the folder `data`
    alone when given. `engine_pythons` names for an engine the Python of another environment,
    where the slim runtime is installed too. `command` is what the report says made it; `tell` gets
    one line of progress at a time. Writes nothing but temporary files; see `write_report`.
    Raises EdgestitchError when the run, its artifacts or its data cannot be found.
    """
    effort = effort or Effort()
    found = find_run(None if run is None else Path(run))
    plans = plan_rows(found, engine_pythons=engine_pythons or {})
    targets = read_targets(found)
    here = machine.describe()
    dataset = find_recorded(found.record["data"], folder=data)
    with tempfile.TemporaryDirectory(prefix="edgestitch-bench-") as folder:
        rows = measure_rows(plans, dataset.test, effort=effort, folder=Path(folder), tell=tell)
    return Report(
        run=RunOfReport(
            name=found.name,
            title=found.title,
            model_sha256=found.record["model"]["sha256"],
            dataset=dataset.name,
            dataset_sha256={file.name: file.sha256 for file in dataset.files},
        ),
        machine=here.to_json(),
        machine_line=here.line(),
        versions=_versions(rows, here.python),
        command=command,
        quick=effort.quick,
        timed=what_is_timed(effort, timer_ns=timer_ns()),
        rows=tuple(rows),
        targets=tuple(targets),
    )


def _versions(rows: list[Row], python: str) -> dict[str, str]:
    """edgestitch, Python and numpy here; each engine, with its own Python where that differs."""
    versions = {
        "edgestitch": version("edgestitch-benchmarks"),
        "python": python,
        "numpy": np.__version__,
    }
    for row in rows:
        if row.engine_version is None:
            continue
        name = "keras" if row.format == "keras" else row.engine
        elsewhere = (row.python_version, row.numpy_version) != (python, np.__version__)
        suffix = f" (Python {row.python_version}, numpy {row.numpy_version})" if elsewhere else ""
        versions[name] = row.engine_version + suffix
    return versions
