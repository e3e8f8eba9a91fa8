"""The files of a run folder beside the model: run.json, history.csv and the pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgestitch_runtime.writing import write_json

from .class_pictures import confusion_png, dataset_png, mistakes_png
from .history import history_csv
from .pictures import learning_curves_png, predictions_png
from .run_record import RunFacts


def write_run(folder: Path, facts: RunFacts, record: dict[str, Any]) -> None:
    """Fills `folder`; run.json comes last, so a folder that has it is whole."""
    (folder / "history.csv").write_text(history_csv(record["history"]), encoding="utf-8")
    for name, content in _pictures(facts, record):
        (folder / name).write_bytes(content)
    write_json(folder / "run.json", record, overwrite=False)


def _pictures(facts: RunFacts, record: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    title, test = record["title"], facts.dataset.test
    found = record["accuracy"]["test"]
    labels = facts.dataset.labels
    accuracy = (
        f"{found['correct']:,} of {found['n']:,} test images right "
        f"({100 * found['correct'] / found['n']:.2f} %, keras)"
    )
    yield (
        "learning_curves.png",
        learning_curves_png(facts.fitted.history, kept_epoch=facts.fitted.kept_epoch, title=title),
    )
    yield (
        "dataset.png",
        dataset_png(facts.dataset.train, labels=labels, title=record["data"]["name"]),
    )
    yield (
        "predictions.png",
        predictions_png(
            test, facts.test_probabilities, labels=labels, title=title, accuracy=accuracy
        ),
    )
    yield (
        "confusion.png",
        confusion_png(np.array(found["confusion"]), labels=labels, title=title, accuracy=accuracy),
    )
    yield (
        "mistakes.png",
        mistakes_png(test, facts.test_probabilities, labels=labels, title=title, accuracy=accuracy),
    )
