"""The trained models that ship: each a run's model and run.json, laid into runs/ by a copy.

`make pretrained` trains them and writes the folder `pretrained/`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.run_folder import check_name
from edgestitch_runtime.writing import write_json

from .history import history_csv
from .models import ARCHITECTURES
from .new_folder import new_folder

FOLDER = Path(__file__).parent / "pretrained"
FILES = ("model.keras", "run.json")
SIZES = FOLDER / "int8_bytes.json"  # of each model exported: --format tflite --int8


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a shipped model is and came to: counts, bytes, and how long its training took."""

    model: str
    summary: str
    parameters: int
    macs: int  # multiply-accumulates for one image
    int8_bytes: int
    test_correct: int
    test_n: int
    seconds: float
    device: str


def expected(model: str) -> Expected:
    """The figures of the shipped `model`, read from its run."""
    record = json.loads((FOLDER / model / "run.json").read_text(encoding="utf-8"))
    test = record["accuracy"]["test"]
    return Expected(
        model=model,
        summary=ARCHITECTURES[model].summary,
        parameters=record["model"]["parameters"],
        macs=record["model"]["macs"],
        int8_bytes=json.loads(SIZES.read_text(encoding="utf-8"))[model],
        test_correct=test["correct"],
        test_n=test["n"],
        seconds=record["seconds"],
        device=record["device"],
    )


def pretrained(
    model: str, *, name: str | None = None, runs: Path = Path("runs"), overwrite: bool = False
) -> Path:
    """Lays the shipped run of `model` into the folder `runs`/`name` and returns that.

    It is the run that the training left, its pictures excepted, and `export` takes it as any
    other. Nothing is imported for it but the standard library. Raises EdgestitchError when there
    is no such model, or the place will not do.
    """
    if model not in ARCHITECTURES:
        raise EdgestitchError(
            f"there is no trained model {model!r}", hint=f"there are {', '.join(ARCHITECTURES)}"
        )
    name = name or model
    check_name(name)
    record = json.loads((FOLDER / model / "run.json").read_text(encoding="utf-8"))
    with new_folder(runs / name, replace=overwrite) as folder:
        (folder / "model.keras").write_bytes((FOLDER / model / "model.keras").read_bytes())
        (folder / "history.csv").write_text(history_csv(record["history"]), encoding="utf-8")
        write_json(folder / "run.json", record | {"name": name}, overwrite=False)
    return runs / name
