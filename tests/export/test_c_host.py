"""C with the kernels for computers, against the engine `reference`: equal in every score."""

from __future__ import annotations

import itertools
import math
import platform
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compiled_c import (
    SANITIZERS,
    Made,
    answers,
    c_of,
    codes_of,
    compiled,
    ds112,
    files_of,
    program_answers,
    reference_scores,
)
from edgestitch_export.c_format import c_files
from edgestitch_export.c_program import Program, program_of
from edgestitch_runtime.array_files import read_idx
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.graph import integer_graph
from edgestitch_runtime.tflite_file import read_tflite
from tflite_builder import Op, Spec, build

QUICK = 300
SHIPPED = ("mlp", "dscnn", "dscnn-l")
AVX2 = ("-march=x86-64-v3",)
CPU = Path("/proc/cpuinfo")
HAS_AVX2 = platform.machine() == "x86_64" and CPU.exists() and " avx2 " in CPU.read_text()
BUILDS = [(cc, "-O3", *more) for cc in ("gcc", "clang") for more in ((), AVX2)]
if not HAS_AVX2:
    BUILDS = [words for words in BUILDS if "-march=x86-64-v3" not in words]
KERNELS = {"host_dense", "host_pointwise", "host_depthwise3", "host_stem3"}
LINES = {"HOST_LINE", "HOST_WIDE", "HOST_TWICE"}
each_build = pytest.mark.parametrize("words", BUILDS, ids=" ".join)


@pytest.fixture(scope="module")
def made(shipped_int8: Callable[[str], Any]) -> Callable[[str], Made]:
    found: dict[str, Made] = {}

    def of(model: str) -> Made:
        if model not in found:
            found[model] = c_of(ds112() if model == "ds112" else shipped_int8(model).path)
        return found[model]

    return of


@pytest.fixture(scope="module")
def images(fashion_mnist: Path) -> np.ndarray:
    return read_idx(fashion_mnist / "t10k-images-idx3-ubyte.gz")[0]


def host_files(one: Made) -> dict[str, bytes]:
    return c_files(one.name, one.model, card=one.card, golden=one.golden, host=True).files


def equal(one: Made, images_u8: np.ndarray, folder: Path, words: Sequence[str]) -> int:
    """How many images are answered as `reference` does, scores and class."""
    library = compiled(host_files(one), folder, words=words)
    scores, classes = answers(library, one.prefix, images_u8, 10)
    rows = reference_scores(one.path, images_u8)
    assert len(np.unique(rows.argmax(axis=1))) == 10
    return int(((scores == rows).all(axis=1) & (classes == rows.argmax(axis=1))).sum())


@each_build
@pytest.mark.parametrize("model", ["mlp", "dscnn", "ds112"])
def test_every_score_is_that_of_the_reference_and_there_is_no_warning(
    model: str,
    words: tuple[str, ...],
    made: Callable[[str], Made],
    images: np.ndarray,
    tmp_path: Path,
) -> None:
    assert equal(made(model), images[:QUICK], tmp_path, words) == QUICK


