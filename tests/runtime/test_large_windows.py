"""The memory of the `reference` engine where windows are much larger than a tensor."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from edgestitch_runtime import Classifier
from tflite_builder import Op, Spec, build


@pytest.mark.parametrize("name", ["CONV_2D", "MAX_POOL_2D"])
def test_hundreds_of_images_take_little_memory_however_large_the_windows_are(
    name: str, tmp_path: Path
) -> None:
    """A file of two kilobytes, whose windows see each pixel hundreds of times."""
    size = 28
    fields = {"padding": 0, "strideW": 1, "strideH": 1}
    pixels, flat = (1, size, size, 1), Spec(shape=(1, size * size), scales=1.0, zero_points=-128)
    window: tuple[Spec, ...] = ()
    if name == "CONV_2D":
        window = (
            Spec(data=np.ones((1, size, size, 1), np.int8), scales=1e-3),
            Spec(data=np.zeros(1, np.int32), scales=1e-3),
        )
    else:
        fields |= {"filterHeight": 400, "filterWidth": 400}
    last = 1 + len(window)
    options = "Conv2DOptions" if name == "CONV_2D" else "Pool2DOptions"
    content = build(
        [
            Op(name=name, inputs=range(last), outputs=[last], options=options,
               fields=fields, version=2),
            Op(name="RESHAPE", inputs=[last], outputs=[last + 1], options="ReshapeOptions"),
        ],
        [
            Spec(shape=pixels, scales=1.0, zero_points=-128),
            *window,
            Spec(shape=pixels, scales=1.0, zero_points=-128),
            flat,
        ],
    )  # fmt: skip
    path = tmp_path / "wide.tflite"
    path.write_bytes(content)
    with Classifier.open(path, engine="reference") as classifier:
        images = np.zeros((200, size, size), np.uint8)
        tracemalloc.start()
        try:
            classifier.scores(images)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 100e6
