"""A run: one training, its folder. What export and bench read of it, and how the newest is found.

```
runs/NAME/model.keras   the float model
runs/NAME/run.json      schema 1: model, data with hashes, split, recipe, history, accuracy
runs/NAME/export/       the artifacts, NAME-PRECISION.EXT
runs/NAME/bench/        report.html, report.md, report.json
```
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import EdgestitchError, os_error
from .json_shape import count, labels, misfit, sha256, word

RUNS = Path("runs")
RUN_SCHEMA = 1
_SHAPE = {
    "name": word,
    "title": word,
    "model": {"sha256": sha256},
    "data": {
        "name": word,
        "folder": word,
        "labels": labels,
        "files": [{"name": word, "sha256": sha256}],
        "counts": {"train": count, "validation": count, "test": count},
    },
    "split": {"validation_count": count, "seed": count},
    "accuracy": {"test": {"correct": count, "n": count}},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as run.json records it; `record` is that file's content."""

    folder: Path
    name: str
    title: str
    record: dict[str, Any]

    @property
    def model_path(self) -> Path:
        return self.folder / "model.keras"

    @property
    def export_folder(self) -> Path:
        return self.folder / "export"

    @property
    def bench_folder(self) -> Path:
        return self.folder / "bench"

    def artifacts(self) -> list[Path]:
        """The exported files of this run, sorted by name."""
        suffixes = {".tflite", ".onnx", ".so"}
        if not self.export_folder.is_dir():
            return []
        return sorted(p for p in self.export_folder.iterdir() if p.suffix in suffixes)


def read_run(folder: Path) -> Run:
    """The run in `folder`. Raises EdgestitchError when it is not a whole run of a known schema."""
    path = folder / "run.json"
    hint = "name a folder that `edgestitch train` wrote, such as runs/mlp"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EdgestitchError(f"{folder} is not a run: it has no run.json", hint=hint) from None
    except NotADirectoryError:
        raise EdgestitchError(f"{folder} is a file, a run is a folder", hint=hint) from None
    except OSError as error:
        raise os_error(f"read {path}", error) from None
    except (ValueError, RecursionError):
        raise EdgestitchError(f"{path} is not whole JSON", hint="train the run again") from None
    schema = record.get("schema") if isinstance(record, dict) else None
    if isinstance(schema, int) and schema > RUN_SCHEMA:
        raise EdgestitchError(
            f"{path} has schema {schema}, this edgestitch reads {RUN_SCHEMA}",
            hint="use the edgestitch that wrote it, or train again",
        )
    wrong = misfit(record, _SHAPE)
    if wrong is None and (schema != RUN_SCHEMA or isinstance(schema, bool)):
        wrong = "schema"
    if wrong:
        raise EdgestitchError(
            f"{path} is not the record of a run: its entry {wrong} is missing or of another kind",
            hint=hint,
        )
    check_name(record["name"])
    if not (folder / "model.keras").is_file():
        raise EdgestitchError(f"{folder} has no model.keras", hint="train the run again")
    return Run(folder=folder, name=record["name"], title=record["title"], record=record)


def check_name(name: str) -> None:
    """Raises EdgestitchError unless `name` can be a run's or an artifact's, part of file names."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", name):
        raise EdgestitchError(
            f"{name!r} is not a name for a run or artifact: it becomes part of file names",
            hint="1 to 64 letters, digits, dots, hyphens and underscores, no dot or hyphen first",
        )


def newest_run(runs: Path = RUNS) -> Run:
    """The run in the folder `runs` whose run.json was written last."""
    try:
        records = [p for p in runs.glob("*/run.json") if not p.parent.name.startswith(".")]
        newest = max(records, key=lambda p: (p.stat().st_mtime_ns, p.parent.name), default=None)
    except OSError as error:
        raise os_error(f"read {runs}", error) from None
    if newest is None:
        raise EdgestitchError(
            f"there is no run in the folder {runs}",
            hint="`edgestitch train` makes one, or name a run folder or a model file",
        )
    return read_run(newest.parent)


def find_run(path: Path | None) -> Run:
    """The run in `path`, or the newest one when `path` is None."""
    return newest_run() if path is None else read_run(path)
