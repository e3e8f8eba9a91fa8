"""Generated C on an emulated board: its answers, the instructions they take, the stack they write.

Instructions are counted by a plugin of QEMU, to the last one. Where none can be made (no compiler
for this machine, or a QEMU with another plugin interface) SysTick counts them under `-icount
shift=0`, to within a tick.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgestitch_runtime.errors import EdgestitchError

from .c_check_compilers import HARNESS, Compiler, find_compiler, host_compilers, version_of
from .c_check_elf import ElfFile, read_elf
from .c_check_header import ModelHeader, read_header
from .c_target import Core, Machine, look_up_target

QEMU = "qemu-system-arm"
STACK_BYTES = 1 << 16
PLUGIN, SYSTICK = "plugin", "systick"  # what counts
_SECONDS = 1800


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulated:
    """What a board answered to n images.

    `classes` is (n,) int32, `scores` (n, classes) int8, `instructions` (n,) int64, from the model's
    first instruction to its return. `within` is by how many instructions each may be wrong.
    `stack_bytes` is the most stack that was seen written to.
    """

    classes: np.ndarray
    scores: np.ndarray
    instructions: np.ndarray
    within: int
    stack_bytes: int


def run_on_core(
    source: Path,
    header: Path,
    target: str,
    images_u8: np.ndarray,
    *,
    compiler: str | None = None,
    counter: str | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Classifies (n, height, width) uint8 images on the emulated core `target`.

    Returns the scores, (n, classes) int8, and the instructions for each image, (n,) int64.
    `compiler` is "gcc" or "zig", None the first that is there; `counter` "plugin", "systick", or
    None, the first that works. Raises EdgestitchError.
    """
    core, _ = look_up_target(target)
    model = read_header(header)
    chosen = find_compiler(core, compiler)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compiled = folder / "model.o"
        chosen.compile(source.resolve(), compiled)
        found = emulate(core, chosen, model, compiled, images_u8, folder=folder, counter=counter)
    return found.scores, found.instructions


def why_not(core: Core, compiler: Compiler) -> str:
    """Why generated C cannot be run on the emulated `core` here, or ""."""
    if core.machine is None:
        return f"no emulated board for {core.name}"
    if not compiler.libraries:
        return f"{compiler.title} alone cannot link: arm-none-eabi-gcc or ziglang can"
    if shutil.which(QEMU) is None:
        return f"{QEMU} is not installed (Debian: qemu-system-arm)"
    return ""


def qemu_version() -> str:
    """Of the QEMU that is installed, or "" """
    found = shutil.which(QEMU)
    return version_of((found,)) if found else ""


def emulate(
    core: Core,
    compiler: Compiler,
    model: ModelHeader,
    compiled: Path,
    images_u8: np.ndarray,
    *,
    folder: Path,
    counter: str | None = None,
) -> Emulated:
    """Runs the object `compiled` on (n, height, width) uint8 images; `folder` is to write in."""
    machine = _machine(core, compiler)
    shape = (model.height, model.width)
    if images_u8.dtype != np.uint8 or images_u8.ndim != 3 or images_u8.shape[1:] != shape:
        raise EdgestitchError(
            f"the images are {images_u8.dtype} of shape {images_u8.shape}, not uint8 of "
            f"(n, {model.height}, {model.width})",
            hint="give the images as the dataset has them",
        )
    board = link_board(machine, compiler, model, compiled, folder=folder)
    (folder / "images.bin").write_bytes(images_u8.tobytes())
    counts = None if counter == SYSTICK else _counted(machine, board, model, folder)
    if counts is None:
        if counter == PLUGIN:
            raise EdgestitchError(
                "no plugin that counts instructions could be made or loaded",
                hint="install a C compiler for this machine, or leave the counter open",
            )
        _run(machine, folder, ("-icount", "shift=0"))
    record = np.dtype(
        [("class", "<i4"), ("ticks", "<u4"), ("stack", "<u4"), ("scores", "i1", (model.classes,))]
    )
    content = (folder / "answers.bin").read_bytes()
    if len(content) != record.itemsize * len(images_u8):
        raise EdgestitchError(
            f"the emulated {core.name} answered {len(content) // record.itemsize:,} of "
            f"{len(images_u8):,} images",
            hint="the model may take more stack than the harness gives: 64 KiB",
        )
    answers = np.frombuffer(content, dtype=record)
    ticks = answers["ticks"].astype(np.float64) * machine.tick_instructions
    return Emulated(
        classes=answers["class"].copy(),
        scores=answers["scores"].copy(),
        instructions=np.rint(ticks).astype(np.int64) if counts is None else counts,
        within=0 if counts is not None else int(np.ceil(machine.tick_instructions)),
        stack_bytes=int(answers["stack"].max(initial=0)),
    )


