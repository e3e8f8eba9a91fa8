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
from .networks import Network
from .recipes import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """All that a run folder tells.

    `validation_right` is (n,) bool, `test_probabilities` (n, classes) float32.
    """

    name: str
    network: Network
    model_content: bytes
    parameters: int
    macs: int | None
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


def balance(dataset: Dataset) -> str:
    """How many training images the classes have: one number, or the fewest and the most."""
    counts = np.bincount(dataset.train.labels, minlength=len(dataset.labels))
    fewest, most = int(counts.argmin()), int(counts.argmax())
    if counts[fewest] == counts[most]:
        return f"{len(counts)} classes of {counts[most]:,} images in train"
    return (
        f"{len(counts)} classes of {counts[fewest]:,} ({dataset.labels[fewest]}) to "
        f"{counts[most]:,} images ({dataset.labels[most]}) in train"
    )


def confusion_of(truth: np.ndarray, answers: np.ndarray, classes: int) -> np.ndarray:
    """How many images of each class got each answer, (classes, classes) int64, a row a true class.

    `truth` and `answers` are (n,) class numbers.
    """
    pairs = truth * classes + answers
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def record_of(facts: RunFacts) -> dict[str, Any]:
    """run.json's content, schema 1, in plain JSON types."""
    fitted, recipe, dataset = facts.fitted, facts.recipe, facts.dataset
    truth = dataset.test.labels
    answers = facts.test_probabilities.argmax(axis=1)
    right = answers == truth
    held_out = len(facts.validation_right)
    return {
        "schema": RUN_SCHEMA,
        "name": facts.name,
        "title": title(facts.network.name, dataset),
        "model": {
            "architecture": facts.network.reference,
            "source_sha256": facts.network.source_sha256,
            "file": "model.keras",
            "sha256": hashlib.sha256(facts.model_content).hexdigest(),
            "parameters": facts.parameters,
            "macs": facts.macs,
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
        "stopped": fitted.stopped,
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
                "confusion": confusion_of(truth, answers, len(dataset.labels)).tolist(),
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
