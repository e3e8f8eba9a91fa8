"""The operators of a float graph that is about to be quantized, and the Keras layer of each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import keras
import numpy as np

from .placement import placed


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatOperator:
    """An operator that computes. `weights` is the fingerprint of its kernel, where it has one."""

    name: str  # as the format's quantizer knows it
    kind: str
    weights: bytes | None


def fingerprint(kernel: np.ndarray) -> bytes:
    """The same for a kernel in whatever order of axes a format has it; float32 to the bit."""
    return hashlib.sha256(np.sort(kernel.astype("<f4"), axis=None).tobytes()).digest()


def titles(model: keras.Model, operators: list[FloatOperator]) -> dict[str, str]:
    """What people call each operator: its kind with its layer, or with its place in the graph."""
    layers = {
        fingerprint(weights): layer.name
        for _, layer in placed(model)
        if not isinstance(layer, keras.Model)
        for weights in layer.get_weights()[:1]
    }
    return {
        operator.name: f"{operator.kind} "
        + layers.get(operator.weights or b"", f"(operator {position})")
        for position, operator in enumerate(operators, 1)
    }
