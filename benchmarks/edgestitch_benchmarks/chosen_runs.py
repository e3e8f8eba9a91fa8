"""The runs that one report is of: each named, all of the same test images and classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgestitch_runtime.dataset import FILES
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.run_folder import Run, find_run

from .report_shape import UNPRINTABLE

_TEST_FILES = FILES[2:]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenRun:
    """A run, and what it is called in the report: no two are called the same."""

    run: Run
    label: str


def choose_runs(folders: Sequence[Path]) -> list[ChosenRun]:
    """The runs in `folders`, in their order, each once; of none, the newest run.

    A run is called by its name, runs of one name by their folders. Raises EdgestitchError when a
    folder is no run, when two cannot be told apart by name, or when they are not of the same test
    images and classes.
    """
    if not folders:
        return _labelled([find_run(None)])
    once: dict[Path, Path] = {}
    for folder in folders:
        once.setdefault(folder.resolve(), folder)
    runs = [find_run(folder) for folder in once.values()]
    first = runs[0]
    for other in runs[1:]:
        if test_hashes(other) != test_hashes(first):
            raise EdgestitchError(
                f"{first.folder} and {other.folder} have different test images",
                hint="only runs on the same data can be compared: measure them one by one",
            )
        if other.record["data"]["labels"] != first.record["data"]["labels"]:
            raise EdgestitchError(
                f"{first.folder} and {other.folder} have different classes",
                hint="only runs on the same data can be compared: measure them one by one",
            )
    return _labelled(runs)


def test_hashes(run: Run) -> list[str | None]:
    """SHA-256 of the run's test images and of their classes, as run.json has them."""
    known = {file["name"]: file["sha256"] for file in run.record["data"]["files"]}
    return [known.get(name) for name in _TEST_FILES]


def printable(text: str) -> str:
    """`text` as one line for files and terminals: bytes that are not UTF-8, control characters and
    what turns a line's direction are escapes. `compare` refuses a report that holds them.
    """
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _labelled(runs: list[Run]) -> list[ChosenRun]:
    names = Counter(run.name for run in runs)
    labels = [
        printable(run.name if names[run.name] == 1 else run.folder.resolve().name) for run in runs
    ]
    for label, times in Counter(labels).items():
        if times > 1:
            alike = [
                str(run.folder) for run, told in zip(runs, labels, strict=True) if told == label
            ]
            raise EdgestitchError(
                f"{' and '.join(alike)} cannot be told apart: each would be called {label}",
                hint="rename one of the folders",
            )
    return [ChosenRun(run=run, label=label) for run, label in zip(runs, labels, strict=True)]
