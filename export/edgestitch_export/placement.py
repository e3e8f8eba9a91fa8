"""Where layers stand in a Keras model, nested models' included, and what takes what one gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import keras

# At inference they give what they take.
TRAINING_ONLY = (
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianNoise,
    keras.layers.GaussianDropout,
    keras.layers.RandomFlip,
    keras.layers.RandomTranslation,
)


def placed(model: keras.Model) -> Iterator[tuple[keras.Model, keras.layers.Layer]]:
    """Every layer in `model` and in the models nested in it, with the model that it stands in."""
    for layer in model.layers:
        yield model, layer
        if isinstance(layer, keras.Model):
            yield from placed(layer)


def places(model: keras.Model) -> Counter[int]:
    """In how many models each layer stands, by `id`: `model` and those nested in it."""
    return Counter(id(layer) for _, layer in placed(model))


def consumer_past(
    model: keras.Model, layer: keras.layers.Layer, passing: tuple[type, ...]
) -> keras.Operation | None:
    """As `only_consumer`, but layers of the kinds `passing` are gone through."""
    after = only_consumer(model, layer)
    while after is not None and isinstance(after, passing):
        after = only_consumer(model, after)
    return after


def only_consumer(model: keras.Model, layer: keras.Operation) -> keras.Operation | None:
    """The layer or operation that alone takes what `layer` gives; None for none or several.

    Also None when either is called more than once, as a shared layer is.
    """
    if isinstance(model, keras.Sequential):  # it calls its layers itself, more than once
        after = model.layers[model.layers.index(layer) + 1 :]
        return after[0] if after else None
    if len(_nodes(layer)) != 1 or any(t is layer.output for t in model.outputs):
        return None
    takers = [
        other
        for other in _operations(model)
        if any(t is layer.output for node in _nodes(other) for t in node.input_tensors)
    ]
    return takers[0] if len(takers) == 1 and len(_nodes(takers[0])) == 1 else None


def _operations(model: Any) -> list[keras.Operation]:
    """All that `model` computes: `x + y` and keras.ops are operations, but no layers."""
    return model.operations


def _nodes(operation: Any) -> list[Any]:
    return operation._inbound_nodes
