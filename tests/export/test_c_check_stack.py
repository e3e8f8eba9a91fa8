"""The worst stack: the deepest calls, and frames read off instructions as compilers tell them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgestitch_export.c_check_compilers import find_compiler
from edgestitch_export.c_check_elf import FUNCTION, ElfFile, read_elf
from edgestitch_export.c_check_instructions import branch
from edgestitch_export.c_check_stack import Stack, read_stack_usage, worst_stack
from edgestitch_export.c_target import CORES

with_gcc = pytest.mark.skipif(
    not shutil.which("arm-none-eabi-gcc"), reason="arm-none-eabi-gcc is not installed"
)
with_clang = pytest.mark.skipif(not shutil.which("clang"), reason="clang is not installed")
CORTEX_M = [name for name in CORES if name.startswith("cortex-m")]
CHAIN = """
#include <stdint.h>
#define OUT_OF_LINE __attribute__((noinline)) static
OUT_OF_LINE int leaf(const uint8_t *p, int n) {
  volatile uint8_t much[200];
  for (int k = 0; k < 200; k++) much[k] = (uint8_t)(p[k] + n);
  return much[n & 127];
}
OUT_OF_LINE int middle(const uint8_t *p, int n) {
  volatile uint8_t some[64];
  for (int k = 0; k < 64; k++) some[k] = (uint8_t)leaf(p, k + n);
  return some[n & 31] + leaf(p, 3);
}
OUT_OF_LINE int other(const uint8_t *p, int n) {
  volatile uint8_t few[100];
  for (int k = 0; k < 100; k++) few[k] = p[n & 3];
  return few[n & 63];
}
OUT_OF_LINE int large(const uint8_t *p, int n) {
  volatile uint8_t much[5000];
  for (int k = 0; k < 5000; k++) much[k] = p[n & 3];
  return much[n & 63];
}
OUT_OF_LINE float half(float x, double y, float z, float u, float v) {
  return x * (float)y / 2 + z * u / v;
}
"""
RECURSION = """
OUT_OF_LINE int again(const uint8_t *p, int n) {
  volatile int x = p[n];
  return n ? again(p, n - 1) * x + x : x;
}
OUT_OF_LINE int pong(const uint8_t *p, int n);
OUT_OF_LINE int ping(const uint8_t *p, int n) {
  volatile int x = p[n];
  return n ? pong(p, n - 1) * x + x : x;
}
OUT_OF_LINE int pong(const uint8_t *p, int n) {
  volatile int x = p[n];
  return n ? ping(p, n - 2) + x : x;
}
"""
WIDE = """
OUT_OF_LINE int wide(const uint8_t *p) {
  volatile uint8_t x[p[0] + 1];
  x[p[0]] = 1;
  return x[p[0]];
}
"""
TABLES = """
static int (*const table[2])(const uint8_t *, int) = {leaf, other};
static const void *const list[2] = {list, table};
static const void *const volatile *const way = list;
int top(const uint8_t *p) {
  int (*const *one)(const uint8_t *, int) = way[1];
  return one[p[0] & 1](p, 1);
}
"""
SWITCH = """
int top(const uint8_t *p) {
  switch (p[0]) {
    case 0: return other(p, p[1]);
    case 1: return leaf(p, 3);
    case 2: return p[7] * 3;
    case 3: return p[9] - p[8];
    case 4: return leaf(p, 9) * 5;
    case 5: return other(p, 2) >> 3;
    default: return 0;
  }
}
"""
TOP = "int top(const uint8_t *p) { volatile int x = p[3]; return (%s) + x; }"


def compiled(source: str, core: str, kind: str, folder: Path) -> tuple[ElfFile, dict]:
    """The object of `source`, and what its compiler tells of frames."""
    (folder / "x.c").write_text(source)
    find_compiler(CORES[core], kind).compile(folder / "x.c", folder / "x.o")
    told = read_stack_usage((folder / "x.su").read_text())
    return read_elf((folder / "x.o").read_bytes()), told


def plain(path: tuple[str, ...]) -> list[str]:
    """Without what GCC appends to the names of its copies."""
    return [name.split(".")[0] for name in path]


def of_top(calls: str, core: str, kind: str, folder: Path, more: str = "") -> Stack:
    object_, told = compiled(CHAIN + more + TOP % calls, core, kind, folder)
    return worst_stack(object_, "top", told)


@with_gcc
@pytest.mark.parametrize("core", CORTEX_M)
def test_frames_read_off_the_instructions_are_those_gcc_tells(core: str, tmp_path: Path) -> None:
    calls = "other(p, 1) + middle(p, (int)half(p[0], p[1], p[2], p[3], p[4])) + large(p, 2)"
    object_, told = compiled(CHAIN + TOP % calls, core, "gcc", tmp_path)
    names = {"top": 1, "leaf": 200, "middle": 64, "other": 100, "large": 5000, "half": 0}
    named = {one.name.split(".")[0]: one.name for one in object_.symbols if one.kind == FUNCTION}
    assert set(named) == set(names) == {name.split(".")[0] for name in told}
    for name, least in names.items():
        read, known = (worst_stack(object_, named[name], usage) for usage in ({}, told))
        if "could not be read" in read.unsure:  # its size is in a register, after a load
            assert core == "cortex-m0" and name in ("large", "top")
        else:
            assert read == known
        assert known.bytes >= least


@with_clang
@pytest.mark.parametrize("core", [*CORTEX_M, "riscv32"])
def test_frames_read_off_the_instructions_are_those_clang_tells(core: str, tmp_path: Path) -> None:
    object_, told = compiled(CHAIN + TOP % "other(p, 1) + middle(p, 2)", core, "clang", tmp_path)
    found = worst_stack(object_, "top", {})
    assert found == worst_stack(object_, "top", told)
    assert found.path == ("top", "middle", "leaf") and found.bytes > 264


@with_gcc
def test_a_naked_function_takes_what_it_pushes(tmp_path: Path) -> None:
    naked = (
        "__attribute__((naked, noinline)) static int bare(const uint8_t *p)"
        '{ __asm("push {r4-r11}\\n pop {r4-r11}\\n bx lr"); }'
    )
    found = of_top("bare(p)", "cortex-m4", "gcc", tmp_path, naked)
    assert found.path == ("top", "bare")
    assert found.bytes == of_top("p[1]", "cortex-m4", "gcc", tmp_path, naked).bytes + 32 + 8


@with_gcc
@pytest.mark.parametrize(
    ("calls", "path"),
    [
        ("other(p, 1) + middle(p, 2)", ["top", "middle", "leaf"]),
        ("leaf(p, 1) + middle(p, 2)", ["top", "middle", "leaf"]),
        ("other(p, 1) + leaf(p, 2)", ["top", "leaf"]),
        ("other(p, 1)", ["top", "other"]),
    ],
)
def test_the_worst_stack_is_the_sum_of_the_deepest_calls(
    calls: str, path: list[str], tmp_path: Path
) -> None:
    object_, told = compiled(CHAIN + TOP % calls, "cortex-m4", "gcc", tmp_path)
    found = worst_stack(object_, "top", told)
    assert plain(found.path) == path and found.unsure == ""
    frames = {name.split(".")[0]: count for name, (count, _) in told.items()}
    assert found.bytes == sum(frames[name] for name in path)


@with_gcc
@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m4"])
@pytest.mark.parametrize(
    ("calls", "said"),
    [
        ("again(p, p[0])", "again calls itself"),
        ("ping(p, p[0])", "ping calls itself"),
        ("wide(p)", "the frame of wide has no fixed size"),
    ],
)
def test_a_stack_without_bound_is_said_to_be_one(
    calls: str, said: str, core: str, tmp_path: Path
) -> None:
    found = of_top(calls, core, "gcc", tmp_path, RECURSION + WIDE)
    assert said in found.unsure.replace(".constprop", "").replace(".0", "")


@pytest.mark.parametrize(
    ("core", "kind"),
    [
        pytest.param("cortex-m0", "gcc", marks=[with_gcc]),
        pytest.param("cortex-m4", "gcc", marks=[with_gcc]),
        pytest.param("riscv32", "clang", marks=[with_clang]),
    ],
)
def test_a_function_called_through_tables_counts(core: str, kind: str, tmp_path: Path) -> None:
    object_, told = compiled(CHAIN + TABLES, core, kind, tmp_path)
    found = worst_stack(object_, "top", told)
    assert plain(found.path) == ["top", "leaf"] and found.unsure == ""
    assert found.bytes > 200


@pytest.mark.parametrize(
    ("core", "kind"),
    [
        pytest.param("cortex-m0", "gcc", marks=[with_gcc]),
        pytest.param("cortex-m4", "gcc", marks=[with_gcc]),
        pytest.param("cortex-m55", "clang", marks=[with_clang]),
        pytest.param("riscv32", "clang", marks=[with_clang]),
    ],
)
def test_a_table_of_places_in_a_function_is_no_call_of_it(
    core: str, kind: str, tmp_path: Path
) -> None:
    object_, told = compiled(CHAIN + SWITCH, core, kind, tmp_path)
    found = worst_stack(object_, "top", told)
    assert plain(found.path) == ["top", "leaf"] and found.unsure == ""


# Thumb's ways to take room on the stack, and how many bytes by Arm's manual.
PUSHES = {
    "push {r4, r7, lr}": 12,
    "sub sp, #508": 508,
    "push.w {r4, r8, r11, lr}": 16,
    "str r8, [sp, #-20]!": 20,
    "strd r4, r5, [sp, #-16]!": 16,
    "vpush {d8-d11}": 32,
    "vpush {s16-s18}": 12,
    "sub.w sp, sp, #4096": 4096,
    "sub.w sp, sp, #0x00ff00ff": 0xFF00FF,
    "subw sp, sp, #4001": 4001,
    "add sp, #508": 0,
    "pop {r4, pc}": 0,
    "str r8, [sp, #20]": 0,
    "vpop {d8}": 0,
    "ldr r0, =0xb5ffb5fe": 0,  # what lies in the pool reads as PUSH
    "subs r0, #1\\n bne.w top\\n b.w top": 0,  # a loop, not a call
}


@with_gcc
@pytest.mark.parametrize("instruction", PUSHES)
def test_what_an_instruction_takes_off_the_stack(instruction: str, tmp_path: Path) -> None:
    source = (
        '__asm(".syntax unified\\n .section .text.top, \\"ax\\", %progbits\\n .thumb\\n"\n'
        '" .fpu fpv5-d16\\n"\n'
        '".type top, %function\\n .thumb_func\\n top:\\n '
        + instruction
        + '\\n bx lr\\n .ltorg\\n .size top, . - top\\n");\n'
    )
    object_, _ = compiled(source, "cortex-m55", "gcc", tmp_path)
    found = worst_stack(object_, "top", {})
    assert (found.bytes, found.unsure) == (PUSHES[instruction], "")


@pytest.mark.parametrize(
    ("first", "second", "goes"),
    [  # assembled by hand from the encodings T1 (BL) and T4 (B) of the manual
        (0xF000, 0xF800, (0x104, True)),  # bl .+4
        (0xF7FF, 0xFFFE, (0x100, True)),  # bl .
        (0xF000, 0xB802, (0x108, False)),  # b.w .+8
        (0xF3FF, 0xD7FF, (0x100 + 4 + (1 << 24) - 2, True)),  # the farthest
        (0xF000, 0x8000, None),  # beq.w, which calls nothing
        (0x4770, 0, None),  # bx lr
    ],
)
def test_where_a_branch_goes(first: int, second: int, goes: tuple[int, bool] | None) -> None:
    assert branch(0x100, first, second) == goes


def test_stack_usage_is_read_as_gcc_and_clang_write_it() -> None:
    text = "a:b/x.c:12:5:top\t40\tstatic\nx.c:19:wide\t8\tdynamic\n"
    assert read_stack_usage(text) == {"top": (40, "static"), "wide": (8, "dynamic")}
