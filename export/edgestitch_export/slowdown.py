"""Whether an artifact is slower than the float32 of its format here: measured, not presumed.

int8 weights with float activations are smaller, and often slower: ONNX Runtime has no fast kernel
for the ConvInteger of a convolution, so `dynamic` can cost many times what float32 does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgestitch_runtime.classifier import Classifier
from edgestitch_runtime.native_output import quiet_native_output
from edgestitch_runtime.timing import Timed, interleaved

CLEARLY = 1.5  # times as slow: below, the measurement on a busy machine may be mistaken
MIN_SECONDS, MIN_RUNS, BLOCKS = 0.3, 20, 10
IMAGES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Slowdown:
    """Medians of the bare call for one image in microseconds, from alternating blocks."""

    artifact_us: float
    float32_us: float

    @property
    def ratio(self) -> float:
        return self.artifact_us / self.float32_us


def slowdown(
    artifact: Path, float32: bytes, images_u8: np.ndarray, *, engine: str
) -> Slowdown | None:
    """How much slower `artifact` is than `float32`, the same model's bytes in the same format.

    `images_u8` is (n, height, width) uint8; the first 64 are cycled through. None when it is not
    clearly slower. Takes about a second.
    """
    plain = artifact.with_name(f"plain-{artifact.name}")
    plain.write_bytes(float32)
    with quiet_native_output():  # an engine says which delegate it made
        mine, other = (Classifier.open(path, engine=engine) for path in (artifact, plain))
    with mine, other:
        calls = {}
        for name, classifier in (("artifact", mine), ("float32", other)):
            prepare, call = classifier.bare()
            inputs = [prepare(image) for image in images_u8[:IMAGES]]
            calls[name] = Timed(call=call, inputs=inputs)
        found = interleaved(calls, min_seconds=MIN_SECONDS, min_runs=MIN_RUNS, blocks=BLOCKS)
    measured = Slowdown(artifact_us=found["artifact"].p50_us, float32_us=found["float32"].p50_us)
    return measured if measured.ratio > CLEARLY else None