def self_test(
    core: Core, compiler: Compiler, model: ModelHeader, compiled: Path, *, folder: Path
) -> int:
    """How many golden vectors the model's own self-test, run on the core, finds answered wrongly.

    `compiled` is the object compiled with the golden vectors in it.
    """
    machine = _machine(core, compiler)
    link_board(machine, compiler, model, compiled, folder=folder, selftest=True)
    _run(machine, folder, ())
    return int(np.frombuffer((folder / "answers.bin").read_bytes(), "<i4")[0])


def link_board(
    machine: Machine,
    compiler: Compiler,
    model: ModelHeader,
    compiled: Path,
    *,
    folder: Path,
    selftest: bool = False,
) -> ElfFile:
    """The harness with the model as board.elf in `folder`."""
    definitions = [
        f'HARNESS_NAME="{model.classify}"',
        f"HARNESS_SELFTEST_CALL={model.selftest}",
        f"HARNESS_PIXELS={model.height * model.width}",
        f"HARNESS_CLASSES={model.classes}",
        *(["HARNESS_SELFTEST"] if selftest else []),
    ]
    harness, made = folder / "board.o", folder / "board.elf"
    compiler.compile(HARNESS / "board.c", harness, definitions=definitions, harness=True)
    compiler.link([harness, compiled], made, definitions=memory_of(machine), entry="reset")
    return read_elf(made.read_bytes())


def memory_of(machine: Machine) -> dict[str, int]:
    """The numbers that c_harness/board.ld asks for."""
    return {
        "CODE_ORIGIN": machine.code[0],
        "CODE_LENGTH": machine.code[1],
        "DATA_ORIGIN": machine.data[0],
        "DATA_LENGTH": machine.data[1],
        "STACK_BYTES": STACK_BYTES,
    }


def _machine(core: Core, compiler: Compiler) -> Machine:
    reason = why_not(core, compiler)
    if reason or core.machine is None:
        raise EdgestitchError(
            f"cannot run it on an emulated {core.name}: {reason}",
            hint="sizes need no QEMU: edgestitch export --format c --check gives them",
        )
    return core.machine


def _counted(
    machine: Machine, board: ElfFile, model: ModelHeader, folder: Path
) -> np.ndarray | None:
    """Instructions for each image by the plugin; None where there is no plugin to be had."""
    plugin = _plugin(folder)
    if plugin is None:
        return None
    begin, end = board.address(model.classify), board.address("harness_returned")
    words = f"{plugin},begin={begin:#x},end={end:#x},out=counts.txt"
    try:
        _run(machine, folder, ("-plugin", words))
    except EdgestitchError:
        if (folder / "counts.txt").exists():
            raise
        return None
    return np.array((folder / "counts.txt").read_text().split(), dtype=np.int64)


def _plugin(folder: Path) -> Path | None:
    """counting.so in `folder`, made with the first compiler for this machine that can."""
    made = folder / "counting.so"
    apple = ("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ()
    for command in host_compilers():
        words = [*command, "-O2", "-fPIC", "-shared", *apple, "-o", str(made)]
        done = subprocess.run(
            [*words, str(HARNESS / "counting.c")], capture_output=True, cwd=folder, check=False
        )
        if done.returncode == 0 and made.exists():
            return made
    return None


def _run(machine: Machine, folder: Path, more: Sequence[str]) -> None:
    """Runs board.elf in `folder` to its end. Raises EdgestitchError."""
    words = [
        QEMU, "-M", machine.name, "-nodefaults", "-display", "none",
        "-semihosting-config", "enable=on,target=native", "-kernel", "board.elf", *more,
    ]  # fmt: skip
    (folder / "answers.bin").unlink(missing_ok=True)
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise EdgestitchError(
            f"the emulated {machine.name} did not finish within {_SECONDS // 60} minutes",
            hint="give fewer images",
        ) from None
    if done.returncode or not (folder / "answers.bin").exists():
        silent = "the processor met an instruction or an address that it has not"
        said = next((x for x in done.stderr.splitlines() if x and "warning: " not in x), silent)
        raise EdgestitchError(
            f"{QEMU} ended with {done.returncode} on {machine.name}: {said}",
            hint="is the .c as edgestitch wrote it, and does this QEMU have the board?",
        )
