"""Dense layers of thousands of inputs as C, against `reference`: every image, every code.

Their sums are too large for the lanes of a convolution, and their steps too many sums apart for
a line of 32 bits.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from compiled_c import (
    SANITIZERS,
    Made,
    answers,
    c_of,
    codes_of,
    compiled,
    files_of,
    program_answers,
    reference_scores,
)
from edgestitch_export import export
from edgestitch_export.c_check_emulated import run_on_core
from edgestitch_export.c_format import c_files
from edgestitch_export.c_program import Program, program_of
from edgestitch_export.c_step import Step
from edgestitch_runtime.array_files import read_idx
from edgestitch_runtime.graph import integer_graph
from edgestitch_runtime.tflite_file import read_tflite
from tflite_builder import Op, Spec, build

MINI = Path(__file__).parents[2] / "train/edgestitch_train/fashion_mnist_mini"
TRAINED, QUICK, SANITIZED, EMULATED = 2_000, 300, 20, 4
COMPILERS = [cc for cc in ("gcc", "clang") if shutil.which(cc)]
layers = keras.layers


def textbook() -> list[Any]:
    """1,568 inputs behind two convolutions: a dense layer that is computed as dense."""
    size = {"kernel_size": 3, "padding": "same", "activation": "relu"}
    return [
        layers.Conv2D(16, **size),
        layers.MaxPooling2D(),
        layers.Conv2D(32, **size),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
    ]


def large() -> list[Any]:
    """5,408 inputs: for some of the 64 outputs there is no line with numbers of 32 bits."""
    return [
        layers.Conv2D(32, 3, strides=2, activation="relu"),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[], list[Any]]], Made]:
    """made(body): its network of ten classes, trained for an epoch on the sample, as C."""
    found: dict[str, Made] = {}

    def of(body: Callable[[], list[Any]]) -> Made:
        name = body.__name__
        if name not in found:
            folder = tmp_path_factory.mktemp(name)
            keras.utils.set_random_seed(3)
            head = [layers.Input((28, 28, 1)), layers.Rescaling(1 / 255)]
            model = keras.Sequential([*head, *body(), layers.Dense(10)])
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(keras.optimizers.Adam(1e-3), loss)
            pixels = read_idx(MINI / "train-images-idx3-ubyte.gz")[0][:TRAINED, ..., None]
            truth = read_idx(MINI / "train-labels-idx1-ubyte.gz")[0][:TRAINED]
            model.fit(pixels.astype(np.float32), truth, batch_size=64, verbose=0)  # pyright: ignore[reportArgumentType]
            model.save(folder / f"{name}.keras")
            path = folder / f"{name}.keras"
            exported = export(path, format="tflite", precision="int8", data=MINI, out=folder)
            found[name] = c_of(exported.path)
        return found[name]

    return of


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return read_idx(MINI / "t10k-images-idx3-ubyte.gz")[0]


def dense_steps(program: Program) -> list[Step]:
    return [step for step in program.steps if step.title.startswith("dense")]


def check_answers(one: Made, images_u8: np.ndarray, folder: Path, words: Sequence[str]) -> None:
    library = compiled(one.c.files, folder, words=words)
    scores, classes = answers(library, one.prefix, images_u8, 10)
    expected = reference_scores(one.path, images_u8)
    np.testing.assert_array_equal(scores, expected)
    np.testing.assert_array_equal(classes, expected.argmax(axis=1))
    assert len(np.unique(classes)) == 10


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_textbook_network_answers_as_the_reference_does(
    compiler: str,
    made: Callable[[Callable[[], list[Any]]], Made],
    images: np.ndarray,
    tmp_path: Path,
) -> None:
    one = made(textbook)
    first, second = dense_steps(one.c.program)
    assert first.title.startswith("dense, 1568 to 64") and first.kernels == ("dense",)
    assert second.kernels == ("pointwise",)  # its sums have a place there
    check_answers(one, images[:QUICK], tmp_path, (compiler, "-O2"))


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_line_of_64_bits_answers_as_the_reference_does(
    compiler: str,
    made: Callable[[Callable[[], list[Any]]], Made],
    images: np.ndarray,
    tmp_path: Path,
) -> None:
    one = made(large)
    first, second = dense_steps(one.c.program)
    assert first.title.startswith("dense, 5408 to 64")
    assert (first.variants, second.variants) == (("long",), ())
    check_answers(one, images[:QUICK], tmp_path, (compiler, "-O2"))


def test_the_sanitizers_find_nothing_and_the_answers_are_the_same(
    made: Callable[[Callable[[], list[Any]]], Made], images: np.ndarray, tmp_path: Path
) -> None:
    one, words = made(large), ("gcc", "-O1", *SANITIZERS)
    scores, _ = program_answers(one.c.files, images[:SANITIZED], 10, tmp_path, words=words)
    np.testing.assert_array_equal(scores, reference_scores(one.path, images[:SANITIZED]))


def test_c_for_computers_has_it_too(
    made: Callable[[Callable[[], list[Any]]], Made], images: np.ndarray, tmp_path: Path
) -> None:
    one = made(large)
    host = c_files(one.name, one.model, card=one.card, golden=one.golden, host=True)
    assert ("long",) in [step.variants for step in host.program.steps]
    library = compiled(host.files, tmp_path, words=("gcc", "-O3"))
    scores, _ = answers(library, one.prefix, images[:QUICK], 10)
    np.testing.assert_array_equal(scores, reference_scores(one.path, images[:QUICK]))


@pytest.mark.skipif(
    not (shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm")),
    reason="arm-none-eabi-gcc or qemu-system-arm is not installed",
)
@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m4", "cortex-m55"])
def test_cores_of_32_bits_answer_as_the_reference_does(
    core: str,
    made: Callable[[Callable[[], list[Any]]], Made],
    images: np.ndarray,
    tmp_path: Path,
) -> None:
    one = made(large)
    for name, content in one.c.files.items():
        (tmp_path / name).write_bytes(content)
    source, header = (tmp_path / f"{one.name}-int8.{suffix}" for suffix in "ch")
    scores, _ = run_on_core(source, header, core, images[:EMULATED])
    np.testing.assert_array_equal(scores, reference_scores(one.path, images[:EMULATED]))


def layer(rng: np.random.Generator, inputs: int, outputs: int) -> tuple[bytes, np.ndarray]:
    """A dense layer of pixels, and images for it: both ends of every sum, and others between."""
    weights = rng.integers(-128, 128, (outputs, inputs)).astype(np.int8)
    scales = np.exp(rng.normal(-4, 0.3, outputs))
    if rng.integers(2):  # so that halves are met
        scales = 2.0 ** np.rint(np.log2(scales))
    bias = rng.integers(-200_000, 200_001, outputs).astype(np.int32)
    spread = 2.0 ** round(float(np.log2(scales.mean() * 75 * 75 * inputs**0.5 / 60)))
    content = build(
        [Op(name="FULLY_CONNECTED", inputs=(0, 1, 2), outputs=(3,),
            options="FullyConnectedOptions", version=5)],
        [
            Spec(shape=(1, inputs), scales=1.0, zero_points=-128),
            Spec(data=weights, scales=scales),
            Spec(data=bias, scales=scales.astype(np.float32)),
            Spec(shape=(1, outputs), scales=spread, zero_points=int(rng.integers(-128, 128))),
        ],
    )  # fmt: skip
    ends = np.where(weights[:4] > 0, 127, -128)
    mixed = rng.random((200, 1)) * rng.integers(0, 256, (200, inputs)) - 128
    return content, np.concatenate([ends, -1 - ends, mixed]).astype(np.int8)


def test_layers_of_many_inputs_answer_as_the_reference_does(tmp_path: Path) -> None:
    """Some beside each other in one library, lines of 64 bits and lines of 32."""
    rng = np.random.default_rng(17)
    files, expected = {}, {}
    long = 0
    for k, inputs in enumerate((2_000, 4_096, 7_001, 16_384, 20_000)):
        content, codes = layer(rng, inputs, 14 + k)
        graph = integer_graph(read_tflite(content), "dense.tflite")
        program = program_of(graph)
        long += ("long",) in [step.variants for step in program.steps]
        files |= files_of(f"d{k}", program, inputs)
        expected[f"d{k}"] = codes.view(np.uint8) ^ 0x80, codes_of(graph, codes)
    assert long >= 2
    for compiler in COMPILERS:
        folder = tmp_path / compiler
        folder.mkdir()
        library = compiled(files, folder, words=(compiler, "-O2", "-pipe"))
        for prefix, (pixels, rows) in expected.items():
            scores, _ = answers(library, prefix, pixels, rows.shape[1])
            np.testing.assert_array_equal(scores, rows)
            assert len(np.unique(rows)) > 60
