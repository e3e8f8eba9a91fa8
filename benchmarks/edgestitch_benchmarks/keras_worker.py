"""A worker for the float model: `model.keras` in Keras, measured as the artifacts are.

People quote Keras's latency in more than one way, and they differ a lot; each is a row of its own,
with the whole call timed, from one uint8 image to its class:

- `keras predict`: `model.predict(image[None], verbose=0)`, what most scripts do.
- `keras call`: `model(image[None], training=False)`, the same model without predict's machinery.
- `keras function`: the model as a `tf.function` with its input's signature, traced before: a graph.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.worker import serve  # starts the clock: nothing heavy before it

if TYPE_CHECKING:
    import numpy as np

    from edgestitch_runtime.timing import Timed

Call = Callable[["np.ndarray"], "np.ndarray"]
_BATCH = 256


class KerasSubject:
    """The float model, called in the way that `command["engine"]` names."""

    def __init__(self, command: dict[str, Any]) -> None:
        from importlib.metadata import version

        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # every row of the table runs on the CPU
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(command["threads"])
        tf.config.threading.set_inter_op_parallelism_threads(1)
        import keras

        self.engine_version = f"{version('keras')} (tensorflow {version('tensorflow')})"
        model: Any = keras.models.load_model(command["artifact"], compile=False)
        shape = model.input_shape
        if not isinstance(shape, tuple) or len(shape) not in (3, 4):
            raise EdgestitchError(
                f"the model takes {shape}, expected (None, height, width) or one channel more",
                hint="only classifiers of grayscale images can be measured",
            )
        self._channel = len(shape) == 4
        self._output = CALLS[command["engine"]](model)

    def scores(self, images_u8: np.ndarray) -> np.ndarray:
        import numpy as np

        parts = [
            self._output(self._prepared(images_u8[k : k + _BATCH]))
            for k in range(0, len(images_u8), _BATCH)
        ]
        return np.concatenate(parts)

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        return probabilities_of(scores)

    def selftest(self) -> str | None:
        return None  # golden vectors are for what was exported

    def batch(self, images_u8: np.ndarray) -> np.ndarray:
        images_u8 = images_u8.reshape(-1, *images_u8.shape[-2:])
        return self._output(self._prepared(images_u8)).argmax(axis=1)

    def timed(self, images_u8: np.ndarray) -> dict[str, Timed]:
        from edgestitch_runtime.timing import Timed

        output, prepared = self._output, self._prepared

        def classify(image: np.ndarray) -> int:
            return int(output(prepared(image[None])).argmax())

        return {"classify": Timed(call=classify, inputs=list(images_u8))}

    def _prepared(self, images_u8: np.ndarray) -> np.ndarray:
        pixels = images_u8.astype("float32")
        return pixels[..., None] if self._channel else pixels


def probabilities_of(scores: np.ndarray) -> np.ndarray:
    """(n, classes) float32 whose rows sum to 1, of a model's output: softmax where it is logits.

    It is logits unless all of it lies within 0..1, as export takes it.
    """
    from edgestitch_runtime.classifier import Reading

    kind = "probabilities" if scores.min() >= 0 and scores.max() <= 1 else "logits"
    reading = Reading(scale=1.0, zero_point=0, kind=kind, unsigned=None)
    return reading.probabilities(scores.astype("float32"))


def _predict(model: Any) -> Call:
    return lambda pixels: model.predict(pixels, batch_size=_BATCH, verbose=0)


def _call(model: Any) -> Call:
    import numpy as np

    return lambda pixels: np.asarray(model(pixels, training=False))


def _function(model: Any) -> Call:
    import tensorflow as tf

    signature = [tf.TensorSpec(model.input_shape, tf.float32)]
    traced = tf.function(
        lambda pixels: model(pixels, training=False),
        input_signature=signature,
        autograph=False,  # it would leave a file in the temporary folder when killed
    )
    graph = traced.get_concrete_function()
    return lambda pixels: graph(tf.constant(pixels)).numpy()


CALLS: dict[str, Callable[[Any], Call]] = {
    "keras predict": _predict,
    "keras call": _call,
    "keras function": _function,
}


if __name__ == "__main__":
    sys.exit(serve(KerasSubject))
