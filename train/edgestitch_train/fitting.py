"""Fitting a model by a recipe: the rate's schedule, the epochs, the best weights, Ctrl-C."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from edgestitch_runtime.dataset import Part
from edgestitch_runtime.errors import EdgestitchError, Terminated

from .recipes import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One line of the history; `learning_rate` is the rate at the epoch's end."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What came of a fit: the kept weights, of the 1-based `kept_epoch`, and every epoch done."""

    weights: list[np.ndarray]
    kept_epoch: int
    history: tuple[Epoch, ...]
    interrupted: bool


def fit(
    model: keras.Model, recipe: Recipe, *, train: Part, validation: Part, verbose: int
) -> Fitted:
    """Trains `model` in place and returns the weights of its best epoch.

    Best is the lowest validation loss: on few images it is steadier than their accuracy, and with
    smoothed labels the two move together. The later epoch wins among equals. `verbose` is Keras's:
    0 nothing, 1 a bar, 2 a line an epoch, all on stderr. KeyboardInterrupt ends the fit early when
    an epoch is done, and is raised again when none is; Terminated is raised again always. Raises
    EdgestitchError when the loss is not finite.
    """
    network: Any = model  # Keras annotates its defaults, not what it takes
    classes = network.output_shape[-1]
    steps = math.ceil(len(train.labels) / recipe.batch)
    network.compile(
        optimizer=_optimizer(recipe, steps_per_epoch=steps),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
        steps_per_execution=min(steps, 32),
        jit_compile=False,
    )
    recorder = _Recorder()
    one_hot = np.eye(classes, dtype=np.float32)
    interrupted = False
    with contextlib.redirect_stdout(sys.stderr):
        try:
            network.fit(
                train.images_u8,
                one_hot[train.labels],
                batch_size=recipe.batch,
                epochs=recipe.epochs,
                validation_data=(validation.images_u8, one_hot[validation.labels]),
                validation_batch_size=500,
                callbacks=[recorder],
                verbose=verbose,
            )
        except KeyboardInterrupt as interrupt:
            if recorder.best is None or isinstance(interrupt, Terminated):
                raise
            interrupted = True
    assert recorder.best is not None  # an epoch was done, or fit raised
    best, history = recorder.best, recorder.history
    return Fitted(
        weights=best.weights,
        kept_epoch=best.epoch,
        history=history,
        interrupted=interrupted and len(history) < recipe.epochs,
    )


def _optimizer(recipe: Recipe, *, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    rate: Any = Schedule(
        peak=recipe.learning_rate,
        shape=recipe.schedule,
        warmup_steps=round(recipe.warmup * steps_per_epoch),
        steps=recipe.epochs * steps_per_epoch,
    )
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(
            rate, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay or None
        )
    return keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Best:
    epoch: int
    val_loss: float
    weights: list[np.ndarray]


class _Recorder(keras.callbacks.Callback):
    """Keeps each epoch's figures and the best epoch's weights."""

    def __init__(self) -> None:
        super().__init__()
        self.history: tuple[Epoch, ...] = ()
        self.best: _Best | None = None
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        figures = {k: float(logs[k]) for k in ("loss", "accuracy", "val_loss", "val_accuracy")}
        if not all(math.isfinite(v) for v in figures.values()):
            raise EdgestitchError(
                f"the loss of epoch {epoch + 1} is not a finite number: the training diverged",
                hint="a lower --learning-rate",
            )
        model: Any = self.model
        line = Epoch(
            epoch=epoch + 1,
            **figures,
            learning_rate=float(model.optimizer.learning_rate),
            seconds=round(time.perf_counter() - self._started, 3),
        )
        best = self.best
        if best is None or line.val_loss <= best.val_loss:
            best = _Best(epoch=line.epoch, val_loss=line.val_loss, weights=model.get_weights())
        # At the very end: Ctrl-C before this line finds the epoch not done.
        self.best, self.history = best, (*self.history, line)
