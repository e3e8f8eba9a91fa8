"""Generated C compiled for this machine, and its answers; the oracle is the engine `reference`.

Found like tflite_builder.
"""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgestitch_export.c_format import CFiles, c_files, card_in_c
from edgestitch_export.c_plan import plan_of
from edgestitch_export.c_program import Program
from edgestitch_export.c_writing import Extras, Names, Output, header_text, source_text
from edgestitch_runtime import Classifier
from edgestitch_runtime.card import model_bytes, read_artifact
from edgestitch_runtime.golden import Golden, unpack_golden
from edgestitch_runtime.graph import IntegerGraph
from edgestitch_runtime.reference_engine import steps_of

ROOT = Path(__file__).parents[2]
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wcast-qual", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_MANY = """
#include "{header}"
void {prefix}_answer(int n, const uint8_t *pixels, int8_t *scores, int *classes);
void {prefix}_answer(int n, const uint8_t *pixels, int8_t *scores, int *classes) {{
  for (int k = 0; k < n; k++) {{
    classes[k] = {prefix}_classify(pixels + k * {size}, scores + k * {classes});
  }}
}}
"""
# Pixels from stdin, in memory that ends where they end; scores and a class to stdout.
_PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include "{header}"
int main(void) {{
  uint8_t *pixels = (uint8_t *)malloc({size});
  int8_t *scores = (int8_t *)malloc({classes});
  while (fread(pixels, 1, {size}, stdin) == {size}) {{
    const int found = {prefix}_classify(pixels, scores);
    fwrite(scores, 1, {classes}, stdout);
    putchar(found);
  }}
  free(pixels);
  free(scores);
  return 0;
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """C made of an int8 .tflite: `model` are the bytes of that without its card, `card` is the C's.

    `prefix` begins the identifiers.
    """

    path: Path
    name: str
    prefix: str
    model: bytes
    card: dict[str, Any]
    golden: Golden
    c: CFiles

    @property
    def macro(self) -> str:
        return self.prefix.upper()


def c_of(path: Path) -> Made:
    """The C of an artifact that edgestitch exported."""
    artifact = read_artifact(path)
    assert artifact.card is not None
    name = path.name.removesuffix("-int8.tflite")
    model, card = model_bytes(artifact.format, artifact.content), card_in_c(artifact.card)
    golden = unpack_golden(artifact.golden, path.name)
    found = c_files(name, model, card=card, golden=golden)
    prefix = name.replace("-", "_")
    return Made(path=path, name=name, prefix=prefix, model=model, card=card, golden=golden, c=found)


def reference_scores(path: Path, images_u8: np.ndarray) -> np.ndarray:
    """What `reference` answers, (n, classes) int8."""
    with Classifier.open(path, engine="reference") as classifier:
        return classifier.scores(images_u8)


def codes_of(graph: IntegerGraph, images: np.ndarray) -> np.ndarray:
    """What `reference` gives for int8 codes, (n, ...): (n, elements) int8."""
    held = {graph.input.index: images}
    for kernel, inputs, output, _ in steps_of(graph):
        held[output] = kernel(*[held[k] for k in inputs])
    return held[graph.output.index].reshape(len(images), -1)


def files_of(prefix: str, program: Program, elements: int) -> dict[str, bytes]:
    """The .c and .h of a program that takes `elements` pixels in a row."""
    names = Names(stem=prefix, prefix=prefix, macro=prefix.upper(), height=1, width=elements)
    plan = plan_of(program)
    extras = Extras(
        labels=tuple("abc"[: program.classes]),
        images_u8=np.zeros((1, 1, elements), np.uint8),
        scores=np.zeros((1, program.classes), np.int8),
    )
    output = Output(kind="codes", scale="1.0", zero_point=0, ground="any", golden=1)
    return {
        f"{prefix}.c": source_text(names, program, plan, about="a test", extras=extras).encode(),
        f"{prefix}.h": header_text(names, program, plan, about="a test", output=output).encode(),
    }


@functools.cache
def ds112() -> Path:
    """The comparison network as int8 .tflite, quantized on the bundled sample, once a process."""
    from edgestitch_export import export

    folder = Path(tempfile.mkdtemp(prefix="ds112-"))
    data = ROOT / "train/edgestitch_train/fashion_mnist_mini"
    model = ROOT / "tests/networks/ds112.keras"
    return export(model, format="tflite", precision="int8", data=data, out=folder).path


def compiled(
    files: Mapping[str, bytes], folder: Path, *, words: Sequence[str] = ("gcc", "-O2")
) -> Path:
    """The .c among `files`, of one or of several programs, as a shared library in `folder`.

    Each has PREFIX_answer, a loop over images.
    """
    sources = _written(files, folder, _MANY)
    made = folder / "model.so"
    _run([*words, "-std=c99", *WARNINGS, "-fPIC", "-shared", "-o", made, *sources])
    return made


def answers(
    library: Path, prefix: str, images_u8: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """(scores (n, classes) int8, class indices (n,)) of images, (n, ...) uint8."""
    pixels = np.ascontiguousarray(images_u8, np.uint8)
    scores = np.full((len(pixels), classes), 99, np.int8)
    found = np.full(len(pixels), -1, np.int32)
    loaded = ctypes.CDLL(str(library))
    getattr(loaded, f"{prefix}_answer")(
        len(pixels), *(array.ctypes.data_as(ctypes.c_void_p) for array in (pixels, scores, found))
    )
    return scores, found


def program_answers(
    files: Mapping[str, bytes],
    images_u8: np.ndarray,
    classes: int,
    folder: Path,
    *,
    words: Sequence[str],
) -> tuple[np.ndarray, np.ndarray]:
    """As `answers`, of an executable of its own; it fails the test when it ends with an error."""
    sources = _written(files, folder, _PROGRAM)
    made = folder / "model"
    _run([*words, "-std=c99", *WARNINGS, "-o", made, *sources])
    pixels = np.ascontiguousarray(images_u8, np.uint8).tobytes()
    done = subprocess.run([made], input=pixels, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[:4000]
    rows = np.frombuffer(done.stdout, np.int8).reshape(len(images_u8), classes + 1)
    return rows[:, :classes], rows[:, classes].astype(np.int32)


def prefix_of(header: str) -> str:
    """What the identifiers begin with that a header declares."""
    (declared,) = (line for line in header.splitlines() if "_classify(const" in line)
    return declared.split("_classify")[0].removeprefix("int ")


def _written(files: Mapping[str, bytes], folder: Path, caller: str) -> list[Path]:
    """Writes `files`, and for each header a .c that calls its program; the .c files."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    sources = [folder / name for name in files if name.endswith(".c")]
    for header in (name for name in files if name.endswith(".h")):
        text = files[header].decode()
        prefix = prefix_of(text)
        size = text.split("_classify(const uint8_t pixels[")[1].split("]")[0]
        calls = folder / f"{prefix}_calls.c"
        calls.write_text(
            caller.format(
                header=header, prefix=prefix, size=size, classes=f"{prefix.upper()}_CLASSES"
            )
        )
        sources.append(calls)
    return sources


def _run(words: Sequence[str | Path]) -> None:
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]
