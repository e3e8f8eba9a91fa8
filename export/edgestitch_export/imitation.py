"""An int8 artifact imitated in floats: a Keras model whose weights and activations are rounded.

It serves what needs gradients or one layer at a time, and judges nothing: that is the artifact's
own part. Of a nested model only the weights and the output are rounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .inference_model import BatchReshape, Gone
from .placement import TRAINING_ONLY, consumer_past, placed
from .range_estimates import estimate

# The largest weight in steps of its channel: ONNX Runtime's tools leave out a bit (onnx_format).
WEIGHT_LEVELS = {"tflite": 127, "onnx": 64}
BATCH = 100
_MOVES = (
    keras.layers.InputLayer, keras.layers.Identity, keras.layers.Flatten, keras.layers.Reshape,
    keras.layers.MaxPooling2D, keras.layers.ZeroPadding2D, Gone, BatchReshape, *TRAINING_ONLY,
)  # fmt: skip
_LINEAR = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
_CLAMPS = (keras.activations.relu, keras.activations.relu6)
_SUFFIX = "_rounded"


@keras.saving.register_keras_serializable(package="edgestitch")
class Rounded(keras.layers.Layer):
    """Eight bits between `low` and `high`, zero among them. `share` 1 rounds, 0 does nothing."""

    def build(self, input_shape: Any) -> None:
        self.low, self.high, self.share = (
            self.add_weight(name=name, initializer="zeros", trainable=False)
            for name in ("low", "high", "share")
        )

    def call(self, inputs: Any) -> Any:
        rounded = tf.quantization.fake_quant_with_min_max_vars(inputs, self.low, self.high)
        return inputs + self.share * (rounded - inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def copied(model: keras.Model) -> keras.Model:
    """A copy of `model`, which was rewritten for inference, with weights of its own."""
    copy = keras.models.clone_model(model, clone_function=_anew, recursive=True)
    copy.set_weights(model.get_weights())
    for _, layer in placed(copy):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    return copy


def imitate(model: keras.Model) -> keras.Model:
    """`model`, rewritten for inference, with a Rounded after each operator of the artifact.

    Activations inside layers stand apart in it. Layers keep their names, and have copied weights.
    """
    whole = _functional(model)
    rounded = {op.name for op in _operations(whole) if _is_requantized(whole, op)}
    inside: dict[str, Any] = {}

    def apart(layer: Any) -> Any:
        anew = _anew(layer)
        if isinstance(anew, _LINEAR) and anew.activation is not keras.activations.linear:
            inside[layer.name] = anew.activation
            anew.activation = keras.activations.linear
        return anew

    def called(layer: Any, *args: Any, **more: Any) -> Any:
        given = layer(*args, **more)
        activation = inside.get(layer.name)
        if activation is not None:
            if activation not in _CLAMPS:
                given = Rounded(name=f"{layer.name}_before{_SUFFIX}")(given)
            given = keras.layers.Activation(activation)(given)
        return Rounded(name=f"{layer.name}{_SUFFIX}")(given) if layer.name in rounded else given

    imitation: Any = keras.models.clone_model(whole, clone_function=apart, call_function=called)
    for layer in whole.layers:
        if layer.get_weights():
            imitation.get_layer(layer.name).set_weights(layer.get_weights())
            if isinstance(layer, keras.layers.Normalization):
                imitation.get_layer(layer.name).finalize_state()
    return imitation


def set_ranges(imitation: keras.Model, method: str, images_u8: np.ndarray) -> None:
    """Gives each Rounded the range that `method` (of range_estimates) finds for these images."""
    layers = list(rounded_layers(imitation))
    switch(layers, share=0.0)
    seen: Any = keras.Model(imitation.inputs, [layer.input for layer in layers])

    def values() -> Iterator[dict[str, np.ndarray]]:
        for batch in batches(imitation, images_u8):
            found = seen.predict_on_batch(batch)
            found = found if isinstance(found, list) else [found]
            yield {layer.name: v for layer, v in zip(layers, found, strict=True)}

    ranges = estimate(method, values)
    for layer in layers:
        low, high = ranges[layer.name]
        layer.low.assign(low)
        layer.high.assign(high if high > low else low + 1.0)


def switch(layers: Iterable[Rounded], *, share: float) -> None:
    """1 makes the layers round, 0 makes them do nothing."""
    for layer in layers:
        layer.share.assign(share)


def rounded_layers(imitation: keras.Model) -> list[Any]:
    return [layer for layer in imitation.layers if isinstance(layer, Rounded)]


def batches(model: keras.Model, images_u8: np.ndarray) -> Iterator[np.ndarray]:
    """The images as `model` takes them: (k, ...) float32 in 0..255."""
    shape = [int(n) for n in model.inputs[0].shape[1:]]
    for start in range(0, len(images_u8), BATCH):
        yield images_u8[start : start + BATCH].reshape(-1, *shape).astype(np.float32)


def kernel_axes(model: keras.Model) -> dict[int, tuple[int, ...]]:
    """By `id` of each kernel variable: the axes that lie in one channel of its scales."""
    found = {}
    for _, layer in placed(model):
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            found[id(layer.kernel)] = (0, 1)
        elif isinstance(layer, _LINEAR):
            found[id(layer.kernel)] = tuple(range(len(layer.kernel.shape) - 1))
    return found


def round_weights(kernel: Any, axes: tuple[int, ...], levels: int) -> Any:
    """`kernel` on the steps of its channels; the gradient passes as if it were not rounded."""
    largest = tf.reduce_max(tf.abs(kernel), axis=axes, keepdims=True)
    step = tf.stop_gradient(tf.maximum(largest, 1e-12)) / levels
    return kernel + tf.stop_gradient(tf.round(kernel / step) * step - kernel)


def with_weights_of(model: keras.Model, imitation: keras.Model) -> keras.Model:
    """A copy of `model` with the weights that its `imitation` has by now."""
    copy = copied(model)
    for layer in copy.layers:
        if layer.get_weights():
            layer.set_weights(imitation.get_layer(layer.name).get_weights())
    return copy


def _functional(model: keras.Model) -> keras.Model:
    """A copy of `model` that is no Sequential, which calls its layers in ways of its own."""
    if not isinstance(model, keras.Sequential):
        return copied(model)
    source = keras.Input(batch_shape=model.inputs[0].shape)
    given: Any = source
    for layer in model.layers:
        anew = _anew(layer)
        given = anew(given)
        anew.set_weights(layer.get_weights())
    return keras.Model(source, given)


def _anew(layer: Any) -> Any:
    if isinstance(layer, BatchReshape):
        return BatchReshape(layer.target, name=layer.name)
    return layer.__class__.from_config(layer.get_config())


def _is_requantized(model: Any, operation: Any) -> bool:
    """Whether the artifact has an 8-bit tensor of its own for what `operation` gives."""
    if isinstance(operation, _MOVES) or any(operation.output is t for t in model.outputs):
        return False
    after: Any = consumer_past(model, operation, _MOVES)
    clamps = isinstance(after, keras.layers.Activation) and after.activation in _CLAMPS
    return not (clamps or isinstance(after, keras.layers.ReLU))


def _operations(model: Any) -> list[Any]:
    return model.operations
