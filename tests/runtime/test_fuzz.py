"""Altered files: each ends in a correct answer or in an error line. `make figures` has 10,000."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from altered_cards import signing
from edgestitch_runtime.card import model_bytes, read_artifact
from edgestitch_runtime.operator_rules import RULES
from edgestitch_runtime.tflite_file import read_tflite
from fuzz_worker import MOST_GROWTH_BYTES
from fuzzing import Tally, fuzzed
from mutated_files import Mutant, Source, altered_bytes, mutants
from small_classifiers import SMALL_CLASSIFIERS, converted

FILES, ONNX_FILES, ALL_FILES = 3_000, 600, 10_000
SEED = 1
PICTURES = 4
LEAST_PAST_ROOT, LEAST_CORRECT, LEAST_REASONS = 0.9, 0.2, 75


@pytest.fixture(scope="module")
def sources(mini_run: Path) -> list[Source]:
    """Files of every operator, a converter's own, and artifacts, one of them with its card."""
    found = [Source(name, make()) for name, make in SMALL_CLASSIFIERS.items()]
    artifact = read_artifact(mini_run / "export" / "mlp-int8.tflite")
    assert artifact.card is not None
    card = artifact.card | {"labels": artifact.card["labels"][:5]}
    mlp = model_bytes("tflite", artifact.content)
    return [
        *found,
        Source("converted", converted()),
        Source(
            "converted, with a card",
            converted(),
            signing(card, converted()),
            golden=artifact.golden,
        ),
        Source("mlp", mlp, weight=0.2),  # a hundred kilobytes, nearly all of them weights
    ]


@pytest.fixture(scope="module")
def tally(
    sources: list[Source],
    mini_test: tuple[np.ndarray, np.ndarray],
    tmp_path_factory: pytest.TempPathFactory,
) -> Tally:
    altered = mutants(sources, seed=SEED, numbers=range(FILES))
    folder = tmp_path_factory.mktemp("fuzz")
    return fuzzed(altered, sources, mini_test[0][:PICTURES], folder)


def test_every_altered_file_ends_in_a_correct_answer_or_an_error_line(tally: Tally) -> None:
    assert tally.files == FILES
    assert_sound(tally)


def assert_sound(tally: Tally) -> None:
    assert not tally.defects, "\n".join([f"{len(tally.defects)} defects", *tally.defects[:20]])
    assert tally.grown_mib < MOST_GROWTH_BYTES >> 20


def test_the_alterations_reach_beyond_the_header(tally: Tally) -> None:
    assert tally.past_root >= LEAST_PAST_ROOT * FILES
    assert tally.outcomes["answered as LiteRT"] >= LEAST_CORRECT * FILES
    assert tally.outcomes["refused"] >= 0.1 * FILES  # sound to `inspect`, and not to be run
    assert len(tally.reasons) >= LEAST_REASONS
    assert set(tally.codes) == {"0", "2"}


def test_litert_compares_nearly_all_that_is_answered(tally: Tally) -> None:
    """Without it: broken parts that no answer hangs on, and versions that it does not know."""
    compared = tally.outcomes["answered as LiteRT"]
    assert tally.outcomes["answered, LiteRT refuses"] <= 0.2 * compared
    assert tally.outcomes["answered, LiteRT ends the process"] <= 0.005 * compared


def test_another_answer_is_found(
    sources: list[Source], mini_test: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    other = mutants(sources[:1], seed=SEED, numbers=range(200))
    other_weights = [m for m in other if m.alteration == "plausible"]
    called_neutral = [replace(m, alteration="neutral") for m in other_weights]
    tally = fuzzed(called_neutral, sources[:1], mini_test[0][:PICTURES], tmp_path)
    assert any("a neutral alteration changes the answer" in defect for defect in tally.defects)


def test_the_files_hold_every_operator_of_the_integer_graph(sources: list[Source]) -> None:
    models = [read_tflite(source.flatbuffer) for source in sources]
    assert {operator.name for model in models for operator in model.operators} >= set(RULES)


@pytest.mark.slow
def test_ten_thousand_altered_files_end_so(
    sources: list[Source],
    mini_test: tuple[np.ndarray, np.ndarray],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`make figures` prints how."""
    altered = mutants(sources, seed=SEED, numbers=range(ALL_FILES))
    tally = fuzzed(altered, sources, mini_test[0][:PICTURES], tmp_path)
    with capsys.disabled():
        print("", *tally.lines(), sep="\n  ")
    assert_sound(tally)
    assert sum(tally.outcomes.values()) == ALL_FILES


def small_onnx() -> bytes:
    """A convolution between quantizers, a dense layer, and a dynamic batch: some 900 bytes."""
    rng = np.random.default_rng(0)
    held = {
        "scale": np.array(0.5, np.float32),
        "zero": np.array(128, np.uint8),
        "filters": rng.normal(size=(2, 1, 3, 3)).astype(np.float32),
        "matrix": rng.normal(size=(8, 3)).astype(np.float32),
        "flat": np.array([-1, 8], np.int64),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["pixels", "scale", "zero"], ["reals"], name="in"),
        helper.make_node("Conv", ["reals", "filters"], ["seen"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["seen"], ["positive"]),
        helper.make_node("QuantizeLinear", ["positive", "scale", "zero"], ["codes"]),
        helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["again"]),
        helper.make_node("Reshape", ["again", "flat"], ["row"]),
        helper.make_node("MatMul", ["row", "matrix"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 1, 4, 4])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return model.SerializeToString()


def test_altered_onnx_files_are_inspected_or_refused_in_a_line(
    mini_run: Path, mini_test: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    whole = Source("mlp-int8.onnx", (mini_run / "export" / "mlp-int8.onnx").read_bytes())
    bare = onnx.load_model_from_string(whole.content)
    del bare.metadata_props[:]
    sources = [Source("small", small_onnx()), whole, Source("bare", bare.SerializeToString())]
    shares = (0.8, 0.1, 0.1)

    def altered() -> Iterator[Mutant]:
        for number in range(ONNX_FILES):
            rng = np.random.default_rng([SEED, number])
            source = sources[int(rng.choice(len(sources), p=shares))]
            content = altered_bytes(rng, source)
            yield Mutant(number=number, source=source.name, alteration="bytes", content=content)

    tally = fuzzed(altered(), sources, mini_test[0][:1], tmp_path, suffix=".onnx")
    assert not tally.defects, "\n".join(tally.defects[:20])
    assert tally.outcomes["inspected"] >= 0.2 * ONNX_FILES
    assert tally.outcomes["refused by classify and inspect"] >= 0.2 * ONNX_FILES
