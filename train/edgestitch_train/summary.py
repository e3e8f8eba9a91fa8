"""A training's result as a person reads it, with the command to type next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .train_result import TrainResult

STOPPED = {
    "interrupted": "interrupted",
    "early": "no lower validation loss came",
    "diverged": "the loss was no longer finite",
}
MOST_CLASSES = 20  # listed with their accuracy


def summary(result: TrainResult, *, runs: Path) -> str:
    """The result as a person reads it, with the command to type next."""
    files = sorted(p.name for p in result.folder.iterdir())
    lines = [
        result.title,
        row("test", accuracy_of(result.test_correct, result.test_n)),
        row("validation", accuracy_of(result.validation_correct, result.validation_n)),
        *_per_class(result),
        row("parameters", f"{result.parameters:,}"),
        row(
            "kept",
            f"the weights of epoch {result.kept_epoch}, the lowest validation loss, "
            f"of {result.epochs} done"
            + (
                ""
                if result.stopped == "finished"
                else f" and {result.epochs_asked} asked: {STOPPED[result.stopped]}"
            ),
        ),
        row("time", f"{result.seconds:.0f} s on {result.device}"),
        row("wrote", f"{result.folder}: {', '.join(files)}"),
    ]
    if result.dropped:
        lines.append(row("dropped", f"the old run's {' and '.join(result.dropped)}: out of date"))
    if result.stopped == "interrupted" and _can_be_resumed(result.folder):
        lines.append(row("to go on", "the same command with --resume"))
    where = "" if runs == Path("runs") else f"{result.folder} "
    return "\n".join([*lines, f"next: edgestitch export {where}--format tflite --int8"])


def _can_be_resumed(folder: Path) -> bool:
    from .checkpoint import path_of  # which imports Keras: not for --list

    return path_of(folder).is_file()


def _per_class(result: TrainResult) -> Iterator[str]:
    """The test accuracy of every class, the worst first; of many classes only the worst."""
    shares = sorted(
        (each["correct"] / each["n"], each["label"], each["n"])
        for each in result.per_class
        if each["n"]
    )
    for place, (share, label, n) in enumerate(shares[:MOST_CLASSES]):
        yield row("" if place else "of each class", f"{100 * share:6.2f} % of {n:,}  {label}")
    if len(shares) > MOST_CLASSES:
        yield row("", f"and {len(shares) - MOST_CLASSES} classes more, in run.json")


def row(what: str, value: str) -> str:
    """A line: what it is, and its value in the second column."""
    return f"  {what:<15}{value}"


def accuracy_of(correct: int, n: int) -> str:
    """`correct` of `n` images as percent and count, with the engine."""
    return f"{100 * correct / n:.2f} % ({correct:,} of {n:,} right, keras)"
