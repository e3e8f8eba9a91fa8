"""What stands in the files of generated C beside the network: sizes, labels, card, self-test."""

from __future__ import annotations

import ctypes
import json
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compiled_c import Made, answers, c_of, compiled
from edgestitch_export.c_format import CFiles, c_files

LABELS = (
    "T-shirt/top",
    'a "quoted" one',
    "back\\slash",
    "*/",
    "??/",
    "é",
    "日本",
    "%s\n",
    "0",
    "9",
)


@pytest.fixture(scope="module")
def made(mini_run: Path) -> Made:
    return c_of(mini_run / "export" / "mlp-int8.tflite")


def generated(made: Made, *, name: str = "mlp", **changed: Any) -> CFiles:
    """The files with entries of the card `changed`."""
    card = json.loads(json.dumps(made.card)) | changed
    return c_files(name, made.model, card=card, golden=made.golden)


def library(
    files: CFiles, folder: Path, *parts: str, macro: str = "MLP", words: Sequence[str] = ("gcc",)
) -> ctypes.CDLL:
    macros = [f"-D{macro}_WITH_{part}" for part in parts]
    return ctypes.CDLL(str(compiled(files.files, folder, words=(*words, "-O1", *macros))))


def test_labels_come_out_as_they_went_in(made: Made, tmp_path: Path) -> None:
    loaded = library(generated(made, labels=list(LABELS)), tmp_path, "LABELS")
    found = (ctypes.c_char_p * 10).in_dll(loaded, "mlp_labels")
    assert [label.decode() for label in found if label] == list(LABELS)


def test_the_card_comes_out_as_it_went_in(made: Made, tmp_path: Path) -> None:
    files = generated(made, labels=list(LABELS))
    loaded = library(files, tmp_path, "CARD")
    card = json.loads(ctypes.string_at(ctypes.addressof(ctypes.c_char.in_dll(loaded, "mlp_card"))))
    assert card == files.card
    assert card["labels"] == list(LABELS)
    assert card["format"] == "c"
    assert (card["input"]["dtype"], card["input"]["shape"]) == ("uint8", [1, 28, 28])
    assert card["output"] == made.card["output"]


def test_the_golden_vectors_are_those_of_the_gate(made: Made, tmp_path: Path) -> None:
    loaded = library(made.c, tmp_path, "GOLDEN")
    images = made.golden.images_u8[made.golden.gate]
    scores = made.golden.scores[made.golden.gate]
    count = int(defined(made.c)["MLP_GOLDEN_COUNT"])
    assert count == len(images) > 20
    pixels = (ctypes.c_uint8 * (784 * count)).in_dll(loaded, "mlp_golden_pixels")
    np.testing.assert_array_equal(np.array(pixels).reshape(images.shape), images)
    told = (ctypes.c_int8 * (10 * count)).in_dll(loaded, "mlp_golden_scores")
    np.testing.assert_array_equal(np.array(told).reshape(scores.shape), scores)
    found, classes = answers(tmp_path / "model.so", "mlp", images, 10)
    np.testing.assert_array_equal(found, scores)
    np.testing.assert_array_equal(classes, scores.argmax(axis=1))
    assert loaded.mlp_selftest() == 0


def test_the_self_test_counts_what_a_changed_weight_alters(made: Made, tmp_path: Path) -> None:
    text = made.c.files["mlp-int8.c"].decode()
    start = text.index("_weights[", text.index("Constants, layer by layer"))
    rows = text.index("\n", start)
    numbers = re.compile(r"(?<=[ ,])(-?\d+),")
    at = list(numbers.finditer(text, rows))[5000:5400]
    changed = text[: at[0].start()] + re.sub(r"\d+", "0", text[at[0].start() : at[-1].end()])
    files = {**made.c.files, "mlp-int8.c": (changed + text[at[-1].end() :]).encode()}
    loaded = library(replace(made.c, files=files), tmp_path, "GOLDEN")
    images = made.golden.images_u8[made.golden.gate]
    found, _ = answers(tmp_path / "model.so", "mlp", images, 10)
    differing = (found != made.golden.scores[made.golden.gate]).any(axis=1).sum()
    assert loaded.mlp_selftest() == differing > 0


def test_one_flipped_bit_of_a_golden_score_is_one_that_differs(made: Made, tmp_path: Path) -> None:
    scores = made.golden.scores.copy()
    scores[np.flatnonzero(made.golden.gate)[3], 7] ^= 1
    golden = replace(made.golden, scores=scores)
    files = c_files("mlp", made.model, card=made.card, golden=golden)
    assert library(files, tmp_path, "GOLDEN").mlp_selftest() == 1


