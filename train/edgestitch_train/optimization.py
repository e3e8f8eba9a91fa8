"""The optimizer that a recipe asks for, and the schedule of its rate."""

from __future__ import annotations

import math
from typing import Any

import keras

from .recipes import Recipe


def optimizer_of(recipe: Recipe, *, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """The optimizer of `recipe`. With `average` it keeps a running mean of the weights beside."""
    rate: Any = Schedule(
        peak=recipe.learning_rate,
        shape=recipe.schedule,
        warmup_steps=round(recipe.warmup * steps_per_epoch),
        steps=recipe.epochs * steps_per_epoch,
    )
    spanned = recipe.average * recipe.epochs * steps_per_epoch
    averaging: dict[str, Any] = {}
    if spanned > 1:
        averaging = {"use_ema": True, "ema_momentum": 1 - 1 / spanned}
    if recipe.optimizer == "sgd":
        decay = recipe.weight_decay or None
        return keras.optimizers.SGD(
            rate, momentum=0.9, nesterov=True, weight_decay=decay, **averaging
        )
    return keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, **averaging)


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A straight climb over the warm-up, then a cosine, a line to zero, or a constant."""

    def __init__(self, *, peak: float, shape: str, warmup_steps: int, steps: int) -> None:
        super().__init__()
        self.peak, self.shape, self.warmup_steps, self.steps = peak, shape, warmup_steps, steps

    def __call__(self, step: Any) -> Any:
        ops: Any = keras.ops
        step = ops.cast(step, "float32")
        done = ops.clip((step - self.warmup_steps) / max(1, self.steps - self.warmup_steps), 0, 1)
        factor = {
            "cosine": lambda: 0.5 * (1 + ops.cos(math.pi * done)),
            "linear": lambda: 1 - done,
            "constant": lambda: ops.ones_like(done),
        }[self.shape]()
        climb = ops.minimum(1.0, (step + 1) / max(1, self.warmup_steps))
        return self.peak * factor * climb

    def get_config(self) -> dict[str, Any]:
        return {
            "peak": self.peak,
            "shape": self.shape,
            "warmup_steps": self.warmup_steps,
            "steps": self.steps,
        }