@pytest.mark.slow
@pytest.mark.parametrize("model", [*SHIPPED, "ds112"])
def test_10_000_images_by_each_compiler(
    model: str,
    made: Callable[[str], Made],
    images: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`make figures` prints the counts."""
    for k, words in enumerate(BUILDS):
        folder = tmp_path / str(k)
        folder.mkdir()
        count = equal(made(model), images, folder, words)
        with capsys.disabled():
            print(f"\n  C for computers of {model}, {' '.join(words)}: {count:,} equal", end="")
        assert count == len(images) == 10_000


def test_c_for_microcontrollers_has_nothing_of_it(made: Callable[[str], Made]) -> None:
    one = made("ds112")
    (plain,) = (text for name, text in one.c.files.items() if name.endswith(".c"))
    assert b"host_" not in plain and b"vector_size" not in plain
    (text,) = (text for name, text in host_files(one).items() if name.endswith(".c"))
    calls = set(re.findall(r"^  (\w+)\(", text[text.index(b"_classify(") :].decode(), re.M))
    assert {"host_stem3", "host_depthwise3", "host_pointwise"} <= calls
    assert not {"depthwise", "pointwise", "conv", "dense"} & calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A layer as C, with images as pixels, (n, elements) uint8, and the oracle's codes."""

    prefix: str
    program: Program
    pixels: np.ndarray
    expected: np.ndarray

    @property
    def files(self) -> dict[str, bytes]:
        return files_of(self.prefix, self.program, self.pixels.shape[1])

    @property
    def kernels(self) -> set[str]:
        return {kernel for step in self.program.steps for kernel in step.kernels}

    @property
    def lines(self) -> set[str]:
        structs = (struct for step in self.program.steps for struct in step.structs)
        return {str(s.values[4]) for s in structs if s.type == "host_line_t"}


def case(
    prefix: str, rng: np.random.Generator, name: str, shape: list[int], weights: np.ndarray
) -> Case:
    """A layer of stride 1 or 2, padded or not, of any scales and zero points."""
    stride, valid = int(rng.integers(1, 3)), int(rng.integers(0, 2))
    channels = weights.shape[-1] if name == "DEPTHWISE_CONV_2D" else weights.shape[0]
    window = {"padding": valid, "strideH": stride, "strideW": stride}
    out = [1, channels]
    options, fields = "FullyConnectedOptions", {}
    if name != "FULLY_CONNECTED":
        if weights.shape[1] == 1:
            stride = window["strideH"] = window["strideW"] = 1
        lost = (weights.shape[1] - 1) * valid
        out = [1, *(-(-(n - lost) // stride) for n in shape[1:3]), channels]
        options, fields = "Conv2DOptions", window
    if name == "DEPTHWISE_CONV_2D":
        options, fields = "DepthwiseConv2DOptions", window | {"depthMultiplier": 1}
    halves = bool(rng.integers(0, 2))
    scales = np.exp(rng.uniform(-6, -3, channels))
    if halves:
        scales = 2.0 ** rng.integers(-8, -4, channels)
    spread = scales.mean() * math.sqrt(weights.size / channels) * 75 * 75 / 60
    out_scale = 2.0 ** round(math.log2(spread)) if halves else spread * math.exp(rng.normal(0, 1))
    bias = rng.integers(-9_000, 9_000, channels).astype(np.int32)
    zero_points = [int(rng.choice([-128, 0, 127, *rng.integers(-128, 128, 3)])) for _ in (0, 1)]
    fields |= {"fusedActivationFunction": int(rng.integers(0, 4))}
    content = build(
        [Op(name=name, inputs=(0, 1, 2), outputs=(3,), options=options, fields=fields, version=5)],
        [
            Spec(shape=shape, scales=1.0, zero_points=zero_points[0]),
            Spec(data=weights, scales=scales, axis=3 if name == "DEPTHWISE_CONV_2D" else 0),
            Spec(data=bias, scales=scales.astype(np.float32)),
            Spec(shape=out, scales=out_scale, zero_points=zero_points[1]),
        ],
    )
    graph = integer_graph(read_tflite(content), "random.tflite")
    images = rng.integers(-128, 128, (4, *shape[1:])).astype(np.int8)
    images[0], images[1] = -128, 127
    return Case(
        prefix=prefix,
        program=program_of(graph, host=True),
        pixels=images.reshape(4, -1).view(np.uint8) ^ 0x80,
        expected=codes_of(graph, images),
    )


def weights_of(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-127, 128, shape).astype(np.int8)


def layers(seed: int, count: int) -> list[Case]:
    """`count` layers of sizes around what the kernels take together, a kind after another.

    Now and then no numbers hold a dense layer's scales, on a microcontroller neither: another is
    drawn.
    """
    rng, cases = np.random.default_rng(seed), []
    for k in itertools.count():
        if len(cases) == count:
            break
        a, b = (int(n) for n in rng.integers(1, 52, 2))
        image = [int(n) for n in rng.integers(3, 8, 2)]
        name, shape, weights = (
            ("FULLY_CONNECTED", [1, a], weights_of(rng, b, a)),
            ("CONV_2D", [1, *image, a], weights_of(rng, b, 1, 1, a)),
            ("DEPTHWISE_CONV_2D", [1, *image, a], weights_of(rng, 1, 3, 3, a)),
            ("CONV_2D", [1, *image, 1], weights_of(rng, b, 3, 3, 1)),
        )[k % 4]
        try:
            cases.append(case(f"n{k}", rng, name, shape, weights))
        except EdgestitchError as error:
            assert name == "FULLY_CONNECTED" and "no 32-bit multiplier" in error.message
    return cases


def wide_dense(prefix: str) -> Case:
    """A dense layer whose codes no line in 32 bits gives: one in some ten is."""
    rng = np.random.default_rng(1)
    while True:
        one = case(prefix, rng, "FULLY_CONNECTED", [1, 100], weights_of(rng, 40, 100))
        if one.lines == {"HOST_WIDE"}:
            return one


def check(cases: Sequence[Case], folder: Path, words: Sequence[str]) -> None:
    files = {name: text for one in cases for name, text in one.files.items()}
    library = compiled(files, folder, words=words)
    for one in cases:
        codes, _ = answers(library, one.prefix, one.pixels, one.program.classes)
        np.testing.assert_array_equal(codes, one.expected, one.program.steps[-1].title)


@pytest.mark.parametrize(
    "words", [("gcc", "-O3"), ("clang", "-O2", *AVX2 * HAS_AVX2)], ids=" ".join
)
def test_layers_of_any_size_answer_as_the_reference_does(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    cases = [*layers(5, 40), wide_dense("wide")]
    check(cases, tmp_path, (*words, "-pipe"))
    assert set().union(*(one.kernels for one in cases)) >= KERNELS
    assert set().union(*(one.lines for one in cases)) == LINES


@pytest.mark.slow
@each_build
def test_400_layers_answer_as_the_reference_does(words: tuple[str, ...], tmp_path: Path) -> None:
    check(layers(6, 400), tmp_path, words)


def test_the_sanitizers_find_nothing(tmp_path: Path) -> None:
    for one in layers(7, 8):
        codes, _ = program_answers(
            one.files, one.pixels, one.program.classes, tmp_path, words=("gcc", "-O1", *SANITIZERS)
        )
        np.testing.assert_array_equal(codes, one.expected)


def test_weights_whose_pair_leaves_16_bits_are_computed_as_on_a_microcontroller(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(8)
    shapes = {"DEPTHWISE_CONV_2D": (1, 3, 3, 4), "CONV_2D": (4, 1, 1, 4)}
    cases = []
    for name, shape in shapes.items():
        for least in (-127, -128):
            weights = np.full(shape, least, np.int8)
            cases.append(case(f"n{len(cases)}", rng, name, [1, 4, 4, 4], weights))
    hosts = [bool(one.kernels & KERNELS) for one in cases]
    assert hosts == [True, False, True, False]
    check(cases, tmp_path, ("gcc", "-O2"))
