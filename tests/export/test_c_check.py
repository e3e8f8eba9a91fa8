"""`--check`: sizes, stack, and runs on emulated cores of a small model in C, written by hand here.

The model is one dense layer; its oracle is numpy. Sizes are compared with binutils' own tools,
counts with loops of known length, and the stack with what was painted over.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgestitch_export.c_check import check
from edgestitch_export.c_check_compilers import find_compiler
from edgestitch_export.c_check_elf import read_elf
from edgestitch_export.c_check_emulated import run_on_core
from edgestitch_export.c_check_size import reached_from
from edgestitch_export.c_command import check_c
from edgestitch_export.c_target import CORES
from edgestitch_runtime.errors import EdgestitchError

GCC, QEMU = "arm-none-eabi-gcc", "qemu-system-arm"
with_gcc = pytest.mark.skipif(not shutil.which(GCC), reason=f"{GCC} is not installed")
with_qemu = pytest.mark.skipif(
    not (shutil.which(GCC) and shutil.which(QEMU)), reason=f"{GCC} or {QEMU} is not installed"
)
EMULATED = [
    name
    if name in ("cortex-m0", "cortex-m4", "cortex-m55")
    else pytest.param(name, marks=[pytest.mark.slow])
    for name, core in CORES.items()
    if core.machine
]
CLASSES, GOLDEN = 3, 4
HEADER = f"""
#include <stdint.h>
#define TINY_HEIGHT 28
#define TINY_WIDTH 28
#define TINY_CLASSES {CLASSES}
#define TINY_ARENA_BYTES {4 * CLASSES}
#define TINY_WEIGHT_BYTES {CLASSES * 784 + 4 * CLASSES}
int tiny_classify(const uint8_t pixels[784], int8_t scores[{CLASSES}]);
#ifdef TINY_WITH_GOLDEN
int tiny_selftest(void);
#endif
"""
DENSE = """
static int32_t arena[%(classes)d];
static void dense(const uint8_t *pixels) {
  for (int c = 0; c < %(classes)d; c++) {
    arena[c] = bias[c];
    for (int k = 0; k < 784; k++) arena[c] += weights[c][k] * (pixels[k] - 128);
  }
}
int tiny_classify(const uint8_t pixels[784], int8_t scores[%(classes)d]) {
  int best = 0;
  dense(pixels);
  for (int c = 0; c < %(classes)d; c++) {
    const int32_t s = arena[c] >> 12;
    scores[c] = (int8_t)(s < -128 ? -128 : s > 127 ? 127 : s);
    if (scores[c] > scores[best]) best = c;
  }
  return best;
}
"""
SELFTEST = """
int tiny_selftest(void) {
  int wrong = 0;
  for (int k = 0; k < %(golden)d; k++) {
    int8_t scores[%(classes)d];
    tiny_classify(tiny_golden_pixels[k], scores);
    wrong += memcmp(scores, tiny_golden_scores[k], %(classes)d) != 0;
  }
  return wrong;
}
#endif
"""
# Takes 2 p + 6 instructions, p being the first pixel; answers p >> 1.
LOOP = """
__asm(".syntax unified\\n .section .text.tiny_classify,\\"ax\\",%progbits\\n .thumb\\n .align 2\\n"
      ".global tiny_classify\\n .type tiny_classify,%function\\n .thumb_func\\n tiny_classify:\\n"
      "ldrb r2, [r0]\\n lsrs r3, r2, #1\\n strb r3, [r1]\\n adds r2, #1\\n"
      "1: subs r2, #1\\n bne 1b\\n movs r0, #0\\n bx lr\\n"
      ".size tiny_classify, . - tiny_classify\\n .text\\n");
