"""Fitting a model by a recipe, epoch by epoch: the images of each, the averages, the best weights.

Each epoch is a `fit` of its own on images shuffled and augmented by a generator that is seeded
with the recipe's seed and the epoch's number, so all that the next epoch needs is in `State`.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgestitch_runtime.dataset import Dataset, Part
from edgestitch_runtime.errors import EdgestitchError, Terminated

from .augmentation import augmented
from .fused_norm import fuse
from .optimization import optimizer_of
from .recipes import Recipe
from .settling import IMAGES, settling

STEPS_PER_CALL = 32  # of Keras's compiled function: fewer calls, still a bar that moves


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
class State:
    """A training between two epochs: from here the rest comes out the same to the bit.

    `variables` and `optimizer` are those of the model and of its optimizer in Keras's order;
    `kept` are the weights of `kept_epoch`, the best so far, 1-based.
    """

    history: tuple[Epoch, ...]
    kept_epoch: int
    kept: list[np.ndarray]
    variables: list[np.ndarray]
    optimizer: list[np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What came of a fit: the kept weights, of the 1-based `kept_epoch`, and every epoch done.

    `stopped` is "finished", "early" (the recipe's patience ran out), "interrupted" (Ctrl-C) or
    "diverged" (the loss of the epoch after the last was not finite).
    """

    weights: list[np.ndarray]
    kept_epoch: int
    history: tuple[Epoch, ...]
    stopped: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Who hears of a fit: `step` of each few steps, `epoch` of each epoch that is done."""

    step: Callable[[int, float, float, float], None]  # epoch, share done, loss, accuracy
    epoch: Callable[[State], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The images to fit on and those to choose by; `background` fills what a shift uncovers."""

    train: Part
    validation: Part
    background: int


def parts_of(found: Dataset, train: np.ndarray, validation: np.ndarray) -> Parts:
    """Train's images at the indices `train`, (k,) int64, and those held out at `validation`."""
    images, labels = found.train.images_u8, found.train.labels
    taken = [
        Part(images_u8=np.ascontiguousarray(images[chosen]), labels=labels[chosen])
        for chosen in (train, validation)
    ]
    return Parts(train=taken[0], validation=taken[1], background=found.background)


def fit(
    model: keras.Model,
    recipe: Recipe,
    parts: Parts,
    *,
    logits: str,
    watch: Watch,
    state: State | None = None,
) -> Fitted:
    """Trains `model` in place, from `state` on when given, and returns its best epoch's weights.

    Best is the lowest validation loss: on few images it is steadier than their accuracy, and with
    smoothed labels the two move together. The later epoch wins among equals. With the recipe's
    `average` it is the averaged weights that are validated and kept, while the training goes on
    from its own. `logits` is "yes" when the model ends without a softmax, else "no".

    KeyboardInterrupt and a loss that is not finite end the fit early when an epoch is done; when
    none is, the first is raised again and the second is an EdgestitchError. Terminated is always
    raised again.
    """
    network: Any = model  # Keras annotates its defaults, not what it takes
    fuse(network)
    steps = math.ceil(len(parts.train.labels) / recipe.batch)
    optimizer: Any = optimizer_of(recipe, steps_per_epoch=steps)
    network.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(
            label_smoothing=recipe.label_smoothing, from_logits={"yes": True, "no": False}[logits]
        ),
        metrics=["accuracy"],
        steps_per_execution=min(steps, STEPS_PER_CALL),
        jit_compile=False,
    )
    optimizer.build(network.trainable_variables)
    settle = settling(network)
    if state is not None:
        _restore(network, optimizer, state)
    stopped = None
    try:
        while not _over(recipe, state):
            done = _epoch(network, recipe, parts, state, watch, settle)
            if done is None:
                stopped = "diverged"
                break
            state = done  # at once: Ctrl-C before this line finds the epoch not done
            watch.epoch(state)
    except tf.errors.OpError as error:  # memory, or an operation that a GPU has no kernel for
        reason = " ".join(error.message.split())[:200]
        raise EdgestitchError(
            f"TensorFlow cannot train this model here: {reason}",
            hint="a smaller --batch takes less memory; CUDA_VISIBLE_DEVICES=-1 trains on the CPU",
        ) from None
    except KeyboardInterrupt as interrupt:
        if state is None or isinstance(interrupt, Terminated):
            raise
        stopped = None if _over(recipe, state) else "interrupted"
    if state is None:
        raise EdgestitchError(
            "the loss of epoch 1 is not a finite number: the training diverged",
            hint="a lower --learning-rate",
        )
    whole = len(state.history) == recipe.epochs
    return Fitted(
        weights=state.kept,
        kept_epoch=state.kept_epoch,
        history=state.history,
        stopped=stopped or ("finished" if whole else "early"),
    )


