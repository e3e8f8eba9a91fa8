"""Small int8 classifiers that together hold every operator of the integer graph.

Found like tflite_builder. They take pictures of a few pixels, so that a file is read, run and
compared within milliseconds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tflite_builder import Op, Spec, build

PIXELS = {"scales": 1.0, "zero_points": -128}
_FIRST_VERSION = (
    "RESHAPE",
    "SQUEEZE",
    "HARD_SWISH",
)  # the others have their int8 kernels from 2 on


class Network:
    """Operators in a row or in branches; `then` adds one and gives the index of its output."""

    def __init__(self, seed: int, first: Spec) -> None:
        self._rng = np.random.default_rng(seed)
        self._tensors = [first]
        self._operators: list[Op] = []

    def content(self) -> bytes:
        """The file. Its output is that of the last operator."""
        return build(self._operators, self._tensors)

    def shape(self, index: int) -> Sequence[int]:
        return self._tensors[index].shape

    def held(self, data: np.ndarray, scales: Any = (), axis: int = 0, zero_point: int = 0) -> int:
        """A constant."""
        spec = Spec(data=data, scales=scales, axis=axis, zero_points=zero_point)
        self._tensors.append(spec)
        return len(self._tensors) - 1

    def then(
        self,
        name: str,
        inputs: Sequence[int],
        shape: Sequence[int],
        *,
        scale: float = 0.0,
        zero_point: int | None = None,
        dtype: str = "int8",
        options: str = "",
        **fields: Any,
    ) -> int:
        """Without a scale, that of the first input stays."""
        before = self._tensors[inputs[0]]
        quantized = {"scales": scale or before.scales, "zero_points": before.zero_points}
        if zero_point is not None:
            quantized["zero_points"] = zero_point
        if dtype != "int8":
            quantized = {}
        self._tensors.append(Spec(shape=shape, dtype=dtype, **quantized))
        out = len(self._tensors) - 1
        self._operators.append(
            Op(
                name=name,
                inputs=inputs,
                outputs=[out],
                options=options,
                fields=fields,
                version=1 if name in _FIRST_VERSION else 2,
            )
        )
        return out

    def dense(self, source: int, out: int, *, scale: float, zero_point: int, activation: int = 0):
        """FULLY_CONNECTED with one scale for all weights."""
        depth = int(np.prod(self.shape(source)))
        spread = self._spread(source, depth, scale)
        weights = self.held(self._codes(out, depth), spread)
        bias = self._bias(source, out, spread)
        return self.then(
            "FULLY_CONNECTED", [source, weights, bias], [1, out], scale=scale,
            zero_point=zero_point, options="FullyConnectedOptions",
            fusedActivationFunction=activation,
        )  # fmt: skip

    def conv(
        self,
        source: int,
        out: int,
        size: int,
        *,
        groups: int = 1,
        scale: float = 0.5,
        **fields: Any,
    ) -> int:
        """CONV_2D at stride 1, padded to the same size, with a scale for each filter."""
        _, height, width, channels = self.shape(source)
        products = size * size * channels // groups
        scales = self._spread(source, products, scale) * self._rng.uniform(0.5, 2, out)
        weights = self.held(self._codes(out, size, size, channels // groups), scales)
        bias = self._bias(source, out, scales)
        return self.then(
            "CONV_2D", [source, weights, bias], [1, height, width, out], scale=scale, zero_point=-7,
            options="Conv2DOptions", strideH=1, strideW=1, **fields,
        )  # fmt: skip

    def depthwise(self, source: int, out: int, shape: Sequence[int], **fields: Any) -> int:
        """DEPTHWISE_CONV_2D with windows of 3 x 2 pixels."""
        scales = self._spread(source, 6, 0.7) * self._rng.uniform(0.5, 2, out)
        weights = self.held(self._codes(1, 3, 2, out), scales, axis=3)
        bias = self._bias(source, out, scales)
        return self.then(
            "DEPTHWISE_CONV_2D", [source, weights, bias], [*shape, out], scale=0.7, zero_point=11,
            options="DepthwiseConv2DOptions", **fields,
        )  # fmt: skip

    def pool(self, name: str, source: int, shape: Sequence[int]) -> int:
        """A pool over windows of 2 x 2 pixels."""
        return self.then(
            name, [source], shape, options="Pool2DOptions", strideH=2, strideW=2, filterHeight=2,
            filterWidth=2, padding=1,
        )  # fmt: skip

    def scores(self, source: int, classes: int) -> int:
        """A dense layer and SOFTMAX."""
        logits = self.dense(source, classes, scale=0.05, zero_point=3)
        return self.then(
            "SOFTMAX", [logits], [1, classes], scale=1 / 256, zero_point=-128,
            options="SoftmaxOptions", beta=1.0,
        )  # fmt: skip

    def _spread(self, source: int, products: int, scale: float) -> float:
        """A scale of weights at which the sums spread over the codes of an output of `scale`."""
        typical = float(np.max(self._tensors[source].scales)) * 75 * 75 * products**0.5
        return 50 * scale / typical

    def _codes(self, *shape: int) -> np.ndarray:
        return self._rng.integers(-127, 128, shape).astype(np.int8)

    def _bias(self, source: int, out: int, scales: Any) -> int:
        codes = self._rng.integers(-900, 900, out).astype(np.int32)
        return self.held(codes, np.max(self._tensors[source].scales) * np.array(scales))


def dense() -> bytes:
    """Two dense layers, the first with RELU fused; (6, 5) pixels without a channel axis."""
    net = Network(1, Spec(shape=[1, 6, 5], **PIXELS))
    flat = net.then(
        "RESHAPE", [0, net.held(np.array([-1, 30], np.int32))], [1, 30], options="ReshapeOptions"
    )
    hidden = net.dense(flat, 8, scale=0.9, zero_point=-128, activation=1)
    net.scores(hidden, 6)
    return net.content()


def convolutional() -> bytes:
    """Convolutions with strides, dilation, a multiplier, both pools; LOGISTIC at the end."""
    net = Network(2, Spec(shape=[1, 9, 8, 1], **PIXELS))
    stem = net.conv(0, 4, 3, scale=0.04, fusedActivationFunction=3)
    wide = net.depthwise(stem, 8, [1, 5, 4], strideH=2, strideW=2, depthMultiplier=2)
    dilated = net.depthwise(
        wide, 8, [1, 5, 4], strideH=1, strideW=1, depthMultiplier=1, dilationHFactor=2
    )
    most = net.pool("MAX_POOL_2D", dilated, [1, 2, 2, 8])
    mean = net.pool("AVERAGE_POOL_2D", most, [1, 1, 1, 8])
    flat = net.then("SQUEEZE", [mean], [1, 8], options="SqueezeOptions", squeezeDims=[1, 2])
    logits = net.dense(flat, 5, scale=0.3, zero_point=-20)
    net.then("LOGISTIC", [logits], [1, 5], scale=1 / 256, zero_point=-128)
    return net.content()


def branched() -> bytes:
    """Sums, differences and products of branches and of constants; grouped filters; reductions."""
    net = Network(3, Spec(shape=[1, 5, 6, 1], **PIXELS))
    stem = net.conv(0, 4, 3)
    shape = net.shape(stem)
    relu = net.then("RELU", [stem], shape, scale=0.3, zero_point=-100)
    leaky = net.then(
        "LEAKY_RELU", [stem], shape, scale=0.4, zero_point=5, options="LeakyReluOptions", alpha=0.2
    )
    total = net.then(
        "ADD", [relu, leaky], shape, scale=0.6, zero_point=-30, options="AddOptions",
        fusedActivationFunction=1,
    )  # fmt: skip
    held = net.held(np.array([3, -50, 99, 7], np.int8), 0.05, zero_point=-4)
    less = net.then("SUB", [total, held], shape, scale=0.6, zero_point=8, options="SubOptions")
    times = net.then("MUL", [less, relu], shape, scale=9.0, zero_point=-3, options="MulOptions")
    again = net.then("QUANTIZE", [less], shape, scale=9.0, zero_point=-3)
    joined = net.then(
        "CONCATENATION", [times, again], [*shape[:3], 8], options="ConcatenationOptions", axis=3
    )
    grouped = net.conv(joined, 6, 2, groups=2)
    axes = net.held(np.array([1, 2], np.int32))
    mean = net.then(
        "MEAN", [grouped, axes], [1, 6], scale=0.4, zero_point=2, options="ReducerOptions",
        keepDims=False,
    )  # fmt: skip
    most = net.then("REDUCE_MAX", [grouped, axes], [1, 6], options="ReducerOptions")
    both = net.then("ADD", [mean, most], [1, 6], scale=0.7, zero_point=-40, options="AddOptions")
    net.scores(both, 4)
    return net.content()


def curved() -> bytes:
    """PAD, HARD_SWISH, TANH, RELU6; uint8 in, float32 out."""
    net = Network(4, Spec(shape=[1, 4, 5, 1], dtype="uint8", scales=1.0, zero_points=0))
    codes = net.then("QUANTIZE", [0], [1, 4, 5, 1], scale=1.0, zero_point=-128)
    pairs = net.held(np.array([(0, 0), (1, 0), (1, 2), (0, 0)], np.int32))
    padded = net.then("PAD", [codes, pairs], [1, 5, 8, 1], options="PadOptions")
    stem = net.conv(padded, 4, 2)
    shape = net.shape(stem)
    swish = net.then("HARD_SWISH", [stem], shape, scale=0.35, zero_point=-90)
    capped = net.then("RELU6", [swish], shape, scale=6 / 255, zero_point=-128)
    bent = net.then("TANH", [capped], shape, scale=1 / 128, zero_point=0)
    axes = net.held(np.array([2, -3], np.int32))
    mean = net.then(
        "MEAN", [bent, axes], [1, 1, 1, 4], scale=0.01, zero_point=-9, options="ReducerOptions",
        keepDims=True,
    )  # fmt: skip
    logits = net.dense(mean, 3, scale=0.02, zero_point=4)
    net.then("DEQUANTIZE", [logits], [1, 3], dtype="float32")
    return net.content()


def from_reals() -> bytes:
    """float32 in, one dense layer that keeps its axes, logits out."""
    net = Network(5, Spec(shape=[1, 3, 4], dtype="float32"))
    codes = net.then("QUANTIZE", [0], [1, 3, 4], scale=1.0, zero_point=-128)
    flat = net.then(
        "RESHAPE", [codes, net.held(np.array([-1, 12], np.int32))], [1, 12],
        options="ReshapeOptions",
    )  # fmt: skip
    net.dense(flat, 7, scale=0.5, zero_point=0)
    return net.content()


@functools.cache
def converted() -> bytes:
    """A shortcut, both convolutions and both poolings as TensorFlow's converter writes them."""
    import keras
    import tensorflow as tf
    from keras import layers

    from edgestitch_runtime.native_output import quiet_native_output

    pixels = keras.Input((12, 10, 1))
    stem = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu")(pixels)
    deep = layers.DepthwiseConv2D(3, padding="same", activation="relu6")(stem)
    deep = layers.Add()([layers.Conv2D(6, 1)(deep), stem])
    deep = layers.MaxPooling2D(2)(layers.ZeroPadding2D(1)(deep))
    wide = layers.Flatten()(layers.AveragePooling2D(2)(deep))
    mean = layers.GlobalAveragePooling2D()(deep)
    scores = layers.Dense(5, activation="softmax")(layers.Concatenate()([wide, mean]))
    model = keras.Model(pixels, scores)
    rng = np.random.default_rng(6)
    model.set_weights([rng.normal(0, 0.3, w.shape) for w in model.get_weights()])
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    images = rng.integers(0, 256, (20, 1, 12, 10, 1)).astype(np.float32)
    images[:, 0, 0, :2, 0] = (0, 255)  # the whole range: a scale of exactly 1
    converter.representative_dataset = lambda: iter([[image] for image in images])
    with quiet_native_output():
        return converter.convert()


SMALL_CLASSIFIERS: dict[str, Callable[[], bytes]] = {
    "dense": dense,
    "convolutional": convolutional,
    "branched": branched,
    "curved": curved,
    "from reals": from_reals,
}
