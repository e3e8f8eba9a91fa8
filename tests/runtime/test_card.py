import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgestitch_runtime.card import append_to_tflite, model_bytes, read_artifact
from edgestitch_runtime.errors import EdgestitchError

ARTIFACTS = ["mlp-int8.tflite", "mlp-int8.onnx", "mlp-float32.tflite", "mlp-dynamic.onnx"]


@pytest.fixture(params=ARTIFACTS)
def artifact(request, mini_run, tmp_path) -> Path:
    return Path(shutil.copy(mini_run / "export" / request.param, tmp_path))


def test_zipfile_and_onnx_read_the_same_card_as_the_runtime(artifact):
    ours = read_artifact(artifact).card
    if artifact.suffix == ".tflite":
        with zipfile.ZipFile(artifact) as archive:
            assert {e.compress_type for e in archive.infolist()} == {zipfile.ZIP_STORED}
            assert {e.date_time for e in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            theirs = json.loads(archive.read("edgestitch.json"))
            labels = archive.read("labels.txt").decode().splitlines()
        assert labels == theirs["labels"]
    else:
        props = {p.key: p.value for p in onnx.load(artifact).metadata_props}
        theirs = json.loads(props["edgestitch"])
    assert ours == theirs


def test_the_weight_hash_is_that_of_the_model_without_its_card(artifact):
    import hashlib

    found = read_artifact(artifact)
    if artifact.suffix == ".onnx":
        bare = onnx.load(artifact)
        del bare.metadata_props[:]
        model = bare.SerializeToString(deterministic=True)
    else:
        content = artifact.read_bytes()
        model = content[: content.index(b"PK\x03\x04")]
    assert found.weights_sha256 == hashlib.sha256(model).hexdigest()
    assert found.card is not None
    assert found.card["hashes"]["weights"] == found.weights_sha256


def test_every_flipped_bit_of_the_weights_is_caught(artifact):
    whole = artifact.read_bytes()
    length = len(model_bytes(read_artifact(artifact).format, whole))
    generator = np.random.default_rng(0)
    for position in generator.integers(64, length, 40):
        altered = bytearray(whole)
        altered[position] ^= 1 << int(generator.integers(8))
        artifact.write_bytes(altered)
        with pytest.raises(EdgestitchError):
            read_artifact(artifact)


def test_a_file_cut_anywhere_is_refused_or_has_no_card(artifact):
    whole = artifact.read_bytes()
    for length in range(1, len(whole), len(whole) // 60):
        artifact.write_bytes(whole[:length])
        try:
            found = read_artifact(artifact)
        except EdgestitchError:
            continue
        assert found.card is None


def test_a_file_cut_in_its_card_is_never_taken_for_one_without(artifact):
    whole = artifact.read_bytes()
    start = len(model_bytes(artifact.suffix[1:], whole))
    # golden.npz ends, as the zip around it does, with a directory that zipfile would find.
    for length in (*range(start + 4, start + 60), *range(start, len(whole), 997)[1:],
                   *range(len(whole) - 260, len(whole))):  # fmt: skip
        artifact.write_bytes(whole[:length])
        with pytest.raises(EdgestitchError, match=r"cut short|altered|damaged"):
            read_artifact(artifact)


def test_a_bit_flipped_behind_the_model_is_caught_or_changes_nothing_that_is_read(artifact):
    whole = artifact.read_bytes()
    start = len(model_bytes(artifact.suffix[1:], whole))
    before = read_artifact(artifact)
    generator = np.random.default_rng(0)
    unnoticed = 0
    for place in generator.integers(start, len(whole), 150):
        altered = bytearray(whole)
        altered[place] ^= 1 << int(generator.integers(8))
        artifact.write_bytes(altered)
        try:
            found = read_artifact(artifact)
        except EdgestitchError:
            continue
        assert (found.card, found.golden) == (before.card, before.golden)
        unnoticed += 1
    assert unnoticed < 6  # the zip's own words, as the time of an entry


def test_a_flipped_bit_in_labels_txt_is_caught(mini_run, tmp_path):
    whole = (mini_run / "export" / "mlp-int8.tflite").read_bytes()
    path = tmp_path / "a.tflite"
    path.write_bytes(whole.replace(b"Sandal\n", b"Sandaj\n"))
    assert path.read_bytes() != whole
    with pytest.raises(EdgestitchError, match="damaged card"):
        read_artifact(path)


def test_onnx_golden_vectors_whose_card_is_gone_are_noticed(mini_run, tmp_path):
    path = tmp_path / "a.onnx"
    model = onnx.load(mini_run / "export" / "mlp-int8.onnx")
    next(p for p in model.metadata_props if p.key == "edgestitch").key = "edgestitci"
    onnx.save(model, path)
    with pytest.raises(EdgestitchError, match="damaged card"):
        read_artifact(path)
    del model.metadata_props[:]  # and a model of another's own is read
    onnx.save(model, path)
    assert read_artifact(path).card is None


def test_a_card_cut_off_in_the_middle_is_named(mini_run, tmp_path):
    whole = (mini_run / "export" / "mlp-int8.tflite").read_bytes()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(whole[:-200])
    with pytest.raises(EdgestitchError, match="cut short: its card is not whole"):
        read_artifact(cut)


def test_a_card_of_a_newer_schema_says_what_to_upgrade(mini_run, tmp_path):
    found = read_artifact(mini_run / "export" / "mlp-int8.tflite")
    assert found.card is not None
    newer = tmp_path / "newer.tflite"
    flatbuffer = model_bytes("tflite", found.content)
    newer.write_bytes(append_to_tflite(flatbuffer, found.card | {"schema": 2}))
    with pytest.raises(EdgestitchError, match="schema 2") as caught:
        read_artifact(newer)
    assert "upgrade" in caught.value.hint


@pytest.mark.parametrize("missing", ["labels", "hashes", "input", "output", "preprocessing"])
def test_a_card_without_a_needed_entry_is_damaged(mini_run, tmp_path, missing):
    found = read_artifact(mini_run / "export" / "mlp-int8.tflite")
    assert found.card is not None
    card = {k: v for k, v in found.card.items() if k != missing} | {"x": 1}
    poor = tmp_path / "poor.tflite"
    stream = io.BytesIO(model_bytes("tflite", found.content))
    stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("edgestitch.json", json.dumps(card))
    poor.write_bytes(stream.getvalue())
    with pytest.raises(EdgestitchError, match="damaged card"):
        read_artifact(poor)


def test_another_models_card_is_refused(mini_run, tmp_path):
    int8 = read_artifact(mini_run / "export" / "mlp-int8.tflite")
    float32 = read_artifact(mini_run / "export" / "mlp-float32.tflite")
    assert int8.card is not None
    mixed = tmp_path / "mixed.tflite"
    mixed.write_bytes(append_to_tflite(model_bytes("tflite", float32.content), int8.card))
    with pytest.raises(EdgestitchError, match="altered"):
        read_artifact(mixed)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tflite", b"", "is empty"),
        ("a.tflite", b"not a model at all", "TFL3"),
        ("a.onnx", b"not a model at all", "not an ONNX model"),
        ("a.onnx", b"\xff" * 400, "not an ONNX model"),
        ("a.h5", b"123", "not an artifact"),
        ("a", b"123", "not an artifact"),
    ],
)
def test_a_file_that_is_no_model_is_refused_by_what_it_lacks(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(EdgestitchError, match=message) as caught:
        read_artifact(path)
    assert caught.value.exit_code == 2
    assert caught.value.hint


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(EdgestitchError, match="no such file"):
        read_artifact(tmp_path / "no.tflite")
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(EdgestitchError, match="is a directory"):
        read_artifact(tmp_path / "folder.onnx")


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("labels", 5),
        ("labels", "T-shirt"),
        ("labels", [1, 2]),
        ("labels", ["only one"]),
        ("output", ["int8"]),
        ("output", {"shape": [None, 10], "dtype": "int8", "scale": 1.0, "zero_point": 0}),
        ("preprocessing", {"pixels": "x", "background": "dark"}),
        ("preprocessing", {"pixels": "x", "background": 999}),
        ("hashes", ["a"]),
        ("hashes", {"source_model": "a", "weights": "b"}),
        ("accuracy", {"n": 0}),
        ("reference", {"engine": "reference 1"}),
        ("reference", {"engine": "reference 1", "distances": {"litert 1": {"n": 1}}}),
        ("data", "fashion"),
        ("versions", {"a": 1}),
        ("title", None),
        ("schema", "1"),
        ("schema", 0),
    ],
)
def test_a_card_edited_by_hand_is_refused_by_the_name_of_the_entry(
    mini_run, tmp_path, entry, value
):
    found = read_artifact(mini_run / "export" / "mlp-int8.tflite")
    assert found.card is not None
    edited = tmp_path / "edited.tflite"
    stream = io.BytesIO(model_bytes("tflite", found.content))
    stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("edgestitch.json", json.dumps(found.card | {entry: value}))
    edited.write_bytes(stream.getvalue())
    with pytest.raises(EdgestitchError, match="damaged card"):
        read_artifact(edited)


def test_bytes_behind_the_card_are_noticed(mini_run, tmp_path):
    longer = tmp_path / "longer.tflite"
    longer.write_bytes((mini_run / "export" / "mlp-int8.tflite").read_bytes() + b"junk")
    with pytest.raises(EdgestitchError, match="damaged card"):
        read_artifact(longer)


def test_a_pipe_is_not_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.tflite")
    with pytest.raises(EdgestitchError, match="a device or a pipe"):
        read_artifact(tmp_path / "pipe.tflite")
