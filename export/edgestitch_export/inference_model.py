"""A Keras model as it is exported: loaded, checked, and rewritten for inference.

The rewrite changes no answer: input scaling is multiplied into the first weights, batch
normalization into those before it, flattening gets a shape that is constant but for the batch, and
layers that only act in training go.
"""

from __future__ import annotations

import math
from pathlib import Path
from textwrap import shorten
from typing import Any

import keras
import numpy as np

from edgestitch_runtime.errors import EdgestitchError

from .batch_norm import foldable, folded_weights
from .foreign_model import load_foreign
from .graph_layer import as_graph
from .placement import TRAINING_ONLY, consumer_past, only_consumer, placed, places

MAX_SIDE = 64  # "a few dozen pixels a side"
_SHAPE_ONLY = (keras.layers.Flatten, keras.layers.Reshape)
_PASSING = (*_SHAPE_ONLY, *TRAINING_ONLY)
_LINEAR = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


@keras.saving.register_keras_serializable(package="edgestitch")
class BatchReshape(keras.layers.Layer):
    """Reshapes (n, ...) to (n, *target) with a constant shape operand.

    One -1 in `target` stands for what is left over, and is worked out at each call: a shared layer
    takes several shapes. Keras's own Flatten and Reshape read the batch size at run time, which
    leaves SHAPE, STRIDED_SLICE and PACK in a TFLite graph.
    """

    def __init__(self, target: tuple[int, ...], name: str) -> None:
        super().__init__(name=name)
        self.target = target

    def call(self, inputs: Any) -> Any:
        import tensorflow as tf

        return tf.reshape(inputs, (-1, *self.compute_output_shape(inputs.shape)[1:]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        known = math.prod(n for n in self.target if n != -1)
        sizes = list(input_shape[1:])
        left_over = None if None in sizes else math.prod(sizes) // known
        return (input_shape[0], *(left_over if n == -1 else n for n in self.target))


@keras.saving.register_keras_serializable(package="edgestitch")
class Gone(keras.layers.Layer):
    """In the place of a layer that was folded away; takes what that was called with.

    Keras's own Identity refuses the `mask` that a saved BatchNormalization is called with.
    """

    def call(self, inputs: Any, mask: Any = None) -> Any:
        return inputs


def load_keras(path: Path) -> keras.Model:
    """The model in a .keras file. No code in the file is run.

    Raises EdgestitchError when the file is missing, damaged, or not a classifier of one input,
    (n, height, width) or (n, height, width, 1), and one output, (n, classes), with finite weights.
    """
    return check_classifier(load_foreign(path), path)


def check_classifier(model: keras.Model, path: Path) -> keras.Model:
    """Returns `model` when it is a classifier of small gray images; EdgestitchError otherwise."""
    inputs, outputs = _ends(model, path)
    if len(inputs) != 1 or len(outputs) != 1:
        raise EdgestitchError(
            f"{path} has {len(inputs)} inputs and {len(outputs)} outputs, expected one of each",
            hint="export a classifier of one image",
        )
    shape, out = tuple(inputs[0].shape), tuple(outputs[0].shape)
    sized = len(shape) in (3, 4) and all(n and n <= MAX_SIDE for n in shape[1:3])
    if not sized or (len(shape) == 4 and shape[3] != 1):
        raise EdgestitchError(
            f"{path} takes {shape}, expected (n, height, width) or (n, height, width, 1) with at "
            f"most {MAX_SIDE} pixels a side",
            hint="edgestitch is for classifiers of small grayscale images; one of a flat row of "
            "pixels goes into keras.Sequential([keras.Input((28, 28)), Flatten(), model])",
        )
    if len(out) != 2 or not out[1] or out[1] < 2:
        raise EdgestitchError(
            f"{path} gives {out}, expected (n, classes) with at least 2 classes",
            hint="end the model with a Dense layer of one unit a class",
        )
    if not all(np.isfinite(w).all() for w in model.get_weights()):
        raise EdgestitchError(
            f"{path} has weights that are not finite", hint="train it again at a lower rate"
        )
    return model


def _ends(model: keras.Model, path: Path) -> tuple[list[Any], list[Any]]:
    try:
        inputs, outputs = model.inputs, model.outputs
    except AttributeError:  # what a Sequential that was never built raises
        inputs = outputs = None
    if not inputs or not outputs:
        raise EdgestitchError(
            f"{path} has no fixed input: it was saved before it was built, or is a subclass",
            hint="begin the model with keras.Input((28, 28)), train it, and save it again",
        )
    return inputs, outputs


def image_size(model: keras.Model) -> tuple[int, int]:
    """(height, width) of the images that `model` takes."""
    shape = model.inputs[0].shape
    return int(shape[1]), int(shape[2])


def for_inference(model: keras.Model) -> keras.Model:
    """A copy of `model` that computes the same answers with fewer operators.

    A batch normalization is folded into the dense or convolutional layer before it, and a Rescaling
    or a Normalization of one mean that feeds one through shape-only layers into its weights; one
    whose offset a padded convolution would smear at the border is left alone. What layers cannot
    say, a dilated convolution as one operator, constant shapes in code of the user's own or a
    Normalization of many numbers, a graph does: then the copy is one. Raises EdgestitchError when
    Keras cannot copy the model.
    """
    try:
        copy = _rewritten(model)
        return as_graph(copy) if any(_asks_for_graph(e) for _, e in placed(model)) else copy
    except Exception as error:  # Keras raises what the content happens to break
        raise EdgestitchError(
            f"this model cannot be rewritten for inference: {shorten(str(error), width=240)}",
            hint="a layer of this model cannot be copied; the reason may name it",
        ) from None


def _rewritten(model: keras.Model) -> keras.Model:
    norms = foldable(model)
    gone = {id(norm) for norm in norms.values()}
    scaling, target = _foldable_scaling(model, norms)
    made: dict[int, keras.layers.Layer] = {}

    def rewritten(layer: keras.layers.Layer) -> keras.layers.Layer:
        if id(layer) in gone:
            return Gone(name=layer.name)
        if layer is scaling or isinstance(layer, TRAINING_ONLY):
            return keras.layers.Identity(name=layer.name)
        if isinstance(layer, keras.layers.Normalization) and (found := _scale_and_offset(layer)):
            return keras.layers.Rescaling(*found, name=layer.name)
        if _is_own_code(layer):
            return layer
        shape = _constant_shape(layer)
        if shape is not None:
            return BatchReshape(shape, name=layer.name)
        config = layer.get_config()
        made[id(layer)] = layer.__class__.from_config(
            config | {"use_bias": True} if id(layer) in norms else config
        )
        return made[id(layer)]

    copy = keras.models.clone_model(model, clone_function=rewritten, recursive=True)
    _copy_weights(model, copy, norms, gone)
    if scaling is not None and (found := _scale_and_offset(scaling)):
        _scale_weights(made[id(target)], *found)
    return copy


def _asks_for_graph(layer: Any) -> bool:
    if isinstance(layer, keras.layers.Normalization):
        return _scale_and_offset(layer) is None  # whose constants tf2onnx does not find
    dilation = getattr(layer, "dilation_rate", 1)
    return _is_own_code(layer) or any(n != 1 for n in np.ravel(dilation))


def _is_own_code(layer: keras.layers.Layer) -> bool:
    """Whether a layer computes what Keras's own do not: it cannot be made anew, and is shared."""
    ours = type(layer).__module__.split(".")[0] == "keras"
    return not ours or isinstance(layer, keras.layers.Lambda)


def _constant_shape(layer: Any) -> tuple[int, ...] | None:
    """What a shape-only layer makes of an image; None for another, and for one that transposes."""
    if isinstance(layer, keras.layers.Flatten) and layer.data_format == "channels_last":
        return (-1,)
    return tuple(layer.target_shape) if isinstance(layer, keras.layers.Reshape) else None


def _copy_weights(
    model: keras.Model,
    copy: keras.Model,
    norms: dict[int, keras.layers.BatchNormalization],
    gone: set[int],
) -> None:
    for layer in model.layers:
        if _is_own_code(layer):
            continue
        if isinstance(layer, keras.Model):
            inner: Any = copy.get_layer(layer.name)
            _copy_weights(layer, inner, norms, gone)
        elif id(layer) in norms:
            copy.get_layer(layer.name).set_weights(folded_weights(layer, norms[id(layer)]))
        elif layer.get_weights() and id(layer) not in gone:
            copied: Any = copy.get_layer(layer.name)
            if isinstance(copied, (keras.layers.Rescaling, keras.layers.Identity)):
                continue  # a Normalization, whose numbers it has already
            copied.set_weights(layer.get_weights())
            if isinstance(layer, keras.layers.Normalization):
                copied.finalize_state()  # it computes with constants made of its weights


def _foldable_scaling(
    model: keras.Model, norms: dict[int, keras.layers.BatchNormalization]
) -> tuple[keras.layers.Layer | None, keras.layers.Layer | None]:
    """A scaling and the layer that it folds into, each standing in one place; None for none."""
    standing = places(model)
    for layer in model.layers:
        found = _scale_and_offset(layer)
        if found is None:
            continue
        position = _computing(consumer_past(model, layer, _PASSING))
        if not isinstance(position, _LINEAR) or standing[id(layer)] + standing[id(position)] != 2:
            continue
        if position.use_bias or id(position) in norms:
            padded = getattr(position, "padding", "valid") != "valid"
            if not padded or found[1] == 0.0:
                return layer, position
    return None, None


def _computing(layer: Any) -> Any:
    """`layer`, or where it is a model, the first layer in it that computes; None for none alone."""
    if not isinstance(layer, keras.Model) or _is_own_code(layer):
        return layer
    if isinstance(layer, keras.Sequential):
        first = layer.layers[0] if layer.layers else None
    else:
        (start,) = (e for e in layer.layers if isinstance(e, keras.layers.InputLayer))
        first = only_consumer(layer, start)
    if isinstance(first, _PASSING):
        first = consumer_past(layer, first, _PASSING)
    return _computing(first)


def _scale_and_offset(layer: Any) -> tuple[float, float] | None:
    """What a Rescaling, or a Normalization, of one number each makes of x: x * scale + offset."""
    if isinstance(layer, keras.layers.Rescaling):
        scale, offset = np.asarray(layer.scale), np.asarray(layer.offset)
    elif isinstance(layer, keras.layers.Normalization) and not layer.invert:
        mean, variance = (
            np.asarray(keras.ops.convert_to_numpy(v), np.float64)
            for v in (layer.mean, layer.variance)
        )
        scale = 1 / np.maximum(np.sqrt(variance), keras.config.epsilon())
        offset = -mean * scale
    else:
        return None
    return (scale.item(), offset.item()) if scale.size == offset.size == 1 else None


def _scale_weights(layer: keras.layers.Layer, scale: float, offset: float) -> None:
    """y = W (s x + o) + b  becomes  y = (s W) x + (b + o sum(W)), summed in float64."""
    kernel, bias = (w.astype(np.float64) for w in layer.get_weights())
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        summed = kernel.sum(axis=(0, 1)).reshape(-1)
    else:
        summed = kernel.sum(axis=tuple(range(kernel.ndim - 1)))
    layer.set_weights(
        [(kernel * scale).astype(np.float32), (bias + offset * summed).astype(np.float32)]
    )
