"""The cores that generated C is proved on: how to compile for each, and where QEMU runs it.

The flags are those of GCC's "ARM Options" and "RISC-V Options" and of Clang's cross-compilation
guide; the machines and their memory are QEMU's (docs/system/arm/mps2.rst, hw/arm/mps2.c,
hw/arm/mps2-tz.c) and Arm's application notes AN385, AN386, AN500, AN505 and AN547.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgestitch_runtime.errors import EdgestitchError

from .c_boards import BOARDS, Board

_MiB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A board that QEMU emulates. `code` and `data` are (address, bytes) of memory it has there.

    `tick_instructions` is how many instructions a tick of SysTick is with `-icount shift=0`, where
    an instruction is a nanosecond.
    """

    name: str
    code: tuple[int, int]
    data: tuple[int, int]
    tick_instructions: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """A processor. `gcc`, `clang` and `zig` are the flags that make each compile for it.

    `about` is a word on what the figures hold for, `machine` is None where QEMU has none for us.
    """

    name: str
    about: str
    commands: tuple[str, ...]  # of GCC, the first that is there
    gcc: tuple[str, ...]
    clang: tuple[str, ...]
    zig: tuple[str, ...]
    machine: Machine | None


def _cortex_m(
    name: str, about: str, machine: Machine, *, arch: str, hard: tuple[str, ...] = ()
) -> Core:
    return Core(
        name=name,
        about=about,
        commands=("arm-none-eabi-gcc",),
        gcc=(f"-mcpu={name}", "-mthumb", *hard),
        clang=(f"--target={arch}-none-eabi", f"-mcpu={name}", *hard),
        zig=(
            "-target",
            f"thumb-freestanding-eabi{'hf' if hard else ''}",
            f"-mcpu={name.replace('-', '_')}{'+mve' if hard else ''}",  # zig leaves it out
            "-fhosted",  # else a memcpy of four bytes is a call
        ),
        machine=machine,
    )


_FPGA = (0x00000000, 4 * _MiB), (0x20000000, 4 * _MiB)
_AN385 = Machine(name="mps2-an385", code=_FPGA[0], data=_FPGA[1], tick_instructions=40)
_AN386 = Machine(name="mps2-an386", code=_FPGA[0], data=_FPGA[1], tick_instructions=40)
_AN500 = Machine(name="mps2-an500", code=_FPGA[0], data=_FPGA[1], tick_instructions=40)
_AN505 = Machine(
    name="mps2-an505",
    code=(0x10000000, 4 * _MiB),
    data=(0x38000000, 4 * _MiB),
    tick_instructions=50,
)
_AN547 = Machine(
    name="mps3-an547",
    code=(0x00000000, _MiB // 2),
    data=(0x20000000, _MiB // 2),
    tick_instructions=31.25,
)
_RISCV_GCC = ("riscv32-unknown-elf-gcc", "riscv64-unknown-elf-gcc", "riscv32-esp-elf-gcc")

CORES = {
    core.name: core
    for core in (
        # The micro:bit that QEMU has is an M0 of 16 kB: too small for the images of a check.
        _cortex_m(
            "cortex-m0",
            "ARMv6-M, of M0, M0+ and M1; its code is run on an emulated Cortex-M3",
            _AN385,
            arch="thumbv6m",
        ),
        _cortex_m("cortex-m3", "ARMv7-M", _AN385, arch="thumbv7m"),
        _cortex_m("cortex-m4", "ARMv7E-M, with DSP instructions", _AN386, arch="thumbv7em"),
        _cortex_m("cortex-m7", "ARMv7E-M, with DSP instructions", _AN500, arch="thumbv7em"),
        _cortex_m("cortex-m33", "ARMv8-M, with DSP instructions", _AN505, arch="thumbv8m.main"),
        _cortex_m(
            "cortex-m55",
            "ARMv8.1-M, with vector instructions (MVE)",
            _AN547,
            arch="thumbv8.1m.main",
            hard=("-mfloat-abi=hard",),
        ),
        Core(
            name="riscv32",
            about="RV32IMC",
            commands=_RISCV_GCC,
            gcc=("-march=rv32imc", "-mabi=ilp32"),
            clang=("--target=riscv32-none-elf", "-march=rv32imc", "-mabi=ilp32"),
            zig=("-target", "riscv32-freestanding-none", "-mcpu=generic_rv32+m+c", "-fhosted"),
            machine=None,
        ),
    )
}


def look_up_target(target: str) -> tuple[Core, Board | None]:
    """The core named `target`, or the board of that name and its core; the case does not matter.

    m4 is cortex-m4. Raises EdgestitchError with the names there are.
    """
    wanted = target.strip().lower()
    for name in (wanted, f"cortex-{wanted}"):
        if name in CORES:
            return CORES[name], None
    if wanted in BOARDS:
        return CORES[BOARDS[wanted].core], BOARDS[wanted]
    raise EdgestitchError(
        f"no core or board is named {target!r}",
        hint=f"the cores are {', '.join(CORES)}; the boards {', '.join(BOARDS)}",
    )
