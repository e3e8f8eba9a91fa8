"""Quantization-aware fine-tuning: the rounding is imitated, and the weights learn to live with it.

The float model is the teacher (Hinton et al., 2015, https://arxiv.org/abs/1503.02531): what is
asked is its answers, not the labels. Gradients pass the rounding as if it were not there (Jacob et
al., 2017, section 3, https://arxiv.org/abs/1712.05877).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .answers import as_probabilities, float_answers
from .imitation import (
    imitate,
    kernel_axes,
    round_weights,
    rounded_layers,
    set_ranges,
    switch,
    with_weights_of,
)

EPOCHS = 2
# Of a channel's root mean square a step, since scaling is folded into the first weights. The low
# rate hardly moves a network that rounding hurts little, the high one mends one that it hurts much.
RATES = (3e-4, 5e-3)
BATCH = 64


def fine_tuned(
    model: keras.Model,
    *,
    teacher: keras.Model,
    kind: str,
    method: str,
    levels: int,
    images_u8: np.ndarray,
    calibration_u8: np.ndarray,
    rate: float,
    seed: int,
) -> keras.Model:
    """A copy of `model`, rewritten for inference, trained to answer as `teacher` when rounded.

    `images_u8` are training images, (n, height, width); `calibration_u8` those of which `method`
    finds the activations' ranges. `levels` is the largest weight in steps (imitation), `rate` one
    of RATES.
    """
    wanted = as_probabilities(float_answers(teacher, images_u8), kind).astype(np.float32)
    imitation = imitate(model)
    set_ranges(imitation, method, calibration_u8)
    switch(rounded_layers(imitation), share=1.0)
    shape = [int(n) for n in model.inputs[0].shape[1:]]
    steps = EPOCHS * -(-len(images_u8) // BATCH)
    tuning = _Tuning(imitation, kind=kind, levels=levels, rate=rate, steps=steps)
    generator = np.random.default_rng(seed)
    for _ in range(EPOCHS):
        order = generator.permutation(len(images_u8))
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            pixels = images_u8[chosen].reshape(-1, *shape).astype(np.float32)
            tuning.step(tf.constant(pixels), tf.constant(wanted[chosen]))
    tuning.finish()
    return with_weights_of(model, imitation)


class _Tuning:
    """What is learned is how far each weight goes from where it began, in units of its channel."""

    def __init__(self, imitation: Any, *, kind: str, levels: int, rate: float, steps: int) -> None:
        self._imitation, self._kind, self._levels = imitation, kind, levels
        self._weights = imitation.trainable_variables
        axes = kernel_axes(imitation)
        self._axes = [axes.get(id(weight)) for weight in self._weights]
        self._begun = [tf.constant(weight.value) for weight in self._weights]
        self._units = [
            tf.sqrt(tf.reduce_mean(begun**2, axis=axis, keepdims=True) + 1e-12)
            for begun, axis in zip(self._begun, self._axes, strict=True)
        ]
        self._gone = [keras.Variable(tf.zeros_like(begun)) for begun in self._begun]
        falling: Any = keras.optimizers.schedules.CosineDecay(rate, steps)
        self._optimizer = keras.optimizers.Adam(falling)
        self._optimizer.build(self._gone)
        shapes = [imitation.inputs[0].shape[1:], imitation.outputs[0].shape[1:]]
        self.step = tf.function(
            self._step, input_signature=[tf.TensorSpec([None, *s], tf.float32) for s in shapes]
        )

    def finish(self) -> None:
        """Gives the imitation the weights that were learned."""
        for weight, value in zip(self._weights, self._now(), strict=True):
            weight.assign(value)

    def _now(self) -> list[Any]:
        parts = zip(self._begun, self._units, self._gone, strict=True)
        return [begun + unit * gone.value for begun, unit, gone in parts]

    def _step(self, pixels: Any, wanted: Any) -> None:
        fixed = [variable.value for variable in self._imitation.non_trainable_variables]
        with tf.GradientTape() as tape:
            rounded = [
                weight if axis is None else round_weights(weight, axis, self._levels)
                for weight, axis in zip(self._now(), self._axes, strict=True)
            ]
            rows, _ = self._imitation.stateless_call(rounded, fixed, pixels, training=False)
            losses: Any = keras.losses.categorical_crossentropy(
                wanted, rows, from_logits=self._kind == "logits"
            )
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, [gone.value for gone in self._gone])
        self._optimizer.apply_gradients(zip(gradients, self._gone, strict=True))
