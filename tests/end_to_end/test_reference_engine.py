"""The reference engine against LiteRT's reference kernels: shipped models, real images."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_runtime import Classifier
from edgestitch_runtime.dataset import read_idx

MODELS = ("mlp", "dscnn", "dscnn-l")
QUICK = {"mlp": 2000, "dscnn": 300, "dscnn-l": 200}  # LiteRT's reference kernels take milliseconds
MOST_US = {"mlp": 60, "dscnn": 3000}
MOST_S_OF_10000_MLP = 1.0


@pytest.fixture(scope="module")
def images(fashion_mnist: Path) -> np.ndarray:
    return read_idx(fashion_mnist / "t10k-images-idx3-ubyte.gz")[0]


def litert_rows(path: Path, images: np.ndarray) -> np.ndarray:
    """What LiteRT's reference kernels give, (n, 10) int8, one image at a time."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1
    )
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    rows = np.empty((len(images), 10), np.int8)
    for k, image in enumerate(images):
        codes = (image.astype(np.int16) - 128).astype(np.int8)
        interpreter.set_tensor(source["index"], codes.reshape(source["shape"]))
        interpreter.invoke()
        rows[k] = interpreter.get_tensor(target["index"])[0]
    return rows


@pytest.mark.parametrize("model", MODELS)
def test_every_output_equals_that_of_litert_s_reference_kernels(
    shipped_int8: Callable[[str], Any], images: np.ndarray, model: str
) -> None:
    chosen = images[: QUICK[model]]
    with Classifier.open(shipped_int8(model).path, engine="reference") as classifier:
        rows = classifier.scores(chosen)
        singly = [classifier.classify(image) for image in chosen[:50]]
    theirs = litert_rows(shipped_int8(model).path, chosen)
    assert (rows == theirs).all()
    assert [one.index for one in singly] == theirs[:50].argmax(axis=1).tolist()
    assert all((one.scores == row).all() for one, row in zip(singly, theirs[:50], strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_all_ten_thousand_and_their_speed(
    shipped_int8: Callable[[str], Any],
    images: np.ndarray,
    model: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`make figures` prints these."""
    with Classifier.open(shipped_int8(model).path, engine="reference") as classifier:
        start = time.perf_counter()
        rows = classifier.scores(images)
        batch_s = time.perf_counter() - start
        singles = []
        for image in images[:500]:
            start = time.perf_counter()
            classifier.classify(image)
            singles.append(time.perf_counter() - start)
    equal = int((rows == litert_rows(shipped_int8(model).path, images)).all(axis=1).sum())
    median_us = 1e6 * float(np.median(singles))
    with capsys.disabled():
        print(
            f"\n  reference, int8 {model}: {equal:,} of 10,000 rows equal to BUILTIN_REF; an image "
            f"{median_us:.0f} us (median of 500), all {batch_s:.2f} s in batches",
            end="",
        )
    assert equal == 10_000
    assert median_us <= MOST_US.get(model, np.inf)
    assert model != "mlp" or batch_s <= MOST_S_OF_10000_MLP
