"""`--format tflm`: what a C and a C++ compiler make of the files, and what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from edgestitch_export import tflm_format
from edgestitch_export.budget import Budget
from edgestitch_export.exporting import Exported, export, export_source
from edgestitch_export.source import Source
from edgestitch_export.tflm_arena import planned_bytes
from edgestitch_runtime.card import model_bytes, read_artifact
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.file_graph import FileGraph, FileOperator, FileTensor
from edgestitch_runtime.operator_rules import RULES

COMPILERS = {
    "c": ("gcc", "-xc", "-std=c11"),
    "c++": ("g++", "-xc++", "-std=c++11"),
}
# Prints what a user of the header sees; the array itself goes to a file.
PROGRAM = r"""
#include <stdint.h>
#include <stdio.h>
#include "STEM-tflm.h"
#ifdef __cplusplus
#include <string>
struct Resolver {  // as tflite::MicroMutableOpResolver: 0 is kTfLiteOk
  int room;
  std::string added;
  int add(const char *name) { added += name; added += ' '; return room-- > 0 ? 0 : 1; }
#define METHOD(name) int name() { return add(#name); }
METHODS
};
#endif
static unsigned char arena[NAME_arena_bytes];
int main(int count, char **words) {
  FILE *out = count > 1 ? fopen(words[1], "wb") : 0;
  if (!out || fwrite(NAME_model_data, 1, NAME_model_data_size, out) != NAME_model_data_size)
    return 1;
  fclose(out);
  printf("%u %d\n", (unsigned)((uintptr_t)NAME_model_data % 16), (int)sizeof arena);
  for (int k = 0; k < NAME_classes; k++) printf("%s\n", NAME_labels[k]);
#ifdef __cplusplus
  Resolver resolver = {NAME_operators, ""}, full = {NAME_operators - 1, ""};
  const int fits = NAME_add_operators(resolver), fits_not = NAME_add_operators(full);
  printf("%d %d %s\n", fits, fits_not, resolver.added.c_str());
#endif
  return 0;
}
"""


def compiled(source: Path, language: str, folder: Path) -> tuple[bytes, list[str]]:
    """The array as `language`'s compiler laid it out, and the lines that PROGRAM prints."""
    stem = source.name.removesuffix("-tflm.c")
    methods = "\n".join(f"METHOD({tflm_format._method(o)})" for o in tflm_format.OPERATORS)
    text = PROGRAM.replace("METHODS", methods).replace("STEM", stem)
    program = folder / "program.c"
    program.write_text(text.replace("NAME", tflm_format.identifier(stem)))
    tool, *flags = COMPILERS[language]
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    warnings = ("-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O0", f"-I{source.parent}")
    made = [folder / "program", folder / "array"]
    subprocess.run([tool, *flags, *warnings, source, program, "-o", made[0]], check=True)
    done = subprocess.run(made, check=True, capture_output=True)
    return made[1].read_bytes(), done.stdout.decode().splitlines()


