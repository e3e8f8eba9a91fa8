"""What `train` returns: a training's figures, and where its run lies."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .recipes import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a training came to. Accuracies are counts: `test_correct` of `test_n` images."""

    folder: Path
    name: str
    title: str
    model_sha256: str
    parameters: int
    epochs: int
    epochs_asked: int
    kept_epoch: int
    stopped: str
    validation_correct: int
    validation_n: int
    test_correct: int
    test_n: int
    seconds: float
    device: str
    dropped: tuple[str, ...]  # what the replaced run had beside its model: export, bench
    per_class: tuple[dict[str, Any], ...]  # label, correct, n: of the test images of each class

    def to_json(self) -> dict[str, Any]:
        """The same in plain JSON types."""
        lists = {"dropped": list(self.dropped), "per_class": list(self.per_class)}
        return asdict(self) | {"folder": str(self.folder)} | lists


def result_of(
    target: Path, record: dict[str, Any], recipe: Recipe, dropped: tuple[str, ...]
) -> TrainResult:
    """The result of the run recorded in `record` (run.json's content) at `target`."""
    accuracy = record["accuracy"]
    return TrainResult(
        folder=target,
        name=record["name"],
        title=record["title"],
        model_sha256=record["model"]["sha256"],
        parameters=record["model"]["parameters"],
        epochs=len(record["history"]),
        epochs_asked=recipe.epochs,
        kept_epoch=record["weights_kept"]["epoch"],
        stopped=record["stopped"],
        validation_correct=accuracy["validation"]["correct"],
        validation_n=accuracy["validation"]["n"],
        test_correct=accuracy["test"]["correct"],
        test_n=accuracy["test"]["n"],
        seconds=record["seconds"],
        device=record["device"],
        dropped=dropped,
        per_class=tuple(accuracy["test"]["per_class"]),
    )
