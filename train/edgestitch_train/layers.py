"""The layers of a model: all of them, and what they cost."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers


def all_layers(layer: Any) -> list[Any]:
    """`layer` itself and every layer in it, nested models' included."""
    return [layer, *(each for inner in getattr(layer, "layers", []) for each in all_layers(inner))]


def multiply_accumulates(model: keras.Model) -> int | None:
    """How many products one image takes in `model`'s dense and convolutional layers.

    None when it has a layer with a kernel of another kind: no figure is better than a wrong one.
    """
    total = 0
    for layer in model.layers:
        inner = multiply_accumulates(layer) if hasattr(layer, "layers") else _of_layer(layer)
        if inner is None:
            return None
        total += inner
    return total


def _of_layer(layer: Any) -> int | None:
    if type(layer) in (layers.Dense, layers.Conv2D, layers.DepthwiseConv2D):
        return math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)
    plain = all(len(w.shape) < 2 for w in layer.weights)  # norms, scales, nothing at all
    return 0 if plain else None
