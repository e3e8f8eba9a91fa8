"""A Keras model as a TensorFlow function whose weights are constants."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2,
)

INPUT_NAME = "pixels"


def frozen_function(model: keras.Model, *, fixed_input_range: str) -> Any:
    """A concrete function of `pixels`, (n, *image) float32 in 0..255, with a free batch.

    With `fixed_input_range` "0..255" a fake quantization states that range in the graph, so that
    the int8 input has scale 1 and zero point -128 whatever calibration sees; "none" adds nothing.
    """
    shape = [None, *(int(n) for n in model.inputs[0].shape[1:])]
    pinned = {"0..255": True, "none": False}[fixed_input_range]

    def answer(pixels: Any) -> Any:
        if pinned:
            pixels = tf.quantization.fake_quant_with_min_max_args(pixels, 0.0, 255.0, num_bits=8)
        return model(pixels, training=False)

    signature = [tf.TensorSpec(shape, tf.float32, name=INPUT_NAME)]
    function: Any = tf.function(answer, input_signature=signature)
    return convert_variables_to_constants_v2(function.get_concrete_function())
