"""The text of a C program: header, source, and in the source its plan, constants and calls."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import numpy as np

from .c_kernel_text import kernel_text
from .c_plan import Plan
from .c_program import Program
from .c_step import PIXELS, Places
from .c_text import WIDTH, comment_text, constants_text, literal_text, rows_text, rule_text

_LICENCE = """\
What edgestitch generates carries no licence condition: use, change and pass this file on freely."""
_PATHS = """\
#include <stdint.h>
#include <string.h> /* memcpy, memset, memcmp */

/* One of three paths, which give the same answers to the bit. */
#if defined(__GNUC__) && !defined(__ARM_BIG_ENDIAN) && defined(__ARM_FEATURE_MVE) && \\
    (__ARM_FEATURE_MVE & 1)
#include <arm_mve.h>
#define PATH_MVE 1
#define PATH_DSP 0
#elif defined(__GNUC__) && defined(__ARM_FEATURE_DSP) && defined(__ARM_ARCH_PROFILE) && \\
    __ARM_ARCH_PROFILE == 'M' && defined(__ARM_FEATURE_UNALIGNED) && !defined(__ARM_BIG_ENDIAN)
#include <arm_acle.h>
#define PATH_MVE 0
#define PATH_DSP 1
#else
#define PATH_MVE 0
#define PATH_DSP 0
#endif

#if PATH_DSP /* which reads weights as words; the others read bytes, or vectors of any place */
#define ALIGNED __attribute__((aligned(4)))
#else
#define ALIGNED
#endif
#if defined(__GNUC__) /* work of many instructions: its code once is enough */
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE
#endif
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """How a program is called: `stem` of its files, `prefix` and `macro` of its identifiers.

    `height` and `width` are those of an image.
    """

    stem: str
    prefix: str
    macro: str
    height: int = 0
    width: int = 0


def header_text(names: Names, program: Program, plan: Plan, *, about: str, output: Output) -> str:
    """NAME.h. `about` is a paragraph on the model."""
    pixels = names.height * names.width
    p, m = names.prefix, names.macro
    weights = sum(step.weight_bytes for step in program.steps)
    return f"""\
/* {names.stem}.h
 *
{comment_text(about)}
 *
{comment_text(_LICENCE)}
 */
#ifndef {m}_INT8_H
#define {m}_INT8_H

#include <stdint.h>

#define {m}_HEIGHT {names.height}
#define {m}_WIDTH {names.width}
#define {m}_CLASSES {program.classes}
#define {m}_ARENA_BYTES {plan.arena_bytes}
#define {m}_WEIGHT_BYTES {weights} /* int8 weights and int32 biases of the model */

/* {m}_OUTPUT_SCALE * (score - {m}_OUTPUT_ZERO_POINT) is what the model computes: {output.kind}. */
#define {m}_OUTPUT_SCALE {output.scale}f
#define {m}_OUTPUT_ZERO_POINT ({output.zero_point})

#ifdef __cplusplus
extern "C" {{
#endif

/* The class of an image, 0 to {m}_CLASSES - 1: the place of its largest score, the first of them
 * where several are. pixels are {names.height} rows of {names.width}, 0 to 255, {output.ground}.
 * The arena is static: one call at a time. */
int {p}_classify(const uint8_t pixels[{pixels}], int8_t scores[{m}_CLASSES]);

/* The rest is there where {names.stem}.c is compiled with -D{m}_WITH_LABELS, -D{m}_WITH_CARD,
 * -D{m}_WITH_GOLDEN. */
extern const char *const {p}_labels[{m}_CLASSES];

/* JSON: what the model is, what it was made from, and how well it answers. */
extern const char {p}_card[];

/* 0 when every golden vector is answered to the bit as on the host, else how many are not. */
int {p}_selftest(void);
#define {m}_GOLDEN_COUNT {output.golden}
extern const uint8_t {p}_golden_pixels[{m}_GOLDEN_COUNT][{pixels}];
extern const int8_t {p}_golden_scores[{m}_GOLDEN_COUNT][{m}_CLASSES];

#ifdef __cplusplus
}}
#endif

#endif
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What the header says of the answers: `ground` of the pixels, `golden` vectors in all."""

    kind: str
    scale: str
    zero_point: int
    ground: str
    golden: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What stands behind macros: labels and golden vectors. The card is put in later: it holds the
    hash of all else.

    `images_u8` are (n, height, width), `scores` (n, classes) int8.
    """

    labels: tuple[str, ...]
    images_u8: np.ndarray
    scores: np.ndarray


def source_text(names: Names, program: Program, plan: Plan, *, about: str, extras: Extras) -> str:
    """NAME.c."""
    kinds = frozenset(
        kind for step in program.steps for kind in (*step.scaling_kinds, *step.variants)
    )
    kernels = [name for step in program.steps for name in step.kernels]
    where = _Placement(program=program, plan=plan)
    parts = [
        f"/* {names.stem}.c\n *\n{comment_text(about)}\n *\n{comment_text(_LICENCE)}\n *\n"
        + _plan_comment(program, plan)
        + " */",
        f'#include "{names.stem}.h"\n\n{_PATHS}',
        rule_text("Kernels"),
        kernel_text([*kernels, "top"], kinds),
        rule_text("Constants, layer by layer"),
        *(constants_text(step) for step in program.steps if step.constants or step.structs),
        rule_text("The network"),
        _arena(plan) + _classify(names, program, where),
        _extras(names, program, extras),
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placement:
    program: Program
    plan: Plan

    def of(self, tensor: int) -> str:
        tensor = self.program.same.get(tensor, tensor)
        if tensor == PIXELS:
            return "pixels"
        if tensor in self.plan.scores:
            return "scores"
        return _place(self.plan.offset_of(tensor))

    def places(self, k: int) -> Places:
        step = self.program.steps[k]
        return Places(
            of=self.of,
            pixels=lambda tensor: self.program.same.get(tensor, tensor) == PIXELS,
            scratch=_place(self.plan.scratch_of(k)) if step.scratch_bytes else "",
            constant=lambda suffix: f"{step.name}_{suffix}",
        )


def _place(offset: int) -> str:
    return f"arena + {offset}" if offset else "arena"


def _arena(plan: Plan) -> str:
    if not plan.arena_bytes:
        return ""
    return f"""\
