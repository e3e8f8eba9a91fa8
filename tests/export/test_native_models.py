"""Real models as shared libraries, against the engine `reference`: equal in every score."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_export.c_command import export_tflite
from edgestitch_export.native_targets import own_target
from edgestitch_runtime import Classifier
from edgestitch_runtime.array_files import read_idx
from edgestitch_runtime.card import model_bytes
from edgestitch_runtime.selftest import selftest

if own_target() is None:
    pytest.skip(f"{platform.machine()} is no target of native", allow_module_level=True)


def answers(path: Path, engine: str, images_u8: np.ndarray) -> np.ndarray:
    with Classifier.open(path, engine=engine) as classifier:
        return classifier.scores(images_u8)


def test_the_trained_mlp_answers_as_reference_does(
    mini_run: Path, mini_test: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    tflite = mini_run / "export" / "mlp-int8.tflite"
    # A model may have the name that the library's own names begin with.
    path = export_tflite(tflite, format="native", name="edgestitch", out=tmp_path).path
    assert path.name == f"edgestitch-int8-{own_target()}.so"
    library = model_bytes("native", path.read_bytes())
    assert 784 * 128 < len(library) < 1.5 * 784 * 128  # the weights, once for all codes
    expected = answers(tflite, "reference", mini_test[0])
    assert (answers(path, "native", mini_test[0]) == expected).all()
    assert len(np.unique(expected.argmax(axis=1))) == 10
    check = selftest(path).engines[0].check
    assert check is not None and check.verdict == "identical" and check.close_calls == 16


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp", "dscnn", "dscnn-l"])
def test_a_shipped_model_answers_10_000_images_as_reference_does(
    model: str, shipped_int8: Callable[[str], Any], fashion_mnist: Path, tmp_path: Path
) -> None:
    """Run by hand: pytest -m slow tests/export/test_native_models.py"""
    tflite = shipped_int8(model).path
    images_u8 = read_idx(fashion_mnist / "t10k-images-idx3-ubyte.gz")[0]
    path = export_tflite(tflite, format="native", out=tmp_path).path
    expected = answers(tflite, "reference", images_u8)
    assert expected.shape == (10_000, 10)
    assert (answers(path, "native", images_u8) == expected).all()
