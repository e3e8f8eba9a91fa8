"""run.json: what a training was and what came of it. edgestitch_runtime.run_folder reads it."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from edgestitch_runtime.dataset import Dataset
from edgestitch_runtime.run_folder import RUN_SCHEMA

from .acquisition import data_record, title_of
from .fitting import Fitted
from .recipes import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """All that a run folder tells.

    `validation_right` is (n,) bool, `test_probabilities` (n, classes) float32.
    """

    name: str
    model: str
    model_content: bytes
    parameters: int
    dataset: Dataset
    train_count: int
    validation_right: np.ndarray
    test_probabilities: np.ndarray
    recipe: Recipe
    fitted: Fitted
    seconds: float
    device: str
    command: str


def title(model: str, dataset: Dataset) -> str:
    """What heads everything made from the run; a sample says that it is one."""
    return f"{model} on {title_of(dataset)}"


def record_of(facts: RunFacts) -> dict[str, Any]:
    """run.json's content, schema 1, in plain JSON types."""
    fitted, recipe, dataset = facts.fitted, facts.recipe, facts.dataset
    truth = dataset.test.labels
    right = facts.test_probabilities.argmax(axis=1) == truth
    held_out = len(facts.validation_right)
    return {
        "schema": RUN_SCHEMA,
        "name": facts.name,
        "title": title(facts.model, dataset),
        "model": {
            "architecture": facts.model,
            "file": "model.keras",
            "sha256": hashlib.sha256(facts.model_content).hexdigest(),
            "parameters": facts.parameters,
        },
        "data": data_record(dataset)
        | {
            "counts": {
                "train": facts.train_count,
                "validation": held_out,
                "test": len(truth),
            }
        },
        "split": {"validation_count": held_out, "seed": recipe.seed, "method": "stratified"},
        "recipe": asdict(recipe),
        "stopped": "interrupted" if fitted.interrupted else "finished",
        "weights_kept": {
            "epoch": fitted.kept_epoch,
            "of": len(fitted.history),
            "why": "lowest validation loss, the later epoch among equals",
        },
        "accuracy": {
            "validation": {
                "correct": int(facts.validation_right.sum()),
                "n": held_out,
                "engine": "keras",
            },
            "test": {
                "correct": int(right.sum()),
                "n": len(truth),
                "engine": "keras",
                "per_class": [
                    {
                        "label": label,
                        "correct": int(right[truth == index].sum()),
                        "n": int((truth == index).sum()),
                    }
                    for index, label in enumerate(dataset.labels)
                ],
            },
        },
        "history": [asdict(epoch) for epoch in fitted.history],
        "seconds": facts.seconds,
        "device": facts.device,
        "versions": {
            "python": platform.python_version(),
            "edgestitch": version("edgestitch-train"),
            **{each: version(each) for each in ("tensorflow", "keras", "numpy")},
        },
        "command": facts.command,
    }
