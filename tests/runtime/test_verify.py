"""`edgestitch inspect --verify`: whole, altered, cut, or nothing to tell it by."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgestitch_runtime.card import append_to_tflite, model_bytes, read_artifact
from edgestitch_runtime.cli import main
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.tflite_file import read_tflite


def test_what_export_wrote_is_as_exported(
    mini_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (mini_run / "export").iterdir():
        assert main(["inspect", str(path), "--verify"]) == 0
        assert "56 golden vectors match" in capsys.readouterr().out
        assert main(["inspect", str(path), "--verify", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["weights_sha256"] == read_artifact(path).weights_sha256


def flipped(whole: bytes) -> bytes:
    return whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]


@pytest.mark.parametrize("name", ["mlp-int8.tflite", "mlp-int8.onnx"])
@pytest.mark.parametrize(
    "spoil",
    [
        flipped,
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-300],
        lambda whole: whole[:-1],
    ],
    ids=["a bit flipped", "cut in the middle", "cut in the card", "cut by a byte"],
)
def test_a_file_that_is_not_as_exported_exits_with_1(
    mini_run: Path,
    tmp_path: Path,
    name: str,
    spoil: Callable[[bytes], bytes],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / name
    path.write_bytes(spoil((mini_run / "export" / name).read_bytes()))
    assert main(["inspect", str(path), "--verify"]) == 1
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == "" and len(lines) == 2 and lines[1].startswith("hint: ")
    assert name in lines[0]


def test_a_file_without_a_card_cannot_be_verified(
    mini_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bare.tflite"
    whole = (mini_run / "export" / "mlp-int8.tflite").read_bytes()
    path.write_bytes(model_bytes("tflite", whole))
    assert main(["inspect", str(path), "--verify"]) == 1
    assert "has no card" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [[], ["--layers"]])
def test_what_cannot_be_done_exits_with_2(tmp_path: Path, flags: list[str]) -> None:
    assert main(["inspect", str(tmp_path / "nowhere.tflite"), "--verify", *flags]) == 2


def test_what_is_no_artifact_or_of_a_later_version_is_not_called_altered(
    mini_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = read_artifact(mini_run / "export" / "mlp-int8.tflite")
    assert found.card is not None
    newer = tmp_path / "newer.tflite"
    bare = model_bytes("tflite", found.content)
    newer.write_bytes(append_to_tflite(bare, found.card | {"schema": 2}, found.golden))
    notes = tmp_path / "notes.txt"
    notes.write_text("mine", encoding="utf-8")
    for path, said in ((newer, "card of schema 2"), (notes, "is not an artifact")):
        assert main(["inspect", str(path), "--verify"]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert said in lines[0] and lines[1].startswith("hint: ")


def weights_in(path: Path) -> np.ndarray:
    """The positions of all bytes of the int8 weights in the file."""
    whole = path.read_bytes()
    if path.suffix == ".onnx":
        held = [onnx.numpy_helper.to_array(i) for i in onnx.load(path).graph.initializer]
    else:
        held = [t.data for t in read_tflite(model_bytes("tflite", whole)).tensors]
    weights = [w.tobytes() for w in held if w is not None and w.dtype == np.int8 and w.ndim == 2]
    starts = [whole.index(w) for w in weights]
    return np.concatenate([np.arange(s, s + len(w)) for s, w in zip(starts, weights, strict=True)])


@pytest.mark.parametrize("name", ["mlp-int8.tflite", "mlp-int8.onnx"])
def test_each_of_200_flipped_weight_bits_is_caught_by_the_hash(
    mini_run: Path, tmp_path: Path, name: str
) -> None:
    path = mini_run / "export" / name
    whole, places = path.read_bytes(), weights_in(path)
    assert len(places) == 784 * 128 + 128 * 10
    generator = np.random.default_rng(0)
    path = tmp_path / name
    for place in generator.choice(places, 200):
        altered = bytearray(whole)
        altered[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(altered)
        with pytest.raises(EdgestitchError, match="its weights do not match the hash in its card"):
            read_artifact(path)