def _over(recipe: Recipe, state: State | None) -> bool:
    """Whether the epochs are done, or so many went by without a better one that it is enough."""
    if state is None:
        return False
    done = len(state.history)
    return done >= recipe.epochs or 0 < recipe.patience <= done - state.kept_epoch


def _epoch(
    network: Any,
    recipe: Recipe,
    parts: Parts,
    before: State | None,
    watch: Watch,
    settle: Callable[[np.ndarray], None],
) -> State | None:
    """Trains for the epoch after `before`; None when its loss is not finite."""
    started = time.perf_counter()
    number = len(before.history) if before else 0
    one_hot = np.eye(network.output_shape[-1], dtype=np.float32)
    generator = np.random.default_rng((recipe.seed, number))
    order = generator.permutation(len(parts.train.labels))
    images = augmented(
        parts.train.images_u8[order],
        flip=recipe.flip,
        shift=recipe.shift,
        erase=recipe.erase,
        background=parts.background,
        generator=generator,
    )
    inside = _Inside(number + 1, watch.step)
    with contextlib.redirect_stdout(sys.stderr):
        trained = network.fit(
            _batches(images, one_hot[parts.train.labels[order]], recipe.batch),
            callbacks=[inside],
            shuffle=False,  # the order is ours
            verbose=0,
        ).history
        # With averages, `fit` has just put them in place of the weights that it trained.
        settle(parts.train.images_u8[order[:IMAGES]])
        judged = network.evaluate(
            parts.validation.images_u8,
            one_hot[parts.validation.labels],
            batch_size=500,
            return_dict=True,
            verbose=0,
        )
    line = Epoch(
        epoch=number + 1,
        loss=float(trained["loss"][0]),
        accuracy=float(trained["accuracy"][0]),
        val_loss=float(judged["loss"]),
        val_accuracy=float(judged["accuracy"]),
        learning_rate=float(network.optimizer.learning_rate),
        seconds=round(time.perf_counter() - started, 3),
    )
    if not all(math.isfinite(v) for v in (line.loss, line.val_loss)):
        return None
    history = before.history if before else ()
    kept_epoch, kept = (before.kept_epoch, before.kept) if before else (0, [])
    if not before or line.val_loss <= history[kept_epoch - 1].val_loss:
        kept_epoch, kept = line.epoch, network.get_weights()
    _assign(network.variables, inside.variables)
    return State(
        history=(*history, line),
        kept_epoch=kept_epoch,
        kept=kept,
        variables=inside.variables,
        optimizer=_values(network.optimizer.variables),
    )


def _batches(images_u8: np.ndarray, one_hot: np.ndarray, size: int) -> tf.data.Dataset:
    """The images in their order, `size` at a time; what Keras makes of arrays, but for one option.

    Letting go of an iterator with autotuning waits for its thread, seen to sleep for 12 seconds
    after an epoch of half a minute.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    whole = tf.data.Dataset.from_tensor_slices((images_u8, one_hot))
    return whole.batch(size).prefetch(2).with_options(options)


class _Inside(keras.callbacks.Callback):
    """Tells of each few steps, stops at a loss that is not finite, and keeps the own weights."""

    def __init__(self, epoch: int, step: Callable[[int, float, float, float], None]) -> None:
        super().__init__()
        self.variables: list[np.ndarray] = []
        self._epoch, self._step = epoch, step

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        model: Any = self.model
        about: Any = self.params
        if not math.isfinite(logs["loss"]):
            model.stop_training = True
        self._step(self._epoch, (batch + 1) / about["steps"], logs["loss"], logs["accuracy"])

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        model: Any = self.model
        self.variables = _values(model.variables)


def _restore(network: Any, optimizer: Any, state: State) -> None:
    _assign(network.variables, state.variables)
    _assign(optimizer.variables, state.optimizer)


def _values(variables: list[Any]) -> list[np.ndarray]:
    numpy: Any = keras.ops.convert_to_numpy
    return [numpy(variable) for variable in variables]


def _assign(variables: list[Any], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
