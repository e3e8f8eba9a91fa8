"""Channels of an activation brought to like ranges: they share one scale in an integer artifact.

A ReLU passes a positive factor, so that channel i may be divided by s_i in the layer before and
multiplied by it in the layer after (Nagel et al., 2019, section 4.1,
https://arxiv.org/abs/1906.04721). Weights have a scale for each output channel here, so it is the
activation's range that is set against the weights after it, as in Xiao et al., 2022, section 4
(https://arxiv.org/abs/2211.10438): s_i is the root of one range over the other. Where the layer
after is depthwise a channel's weights keep a scale of their own, and s_i is all of the range.

Several layers may be concatenated before the one after. Channels that come of anything else, such
as the pixels, are as they are, and the others are brought to their range.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from .imitation import batches, copied
from .inference_model import BatchReshape, Gone
from .placement import TRAINING_ONLY, consumer_past, only_consumer, places

_FIRST = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
_PASSING = (
    keras.layers.Identity, keras.layers.MaxPooling2D, keras.layers.AveragePooling2D,
    keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D, Gone, *TRAINING_ONLY,
)  # fmt: skip
_MOST = 1e3  # a channel that is hardly used is not blown up by more


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """A layer and the one after it, which alone takes what is clamped of it."""

    first: Any
    whole: Any  # the layer whose channels share a scale: the clamp, or what concatenates it
    begin: int  # of first's channels among those of `whole`
    second: Any


def equalized(model: keras.Model, images_u8: np.ndarray) -> tuple[keras.Model, int]:
    """A copy of `model`, rewritten for inference, with the same answers, and how many pairs of
    layers it was done to. `images_u8` are calibration images, (n, height, width).
    """
    copy = copied(model)
    together: dict[int, list[_Pair]] = {}
    for pair in _pairs(copy):
        together.setdefault(id(pair.whole), []).append(pair)
    if together:
        largest = _largest(copy, [pairs[0].whole for pairs in together.values()], images_u8)
        for pairs, high in zip(together.values(), largest, strict=True):
            _equalize(pairs, high)
    return copy, sum(len(pairs) for pairs in together.values())


def _pairs(model: Any) -> Iterator[_Pair]:
    standing = places(model)
    for first in model.layers:
        if not isinstance(first, _FIRST) or standing[id(first)] != 1:
            continue
        given: Any = first
        if first.activation is keras.activations.linear:
            given = consumer_past(model, first, (Gone, keras.layers.Identity))
            if not _is_relu(given):
                continue
        elif first.activation is not keras.activations.relu:
            continue
        whole, begin = _whole(model, given)
        second: Any = consumer_past(model, whole, (*_PASSING, BatchReshape))
        if (
            isinstance(second, _FIRST)
            and standing[id(second)] == 1
            and first.use_bias
            and _channels_in(second) % whole.output.shape[-1] == 0
        ):
            yield _Pair(first=first, whole=whole, begin=begin, second=second)


def _is_relu(layer: Any) -> bool:
    if isinstance(layer, keras.layers.Activation):
        return layer.activation is keras.activations.relu
    return isinstance(layer, keras.layers.ReLU) and (layer.max_value, layer.threshold) == (None, 0)


def _whole(model: Any, given: Any) -> tuple[Any, int]:
    """The concatenation along channels that alone takes what `given` gives, and where it begins
    there; `given` itself and 0 where none does.
    """
    last, after = given, only_consumer(model, given)
    while isinstance(after, _PASSING):
        last, after = after, only_consumer(model, after)
    if not isinstance(after, keras.layers.Concatenate):
        return given, 0
    taken: Any = after.input
    here = [k for k, tensor in enumerate(taken) if tensor is last.output]
    if after.axis not in (-1, taken[0].ndim - 1) or len(here) != 1:
        return given, 0
    return after, sum(tensor.shape[-1] for tensor in taken[: here[0]])


def _channels_in(layer: Any) -> int:
    """Those that the layer takes: several for one channel where places became channels."""
    return int(layer.kernel.shape[-2])


def _largest(model: Any, layers: list[Any], images_u8: np.ndarray) -> list[np.ndarray]:
    """The largest magnitude in each channel of what the layers give: (channels,) each."""
    seen: Any = keras.Model(model.inputs, [layer.output for layer in layers])
    most: list[np.ndarray] = []
    for batch in batches(model, images_u8):
        found = seen.predict_on_batch(batch)
        found = found if isinstance(found, list) else [found]
        now = [np.abs(v).max(axis=tuple(range(v.ndim - 1))) for v in found]
        most = [np.maximum(a, b) for a, b in zip(most, now, strict=True)] if most else now
    return most


def _equalize(pairs: list[_Pair], high: np.ndarray) -> None:
    """`pairs` have one `whole`, whose channels reach up to `high`."""
    second = pairs[0].second
    after = second.get_weights()
    factor = np.maximum(high, max(high.max(), 1e-12) / _MOST)
    if not _is_depthwise(second):
        used = np.abs(after[0]).max(axis=(*range(after[0].ndim - 2), -1))
        used = used.reshape(-1, len(high)).max(axis=0)
        factor = np.sqrt(factor / np.maximum(used, max(used.max(), 1e-12) / _MOST))
    ours = np.zeros(len(high), bool)
    for pair in pairs:
        ours[pair.begin :][: pair.first.output.shape[-1]] = True
    fixed = factor if ours.all() else factor[~ours]
    factor = np.where(ours, factor / np.exp(np.log(fixed).mean()), 1).astype(np.float32)
    for pair in pairs:
        kernel, bias = pair.first.get_weights()
        own = factor[pair.begin :][: len(bias)]
        before = own.reshape(kernel.shape[2:]) if _is_depthwise(pair.first) else own
        pair.first.set_weights([kernel / before, bias / own])
    after[0] = after[0] * np.tile(factor, _channels_in(second) // len(factor))[:, None]
    second.set_weights(after)


def _is_depthwise(layer: Any) -> bool:
    return isinstance(layer, keras.layers.DepthwiseConv2D)
