"""Engines that people still have, in environments of their own: old ones, TensorFlow Lite Micro.

They answer real images as the engines of today do.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgestitch_train
from edgestitch_export.exporting import export_source
from edgestitch_export.source import open_source
from edgestitch_export.tflm_arena import estimated_arena, planned_bytes
from edgestitch_runtime import Classifier
from edgestitch_runtime.card import model_bytes
from edgestitch_runtime.tflite_graph import read_tflite_graph

COUNT = 300
PRECISIONS = ("float32", "dynamic", "int8")
SCORES = """
import json, sys
from importlib.metadata import version
import numpy as np
from edgestitch_runtime import Classifier
engine, images, *artifacts = sys.argv[1:]
for artifact in artifacts:
    np.save(artifact + ".npy", Classifier.open(artifact, engine=engine).scores(np.load(images)))
print(json.dumps([version(engine), version("numpy")]))
"""
# Runs one .tflite in an arena of the size that is named, and the smallest that it runs in at all.
MICRO = """
import json, os, re, sys, tempfile
import numpy as np
from tflite_micro.python.tflite_micro import runtime
arena, model, codes, output = sys.argv[1:]
content = open(model, "rb").read()

def opened(size):
    try:
        return runtime.Interpreter.from_bytes(content, arena_size=size)
    except RuntimeError:
        return None

interpreter, rows = opened(int(arena)), []
for image in np.load(codes):
    interpreter.set_input(image, 0)
    interpreter.invoke()
    rows.append(interpreter.get_output(0)[0].copy())
np.save(output, rows)
with tempfile.TemporaryFile() as said:
    os.dup2(said.fileno(), 2)
    interpreter.print_allocations()
    said.seek(0)
    head = int(re.search(rb"allocation head ([0-9]+)", said.read())[1])
    low, high = 0, int(arena)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if opened(middle) else (middle, high)
print(json.dumps([head, high]))
"""


@pytest.fixture(scope="module")
def images(mini_test: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory):
    """COUNT real test images in a file: (COUNT, 28, 28) uint8."""
    path = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(path, mini_test[0][:COUNT])
    return path


@pytest.fixture(scope="module")
def dscnn(mini_train, mini_test, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the shipped dscnn's artifacts, judged on little of the sample."""
    folder = tmp_path_factory.mktemp("dscnn")
    (train, labels), (test, truth) = mini_train, mini_test
    data = folder / "data.npz"
    np.savez(data, x_train=train[:500], y_train=labels[:500], x_test=test[:200], y_test=truth[:200])
    model = Path(edgestitch_train.__file__).with_name("pretrained") / "dscnn" / "model.keras"
    source = open_source(Path(shutil.copy(model, folder)), data=data)
    for format_, precision in (*(("onnx", p) for p in PRECISIONS), ("tflite", "int8")):
        export_source(
            source,
            format=format_,
            precision=precision,
            name="dscnn",
            out=folder,
            calibration_images=100,
            seed=0,
            overwrite=False,
        )
    return folder


def answers(
    installed: Any, engine: str, images: Path, artifacts: list[Path]
) -> tuple[list[str], list[np.ndarray]]:
    """The versions of `engine` and of numpy there, and what it answers with each artifact."""
    versions = json.loads(installed.code(SCORES, engine, images, *artifacts))
    return versions, [np.load(f"{artifact}.npy") for artifact in artifacts]


def test_onnxruntime_1_15_beside_numpy_1_answers_as_today(
    install: Callable, mini_run: Path, dscnn: Path, images: Path, tmp_path: Path
) -> None:
    installed = install("edgestitch-runtime", also=("onnxruntime==1.15.1", "numpy<2"))
    artifacts = []
    for model, folder in (("mlp", mini_run / "export"), ("dscnn", dscnn)):
        for precision in PRECISIONS:
            content = (folder / f"{model}-{precision}.onnx").read_bytes()
            artifacts.append(tmp_path / f"{model}-{precision}.onnx")
            artifacts[-1].write_bytes(content)
    (engine, beside), found = answers(installed, "onnxruntime", images, artifacts)
    assert engine == "1.15.1" and beside.startswith("1.")
    for artifact, there in zip(artifacts, found, strict=True):
        here = Classifier.open(artifact, engine="onnxruntime").scores(np.load(images))
        assert there.dtype == here.dtype and there.shape == (COUNT, 10)
        if here.dtype == np.uint8:
            np.testing.assert_array_equal(there, here, artifact.name)
        np.testing.assert_allclose(there, here, atol=1e-5, err_msg=artifact.name)
        np.testing.assert_array_equal(there.argmax(axis=1), here.argmax(axis=1), artifact.name)


def test_tflite_runtime_2_14_answers_int8_of_a_convolutional_network(
    install: Callable, dscnn: Path, images: Path
) -> None:
    installed = install("edgestitch-runtime", extra="[tflite-runtime]")
    artifact = dscnn / "dscnn-int8.tflite"
    versions, (there,) = answers(installed, "tflite-runtime", images, [artifact])
    assert versions[0] == "2.14.0"
    here = Classifier.open(artifact, engine="reference").scores(np.load(images))
    assert (there.argmax(axis=1) != here.argmax(axis=1)).sum() <= 1
    assert np.abs(there.astype(int) - here.astype(int)).max() <= 8


@pytest.fixture(scope="module")
def micro(install: Callable) -> Any:
    return install("edgestitch-runtime", also=("tflite-micro==0.dev20261023182759",))


@pytest.mark.parametrize("model", ["mlp", "dscnn"])
def test_tensorflow_lite_micro_answers_within_the_arena_that_tflm_names(
    model: str, micro: Any, mini_run: Path, dscnn: Path, images: Path, tmp_path: Path
) -> None:
    path = (mini_run / "export" if model == "mlp" else dscnn) / f"{model}-int8.tflite"
    content = model_bytes("tflite", path.read_bytes())
    graph, _ = read_tflite_graph(content, path.name)
    arena = estimated_arena(graph)
    (tmp_path / "model.tflite").write_bytes(content)
    pixels = np.load(images)
    codes = (pixels.astype(np.int16) - 128).astype(np.int8)
    shape = graph.tensors[graph.inputs[0]].shape or ()
    np.save(tmp_path / "codes.npy", codes.reshape(COUNT, *shape))
    files = [tmp_path / name for name in ("model.tflite", "codes.npy", "scores.npy")]
    head, least = json.loads(micro.code(MICRO, str(arena), *files))
    assert head == planned_bytes(graph)
    assert least <= arena <= 1.25 * least
    there = np.load(tmp_path / "scores.npy").astype(int)
    here = Classifier.open(path, engine="reference").scores(pixels).astype(int)
    assert (np.abs(there - here).max(axis=1) == 0).mean() > 0.95
    assert np.abs(there - here).max() <= 1
