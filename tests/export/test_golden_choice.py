"""Which images an artifact carries, and that their answers are those of engines called by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgestitch_export.golden_choice import choose_golden
from edgestitch_runtime.card import model_bytes, read_artifact
from edgestitch_runtime.engines import engine_version
from edgestitch_runtime.golden import Golden, unpack_golden

Labelled = tuple[np.ndarray, np.ndarray]
MOST_BYTES = {".tflite": 25_000, ".onnx": 35_000}  # of card and golden vectors together


def golden_of(path: Path) -> tuple[Golden, dict[str, Any]]:
    found = read_artifact(path)
    assert found.card is not None
    return unpack_golden(found.golden, path.name), found.card["golden"]


def litert_rows(path: Path, images_u8: np.ndarray, kernels: OpResolverType) -> np.ndarray:
    opened = Interpreter(str(path), experimental_op_resolver_type=kernels, num_threads=1)
    opened.allocate_tensors()
    source, target = opened.get_input_details()[0], opened.get_output_details()[0]
    rows = []
    for image in images_u8:
        value = image.astype(np.float32)[None]
        if source["dtype"] == np.int8:
            value = (image.astype(np.int16) - 128).astype(np.int8)[None]
        opened.set_tensor(source["index"], value)
        opened.invoke()
        rows.append(opened.get_tensor(target["index"])[0])
    return np.stack(rows)


def test_the_vectors_of_every_artifact_are_real_images_of_every_class(
    mini_run: Path, mini_test: Labelled
) -> None:
    labels = {image.tobytes(): label for image, label in zip(*mini_test, strict=True)}
    for path in (mini_run / "export").iterdir():
        golden, told = golden_of(path)
        classes = [labels[image.tobytes()] for image in golden.images_u8[golden.gate]]
        assert set(classes) == set(range(10)) and len(classes) == told["gate"] >= 32
        assert all(image.tobytes() in labels for image in golden.images_u8)
        assert int((~golden.gate).sum()) == told["close_calls"] == 16


def test_int8_answers_are_those_of_litert_s_reference_kernels(mini_run: Path) -> None:
    path = mini_run / "export" / "mlp-int8.tflite"
    golden, told = golden_of(path)
    assert told["engine"].startswith("reference ")
    rows = litert_rows(path, golden.images_u8, OpResolverType.BUILTIN_REF)
    np.testing.assert_array_equal(golden.scores, rows)
    rows = litert_rows(path, golden.images_u8, OpResolverType.AUTO)
    np.testing.assert_array_equal(golden.recorded, rows)
    assert told["recorded"] == {"engine": f"litert {engine_version('litert')}", "tolerance": 2}


def test_other_answers_are_those_of_the_engine_that_is_named(mini_run: Path) -> None:
    folder = mini_run / "export"
    golden, told = golden_of(folder / "mlp-float32.tflite")
    assert told["engine"].startswith("litert ")
    rows = litert_rows(folder / "mlp-float32.tflite", golden.images_u8, OpResolverType.AUTO)
    np.testing.assert_allclose(golden.scores, rows, atol=1e-6)
    golden, told = golden_of(folder / "mlp-int8.onnx")
    assert told["engine"].startswith("onnxruntime ")
    session = onnxruntime.InferenceSession(folder / "mlp-int8.onnx")
    rows = np.asarray(session.run(None, {session.get_inputs()[0].name: golden.images_u8})[0])
    np.testing.assert_array_equal(golden.scores, rows)


def test_card_and_vectors_are_small(mini_run: Path) -> None:
    for path in (mini_run / "export").iterdir():
        content = path.read_bytes()
        added = len(content) - len(model_bytes(path.suffix[1:], content))
        assert added <= MOST_BYTES[path.suffix], path.name


def answers_like(labels: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """int8 answers that are mostly right, by all margins."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(-128, 0, (len(labels), classes))
    scores[np.arange(len(labels)), labels] += rng.integers(-20, 128, len(labels))
    return scores.clip(-128, 127).astype(np.int8)


