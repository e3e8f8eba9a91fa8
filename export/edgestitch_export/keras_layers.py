"""What the layers of a Keras model compute, those of nested models and shared layers too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from .layer_outputs import LayerOutput


def keras_layers(model: keras.Model, images_u8: np.ndarray) -> tuple[LayerOutput, ...]:
    """The outputs of the model's layers and operations, in the order in which they are computed.

    `images_u8` are (n, height, width) uint8. Layers that give several tensors are left out.
    """
    shaped = images_u8.reshape(-1, *(int(n) for n in model.inputs[0].shape[1:]))
    with _recording(model) as calls:
        run: Any = model
        run(keras.ops.convert_to_tensor(shaped.astype(np.float32)), training=False)
    position: dict[int, int] = {}
    found: list[LayerOutput] = []
    for operation, taken, given in calls:
        values = np.asarray(given, np.float32)
        # What was not recorded comes from the image, or from a layer of several tensors.
        inputs = sorted({position[id(t)] for t in taken if id(t) in position})
        position[id(given)] = len(found)
        found.append(
            LayerOutput(
                name=operation.name,
                weighted=_weighted(operation),
                shape=values.shape[1:],
                values=values.reshape(len(images_u8), -1),
                inputs=tuple(inputs),
            )
        )
    return tuple(found)


def _weighted(operation: Any) -> bool:
    norm = isinstance(operation, keras.layers.BatchNormalization)
    return bool(getattr(operation, "weights", ())) and not norm


@contextmanager
def _recording(model: keras.Model) -> Iterator[list[tuple[Any, list[Any], Any]]]:
    """While it lasts, each call in the model adds (operation, tensors taken, tensor given).

    The graph of a loaded model is not public; that every operation is run through its `call` is.
    """
    calls: list[tuple[Any, list[Any], Any]] = []

    def recorded(operation: Any, call: Any) -> Any:
        def record(*args: Any, **more: Any) -> Any:
            given = call(*args, **more)
            if keras.ops.is_tensor(given) and len(given.shape) >= 2:
                calls.append((operation, keras.tree.flatten((args, more)), given))
            return given

        return record

    operations = {id(o): o for o in _operations(model)}.values()
    for operation in operations:
        vars(operation)["call"] = recorded(operation, operation.call)
    try:
        yield calls
    finally:
        for operation in operations:
            del vars(operation)["call"]


def _operations(model: Any) -> Iterator[Any]:
    """All that computes in `model`: its layers, those of models in it, and operations as x + y."""
    for operation in getattr(model, "operations", None) or model.layers:
        if isinstance(operation, keras.Model):
            yield from _operations(operation)
        elif not isinstance(operation, keras.layers.InputLayer):
            yield operation