def test_without_macros_there_is_the_network_alone(made: Made, tmp_path: Path) -> None:
    loaded = library(made.c, tmp_path)
    for name in ("mlp_labels", "mlp_card", "mlp_selftest", "mlp_golden_pixels"):
        assert not hasattr(loaded, name)


def defined(files: CFiles) -> dict[str, str]:
    """The macros with a value of the header."""
    (header,) = (text for name, text in files.files.items() if name.endswith(".h"))
    return dict(re.findall(r"^#define (\w+) (\S+)", header.decode(), re.MULTILINE))


def test_the_header_says_the_sizes_and_the_scale(made: Made) -> None:
    macros = defined(made.c)
    assert (macros["MLP_HEIGHT"], macros["MLP_WIDTH"], macros["MLP_CLASSES"]) == ("28", "28", "10")
    assert int(macros["MLP_ARENA_BYTES"]) == made.c.plan.arena_bytes
    assert int(macros["MLP_WEIGHT_BYTES"]) == 784 * 128 + 128 * 10 + 4 * 138
    output = made.card["output"]
    scale = macros["MLP_OUTPUT_SCALE"]
    assert scale.endswith("f") and np.float32(scale[:-1]) == np.float32(output["scale"])
    assert macros["MLP_OUTPUT_ZERO_POINT"] == f"({output['zero_point']})"


@pytest.mark.parametrize("scale", [1.0, 0.00390625, 1e-9, 3e12, 0.1234567891])
def test_any_output_scale_is_a_float_literal(scale: float, made: Made, tmp_path: Path) -> None:
    told = made.card["output"] | {"scale": scale}
    files = generated(made, output=told)
    text = '#include "mlp-int8.h"\nfloat scale(void);\nfloat scale(void) { return %s; }\n'
    for name, content in files.files.items():
        (tmp_path / name).write_bytes(content)
    source = tmp_path / "scale.c"
    source.write_text(text % "MLP_OUTPUT_SCALE")
    made_at = tmp_path / "scale.so"
    words = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-shared", "-fPIC"]
    subprocess.run([*words, source, "-o", made_at], check=True)
    function = ctypes.CDLL(str(made_at)).scale
    function.restype = ctypes.c_float
    assert np.float32(function()) == np.float32(scale)


def test_the_files_say_what_they_are_and_are_free_of_conditions(made: Made) -> None:
    for text in (content.decode() for content in made.c.files.values()):
        plain = " ".join(text.replace("\n * ", " ").split())
        assert "no licence condition" in plain
        assert "mlp as plain C, by edgestitch" in plain
        assert made.card["hashes"]["weights"] in plain
        right = made.card["accuracy"]["artifact"]
        assert f"{right['correct']:,} of {right['n']:,}" in plain


def test_the_plan_is_a_comment(made: Made) -> None:
    text = made.c.files["mlp-int8.c"].decode()
    comment = text[: text.index("*/")]
    assert f"an arena of {made.c.plan.arena_bytes:,} bytes" in comment
    for block in made.c.plan.blocks:
        assert re.search(rf"{block.offset} to +{block.offset + block.bytes - 1} ", comment)


def test_another_name_is_another_s_identifiers(made: Made, tmp_path: Path) -> None:
    files = generated(made, name="my-model.2")
    assert list(files.files) == ["my-model.2-int8.c", "my-model.2-int8.h"]
    loaded = library(files, tmp_path, "LABELS", "CARD", "GOLDEN", macro="MY_MODEL_2")
    assert loaded.my_model_2_selftest() == 0


def test_a_data_set_of_any_name_leaves_the_comments_whole(made: Made, tmp_path: Path) -> None:
    data = made.card["data"] | {"name": "données */ x ??/ \\"}
    files = generated(made, data=data)
    loaded = library(files, tmp_path, "CARD")
    card = json.loads(ctypes.string_at(ctypes.addressof(ctypes.c_char.in_dll(loaded, "mlp_card"))))
    assert card["data"]["name"] == data["name"]


@pytest.mark.parametrize(
    "flags", [("--data", "fashion-mnist"), ("--trust-code",), ("--max-drop", "0.3"), ("--qat",)]
)
def test_what_is_for_a_float_model_is_refused_with_an_artifact(
    mini_run: Path, tmp_path: Path, refused: Callable[..., str], flags: tuple[str, ...]
) -> None:
    artifact = mini_run / "export" / "mlp-int8.tflite"
    words = ["export", artifact, "--format", "c", "--out", tmp_path / "out", *flags]
    assert f"{flags[0]} was given with {artifact}" in refused(*words, cwd=tmp_path)
    assert not (tmp_path / "out").exists()
