"""The files of a run folder beside the model: run.json, history.csv and two pictures."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgestitch_runtime.writing import write_json

from .pictures import learning_curves_png, predictions_png
from .run_record import RunFacts

FILES = ("model.keras", "run.json", "history.csv", "learning_curves.png", "predictions.png")


def write_run(folder: Path, facts: RunFacts, record: dict[str, Any]) -> None:
    """Fills `folder`; run.json comes last, so a folder that has it is whole."""
    (folder / "history.csv").write_text(_history_csv(facts), encoding="utf-8")
    (folder / "learning_curves.png").write_bytes(
        learning_curves_png(
            facts.fitted.history, kept_epoch=facts.fitted.kept_epoch, title=record["title"]
        )
    )
    accuracy = record["accuracy"]["test"]
    (folder / "predictions.png").write_bytes(
        predictions_png(
            facts.dataset.test,
            facts.test_probabilities,
            labels=facts.dataset.labels,
            title=record["title"],
            accuracy=f"{accuracy['correct']:,} of {accuracy['n']:,} test images right "
            f"({100 * accuracy['correct'] / accuracy['n']:.2f} %, keras)",
        )
    )
    write_json(folder / "run.json", record, overwrite=False)


def _history_csv(facts: RunFacts) -> str:
    out = io.StringIO()
    rows = [asdict(epoch) for epoch in facts.fitted.history]
    writer = csv.DictWriter(out, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
