"""How many flipped weight bits the self-test notices without the hash: `make figures` prints it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from edgestitch_runtime.card import Artifact, model_bytes, read_artifact
from edgestitch_runtime.engines import engine_version, open_session
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.golden_check import DIFFERS, check_golden
from edgestitch_runtime.tflite_file import read_tflite

pytestmark = pytest.mark.slow
BITS = 200


@pytest.mark.parametrize(("model", "least"), [("mlp", 0.35), ("dscnn", 0.7)])
def test_the_self_test_notices_flipped_weight_bits_without_the_hash(
    shipped_int8: Callable, capsys: pytest.CaptureFixture[str], model: str, least: float
) -> None:
    artifact = read_artifact(shipped_int8(model).path)
    assert artifact.card is not None
    content = model_bytes("tflite", artifact.content)
    weights = [
        t.data.tobytes()
        for t in read_tflite(content).tensors
        if t.data is not None and t.dtype == "int8" and t.data.size > 50
    ]
    starts = [content.index(w) for w in weights]
    places = np.concatenate(
        [np.arange(s, s + len(w)) for s, w in zip(starts, weights, strict=True)]
    )
    rng = np.random.default_rng(0)
    noticed = {"reference": 0, "litert": 0}
    for place in rng.choice(places, BITS):
        altered = bytearray(content)
        altered[place] ^= 1 << int(rng.integers(8))
        file = replace(artifact, content=bytes(altered))
        for engine in noticed:
            noticed[engine] += not _passes(file, engine)
    with capsys.disabled():
        told = ", ".join(f"{100 * n / BITS:.0f} % on {engine}" for engine, n in noticed.items())
        print(f"\n  {model}: of {BITS} flipped weight bits {told} are noticed", end="")
    assert noticed["reference"] >= least * BITS
    assert noticed["litert"] >= 0.25 * BITS


def _passes(file: Artifact, engine: str) -> bool:
    try:
        _, session = open_session(file, engine=engine, threads=1)
        found = check_golden(file, session, engine=engine, engine_version=engine_version(engine))
    except EdgestitchError:
        return False
    return found is not None and found.verdict != DIFFERS
