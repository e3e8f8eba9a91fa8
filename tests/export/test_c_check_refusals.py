"""`--check` where a tool is missing, or what it is given is not what it should be."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgestitch_export.c_check import check
from edgestitch_export.c_check_compilers import find_compiler
from edgestitch_export.c_check_elf import read_elf
from edgestitch_export.c_target import CORES
from edgestitch_runtime.errors import EdgestitchError

with_gcc = pytest.mark.skipif(
    not shutil.which("arm-none-eabi-gcc"), reason="arm-none-eabi-gcc is not installed"
)
with_clang = pytest.mark.skipif(not shutil.which("clang"), reason="clang is not installed")
HEADER = """
#include <stdint.h>
#define TINY_HEIGHT 28
#define TINY_WIDTH 28
#define TINY_CLASSES 2
#define TINY_ARENA_BYTES 0
#define TINY_WEIGHT_BYTES 8
int tiny_classify(const uint8_t pixels[784], int8_t scores[2]);
"""
SOURCE = """
#include <string.h>
#include "tiny.h"
static const int8_t weights[8] = {1, 2, 3, 4, 5, 6, 7, 8};
int tiny_classify(const uint8_t pixels[784], int8_t scores[2]) {
  memcpy(scores, weights, pixels[0] & 7);
  return weights[pixels[1] & 7];
}
"""


def written(folder: Path) -> tuple[Path, Path]:
    (folder / "tiny.c").write_text(SOURCE)
    (folder / "tiny.h").write_text(HEADER)
    return folder / "tiny.c", folder / "tiny.h"


def only_tools(monkeypatch: pytest.MonkeyPatch, folder: Path, *names: str) -> None:
    """PATH holds nothing but these."""
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr("edgestitch_export.c_check_compilers._has_zig", lambda: False)


@with_clang
def test_clang_alone_gives_the_sizes_of_the_model_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_tools(monkeypatch, tmp_path / "bin", "clang")
    source, header = written(tmp_path)
    report = check(source, header, "riscv32")
    assert report.compiler.startswith("clang ") and report.calls == ("memcpy",)
    assert report.flash.library is None and report.ram.stack > 0
    text = "\n".join(report.lines())
    assert "memcpy of a library not counted" in text
    assert "at least: without the stack of memcpy" in text
    assert "not run: no emulated board for riscv32" in text


def test_without_any_compiler_the_hint_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, header = written(tmp_path)
    only_tools(monkeypatch, tmp_path / "bin")
    with pytest.raises(EdgestitchError, match="no compiler for cortex-m7 was found") as refusal:
        check(source, header, "cortex-m7")
    assert "gcc-arm-none-eabi" in refusal.value.hint and refusal.value.exit_code == 2


def test_a_compiler_that_cannot_compile_for_the_core_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_tools(monkeypatch, tmp_path / "bin")
    fake = tmp_path / "bin" / "clang"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    with pytest.raises(EdgestitchError, match="no compiler for cortex-m7 was found"):
        find_compiler(CORES["cortex-m7"])


def test_an_unknown_target_is_refused_with_the_list(tmp_path: Path) -> None:
    with pytest.raises(EdgestitchError, match="no core or board is named 'cortex-m99'") as refusal:
        check(*written(tmp_path), "cortex-m99")
    assert "cortex-m55" in refusal.value.hint and "microbit-v2" in refusal.value.hint


def test_a_header_that_is_no_model_s_is_refused(tmp_path: Path) -> None:
    source, header = written(tmp_path)
    header.write_text(HEADER.replace("TINY_ARENA_BYTES", "TINY_ARENA"))
    with pytest.raises(EdgestitchError, match="it has no TINY_ARENA_BYTES"):
        check(source, header, "cortex-m4")
    header.write_text("#define A 1\n")
    with pytest.raises(EdgestitchError, match="it has no NAME_classify"):
        check(source, header, "cortex-m4")
    with pytest.raises(EdgestitchError, match=r"cannot read .*: no such file"):
        check(source, tmp_path / "absent.h", "cortex-m4")


@with_gcc
def test_a_source_of_another_model_is_refused_in_one_line(tmp_path: Path) -> None:
    source, header = written(tmp_path)
    source.write_text(source.read_text().replace("tiny_classify", "other_classify"))
    with pytest.raises(EdgestitchError, match="the compiled file has no tiny_classify"):
        check(source, header, "cortex-m4")
    header.write_text(HEADER.replace("TINY_WEIGHT_BYTES ", "TINY_WEIGHT_BYTES 9"))
    source.write_text(source.read_text().replace("other_classify", "tiny_classify"))
    with pytest.raises(EdgestitchError, match="less than the 9"):
        check(source, header, "cortex-m4")
    source.write_text("int nonsense = ;\n")
    with pytest.raises(EdgestitchError, match=r"cannot compile tiny\.c: .*error") as refusal:
        check(source, header, "cortex-m4")
    assert (
        str(tmp_path) not in refusal.value.message and "as edgestitch wrote" in refusal.value.hint
    )


def test_a_file_that_is_no_elf_of_32_bits_is_refused() -> None:
    with pytest.raises(EdgestitchError, match="no 32-bit little-endian ELF"):
        read_elf(b"\x7fELF\x02\x01" + bytes(100))
