"""A model that computes in float32, made of one that computes in less or takes whole numbers.

Training at mixed precision keeps its weights in float32 and computes in half precision, for which
the converters have no integer kernels; nor have they any for an input of uint8 that is cast.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from .answers import as_probabilities, float_answers, kind_of
from .placement import placed

NEAR = 0.01  # of a probability, on average; bfloat16 has eight bits


def in_float32(model: keras.Model, images_u8: np.ndarray) -> keras.Model:
    """`model` itself where all of it is float32 already, else a copy that is, weights and all.

    `images_u8` (n, height, width) are what the two are compared on: a model whose arithmetic needs
    the type that it has, as a uint8 that wraps around, is given back as it is.
    """
    every: Any = [layer for _, layer in placed(model)]
    pixels: Any = model.inputs[0]
    if pixels.dtype == "float32" and all(layer.compute_dtype == "float32" for layer in every):
        return model
    copy: Any = keras.models.clone_model(
        model,
        input_tensors=keras.Input(tuple(pixels.shape[1:]), name=pixels.name),
        clone_function=_remade,
        recursive=True,
    )
    copy.set_weights(model.get_weights())
    for _, layer in placed(copy):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it computes with constants made of its weights
    apart = _probabilities(copy, images_u8) - _probabilities(model, images_u8)
    return copy if np.abs(apart).mean() < NEAR else model


def _remade(layer: Any) -> Any:
    if type(layer).__module__.split(".")[0] != "keras" or isinstance(layer, keras.layers.Lambda):
        return layer
    config = layer.get_config()
    if isinstance(layer, keras.layers.Layer):  # else `x / 255` or another of keras.ops
        config |= {"dtype": "float32"}
    return type(layer).from_config(config)


def _probabilities(model: keras.Model, images_u8: np.ndarray) -> np.ndarray:
    rows = float_answers(model, images_u8)
    return as_probabilities(rows, kind_of(rows))
