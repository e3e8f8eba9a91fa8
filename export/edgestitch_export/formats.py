"""The table of formats: what each can hold, how it is made, and how it is checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import onnx

from edgestitch_runtime.card import ONNX_KEY, append_to_tflite, card_text

from . import onnx_contract, onnx_format, tflite_format
from .calibration import Calibration
from .pairs import check_pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format. `convert` gives the model's bytes without a card, `add_card` the artifact's."""

    suffix: str
    engine: str  # the engine that judges an artifact of this format after its export
    convert: Callable[[keras.Model, str, Calibration, str], bytes]
    read_back: Callable[[bytes, str], dict[str, Any]]
    check: Callable[[dict[str, Any], str], None]
    add_card: Callable[[bytes, dict[str, Any]], bytes]


def _add_onnx_card(content: bytes, card: dict[str, Any]) -> bytes:
    model = onnx.load_from_string(content)
    onnx.helper.set_model_props(model, {ONNX_KEY: card_text(card)})
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
    ),
    "onnx": Format(
        suffix=".onnx",
        engine="onnxruntime",
        convert=onnx_format.convert,
        read_back=onnx_contract.read_back,
        check=onnx_contract.check,
        add_card=_add_onnx_card,
    ),
}


def lookup(format: str, precision: str) -> Format:
    """The format's record. Raises EdgestitchError for a pair that is not made."""
    check_pair(format, precision)
    return FORMATS[format]