"""
OWN_INSTRUCTIONS = """
#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>
static int own(const uint8_t *p) { volatile int x = (int)vaddvq_u8(vld1q_u8(p)); return x; }
#elif defined(__ARM_FEATURE_DSP)
#include <arm_acle.h>
static int own(const uint8_t *p) { volatile int x = __sadd16(p[0], p[1]); return x; }
#else
static int own(const uint8_t *p) { volatile int x = p[0]; return x; }
#endif
"""


def images_of(count: int, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).integers(0, 256, (count, 28, 28))
    return drawn.astype(np.uint8)


WEIGHTS = np.random.default_rng(1).integers(-127, 128, (CLASSES, 784))
BIAS = np.random.default_rng(2).integers(-20000, 20000, CLASSES)


def answers_of(images: np.ndarray) -> np.ndarray:
    """What the dense layer answers, by numpy."""
    sums = (images.reshape(-1, 784).astype(np.int64) - 128) @ WEIGHTS.T + BIAS
    return np.clip(sums >> 12, -128, 127).astype(np.int8)


def c_array(type_: str, name: str, values: np.ndarray) -> str:
    sizes = "".join(f"[{size}]" for size in values.shape)
    flat = ",".join(map(str, values.reshape(-1).tolist()))
    return f"const {type_} {name}{sizes} = {{{flat}}};\n"


def written(
    folder: Path, *, more: str = "", body: str = DENSE, wrong: int = 0
) -> tuple[Path, Path]:
    """tiny.c and tiny.h in `folder`; `wrong` golden vectors are false, `more` stands in front."""
    golden = images_of(GOLDEN, seed=3)
    scores = answers_of(golden)
    scores[:wrong] += 1
    sizes = {"classes": CLASSES, "golden": GOLDEN}
    source = (
        '#include <string.h>\n#include "tiny.h"\n'
        + "static "
        + c_array("int8_t", "weights", WEIGHTS)
        + "static "
        + c_array("int32_t", "bias", BIAS)
        + more
        + body.replace("%(classes)d", str(CLASSES))
        + "#ifdef TINY_WITH_GOLDEN\n"
        + c_array("uint8_t", "tiny_golden_pixels", golden.reshape(GOLDEN, 784))
        + c_array("int8_t", "tiny_golden_scores", scores)
        + SELFTEST % sizes
    )
    (folder / "tiny.c").write_text(source)
    (folder / "tiny.h").write_text(HEADER)
    return folder / "tiny.c", folder / "tiny.h"


def called(more: str, call: str, folder: Path) -> tuple[Path, Path]:
    """The dense model, which makes the statement `call` of the functions in `more` first."""
    return written(folder, more=more, body=DENSE.replace("int best = 0;", f"int best = 0; {call}"))


def only_tools(monkeypatch: pytest.MonkeyPatch, folder: Path, *names: str) -> None:
    """PATH holds nothing but these."""
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr("edgestitch_export.c_check_compilers._has_zig", lambda: False)


@with_qemu
@pytest.mark.parametrize("core", EMULATED)
def test_each_emulated_core_answers_as_numpy_does(core: str, tmp_path: Path) -> None:
    images = images_of(5)
    # With an instruction that the cores before have not, where the compiler says there is one.
    source, header = called(OWN_INSTRUCTIONS, "best = own(pixels) & 0;", tmp_path)
    scores, instructions = run_on_core(source, header, core, images)
    np.testing.assert_array_equal(scores, answers_of(images))
    assert scores.dtype == np.int8 and instructions.dtype == np.int64
    assert (instructions > CLASSES * 784).all() or core == "cortex-m55"


@with_qemu
@pytest.mark.parametrize("core", EMULATED)
def test_a_loop_of_known_length_is_counted_to_the_last_instruction(
    core: str, tmp_path: Path
) -> None:
    images = images_of(6)
    images[:, 0, 0] = [0, 1, 2, 77, 254, 255]
    known = 2 * images[:, 0, 0].astype(np.int64) + 8
    source, header = written(tmp_path, body=LOOP)
    scores, counted = run_on_core(source, header, core, images, counter="plugin")
    np.testing.assert_array_equal(counted, known)
    np.testing.assert_array_equal(scores[:, 0], images[:, 0, 0] >> 1)
    machine = CORES[core].machine
    assert machine is not None
    _, ticked = run_on_core(source, header, core, images, counter="systick")
    # Around the loop are a few instructions of the harness.
    assert (np.abs(ticked - known - 10) <= machine.tick_instructions + 10).all()


@with_qemu
@pytest.mark.parametrize("core", EMULATED)
def test_systick_agrees_with_the_plugin_within_a_tick(core: str, tmp_path: Path) -> None:
    source, header = written(tmp_path)
    images = images_of(8)
    _, exact = run_on_core(source, header, core, images, counter="plugin")
    _, ticked = run_on_core(source, header, core, images, counter="systick")
    machine = CORES[core].machine
    assert machine is not None
    assert (np.abs(ticked - exact) <= machine.tick_instructions).all()
    assert (exact == exact[0]).all() == (np.unique(exact).size == 1)


@with_qemu
def test_the_report_counts_the_golden_images_and_finds_all_answered(tmp_path: Path) -> None:
    source, header = written(tmp_path)
    report = check(source, header, "cortex-m4")
    assert report.ran is not None
    assert (report.ran.golden, report.ran.golden_differing, report.ran.images) == (
        GOLDEN,
        0,
        GOLDEN,
    )
    _, counted = run_on_core(source, header, "m4", images_of(GOLDEN, seed=3))
    assert report.ran.instructions_mean == counted.mean()
    assert report.ran.instructions_most == counted.max()
    assert (report.exit_code, report.problems) == (0, ())
    text = "\n".join(report.lines())
    assert f"{GOLDEN} of {GOLDEN} answered to the bit under QEMU" in text
    assert "instructions an image under QEMU" in text
    assert "cycles" not in text and " ms" not in text
    shown = json.loads(json.dumps(report.as_json()))
    assert shown["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert (
        shown["flash"]["total"]
        == report.flash.total
        == sum(shown["flash"][part] for part in ("code", "weights", "constants", "library"))
    )
    assert re.fullmatch(r"arm-none-eabi-gcc \d+\.\d+.*", shown["compiler"])
    assert re.match(r"\d+\.\d+", shown["ran"]["qemu"])


@with_qemu
def test_the_mean_and_the_most_are_of_the_images_given(tmp_path: Path) -> None:
    images = images_of(4)
    images[:, 0, 0] = [9, 10, 200, 12]
    source, header = written(tmp_path, body=LOOP)
    header.write_text(re.sub("(WEIGHT_BYTES) .*", r"\1 0", HEADER))
    ran = check(source, header, "cortex-m4", images_u8=images).ran
    assert ran is not None
    assert (ran.instructions_mean, ran.instructions_most) == (2 * 231 / 4 + 8, 2 * 200 + 8)
    assert (ran.images, ran.golden, ran.golden_differing) == (4, GOLDEN, GOLDEN)


@with_qemu
def test_a_wrong_golden_vector_is_a_no(tmp_path: Path) -> None:
    report = check(*written(tmp_path, wrong=1), "cortex-m3")
    assert report.exit_code == 1
    (problem,) = report.problems
    assert f"1 of {GOLDEN} golden vectors wrongly on cortex-m3" in problem
    assert "a defect" in report.hints[problem] and "board" not in report.hints[problem]


@with_gcc
def test_what_is_finished_stays_when_a_later_target_cannot_be_checked(tmp_path: Path) -> None:
    source, _ = written(tmp_path)
    with pytest.raises(EdgestitchError, match="cortex-m99"):
        check_c(source, ["cortex-m4", "cortex-m99"], None)
    (report,) = json.loads(source.with_name(f"{source.stem}-check.json").read_text())
    assert (report["target"], report["problems"]) == ("cortex-m4", [])


@with_gcc
def test_flash_is_what_binutils_measure(tmp_path: Path) -> None:
    table = c_array("uint16_t", "table", np.arange(500))
    source, header = called(f"static {table}", "best = table[pixels[0]] & 1;", tmp_path)
    report = check(source, header, "cortex-m4")
    weights = CLASSES * 784 + 4 * CLASSES
    assert report.flash.weights == weights
    assert 1000 <= report.flash.constants < 1000 + 8  # the table, and what aligns it
    made = tmp_path / "own.o"
    words = [GCC, "-mcpu=cortex-m4", "-mthumb", "-O2", "-c", str(source), "-o", str(made)]
    subprocess.run(words, check=True)
    sized = subprocess.run(
        ["arm-none-eabi-size", str(made)], capture_output=True, text=True, check=True
    )
    text, data, bss = map(int, sized.stdout.splitlines()[1].split()[:3])
    assert (report.flash.total, data, bss) == (text, 0, report.ram.arena)
    assert report.flash.library == 0
    assert (report.ram.arena, report.ram.static) == (4 * CLASSES, 0)


@with_gcc
def test_functions_of_libraries_are_named_and_counted(tmp_path: Path) -> None:
    source, header = called(
        "static int32_t far(const uint8_t *p) { return (int32_t)((int64_t)p[0] * 777777 / p[1]); }",
        "static int first[16] = {5}; memcpy(scores, pixels, pixels[0] & 1);"
        "best = far(pixels) & first[pixels[0] & 15]; first[pixels[1] & 15] += best;",
        tmp_path,
    )
    report = check(source, header, "cortex-m0")
    assert {"memcpy", "__aeabi_ldivmod"} <= set(report.calls)
    made = tmp_path / "own.elf"
    words = [
        GCC, "-mcpu=cortex-m0", "-mthumb", "-O2", "-ffunction-sections", "-nostartfiles",
        "-Wl,--gc-sections,-e,tiny_classify", str(source), "-o", str(made),
    ]  # fmt: skip
    subprocess.run(words, check=True)
    sized = subprocess.run(
        ["arm-none-eabi-size", "-A", str(made)], capture_output=True, text=True, check=True
    )
    kept = (".text", ".roda", ".data")
    text = sum(int(x.split()[1]) for x in sized.stdout.splitlines() if x[:5] in kept)
    assert abs(report.flash.total - text) <= 8
    assert report.flash.library and report.flash.library > 400
    assert "of newlib and libgcc" in "\n".join(report.lines())


@with_gcc
def test_other_static_variables_are_not_the_arena(tmp_path: Path) -> None:
    more = "static uint8_t seen[24]; static int32_t first = 5;"
    call = "seen[pixels[0] % 24]++; first += seen[pixels[1] % 24]; best = first & 1;"
    report = check(*called(more, call, tmp_path), "cortex-m4")
    assert (report.ram.arena, report.ram.static) == (4 * CLASSES, 28)
    assert report.flash.constants == 4  # the first value of `first`


CHAIN = """
__attribute__((noinline)) static int leaf(const uint8_t *p, int n) {
  volatile uint8_t much[200];
  for (int k = 0; k < 200; k++) much[k] = (uint8_t)(p[k] + n);
  return much[n & 127];
}
__attribute__((noinline)) static int middle(const uint8_t *p, int n) {
  volatile uint8_t some[64];
  for (int k = 0; k < 64; k++) some[k] = (uint8_t)leaf(p, k + n);
  return some[n & 31] + leaf(p, 3);
}
__attribute__((noinline)) static int other(const uint8_t *p, int n) {
  volatile uint8_t few[100];
  for (int k = 0; k < 100; k++) few[k] = p[n & 3];
  return few[n & 63];
}
"""


@with_qemu
@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m4", "cortex-m55"])
def test_the_worst_stack_is_what_paint_shows_to_be_written(core: str, tmp_path: Path) -> None:
    report = check(
        *called(CHAIN, "best = (other(pixels, 1) + middle(pixels, 2)) & 1;", tmp_path), core
    )
    assert report.ran is not None
    path = [name.split(".")[0] for name in report.ram.stack_path]
    assert path == ["tiny_classify", "middle", "leaf"]
    assert report.ram.stack_unsure == ""
    assert report.ram.stack - 12 <= report.ran.stack_seen <= report.ram.stack
    assert report.ram.stack > 264


@with_qemu
def test_more_stack_seen_than_computed_is_what_counts(tmp_path: Path) -> None:
    more = (
        "__attribute__((noinline)) static int again(const uint8_t *p, int n) {"
        "  volatile int x = p[n]; return n ? again(p, n - 1) * x + x : x; }"
    )
    report = check(*called(more, "best = again(pixels, 100) & 1;", tmp_path), "cortex-m4")
    assert report.ran is not None
    assert report.ram.stack == report.ran.stack_seen > 100 * 16
    told = f"again calls itself; {report.ran.stack_seen} bytes were seen written"
    assert report.ram.stack_unsure == told
    assert f"at least: {told}" in "\n".join(report.lines())


@with_gcc
def test_a_model_too_large_for_a_board_is_a_no_by_how_much(tmp_path: Path) -> None:
    much = c_array("uint8_t", "much", np.zeros(70_000, np.int64))
    source, header = called(f"static {much}", "best = much[pixels[0]];", tmp_path)
    report = check(source, header, "Nucleo-F030R8")
    assert report.core == "cortex-m0" and report.board is not None
    assert report.board.flash_left == 65_536 - report.flash.total < 0
    assert report.exit_code == 1
    (problem,) = report.problems
    assert f"{-report.board.flash_left / 1000:.1f} kB of flash too little" in problem
    assert report.hints[problem] == "a smaller model, or another board"
    assert check(source, header, "pico").exit_code == 0


@with_qemu
def test_a_model_too_large_for_the_emulated_board_still_has_its_sizes(tmp_path: Path) -> None:
    much = c_array("uint8_t", "much", np.zeros(600_000, np.int64))
    source, header = called(f"static {much}", "best = much[pixels[0]];", tmp_path)
    report = check(source, header, "cortex-m55")
    assert report.ran is None and report.exit_code == 0
    assert report.reason.startswith("the emulated board is too small")
    assert report.flash.constants >= 600_000


@with_gcc
def test_without_qemu_sizes_are_given_and_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, header = written(tmp_path)
    whole = check(source, header, "cortex-m4")
    only_tools(monkeypatch, tmp_path / "bin", GCC)
    report = check(source, header, "cortex-m4")
    assert (report.flash, report.ram) == (whole.flash, whole.ram)
    assert report.ran is None and "qemu-system-arm is not installed" in report.reason
    assert any(x.strip().startswith("not run: ") for x in report.lines())
    with pytest.raises(EdgestitchError, match="qemu-system-arm is not installed"):
        run_on_core(source, header, "cortex-m4", images_of(1))


@with_qemu
def test_without_a_compiler_for_this_machine_systick_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, header = written(tmp_path)
    exact = check(source, header, "cortex-m33").ran
    only_tools(monkeypatch, tmp_path / "bin", GCC, QEMU)
    report = check(source, header, "cortex-m33")
    assert exact is not None and report.ran is not None
    assert (exact.instructions_within, report.ran.instructions_within) == (0, 50)
    assert abs(report.ran.instructions_mean - exact.instructions_mean) <= 50
    assert "each within 50" in "\n".join(report.lines())
    with pytest.raises(EdgestitchError, match="no plugin"):
        run_on_core(source, header, "cortex-m33", images_of(1), counter="plugin")


@pytest.mark.slow
@with_qemu
@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m4", "cortex-m55", "riscv32"])
def test_zig_s_code_is_measured_as_gcc_s_is(core: str, tmp_path: Path) -> None:
    """Where ziglang is installed."""
    pytest.importorskip("ziglang")
    source, header = called("", "memcpy(scores, pixels, pixels[0] & 1);", tmp_path)
    report = check(source, header, core, compiler="zig")
    assert report.calls and report.flash.library
    assert (report.ram.arena, report.ram.static) == (4 * CLASSES, 0)
    if core == "riscv32":
        assert report.ran is None and "without the stack of memcpy" in report.ram.stack_unsure
        return
    assert report.ran is not None and report.ran.golden_differing == 0
    assert report.ram.stack_unsure == ""
    assert 16 < report.ran.stack_seen <= report.ram.stack
    scores, _ = run_on_core(source, header, core, images_of(3), compiler="zig")
    np.testing.assert_array_equal(scores, answers_of(images_of(3)))


@with_qemu
def test_a_model_that_faults_ends_the_run_with_a_word(tmp_path: Path) -> None:
    source, header = called("", "if (pixels[0] == 7) __builtin_trap();", tmp_path)
    images = images_of(2)
    images[:, 0, 0] = 7
    with pytest.raises(EdgestitchError, match="the processor met an instruction"):
        run_on_core(source, header, "cortex-m3", images)


@with_qemu
def test_a_run_that_ends_before_all_images_is_no_answer(tmp_path: Path) -> None:
    leave = 'if (pixels[0] == 7) __asm volatile("movs r0, #24\\n ldr r1, =0x20026\\n bkpt 0xAB");'
    images = images_of(3)
    images[:, 0, 0] = [1, 7, 1]
    with pytest.raises(EdgestitchError, match="answered 1 of 3 images"):
        run_on_core(*called("", leave, tmp_path), "cortex-m3", images)


@with_qemu
def test_images_of_another_shape_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgestitchError, match=r"float32 of shape \(1, 28, 28\), not uint8"):
        run_on_core(*written(tmp_path), "m4", np.zeros((1, 28, 28), np.float32))


@with_gcc
def test_what_classify_does_not_need_is_not_counted(tmp_path: Path) -> None:
    source, _ = called("int unused(int x) { return x * 77; }", "", tmp_path)
    compiler = find_compiler(CORES["cortex-m4"], "gcc")
    compiler.compile(source, tmp_path / "x.o")
    with_it = reached_from(read_elf((tmp_path / "x.o").read_bytes()), "tiny_classify")
    source, _ = written(tmp_path)
    compiler.compile(source, tmp_path / "y.o")
    assert with_it == reached_from(read_elf((tmp_path / "y.o").read_bytes()), "tiny_classify")
