"""The models: Keras networks by name, built for an image size and a number of classes.

Every layer has a fixed name, so that the same model is the same file. The convolutional networks
are built of depthwise-separable blocks (MobileNet, https://arxiv.org/abs/1704.04861), some with a
shortcut around them; each convolution has a batch normalization, which the export folds away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

    from .recipes import Recipe


NORM_MOMENTUM = 0.95  # Keras's 0.99 has not forgotten its first values after an epoch of few steps


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One depthwise-separable block: how many channels it gives, and by how much it shrinks.

    With a shortcut its input is added to what it computes: channels and size must stay.
    """

    channels: int
    stride: int = 1
    shortcut: bool = False


def dscnn(shape: Shape, recipe: Recipe) -> keras.Model:
    """(n, height, width) of 0..255 to (n, classes) float32 probabilities; five blocks."""
    blocks = (
        Block(channels=40, stride=2),
        Block(channels=40, shortcut=True),
        Block(channels=88, stride=2),
        Block(channels=88, shortcut=True),
        Block(channels=240, stride=2),
    )
    return _separable("dscnn", 16, blocks, shape, recipe)


def dscnn_l(shape: Shape, recipe: Recipe) -> keras.Model:
    """(n, height, width) of 0..255 to (n, classes) float32 probabilities; seven blocks."""
    blocks = (
        Block(channels=64, stride=2),
        Block(channels=64, shortcut=True),
        Block(channels=64, shortcut=True),
        Block(channels=96, stride=2),
        Block(channels=96, shortcut=True),
        Block(channels=96, shortcut=True),
        Block(channels=128, stride=2),
    )
    return _separable("dscnn-l", 24, blocks, shape, recipe)


def _separable(
    name: str, stem: int, blocks: tuple[Block, ...], shape: Shape, recipe: Recipe
) -> keras.Model:
    from keras import Input, Model, layers

    image = Input((shape.height, shape.width), name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)
    x = layers.Reshape((shape.height, shape.width, 1), name="channel")(x)
    x = layers.Conv2D(stem, 3, padding="same", use_bias=False, name="stem")(x)
    x = layers.BatchNormalization(momentum=NORM_MOMENTUM, name="stem_norm")(x)
    x = layers.ReLU(name="stem_relu")(x)
    for number, block in enumerate(blocks, start=1):
        x = _block(x, block, f"block{number}")
    x = layers.GlobalAveragePooling2D(name="average")(x)
    if recipe.dropout:
        x = layers.Dropout(recipe.dropout, seed=recipe.seed, name="dropout")(x)
    x = layers.Dense(shape.classes, activation="softmax", name="probabilities")(x)
    return Model(image, x, name=name)


def _block(x: Any, block: Block, name: str) -> Any:
    """Depthwise 3 x 3, pointwise 1 x 1, each normalized; a ReLU after each, and after the sum."""
    from keras import layers

    y = layers.DepthwiseConv2D(
        3, strides=block.stride, padding="same", use_bias=False, name=f"{name}_depthwise"
    )(x)
    y = layers.BatchNormalization(momentum=NORM_MOMENTUM, name=f"{name}_depthwise_norm")(y)
    y = layers.ReLU(name=f"{name}_depthwise_relu")(y)
    y = layers.Conv2D(block.channels, 1, use_bias=False, name=f"{name}_pointwise")(y)
    y = layers.BatchNormalization(momentum=NORM_MOMENTUM, name=f"{name}_pointwise_norm")(y)
    if block.shortcut:
        y = layers.Add(name=f"{name}_sum")([x, y])
    return layers.ReLU(name=f"{name}_relu")(y)


ARCHITECTURES = {
    "mlp": Architecture(summary="Flatten, Dense 128 ReLU, Dense softmax", build=mlp),
    "dscnn": Architecture(summary="5 depthwise-separable blocks, 2 shortcuts", build=dscnn),
    "dscnn-l": Architecture(summary="7 depthwise-separable blocks, 4 shortcuts", build=dscnn_l),
}
