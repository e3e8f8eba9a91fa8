"""The models: Keras networks by name, built for an image size and a number of classes.

Every layer has a fixed name, so that the same model is the same file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

    from .recipes import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the data asks of a model: images of height x width, and how many classes."""

    height: int
    width: int
    classes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A model that can be trained by name; its recipe of the same name stands in `recipes`."""

    summary: str
    build: Callable[[Shape, Recipe], keras.Model]


def mlp(shape: Shape, recipe: Recipe) -> keras.Model:
    """(n, height, width) of 0..255 to (n, classes) float32 probabilities; a hidden layer of 128."""
    from keras import Input, Sequential, layers

    stack = [
        Input((shape.height, shape.width), name="image"),
        layers.Rescaling(1 / 255, name="scale"),
        layers.Flatten(name="flatten"),
        layers.Dense(128, activation="relu", name="hidden"),
    ]
    if recipe.dropout:
        stack.append(layers.Dropout(recipe.dropout, seed=recipe.seed, name="dropout"))
    stack.append(layers.Dense(shape.classes, activation="softmax", name="probabilities"))
    return Sequential(stack, name="mlp")


ARCHITECTURES = {
    "mlp": Architecture(summary="Flatten, Dense 128 ReLU, Dense softmax", build=mlp),
}