@pytest.fixture(scope="module")
def written(mini_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    out = tmp_path_factory.mktemp("tflm")
    return export(mini_run, format="tflm", precision="int8", out=out)


@pytest.mark.parametrize("language", COMPILERS)
def test_the_compiled_array_is_the_model_of_the_tflite_file(
    language: str, written: Exported, mini_run: Path, tmp_path: Path
) -> None:
    tflite = mini_run / "export" / "mlp-int8.tflite"
    model = model_bytes("tflite", tflite.read_bytes())
    array, lines = compiled(written.path, language, tmp_path)
    assert array == model
    assert (written.bytes, written.sha256) == (len(model), hashlib.sha256(model).hexdigest())
    card = read_artifact(tflite).card or {}
    assert lines[0] == f"0 {written.arena_bytes}"
    assert lines[1:11] == card["labels"]
    if language == "c++":
        assert lines[11] == "1 0 AddFullyConnected AddReshape AddSoftmax "
    aligned = tmp_path / "aligned.c"
    asserted = "static_assert" if language == "c++" else "_Static_assert"
    name = f'{asserted}(__alignof__(g_mlp_int8_model_data) == 16, "");'
    aligned.write_text(f'#include "{written.path}"\n{name}\n')
    subprocess.run([*COMPILERS[language], "-fsyntax-only", aligned], check=True)
    header = written.path.with_suffix(".h").read_text()
    assert card["hashes"]["weights"] in header
    assert "28x28 int8" in header and "0.00390625 * (s - (-128)) are the probabilities" in header
    assert f"({card['accuracy']['artifact']['correct']:,} of 1,000, litert" in header


def test_a_second_export_changes_nothing(
    written: Exported, mini_run: Path, cli: Callable[..., Any]
) -> None:
    assert written.path.name == "mlp-int8-tflm.c" and written.status == "written"
    out = written.path.parent
    assert sorted(path.name for path in out.iterdir()) == ["mlp-int8-tflm.c", "mlp-int8-tflm.h"]
    done = cli("export", mini_run, "--format", "tflm", "--all", "--out", out, cwd=out)
    assert done.returncode == 0, done.stderr
    first = done.stdout.splitlines()[0]
    assert first.startswith(f"{written.path} and .h  {written.bytes:,} bytes of model, an arena of")
    assert first.endswith(f"{written.arena_bytes:,}, unchanged")
    assert "distance from reference: " in done.stdout


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic"])
def test_other_precisions_are_refused_by_name(
    precision: str, mini_run: Path, refused: Callable[..., str], tmp_path: Path
) -> None:
    said = refused("export", mini_run, "--format", "tflm", f"--{precision}", cwd=tmp_path)
    assert f"tflm at {precision} is not made" in said and "tflm is made at int8" in said


def test_mixed_is_refused() -> None:
    with pytest.raises(EdgestitchError, match="tflm at mixed is not made"):
        export_source(
            cast(Source, None),
            format="tflm",
            precision="int8",
            name=None,
            out=None,
            calibration_images=None,
            seed=0,
            overwrite=False,
            budget=Budget(max_drop_pp=1, mixed=True),
        )


def test_an_operator_that_is_not_in_the_list_is_refused_by_name() -> None:
    tflm_format.check({"operators": list(RULES)})
    with pytest.raises(EdgestitchError, match="GELU is not among the operators") as caught:
        tflm_format.check({"operators": ["RESHAPE", "GELU", "SOFTMAX"]})
    assert caught.value.exit_code == 1


LABELS = ['"quoted" \\ back', "what??/", "3\x01" + "7", "Stiefel für Ärzte", "靴", "%d */ //"]


@pytest.mark.parametrize("language", COMPILERS)
@pytest.mark.parametrize("stem", ["int-int8", "3.d--x__-int8", "_-int8", "a" * 64 + "-int8"])
def test_any_name_and_any_label_compile(
    stem: str, language: str, written: Exported, tmp_path: Path
) -> None:
    card = json.loads(json.dumps(written.card)) | {"labels": LABELS}
    model = bytes(range(256)) * 2 + b"\0\xff"
    for path, content in tflm_format.sources(tmp_path / stem, model, card, arena=4688).items():
        path.write_bytes(content)
    array, lines = compiled(tmp_path / f"{stem}-tflm.c", language, tmp_path)
    assert array == model
    assert lines[1:7] == LABELS
    name = tflm_format.identifier(stem)
    assert "__" not in name and name.startswith("g_")


def test_the_plan_puts_buffers_where_the_greedy_planner_does() -> None:
    """By hand, of a chain: the last 48 at 0, the one before above it, the first at 0, 32 on top.

    Were equal ones placed from the first on, 96 would do.
    """
    tensors = tuple(
        FileTensor(
            name=str(k), shape=(1, size), signature=(1, size), dtype="int8", scales=1, scale=1.0,
            zero_point=0, constant=False, bytes=size - 7, place=k,
        )
        for k, size in enumerate((48, 32, 48, 48))
    )  # fmt: skip
    operators = tuple(
        FileOperator(
            index=k, name=name, version=1, layer="", inputs=(k,), outputs=(k + 1,), options="",
            macs=0,
        )
        for k, name in enumerate(("RELU", "RELU", "RELU"))
    )  # fmt: skip
    graph = FileGraph(
        format="tflite", tensors=tensors, operators=operators, inputs=(0,), outputs=(3,), roles={}
    )
    assert planned_bytes(graph) == 128
    summed = replace(operators[2], name="MEAN")  # 48 sums of int32 beside its output
    graph = replace(graph, operators=(*operators[:2], summed))
    assert planned_bytes(graph) == 4 * 48 + 48 + 48