@pytest.mark.parametrize("classes", [2, 10, 47])
def test_the_gate_is_wide_and_the_close_calls_are_close(mini_test: Labelled, classes: int) -> None:
    images = mini_test[0]
    labels = np.arange(len(images)) % classes
    answers = answers_like(labels, classes, 0)
    rival = (answers.astype(int) + np.random.default_rng(1).integers(-2, 3, answers.shape)).clip(
        -128, 127
    )
    golden, tolerance = choose_golden(images, labels, answers, rival.astype(np.int8), least=1)
    assert golden.gate.sum() == {2: 32, 10: 40, 47: 47}[classes]
    assert tolerance == 4  # twice the 2 steps between the two
    top = np.sort(golden.scores.astype(int), axis=1)
    margin = top[:, -1] - top[:, -2]
    assert margin[golden.gate].min() >= 8  # four times the 2 steps
    everyone = np.sort(answers.astype(int), axis=1)
    # One in eight of the smallest margins, the gate's own aside.
    close = np.sort(everyone[:, -1] - everyone[:, -2])[8 * 16 + int(golden.gate.sum())]
    assert margin[~golden.gate].max() <= close


def test_the_tolerance_and_the_margins_are_at_least_what_sound_engines_differ_by(
    mini_test: Labelled,
) -> None:
    images, labels = mini_test
    answers = answers_like(labels, 10, 0)
    golden, tolerance = choose_golden(images, labels, answers, answers, least=3.2)
    assert tolerance == 7  # twice that, in whole steps
    top = np.sort(golden.scores[golden.gate].astype(int), axis=1)
    assert (top[:, -1] - top[:, -2]).min() >= 13
    reals = answers.astype(np.float32) / 256
    _, tolerance = choose_golden(images, labels, reals, reals + np.float32(0.25), least=5e-5)
    assert tolerance == pytest.approx(0.5)
    assert choose_golden(images, labels, reals, reals, least=5e-5)[1] == 1e-4


def test_one_step_of_a_logit_is_what_engines_may_differ_by(mini_run: Path) -> None:
    """The tolerance of int8 TFLite from LiteRT's own word on the softmax's scales."""
    path = mini_run / "export" / "mlp-int8.tflite"
    opened: Any = Interpreter(str(path), experimental_preserve_all_tensors=True)
    opened.allocate_tensors()
    (last,) = (o for o in opened._get_ops_details() if o["op_name"] == "SOFTMAX")
    scales = {t["index"]: t["quantization"][0] for t in opened.get_tensor_details()}
    step = scales[last["inputs"][0]]
    logits = np.log([0.5, 0.25, 0.25])
    softmax = [np.exp(z) / np.exp(z).sum() for z in (logits, logits + np.array([step, 0, 0]))]
    moved = 256 * (softmax[1] - softmax[0])[0]  # one logit by a step, where the slope is largest
    told = golden_of(path)[1]["tolerance"]
    assert 2 * moved <= told <= 2 * moved + 1


def test_the_tolerance_of_other_files_is_that_of_their_precision(mini_run: Path) -> None:
    folder = mini_run / "export"
    assert golden_of(folder / "mlp-int8.onnx")[1]["tolerance"] >= 2
    assert golden_of(folder / "mlp-dynamic.onnx")[1]["tolerance"] >= 1 / 256
    assert golden_of(folder / "mlp-float32.tflite")[1]["tolerance"] == 1e-4


def test_a_class_that_is_never_told_apart_is_in_the_gate_all_the_same(mini_test: Labelled) -> None:
    images, labels = mini_test
    answers = answers_like(labels, 10, 0)
    answers[labels == 3] = answers[labels == 3][:, ::-1]  # class 3 is taken for 6
    golden, _ = choose_golden(images, labels, answers, answers, least=1)
    by_content = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    found = [by_content[image.tobytes()] for image in golden.images_u8[golden.gate]]
    assert set(found) == set(range(10))


def test_fewer_images_than_are_wanted_are_all_taken_once(mini_test: Labelled) -> None:
    images, labels = mini_test[0][:12], mini_test[1][:12]
    answers = answers_like(labels, 10, 0)
    golden, _ = choose_golden(images, labels, answers, answers, least=1)
    assert len(golden.images_u8) == 12
