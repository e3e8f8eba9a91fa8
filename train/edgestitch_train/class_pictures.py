"""Pictures of the classes: what they look like, which are taken for which, the worst mistakes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from edgestitch_runtime.dataset import Part

from .pictures import BLUE, ORANGE, plain_text, png

EACH = 10  # images of a class that are shown
ROWS = 16  # classes that get a row of their own; of more, one image each is shown
NUMBERED = 16  # classes up to which the confusion has its percentages written in
NAMED = 40  # classes up to which its axes have names
MISTAKES = 15
LONGEST = 18  # characters of a class name beside a picture


@plain_text
def dataset_png(train: Part, *, labels: Sequence[str], title: str) -> bytes:
    """Training images of each class with its name and count. A PNG's bytes.

    Up to 16 classes have a row each, the first images of the class; of more, the first image each.
    """
    counts = np.bincount(train.labels, minlength=len(labels))
    heading = f"{title}: {len(train.labels):,} training images of {len(labels)} classes"
    if len(labels) > ROWS:
        return _one_each(train, counts, labels, heading)
    figure = Figure(figsize=(11, 0.95 * len(labels) + 0.7), layout=_tight())
    figure.suptitle(heading, fontsize=13)
    grid = figure.subplots(len(labels), EACH, squeeze=False)
    for label, row in enumerate(grid):
        chosen = np.flatnonzero(train.labels == label)[:EACH]
        for axes, index in zip(row, chosen, strict=False):
            axes.imshow(train.images_u8[index], cmap="gray", vmin=0, vmax=255)
        for axes in row:
            _bare(axes)
        row[0].set_ylabel(
            f"{_short(labels[label])}\n{counts[label]:,}",
            rotation=0, ha="right", va="center", fontsize=10.5, labelpad=8,
        )  # fmt: skip
    return png(figure)


def _one_each(train: Part, counts: np.ndarray, labels: Sequence[str], heading: str) -> bytes:
    columns = 8 if len(labels) <= 64 else 16
    rows = math.ceil(len(labels) / columns)
    side = 11 / columns
    figure = Figure(figsize=(11, (side + 0.4) * rows + 0.7), layout=_tight())
    figure.suptitle(heading, fontsize=13)
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    longest = 14 if columns == 8 else 8
    for label, axes in enumerate(cells):
        _bare(axes)
        if label < len(labels) and counts[label]:
            first = int(np.argmax(train.labels == label))
            axes.imshow(train.images_u8[first], cmap="gray", vmin=0, vmax=255)
        if label < len(labels):
            axes.set_xlabel(
                f"{_short(labels[label], longest)}\n{counts[label]:,}"
                if columns == 8
                else _short(labels[label], longest),
                fontsize=8.5 if columns == 8 else 7.5,
                labelpad=2,
            )
    return png(figure)


@plain_text
def confusion_png(
    confusion: np.ndarray, *, labels: Sequence[str], title: str, accuracy: str
) -> bytes:
    """Which class is taken for which. A PNG's bytes.

    `confusion` is (classes, classes) int64, a row a true class, a column an answer. A cell is the
    share of its row in percent; what is below one half of one is left blank. Of more than 40
    classes the axes have numbers, and the pairs most often mistaken are named below.
    """
    classes = len(labels)
    totals = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    percent = 100 * confusion / totals
    named = classes <= NAMED
    # A square of cells, with room for the names at its left and below it.
    side = min(9.0, max(4.0, 0.62 * classes)) if named else 8.0
    worst = [] if named else _worst_pairs(confusion, labels)
    figure = Figure(figsize=(side + 2.6, side + 1.9 + 0.2 * len(worst)), layout="constrained")
    figure.suptitle(f"{title}\n{accuracy}", fontsize=12)
    axes = figure.subplots()
    axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    axes.set_ylabel("true class", fontsize=11)
    below = "answer; percent of the true class's test images"
    axes.set_xlabel("\n".join([below, *worst]), fontsize=10)
    if named:
        size = 10 if classes <= NUMBERED else 7.5
        short = [_short(label) for label in labels]
        axes.set_xticks(
            range(classes), short, rotation=45, ha="right", rotation_mode="anchor", fontsize=size
        )
        axes.set_yticks(range(classes), short, fontsize=size)
    if classes <= NUMBERED:
        for row, column in np.argwhere(percent >= 0.5):
            value = percent[row, column]
            axes.text(
                column, row, f"{math.floor(value + 0.5)}", ha="center", va="center", fontsize=11,
                color="white" if value > 55 else "black",
            )  # fmt: skip
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
    if named:
        axes.grid(which="minor", color="#E6E6E6", lw=0.6)
    axes.tick_params(which="minor", length=0)
    return png(figure)


def _worst_pairs(confusion: np.ndarray, labels: Sequence[str]) -> list[str]:
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong.ravel(), kind="stable")[:6]
    return [
        f"{_short(labels[row])} taken for {_short(labels[column])}: {wrong[row, column]:,} times"
        for row, column in (divmod(int(place), len(labels)) for place in order)
        if wrong[row, column]
    ]


def most_confident_mistakes(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Indices of wrong answers, (k,) int64, the most probable first, at most 15.

    `truth` is (n,), `probabilities` (n, classes); among equals the earlier image comes first.
    """
    answers = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(answers != truth)
    confidence = probabilities[wrong, answers[wrong]]
    return wrong[np.argsort(-confidence, kind="stable")][:MISTAKES]


@plain_text
def mistakes_png(
    test: Part, probabilities: np.ndarray, *, labels: Sequence[str], title: str, accuracy: str
) -> bytes:
    """The test images that were most confidently mistaken. A PNG's bytes.

    `probabilities` is (n, classes) float32 of the images in `test`.
    """
    shown = most_confident_mistakes(test.labels, probabilities)
    columns = 5
    rows = max(1, math.ceil(len(shown) / columns))
    figure = Figure(figsize=(11, 2.75 * rows + 0.9), layout=_tight())
    count = f"the {len(shown)} most confident mistakes" if len(shown) else "no mistake"
    figure.suptitle(f"{title}\n{accuracy}; {count}", fontsize=12)
    for place, axes in enumerate(figure.subplots(rows, columns, squeeze=False).ravel()):
        _bare(axes)
        if place >= len(shown):
            continue
        index = int(shown[place])
        answer, truth = int(probabilities[index].argmax()), int(test.labels[index])
        axes.imshow(test.images_u8[index], cmap="gray", vmin=0, vmax=255)
        axes.set_title(
            f"{_short(labels[answer])} {100 * probabilities[index, answer]:.0f} %",
            color=ORANGE, fontsize=11, pad=3,
        )  # fmt: skip
        axes.set_xlabel(
            f"is {_short(labels[truth])} ({100 * probabilities[index, truth]:.0f} %)",
            color=BLUE, fontsize=10.5, labelpad=3,
        )  # fmt: skip
    if not len(shown):
        figure.text(0.5, 0.4, "every test image was answered rightly", ha="center", fontsize=13)
    return png(figure)


def _short(name: str, longest: int = LONGEST) -> str:
    """A class name that fits beside a picture."""
    return name if len(name) <= longest else name[: longest - 1] + "…"


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _tight() -> ConstrainedLayoutEngine:
    return ConstrainedLayoutEngine(w_pad=0.04, h_pad=0.04, wspace=0.0, hspace=0.0)
