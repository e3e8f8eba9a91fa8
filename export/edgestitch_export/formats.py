"""The table of formats: what each can hold, how it is made, and how it is checked."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import onnx

from edgestitch_runtime.card import ONNX_GOLDEN_KEY, ONNX_HASH_KEY, ONNX_KEY, append_to_tflite
from edgestitch_runtime.card_schema import card_text

from . import onnx_contract, onnx_format, rivals, tflite_format
from .calibration import Calibration
from .float_operator import FloatOperator
from .pairs import MADE_OF_TFLITE, check_pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format. `convert` gives the model's bytes without a card, `add_card` the artifact's.

    `rival` answers images, (n, height, width) uint8, with the model's bytes in another way than the
    engine does by itself: (n, classes) of the model's dtype. `operators` are those of a model that
    precision mixed may keep float.
    """

    suffix: str
    engine: str  # the engine that judges an artifact of this format after its export
    convert: Callable[[keras.Model, str, Calibration, str], bytes]
    read_back: Callable[[bytes, str], dict[str, Any]]
    check: Callable[[dict[str, Any], str], None]
    add_card: Callable[[bytes, dict[str, Any], bytes], bytes]
    rival: Callable[[bytes, np.ndarray], np.ndarray]
    operators: Callable[[keras.Model, Calibration], list[FloatOperator]]


def _add_onnx_card(content: bytes, card: dict[str, Any], golden: bytes) -> bytes:
    model = onnx.load_from_string(content)
    text = card_text(card)
    digest = hashlib.sha256(text.encode()).hexdigest()
    properties = {ONNX_KEY: text, ONNX_HASH_KEY: digest}
    if golden:
        properties[ONNX_GOLDEN_KEY] = base64.b64encode(golden).decode()
    onnx.helper.set_model_props(model, properties)
    return model.SerializeToString(deterministic=True)


FORMATS: dict[str, Format] = {
    "tflite": Format(
        suffix=".tflite",
        engine="litert",
        convert=lambda model, precision, calibration, kind: tflite_format.convert(
            model, precision, calibration
        ),
        read_back=lambda content, precision: tflite_format.read_back(content),
        check=tflite_format.check,
        add_card=append_to_tflite,
        rival=rivals.litert_without_delegate,
        operators=tflite_format.operators,
    ),
    "onnx": Format(
        suffix=".onnx",
        engine="onnxruntime",
        convert=onnx_format.convert,
        read_back=onnx_contract.read_back,
        check=onnx_contract.check,
        add_card=_add_onnx_card,
        rival=rivals.onnxruntime_without_rewrites,
        operators=onnx_format.operators,
    ),
}


def lookup(format: str, precision: str) -> Format:
    """The format's record; that of tflite for what is made of it. Raises EdgestitchError for a pair
    not made.
    """
    check_pair(format, precision)
    return FORMATS["tflite" if format in MADE_OF_TFLITE else format]
