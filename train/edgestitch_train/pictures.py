"""Pictures of a run: learning curves, and test images with their probabilities."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from edgestitch_runtime.dataset import Part

from .fitting import Epoch

# Okabe and Ito's palette: apart for every common colour vision.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#B8B8B8"
COLUMNS, ROWS = 3, 5
DPI = 110
# For functions that draw: a $ in a name is a dollar, and begins no mathematics.
plain_text = matplotlib.rc_context({"text.parse_math": False})


@plain_text
def learning_curves_png(history: Sequence[Epoch], *, kept_epoch: int, title: str) -> bytes:
    """Accuracy and loss by epoch, train and validation, the kept epoch marked. A PNG's bytes."""
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    figure.suptitle(title, fontsize=13)
    epochs = [e.epoch for e in history]
    panels = figure.subplots(1, 2)
    for axes, what, train, validation in (
        (
            panels[0],
            "accuracy (%)",
            [100 * e.accuracy for e in history],
            [100 * e.val_accuracy for e in history],
        ),
        (panels[1], "loss", [e.loss for e in history], [e.val_loss for e in history]),
    ):
        axes.plot(epochs, train, "o--", color=ORANGE, label="train, during the epoch", ms=4)
        axes.plot(epochs, validation, "s-", color=BLUE, label="validation, after the epoch", ms=4)
        kept = validation[kept_epoch - 1]
        axes.axvline(kept_epoch, color=GREY, lw=1, zorder=0)
        axes.plot(
            [kept_epoch],
            [kept],
            "s",
            ms=11,
            mfc="none",
            mec="black",
            label=f"kept: epoch {kept_epoch}, validation {kept:.{2 if what == 'loss' else 1}f}"
            + ("" if what == "loss" else " %"),
        )
        axes.set_xlabel("epoch")
        axes.set_title(what, fontsize=11)
        axes.set_xlim(0.5, max(epochs) + 0.5)
        axes.set_xticks(_whole_ticks(max(epochs)))
        axes.grid(color="#E6E6E6")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="upper right" if what == "loss" else "lower right", fontsize=9)
    return png(figure)


@plain_text
def predictions_png(
    test: Part,
    probabilities: np.ndarray,
    *,
    labels: Sequence[str],
    title: str,
    accuracy: str,
) -> bytes:
    """Some test images, each beside its probabilities as bars. A PNG's bytes.

    They are the first, or where the images lie in the order of their classes, as from a folder of
    pictures, evenly spaced ones. `probabilities` is (n, classes) float32 of the images in `test`.
    The true class's bar is blue, a wrong answer's orange, every other grey; the caption has a cross
    where the answer is wrong.
    """
    shown = min(COLUMNS * ROWS, len(test.labels))
    columns, rows = min(COLUMNS, shown), -(-shown // COLUMNS)
    layout = ConstrainedLayoutEngine(w_pad=0.09, h_pad=0.06)
    figure = Figure(figsize=(4.6 * columns + 0.2, 2.35 * rows + 1.0), layout=layout)
    in_order = len(test.labels) > shown and bool((np.diff(test.labels) >= 0).all())
    chosen = np.linspace(0, len(test.labels) - 1, shown).astype(int) if in_order else range(shown)
    which = f"{shown} of them" if in_order else f"the first {shown}"
    figure.suptitle(f"{title}\n{accuracy}; {which} are shown", fontsize=13)
    figure.supxlabel(
        "bars: predicted probabilities; blue the true class, orange with a \u2717 a wrong answer. "
        "Beside the mark: the answer, and below it the true class.",
        fontsize=10,
    )
    grid = figure.subplots(rows, 2 * columns, squeeze=False, width_ratios=[1, 0.95] * columns)
    for place in range(rows * columns):
        row, column = divmod(place, columns)
        picture, bars = grid[row][2 * column], grid[row][2 * column + 1]
        if place >= shown:
            picture.set_axis_off()
            bars.set_axis_off()
            continue
        index = int(chosen[place])
        truth = int(test.labels[index])
        _draw_picture(picture, test.images_u8[index], probabilities[index], truth, labels)
        _draw_bars(bars, probabilities[index], truth, labels)
    return png(figure)


def _draw_picture(
    axes: Axes, image: np.ndarray, probabilities: np.ndarray, truth: int, labels: Sequence[str]
) -> None:
    answer = int(probabilities.argmax())
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    axes.set_xticks([])
    axes.set_yticks([])
    mark, colour = ("✓", BLUE) if answer == truth else ("✗", ORANGE)
    axes.set_xlabel(
        f"{mark} {labels[answer]} {100 * probabilities[answer]:.0f} %\n({labels[truth]})",
        color=colour,
        fontsize=9.5,
    )


def _draw_bars(axes: Axes, probabilities: np.ndarray, truth: int, labels: Sequence[str]) -> None:
    classes = len(probabilities)
    answer = int(probabilities.argmax())
    colours = [GREY] * classes
    colours[answer] = ORANGE
    colours[truth] = BLUE
    axes.barh(range(classes), probabilities, color=colours)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "50", "100 %"], fontsize=7)
    axes.set_ylim(classes - 0.5, -0.5)
    if classes <= 16:
        axes.set_yticks(range(classes), labels, fontsize=7.5)
    else:
        named = sorted({answer, truth})
        axes.set_yticks(named, [labels[k] for k in named], fontsize=7.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=0)


def _whole_ticks(last: int) -> list[int]:
    step = max(1, -(-last // 15))
    return list(range(1, last + 1, step))


def png(figure: Figure) -> bytes:
    """The figure as a PNG's bytes, the same for the same figure."""
    out = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(out, format="png", dpi=DPI, metadata={"Software": None})
    return out.getvalue()
