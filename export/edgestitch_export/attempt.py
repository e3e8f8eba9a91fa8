"""One way to quantize a model: what a rung of the ladder hands to the converter."""

from __future__ import annotations

from dataclasses import dataclass, replace

import keras

from .calibration import Calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A model, rewritten for inference, its calibration, and the titles of what stays float.

    `uncorrected` is the model without the biases that make up for the rounding of every layer.
    """

    title: str
    model: keras.Model
    calibration: Calibration
    kept: tuple[str, ...] = ()
    uncorrected: keras.Model | None = None

    @property
    def precision(self) -> str:
        return "mixed" if self.kept else "int8"


def keeping(attempt: Attempt, operators: dict[str, str]) -> Attempt:
    """`attempt` with these operators, titles by name, kept float."""
    kept = tuple(operators.values())
    return replace(
        attempt,
        title=f"mixed, with {', '.join(kept)} kept float",
        model=attempt.uncorrected or attempt.model,
        calibration=replace(attempt.calibration, kept=tuple(operators)),
        kept=kept,
    )
