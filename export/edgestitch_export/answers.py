"""What a Keras model answers: its output, of which kind it is, and whether two models agree."""

from __future__ import annotations

from textwrap import shorten
from typing import Any

import keras
import numpy as np

from edgestitch_runtime.errors import EdgestitchError

# Of a probability, and of the largest logit: float32 sums in another order stay far below.
TOLERANCE = 1e-3


def float_answers(model: keras.Model, images_u8: np.ndarray) -> np.ndarray:
    """The Keras model's output, (n, classes) float32, for (n, height, width) uint8 images."""
    shaped = images_u8.reshape(-1, *(int(n) for n in model.inputs[0].shape[1:]))
    call: Any = model.predict
    try:
        rows = call(shaped.astype(np.float32), batch_size=500, verbose=0)
    except Exception as error:  # TensorFlow raises what the layers happen to break
        raise EdgestitchError(
            f"the model cannot be run here: {shorten(str(error), width=240, placeholder=' ...')}",
            hint="a layer of this model does not run on this machine; the reason may name it",
        ) from None
    return np.asarray(rows, np.float32)


def finite_answers(model: keras.Model, images_u8: np.ndarray, *, which: str) -> np.ndarray:
    """As `float_answers`; EdgestitchError when a value is not finite. `which` names the images."""
    rows = float_answers(model, images_u8)
    if not np.isfinite(rows).all():
        raise EdgestitchError(
            f"the model answers {which} images with values that are not finite",
            hint="train it again at a lower rate, or look at its input scaling",
        )
    return rows


def output_kind(model: keras.Model, images_u8: np.ndarray) -> str:
    """ "probabilities" when the model's output for these images lies within 0..1, else "logits".

    Measured, not read off the last layer: a softmax may stand in a nested model or a function. A
    row of sigmoids counts as probabilities that the reader brings to a sum of 1.
    """
    return kind_of(finite_answers(model, images_u8, which="training"))


def kind_of(rows: np.ndarray) -> str:
    """ "probabilities" when all of `rows` lies within 0..1, else "logits"."""
    return "probabilities" if rows.min() >= 0 and rows.max() <= 1 else "logits"


def as_probabilities(rows: np.ndarray, kind: str) -> np.ndarray:
    """Answers of `kind` as rows that sum to 1, (n, classes) float64."""
    rows = rows.astype(np.float64)
    if kind == "logits":
        rows = np.exp(rows - rows.max(axis=1, keepdims=True))
    total = rows.sum(axis=1, keepdims=True)
    return np.where(total > 0, rows / np.where(total > 0, total, 1), 1 / rows.shape[1])


def check_rewritten(
    rewritten: keras.Model, images_u8: np.ndarray, float_rows: np.ndarray, kind: str
) -> None:
    """Raises EdgestitchError (exit code 1) unless `rewritten` answers `float_rows`.

    Of int8 and the other smaller precisions no closeness to the float model can be asked, so that
    a mistake of the rewriting would pass for their loss. The rows are compared as they are, and as
    the probabilities that a reader makes of them: a shift of all logits shows in the former only,
    much of a small difference between large logits in the latter.
    """
    rows = float_answers(rewritten, images_u8)
    largest = 1 if kind == "probabilities" else np.abs(float_rows).max() or 1
    apart = as_probabilities(rows, kind) - as_probabilities(float_rows, kind)
    furthest = np.maximum(np.abs(apart).max(), np.abs(rows - float_rows).max() / largest)
    if not furthest <= TOLERANCE:  # also for nan
        raise EdgestitchError(
            f"rewritten for inference, the model answers {furthest:.3g} away from itself, more "
            f"than {TOLERANCE} of {'a probability' if kind == 'probabilities' else 'the logits'}",
            hint="nothing was written; this is a defect in edgestitch: please report it",
            exit_code=1,
        )
