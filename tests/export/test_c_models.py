"""The C of real models: equal to `reference` in every score, and clean as firmware wants it."""

from __future__ import annotations

import ctypes
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arena_owners import check_plan
from compiled_c import (
    SANITIZERS,
    WARNINGS,
    Made,
    answers,
    c_of,
    compiled,
    ds112,
    program_answers,
    reference_scores,
)
from edgestitch_export.c_format import c_files
from edgestitch_runtime.array_files import read_idx

SHIPPED = ("mlp", "dscnn", "dscnn-l")
each_model = pytest.mark.parametrize("model", [*SHIPPED, "ds112"])
QUICK, SANITIZED = 500, 20
COMPILERS = ("gcc", "clang")
MOST_S = 1.0  # to generate a model's files
MOST_ARENA = {"mlp": 140, "dscnn": 16_500, "dscnn-l": 26_000, "ds112": 8_000}
LIBRARY_FUNCTIONS = {"memcpy", "memset", "memmove", "memcmp"}


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


@pytest.fixture(scope="module")
def expected(made: Callable[[str], Made], images: np.ndarray) -> Callable[[str, int], np.ndarray]:
    """expected(model, n): what `reference` answers to the first n images."""
    found: dict[str, np.ndarray] = {}

    def of(model: str, count: int) -> np.ndarray:
        if len(found.get(model, ())) < count:
            found[model] = reference_scores(made(model).path, images[:count])
        return found[model][:count]

    return of


def check_equal(found: tuple[np.ndarray, np.ndarray], expected: np.ndarray) -> None:
    scores, classes = found
    np.testing.assert_array_equal(scores, expected)
    np.testing.assert_array_equal(classes, expected.argmax(axis=1))  # ties go to the lowest


@each_model
@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_score_is_that_of_the_reference_and_there_is_no_warning(
    model: str,
    compiler: str,
    made: Callable[[str], Made],
    images: np.ndarray,
    expected: Callable[[str, int], np.ndarray],
    tmp_path: Path,
) -> None:
    one = made(model)
    library = compiled(one.c.files, tmp_path, words=(compiler, "-O2"))
    rows = expected(model, QUICK)
    check_equal(answers(library, one.prefix, images[:QUICK], 10), rows)
    assert len(np.unique(rows.argmax(axis=1))) == 10


