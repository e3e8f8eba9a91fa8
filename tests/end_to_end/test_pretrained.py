"""A shipped model from `--pretrained` to artifacts on the real test images, as a new user would."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SIZES = Path(__file__).parents[2] / "train/edgestitch_train/pretrained/int8_bytes.json"
MOST_UPPER_PP = {"mlp": 0.30, "dscnn": 0.40, "dscnn-l": 0.40}


@pytest.mark.parametrize("model", MOST_UPPER_PP)
def test_a_trained_model_is_exported_to_int8_with_a_small_drop(
    model: str, shipped_int8: Callable[[str], Any]
) -> None:
    told, artifact = shipped_int8(model).laid, shipped_int8(model).made
    assert artifact["path"] == f"runs/{model}/export/{model}-int8.tflite"
    agreement, accuracy = artifact["agreement"], artifact["card"]["accuracy"]
    assert (agreement["n"], agreement["float_correct"]) == (10_000, told["test_correct"])
    assert accuracy["drop_upper_pp"] <= MOST_UPPER_PP[model]
    assert told["int8_bytes"] == json.loads(SIZES.read_text())[model]
    # The card's counts hang on the engine's kernels for this CPU, and have more or fewer digits.
    assert abs(artifact["bytes"] - told["int8_bytes"]) <= 40
    distances = artifact["card"]["reference"]["distances"]
    assert [counted["n"] for counted in distances.values()] == [10_000]
