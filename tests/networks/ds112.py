"""ds112: the depthwise-separable network on which generated C is compared with other tools.

A 3x3 convolution to 112 channels at stride 2, four separable blocks of 112, the first at stride 2,
and batch normalization and ReLU after every convolution: 60,378 parameters, 2,854,880
multiply-accumulates at 28x28. It ends in logits.
"""

import keras
from keras import layers

CHANNELS = 112
BLOCKS = 4
NORM_MOMENTUM = 0.95  # as the shipped networks: train re-measures the statistics over 64 batches


def build(height: int, width: int, classes: int) -> keras.Model:
    """The network: pixels (n, height, width, 1) of 0..255 to logits (n, classes) float32."""
    stack = [
        keras.Input((height, width, 1), name="image"),
        layers.Rescaling(1 / 255, name="scale"),
        layers.Conv2D(CHANNELS, 3, strides=2, padding="same", use_bias=False, name="stem"),
        *_normalized("stem"),
    ]
    for number in range(1, BLOCKS + 1):
        stack += _block(f"block{number}", stride=2 if number == 1 else 1)
    stack += [
        layers.GlobalAveragePooling2D(name="average"),
        layers.Dense(classes, name="logits"),
    ]
    return keras.Sequential(stack, name="ds112")


def _block(name: str, *, stride: int) -> list[keras.Layer]:
    """Depthwise 3x3, pointwise 1x1, each normalized and with a ReLU."""
    depthwise, pointwise = f"{name}_depthwise", f"{name}_pointwise"
    return [
        layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False, name=depthwise),
        *_normalized(depthwise),
        layers.Conv2D(CHANNELS, 1, use_bias=False, name=pointwise),
        *_normalized(pointwise),
    ]


def _normalized(name: str) -> list[keras.Layer]:
    return [
        layers.BatchNormalization(momentum=NORM_MOMENTUM, name=f"{name}_norm"),
        layers.ReLU(name=f"{name}_relu"),
    ]