/* Aligned to 4 bytes for words. */
static union {{
  int8_t bytes[{plan.arena_bytes}];
  int32_t words[{plan.arena_bytes // 4}];
}} memory;

"""


def _classify(names: Names, program: Program, where: _Placement) -> str:
    lines = []
    for k, step in enumerate(program.steps):
        first, *others = f"{k + 1}. {step.name}: {step.title}".splitlines()
        title = "\n".join([f"/* {first}", *(f" * {line}" for line in others)]) + " */"
        lines.append(textwrap.indent(f"{title}\n{step.call(where.places(k))}", "  "))
    body = "\n\n".join(lines)
    pixels = names.height * names.width
    arena = "  int8_t *const arena = memory.bytes;\n\n" if where.plan.arena_bytes else ""
    return (
        f"int {names.prefix}_classify(const uint8_t pixels[{pixels}], "
        f"int8_t scores[{names.macro}_CLASSES]) {{\n"
        f"{arena}{body}\n\n  return top(scores, {names.macro}_CLASSES);\n}}\n"
    )


def _plan_comment(program: Program, plan: Plan) -> str:
    """The arena block by block, in lines of a comment."""
    names = {step.output: step.name for step in program.steps}
    lines = [f"Memory: an arena of {plan.arena_bytes:,} bytes, which the steps share."]
    for block in plan.blocks:
        holds = "scratch of " + program.steps[block.first].name
        if block.tensors:
            holds = ", ".join(names[k] for k in block.tensors)
        steps = f"step {block.first + 1}"
        if block.last > block.first:
            steps = f"steps {block.first + 1} to {block.last + 1}"
        room = f"{block.offset:>7} to {block.offset + block.bytes - 1:>7}"
        lines += textwrap.wrap(f"{room}  {steps}: {holds}", WIDTH - 4, subsequent_indent=" " * 22)
    if plan.scores:
        lines.append("  in scores: " + ", ".join(names[k] for k in plan.scores))
    return "".join(f" * {line}\n" for line in lines)


def _extras(names: Names, program: Program, extras: Extras) -> str:
    p, m = names.prefix, names.macro
    pixels = names.height * names.width
    labels = "\n".join(f"  {literal_text(label)}," for label in extras.labels)
    images = "\n".join(
        "  {" + "\n".join(rows_text(image.ravel(), 0)).strip() + "}," for image in extras.images_u8
    )
    scores = "\n".join("  {" + ", ".join(map(str, row)) + "}," for row in extras.scores.tolist())
    return f"""\
{rule_text("What a build may leave out")}
#ifdef {m}_WITH_LABELS
const char *const {p}_labels[{m}_CLASSES] = {{
{labels}
}};
#endif

#ifdef {m}_WITH_CARD
#ifdef __GNUC__ /* C99 asks compilers to take 4,095 characters */
#pragma GCC diagnostic ignored "-Woverlength-strings"
#endif
const char {p}_card[] =
#endif

#ifdef {m}_WITH_GOLDEN
const uint8_t {p}_golden_pixels[{m}_GOLDEN_COUNT][{pixels}] = {{
{images}
}};

const int8_t {p}_golden_scores[{m}_GOLDEN_COUNT][{m}_CLASSES] = {{
{scores}
}};

int {p}_selftest(void) {{
  int differing = 0;
  for (int k = 0; k < {m}_GOLDEN_COUNT; k++) {{
    int8_t scores[{m}_CLASSES];
    (void){p}_classify({p}_golden_pixels[k], scores);
    differing += memcmp(scores, {p}_golden_scores[k], sizeof scores) != 0;
  }}
  return differing;
}}
#endif
"""
