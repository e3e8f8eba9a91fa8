"""What is called slow is measured against float32: not everything is, and only `dynamic`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_export import export, exporting
from edgestitch_export.slowdown import Slowdown, slowdown
from edgestitch_runtime.card import model_bytes, read_artifact

Labelled = tuple[np.ndarray, np.ndarray]


@pytest.mark.parametrize(("suffix", "engine"), [("tflite", "litert"), ("onnx", "onnxruntime")])
def test_the_same_bytes_are_not_slower_than_themselves(
    mini_run: Path, mini_test: Labelled, tmp_path: Path, suffix: str, engine: str
) -> None:
    name = f"mlp-float32.{suffix}"
    path = shutil.copy(mini_run / "export" / name, tmp_path)
    content = (mini_run / "export" / name).read_bytes()
    assert slowdown(Path(path), content, mini_test[0], engine=engine) is None


def test_dynamic_tflite_of_the_mlp_is_not_slower_than_float32(
    mini_run: Path, mini_test: Labelled, tmp_path: Path
) -> None:
    path = shutil.copy(mini_run / "export" / "mlp-dynamic.tflite", tmp_path)
    content = (mini_run / "export" / "mlp-float32.tflite").read_bytes()
    assert slowdown(Path(path), content, mini_test[0], engine="litert") is None


def test_dynamic_alone_is_timed_against_the_float32_of_its_format(
    mini_run: Path, mini_test: Labelled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bytes, np.ndarray, str]] = []
    told = Slowdown(artifact_us=30.0, float32_us=10.0)

    def recorded(artifact: Path, float32: bytes, images_u8: np.ndarray, *, engine: str) -> Any:
        asked.append((artifact.name, float32, images_u8, engine))
        return told

    monkeypatch.setattr(exporting, "slowdown", recorded)
    for format_, engine in (("tflite", "litert"), ("onnx", "onnxruntime")):
        for precision in ("float32", "int8", "dynamic"):
            made = export(mini_run, format=format_, precision=precision, out=tmp_path)
            assert made.slowdown == (told if precision == "dynamic" else None)
        ((name, float32, images, on),) = asked
        whole = read_artifact(mini_run / "export" / f"mlp-float32.{format_}").content
        assert (name, on) == (f"mlp-dynamic.{format_}", engine)
        assert model_bytes(format_, float32) == model_bytes(format_, whole)
        assert np.array_equal(images, mini_test[0])
        asked.clear()


def test_the_ratio_is_of_the_artifact_to_float32() -> None:
    assert Slowdown(artifact_us=30.0, float32_us=10.0).ratio == 3.0