@pytest.mark.slow
@each_model
def test_10_000_images_at_every_optimization(
    model: str,
    made: Callable[[str], Made],
    images: np.ndarray,
    expected: Callable[[str, int], np.ndarray],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`make figures` prints the counts."""
    one, rows = made(model), expected(model, len(images))
    for compiler in COMPILERS:
        for level in ("-O0", "-O1", "-O2", "-O3"):
            folder = tmp_path / f"{compiler}{level}"
            folder.mkdir()
            library = compiled(one.c.files, folder, words=(compiler, level))
            scores, classes = answers(library, one.prefix, images, 10)
            equal = int(((scores == rows).all(axis=1) & (classes == rows.argmax(axis=1))).sum())
            with capsys.disabled():
                print(f"\n  C of {model}, {compiler} {level}: {equal:,} of 10,000 equal", end="")
            assert equal == len(images) == 10_000


@each_model
def test_the_sanitizers_find_nothing_and_the_answers_are_the_same(
    model: str,
    made: Callable[[str], Made],
    images: np.ndarray,
    expected: Callable[[str, int], np.ndarray],
    tmp_path: Path,
) -> None:
    words = ("gcc", "-O1", *SANITIZERS)
    some = images[:SANITIZED]
    found = program_answers(made(model).c.files, some, 10, tmp_path, words=words)
    check_equal(found, expected(model, SANITIZED))


@pytest.mark.parametrize(
    ("model", "compiler"), [*((one, "g++") for one in (*SHIPPED, "ds112")), ("mlp", "clang++")]
)
def test_the_header_is_cpp_as_well(
    model: str,
    compiler: str,
    made: Callable[[str], Made],
    images: np.ndarray,
    expected: Callable[[str, int], np.ndarray],
    tmp_path: Path,
) -> None:
    one = made(model)
    for name, content in one.c.files.items():
        (tmp_path / name).write_bytes(content)
    caller = tmp_path / "caller.cc"
    caller.write_text(
        f'#include "{one.name}-int8.h"\n#include "{one.name}-int8.h"\n'
        f'extern "C" int called(const uint8_t *pixels, int8_t *scores) {{\n'
        f'  static_assert({one.macro}_HEIGHT * {one.macro}_WIDTH == 784, "pixels");\n'
        f"  return {one.prefix}_classify(pixels, scores);\n}}\n"
    )
    own, object_, library = tmp_path / f"{one.name}-int8.c", tmp_path / "m.o", tmp_path / "l.so"
    subprocess.run(["gcc", "-std=c99", "-O2", "-fPIC", "-c", own, "-o", object_], check=True)
    words = [compiler, "-x", "c++", "-std=c++11", *WARNINGS, "-fPIC", "-shared", caller]
    subprocess.run([*words, "-x", "none", object_, "-o", library], check=True)
    called = ctypes.CDLL(str(library)).called
    for image, row in zip(images[:5], expected(model, 5), strict=True):
        scores = (ctypes.c_int8 * 10)()
        assert called(image.tobytes(), scores) == row.argmax()
        assert list(scores) == row.tolist()


@each_model
@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_self_test_answers_all_golden_vectors_and_nothing_but_string_h_is_called(
    model: str, compiler: str, made: Callable[[str], Made], tmp_path: Path
) -> None:
    one = made(model)
    macros = [f"-D{one.macro}_WITH_{part}" for part in ("LABELS", "CARD", "GOLDEN")]
    library = compiled(one.c.files, tmp_path, words=(compiler, "-O2", *macros))
    loaded = ctypes.CDLL(str(library))
    assert getattr(loaded, f"{one.prefix}_selftest")() == 0
    card = ctypes.string_at(getattr(loaded, f"{one.prefix}_card"))
    assert json.loads(card) == one.c.card
    own = tmp_path / f"{one.name}-int8.c"
    object_ = tmp_path / "own.o"
    for level in ("-O0", "-O2"):
        subprocess.run(
            [compiler, "-std=c99", level, "-fno-pie", "-c", own, "-o", object_], check=True
        )
        listed = subprocess.run(["nm", object_], check=True, capture_output=True, text=True).stdout
        symbols = [line.split()[-2:] for line in listed.splitlines()]
        assert {name for kind, name in symbols if kind == "U"} <= LIBRARY_FUNCTIONS
        assert [name for kind, name in symbols if kind.isupper() and kind != "U"] == [
            f"{one.prefix}_classify"
        ]
        # All that is written to is the arena.
        assert len([name for kind, name in symbols if kind.upper() in ("B", "D", "C")]) == (
            one.c.plan.arena_bytes > 0
        )


@each_model
def test_the_bytes_are_the_same_in_another_process_and_are_made_within_a_second(
    model: str, made: Callable[[str], Made]
) -> None:
    one = made(model)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        again = c_files(one.name, one.model, card=one.card, golden=one.golden)
        seconds.append(time.process_time() - start)
        assert again.files == one.c.files
    assert min(seconds) < MOST_S
    code = (
        "import sys; from pathlib import Path; from compiled_c import c_of; import hashlib\n"
        "for name, content in c_of(Path(sys.argv[1])).c.files.items():\n"
        "    print(name, hashlib.sha256(content).hexdigest())\n"
    )
    place = str(Path(__file__).parents[1] / "runtime")
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({place!r})\n{code}", one.path],
        capture_output=True,
        text=True,
        check=True,
    )
    digests = [f"{k} {hashlib.sha256(v).hexdigest()}" for k, v in one.c.files.items()]
    assert done.stdout.splitlines() == digests


@each_model
def test_the_steps_find_their_inputs_where_they_were_written_in_a_small_arena(
    model: str, made: Callable[[str], Made]
) -> None:
    files = made(model).c
    check_plan(files.program, files.plan)
    assert files.plan.arena_bytes <= MOST_ARENA[model]
    macro = f"#define {made(model).macro}_ARENA_BYTES {files.plan.arena_bytes}\n"
    assert macro.encode() in files.files[f"{model}-int8.h"]


@each_model
def test_the_text_is_ascii_in_narrow_lines_without_heap_or_float(
    model: str, made: Callable[[str], Made]
) -> None:
    for name, content in made(model).c.files.items():
        text = content.decode("ascii")
        lines = text.splitlines()
        assert max(map(len, lines)) <= 120, name
        assert not [line for line in lines if line != line.rstrip() or "\t" in line]
        for word in ("malloc", "float ", "double ", "stdio"):
            assert word not in text, (name, word)
