"""A worker for the float model: `model.keras` in Keras, measured as the artifacts are.

People quote Keras's latency in more than one way, and they differ a lot; each is a row of its own,
with the whole call timed, from one uint8 image to its class:

- `keras predict`: `model.predict(image[None], verbose=0)`, what most scripts do.
- `keras call`: `model(image[None], training=False)`, the same model without predict's machinery.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.timing import Timed
from edgestitch_runtime.worker import serve

_BATCH = 256


class KerasSubject:
    """The float model, called in the way that `command["engine"]` names."""

    def __init__(self, command: dict[str, Any]) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # every row of the table runs on the CPU
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(command["threads"])
        tf.config.threading.set_inter_op_parallelism_threads(1)
        import keras

        self.engine_version = f"{version('keras')} (tensorflow {version('tensorflow')})"
        self._model: Any = keras.models.load_model(command["artifact"], compile=False)
        shape = self._model.input_shape
        if not isinstance(shape, tuple) or len(shape) not in (3, 4):
            raise EdgestitchError(
                f"the model takes {shape}, expected (None, height, width) or one channel more",
                hint="only classifiers of grayscale images can be measured",
            )
        self._channel = len(shape) == 4
        self._output = _CALLS[command["engine"]](self._model)

    def scores(self, images_u8: np.ndarray) -> np.ndarray:
        parts = [
            np.asarray(self._model(self._prepared(images_u8[k : k + _BATCH]), training=False))
            for k in range(0, len(images_u8), _BATCH)
        ]
        return np.concatenate(parts)

    def timed(self, images_u8: np.ndarray) -> dict[str, Timed]:
        output, prepared = self._output, self._prepared

        def classify(image: np.ndarray) -> int:
            return int(output(prepared(image[None])).argmax())

        return {"classify": Timed(call=classify, inputs=list(images_u8))}

    def _prepared(self, images_u8: np.ndarray) -> np.ndarray:
        pixels = images_u8.astype(np.float32)
        return pixels[..., None] if self._channel else pixels


def _predict(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: model.predict(pixels, verbose=0)


def _call(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: np.asarray(model(pixels, training=False))


_CALLS = {"keras predict": _predict, "keras call": _call}


if __name__ == "__main__":
    sys.exit(serve(KerasSubject))
