"""The bytes of files by part: their sum is the file, whatever it holds."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import onnx
import pytest

from edgestitch_benchmarks.sizes_by_part import parts_of
from edgestitch_runtime.card import append_card, model_bytes, read_artifact


def test_the_parts_of_every_export_are_the_whole_file(mini_run: Path) -> None:
    files = sorted((mini_run / "export").iterdir())
    assert {path.suffix for path in files} >= {".tflite", ".onnx"}
    for path in files:
        if path.suffix in (".tflite", ".onnx"):
            parts = parts_of(path)
            assert parts is not None and sum(parts.values()) == path.stat().st_size
            assert min(parts.values()) > 0 and {"weights", "graph", "card"} <= set(parts)


def test_weights_of_a_dense_model_are_as_many_bytes_as_its_parameters_take(mini_run: Path) -> None:
    """The model has 784 x 128 + 128 x 10 weights and 138 biases, as `mlp` is defined."""
    export = mini_run / "export"
    dense, biases = 784 * 128 + 128 * 10, 138
    for name, least in (
        ("mlp-float32.tflite", 4 * (dense + biases)),
        ("mlp-float32.onnx", 4 * (dense + biases)),
        ("mlp-int8.tflite", dense + 4 * biases),
        ("mlp-int8.onnx", dense + 4 * biases),
    ):
        parts = parts_of(export / name)
        assert parts is not None
        assert least <= parts["weights"] < least + 2500, name  # scales, shapes


def test_what_edgestitch_put_behind_a_model_is_what_zip_and_onnx_hold(mini_run: Path) -> None:
    path = mini_run / "export" / "mlp-int8.tflite"
    parts = parts_of(path)
    assert parts is not None
    with zipfile.ZipFile(path) as archive:
        for part, name in (("labels", "labels.txt"), ("golden vectors", "golden.npz")):
            assert parts[part] == archive.getinfo(name).file_size + 30 + len(name)
        assert parts["card"] >= archive.getinfo("edgestitch.json").file_size
    path = mini_run / "export" / "mlp-int8.onnx"
    parts = parts_of(path)
    properties = {p.key: p.value for p in onnx.load(path).metadata_props}
    assert parts is not None and parts["golden vectors"] == len(properties["edgestitch_golden"])
    assert parts["card"] >= len(properties["edgestitch"].encode())


def test_a_model_without_a_card_has_no_part_for_one(mini_run: Path, tmp_path: Path) -> None:
    content = (mini_run / "export" / "mlp-int8.tflite").read_bytes()
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(model_bytes("tflite", content))
    parts = parts_of(bare)
    assert parts is not None and set(parts) == {"weights", "graph"}
    assert sum(parts.values()) == bare.stat().st_size


def test_a_keras_file_is_weights_and_the_rest(mini_run: Path) -> None:
    path = mini_run / "model.keras"
    parts = parts_of(path, keras=True)
    assert parts is not None and sum(parts.values()) == path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        assert parts["weights"] == archive.getinfo("model.weights.h5").compress_size


def test_a_file_that_cannot_be_told_apart_is_one_part(tmp_path: Path) -> None:
    for name, keras in (("x.tflite", False), ("x.onnx", False), ("x.keras", True)):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        assert parts_of(tmp_path / name, keras=keras) == {"model": 19}
    assert parts_of(tmp_path / "gone.tflite") is None
    (tmp_path / "folder.onnx").mkdir()
    assert parts_of(tmp_path / "folder.onnx") is None


def test_a_library_is_code_weights_and_what_loads_it(mini_run: Path, tmp_path: Path) -> None:
    """Its sections are those that binutils' readelf shows."""
    compiler, readelf = shutil.which("cc"), shutil.which("readelf")
    if compiler is None or readelf is None:
        pytest.skip("no C compiler with readelf here")
    source = tmp_path / "a.c"
    source.write_text(
        "const signed char w[5000] = {1, 2, 3};\nint f(int k) { return w[k % 5000] * k; }\n"
    )
    library = tmp_path / "a.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    card = read_artifact(mini_run / "export" / "mlp-int8.tflite").card
    assert card is not None
    path = tmp_path / "made.so"
    path.write_bytes(append_card(library.read_bytes(), _as_native(card, library.read_bytes())))
    told = subprocess.run(
        [readelf, "-SW", library], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    sizes = {}
    for line in told:
        words = line.replace("[ ", "[").split()
        if len(words) > 6 and words[0][1:-1].isdigit():
            sizes[words[1]] = int(words[5], 16)
    parts = parts_of(path)
    assert parts is not None and sum(parts.values()) == path.stat().st_size
    assert parts["code"] == sizes[".text"] and parts["weights"] == sizes[".rodata"] >= 5000
    assert {"library", "card", "labels"} <= set(parts)


def _as_native(card: dict[str, Any], library: bytes) -> dict[str, Any]:
    hashes = card["hashes"] | {"weights": hashlib.sha256(library).hexdigest()}
    kept = {key: value for key, value in card.items() if key != "golden"}
    return {**kept, "format": "native", "hashes": hashes}


def test_a_zip_that_lies_about_its_entries_still_sums_up(mini_run: Path, tmp_path: Path) -> None:
    content = (mini_run / "export" / "mlp-float32.tflite").read_bytes()
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("more.txt", "more")
    path = tmp_path / "more.tflite"
    path.write_bytes(stream.getvalue())
    parts = parts_of(path)
    assert parts is not None and sum(parts.values()) == path.stat().st_size
