"""Biases that make up for the mean error of rounding, channel by channel, layer after layer.

Rounded weights shift the mean of what a layer gives. The shift is measured on calibration images
and taken off the bias (Nagel et al., 2019, section 4.2, https://arxiv.org/abs/1906.04721; measured
as in its appendix D, each layer with those before it corrected).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from .imitation import (
    batches,
    imitate,
    kernel_axes,
    round_weights,
    rounded_layers,
    set_ranges,
    switch,
    with_weights_of,
)


def bias_corrected(
    model: keras.Model, *, method: str, levels: int, images_u8: np.ndarray
) -> keras.Model:
    """A copy of `model`, rewritten for inference, with corrected biases.

    `images_u8` are calibration images, (n, height, width); `method` is of range_estimates, `levels`
    the largest weight in steps (imitation).
    """
    plain, rounded = imitate(model), imitate(model)
    set_ranges(rounded, method, images_u8)
    switch(rounded_layers(rounded), share=1.0)
    axes = kernel_axes(rounded)
    linear = [layer for layer in rounded.layers if id(getattr(layer, "kernel", None)) in axes]
    for layer in linear:
        layer.kernel.assign(round_weights(layer.kernel.value, axes[id(layer.kernel)], levels))
    for layer in linear:
        if layer.use_bias:
            wanted = _means(plain, plain.get_layer(layer.name).output, images_u8)
            shift = wanted - _means(rounded, layer.output, images_u8)
            layer.bias.assign_add(shift.astype(np.float32))
    for layer in linear:
        layer.kernel.assign(plain.get_layer(layer.name).kernel)
    return with_weights_of(model, rounded)


def _means(model: Any, output: Any, images_u8: np.ndarray) -> np.ndarray:
    """(channels,): the mean of `output` over images and places, in float64."""
    seen: Any = keras.Model(model.inputs, output)
    total, count = np.zeros(output.shape[-1]), 0
    for batch in batches(model, images_u8):
        found = np.asarray(seen.predict_on_batch(batch), np.float64).reshape(-1, len(total))
        total += found.sum(axis=0)
        count += len(found)
    return total / count
