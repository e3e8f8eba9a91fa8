"""The machines that `--format native` compiles for: a table from name to a small record."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass

from edgestitch_runtime.errors import EdgestitchError


@dataclass(frozen=True, slots=True, kw_only=True)
class Faster:
    """The same C once more, for processors that have what not all have.

    `zig` and `cc` are the flags that allow it; `has`, a C expression, is whether the processor can.
    """

    name: str  # part of a C identifier
    isa: str
    zig: tuple[str, ...]
    cc: tuple[str, ...]
    has: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One machine. `zig` and `cc` are the flags of the code that all of its kind run.

    `isa` says in words what that is, `hwcap` in bits of Linux's AT_HWCAP, where that tells it.
    `detect` is C that `has` of the `faster` ones needs, the best of them first. `helpers` says that
    some have no instruction for a division.
    """

    isa: str
    zig: tuple[str, ...]
    cc: tuple[str, ...]
    hwcap: int = 0
    faster: tuple[Faster, ...] = ()
    detect: str = ""
    helpers: bool = False


# Whether the processor has it and the system keeps its registers. Source: Intel's manual, volume 1,
# 13.3 (XCR0: 2 SSE, 4 AVX), volume 2, CPUID, leaf 7.
# Not AVX-VNNI: with it gcc 12 takes (int8_t)(pixel ^ 0x80) for unsigned, and answers wrongly.
_X86 = """\
#include <cpuid.h>

static int has_avx2(void) {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 0;
  __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
  return (a & 6) == 6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2);
}
"""
# Source: Linux's Documentation/arch/arm64/elf_hwcaps.rst.
_AARCH64 = """\
unsigned long getauxval(unsigned long);

static int has_dotprod(void) { return getauxval(16) >> 20 & 1; } /* AT_HWCAP, HWCAP_ASIMDDP */
"""
TARGETS: dict[str, Target] = {
    "x86_64-linux": Target(
        isa="x86-64",
        zig=("-target", "x86_64-linux-gnu", "-mcpu=x86_64"),
        cc=("-march=x86-64",),
        faster=(
            Faster(
                name="avx2",
                isa="AVX2",
                zig=("-target", "x86_64-linux-gnu", "-mcpu=x86_64+avx2"),
                cc=("-march=x86-64", "-mavx2"),
                has="has_avx2()",
            ),
        ),
        detect=_X86,
    ),
    "aarch64-linux": Target(
        isa="Armv8-A",
        zig=("-target", "aarch64-linux-gnu", "-mcpu=generic"),
        cc=("-march=armv8-a",),
        faster=(
            Faster(
                name="dotprod",
                isa="dot products of int8",
                zig=("-target", "aarch64-linux-gnu", "-mcpu=generic+dotprod"),
                cc=("-march=armv8.2-a+dotprod",),
                has="has_dotprod()",
            ),
        ),
        detect=_AARCH64,
    ),
    "armv7-linux": Target(
        isa="Armv7-A with NEON",
        zig=("-target", "arm-linux-gnueabihf", "-mcpu=generic+v7a+neon"),
        cc=("-march=armv7-a", "-mfpu=neon", "-mfloat-abi=hard"),
        hwcap=1 << 12,
        helpers=True,
    ),
    "armv6-linux": Target(
        isa="Armv6 with VFP",
        zig=("-target", "arm-linux-gnueabihf", "-mcpu=arm1176jzf_s"),
        cc=("-march=armv6", "-mfpu=vfp", "-mfloat-abi=hard", "-marm"),
        hwcap=1 << 6,
        helpers=True,
    ),
}
_OWN = {
    ("x86_64", 64): "x86_64-linux",
    ("aarch64", 64): "aarch64-linux",
    ("aarch64", 32): "armv7-linux",  # a Python of 32 bits on a kernel of 64
    ("armv8l", 32): "armv7-linux",
    ("armv7l", 32): "armv7-linux",
    ("armv6l", 32): "armv6-linux",
}


def own_target() -> str | None:
    """The target that this machine is, None where it is none of them."""
    if sys.platform != "linux":
        return None
    return _OWN.get((platform.machine(), 64 if sys.maxsize > 2**32 else 32))


def find_target(name: str | None) -> str:
    """`name`, or this machine's own. Raises EdgestitchError for what is not in the table."""
    known = ", ".join(TARGETS)
    if name is None:
        own = own_target()
        if own is None:
            raise EdgestitchError(
                f"this machine ({platform.machine()}, {sys.platform}) is no target of native",
                hint=f"name one with --target: {known}",
            )
        return own
    if name not in TARGETS:
        raise EdgestitchError(f"there is no target {name!r}", hint=f"the targets are {known}")
    return name
