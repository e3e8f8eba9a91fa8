"""Generated networks as C, many in one library, against `reference`: every image, every code.

The family is that of the reference engine's own tests (random_networks), and single layers with
weights of any size, window, scale and zero point (random_layers).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from compiled_c import SANITIZERS, answers, codes_of, compiled, files_of, program_answers
from edgestitch_export.c_program import Program, program_of
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.graph import integer_graph
from edgestitch_runtime.tflite_file import read_tflite
from plane_networks import two_planes
from random_layers import LAYERS
from random_networks import network, seeded

WITH_WEIGHTS = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D")
# Why a network of the family has no C: the words of the refusal, and the most of all drawn.
MOST_REFUSED = {
    "takes float32": 0.3,
    "takes uint8": 0.3,
    "gives float32": 0.3,
    "the model's output is not what its last operator computes": 0.02,
    "the rules refuse it": 0.02,
    "sums up to": 0.02,
    "no 32-bit multiplier and shift": 0.08,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A network as C, with images as pixels, (n, elements) uint8, and the oracle's codes."""

    prefix: str
    files: dict[str, bytes]
    program: Program
    pixels: np.ndarray
    expected: np.ndarray
    where: str


class Drawn:
    """Cases made of files, and of what there is no C for."""

    def __init__(self) -> None:
        self.cases: list[Case] = []
        self.refused: Counter[str] = Counter()

    def add(self, content: bytes, images: np.ndarray, where: str) -> None:
        try:
            graph = integer_graph(read_tflite(content), "random.tflite")
        except EdgestitchError:
            self.refused["the rules refuse it"] += 1
            return
        for tensor, word in ((graph.input, "takes"), (graph.output, "gives")):
            if tensor.dtype != "int8":
                self.refused[f"{word} {tensor.dtype}"] += 1
                return
        try:
            program = program_of(graph)
        except EdgestitchError as error:
            (why,) = [w for w in MOST_REFUSED if w in error.message] or [error.message]
            self.refused[why] += 1
            return
        prefix = f"n{len(self.cases)}"
        codes = np.ascontiguousarray(images, np.int8).reshape(len(images), -1)
        self.cases.append(
            Case(
                prefix=prefix,
                files=files_of(prefix, program, codes.shape[1]),
                program=program,
                pixels=codes.view(np.uint8) ^ 0x80,
                expected=codes_of(graph, images),
                where=where,
            )
        )

    def check_refused(self) -> None:
        drawn = len(self.cases) + sum(self.refused.values())
        print(self)
        assert self.refused.keys() <= MOST_REFUSED.keys()
        for why, count in self.refused.items():
            assert count <= max(2, MOST_REFUSED[why] * drawn), why

    def __str__(self) -> str:
        images = sum(len(case.pixels) for case in self.cases)
        return (
            f"{len(self.cases)} equal to reference ({images:,} images), "
            f"{sum(self.refused.values())} have no C: {dict(self.refused.most_common())}"
        )

    @property
    def kinds(self) -> set[str]:
        steps = itertools.chain.from_iterable(case.program.steps for case in self.cases)
        return {kind for step in steps for kind in step.scaling_kinds}


def check(cases: Sequence[Case], folder: Path, words: Sequence[str]) -> None:
    """Fails unless the C of each case, compiled by `words`, gives the oracle's codes."""
    files = {name: text for case in cases for name, text in case.files.items()}
    library = compiled(files, folder, words=words)
    for case in cases:
        codes, classes = answers(library, case.prefix, case.pixels, case.program.classes)
        np.testing.assert_array_equal(codes, case.expected, case.where)
        np.testing.assert_array_equal(classes, case.expected.argmax(axis=1), case.where)


def networks(seed: int, count: int) -> Drawn:
    """`count` cases, and what was refused on the way."""
    drawn = Drawn()
    for k in itertools.count():
        if len(drawn.cases) == count:
            return drawn
        made = network(seeded(seed, k))
        drawn.add(made.content, made.images, repr(made))
    raise AssertionError


def layers(seed: int, count: int) -> Drawn:
    """As `networks`, of one layer with weights each."""
    drawn, rng = Drawn(), np.random.default_rng(seed)
    for k in itertools.count():
        if len(drawn.cases) == count:
            return drawn
        name = WITH_WEIGHTS[k % 3]
        drawn.add(*LAYERS[name](rng), f"layer {k} of seed {seed}, {name}")
    raise AssertionError


def planes(seed: int, count: int) -> Drawn:
    """As `networks`, of two convolutions of planes in a row, most of 3 x 3, of which one or both
    are clamped now and then; then their sum, or a convolution of 1 x 1, or nothing.
    """
    drawn, rng = Drawn(), np.random.default_rng(seed)
    for k in itertools.count():
        if len(drawn.cases) == count:
            return drawn
        drawn.add(*two_planes(rng), f"planes {k} of seed {seed}")
    raise AssertionError


def test_planes_in_a_row_answer_as_the_reference_does(tmp_path: Path) -> None:
    drawn = planes(15, 30)
    check(drawn.cases, tmp_path, ("gcc", "-O1", "-pipe"))
    drawn.check_refused()
    steps = [step for case in drawn.cases for step in case.program.steps]
    assert sum("then" in step.title for step in steps) > 4  # two in one step
    assert sum("then" not in step.title and "depthwise" in step.kernels for step in steps) > 9
    kernels = {kernel for step in steps for kernel in step.kernels}
    assert {"slide", "slide3", "pointwise", "clamp"} <= kernels


def test_generated_networks_answer_as_the_reference_does(tmp_path: Path) -> None:
    drawn = networks(11, 40)
    check(drawn.cases, tmp_path, ("gcc", "-O1", "-pipe"))
    drawn.check_refused()
    assert drawn.kinds >= {"line", "twice"}


def test_layers_of_any_size_answer_as_the_reference_does(tmp_path: Path) -> None:
    drawn = layers(12, 45)
    for compiler in ("gcc", "clang"):  # what they warn of differs
        (tmp_path / compiler).mkdir()
        check(drawn.cases, tmp_path / compiler, (compiler, "-O1", "-pipe"))
    drawn.check_refused()
    assert drawn.kinds == {"line", "wide", "twice"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [("gcc", "-O2"), ("gcc", "-O3"), ("clang", "-O2"), ("clang", "-O0")],
    ids=" ".join,
)
def test_300_of_each_family(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make figures` prints the counts."""
    for made, seed in ((networks, 21), (layers, 22), (planes, 23)):
        drawn = made(seed, 300)
        folder = tmp_path / made.__name__
        folder.mkdir()
        check(drawn.cases, folder, words)
        with capsys.disabled():
            print(f"\n  C of generated {made.__name__}, {' '.join(words)}: {drawn}", end="")
        drawn.check_refused()


@pytest.mark.slow
def test_the_sanitizers_find_nothing_in_60_of_each_family(tmp_path: Path) -> None:
    """`make figures`. In programs of their own: a library would need the sanitizer in Python."""
    for made, seed in ((networks, 31), (layers, 32), (planes, 33)):
        for case in made(seed, 60).cases:
            check_sanitized(case, tmp_path)


def test_the_sanitizers_find_nothing_in_a_few(tmp_path: Path) -> None:
    for case in (*networks(13, 4).cases, *layers(14, 6).cases, *planes(16, 3).cases):
        check_sanitized(case, tmp_path)


def check_sanitized(case: Case, folder: Path) -> None:
    codes, _ = program_answers(
        case.files, case.pixels, case.program.classes, folder, words=("gcc", "-O1", *SANITIZERS)
    )
    np.testing.assert_array_equal(codes, case.expected, case.where)
