"""`--check TARGET`: what generated C costs on a core, and that it answers there as it should."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgestitch_runtime.errors import EdgestitchError, os_error

from .c_boards import Board, Fit, boards_of, fit
from .c_check_compilers import Compiler, find_compiler
from .c_check_elf import ARM, ElfFile, read_elf
from .c_check_emulated import emulate, qemu_version, self_test, why_not
from .c_check_header import ModelHeader, read_header
from .c_check_report import OnBoard, Ram, TargetReport
from .c_check_size import flash_of, reached_from, static_bytes
from .c_check_stack import read_stack_usage, worst_stack
from .c_target import Core, look_up_target

# Where a model lies when nothing but its sizes is asked for.
_ANYWHERE = {
    "CODE_ORIGIN": 0,
    "CODE_LENGTH": 1 << 28,
    "DATA_ORIGIN": 1 << 29,
    "DATA_LENGTH": 1 << 28,
    "STACK_BYTES": 0,
}


def check(
    source: Path,
    header: Path,
    target: str,
    *,
    images_u8: np.ndarray | None = None,
    compiler: str | None = None,
) -> TargetReport:
    """Compiles NAME-int8.c for `target`, a core or a board, and runs it where QEMU is installed.

    Instructions are counted over `images_u8`, (n, height, width) uint8, or over the golden vectors.
    `compiler` is "gcc", "zig" or "clang", None the first that is there. Sizes are those of the
    model and of the library functions it calls, not of start-up or of a program around it. Raises
    EdgestitchError, as for a target that there is not, or where no compiler is found.
    """
    core, board = look_up_target(target)
    model = read_header(header)
    try:
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
    except OSError as error:
        raise os_error(f"read {source}", error) from None
    chosen = find_compiler(core, compiler)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compiled = folder / "model.o"
        chosen.compile(source.resolve(), compiled)
        own = read_elf(compiled.read_bytes())
        linked, not_linked = _linked(chosen, model, compiled, folder)
        reached = reached_from(own, model.classify)
        flash = flash_of(reached, weight_bytes=model.weight_bytes, linked=linked)
        ram = _ram(model, own, linked, compiled, reached.zeroed + reached.variables)
        reason = why_not(core, chosen) or not_linked
        ran = None
        if not reason:
            ran, reason = _ran(core, chosen, model, source, compiled, images_u8, folder)
        if ran and ran.stack_seen > ram.stack:
            seen = f"{ran.stack_seen} bytes were seen written"
            told = f"{ram.stack_unsure}; {seen}" if ram.stack_unsure else seen
            ram = replace(ram, stack=ran.stack_seen, stack_unsure=told)
    taken = {"flash_bytes": flash.total, "ram_bytes": ram.total}
    return TargetReport(
        source=source.name,
        sha256=digest,
        target=target,
        core=core.name,
        about=core.about,
        compiler=chosen.title,
        options=chosen.options,
        linked_with=chosen.linked_with,
        not_linked=not_linked,
        calls=reached.missing,
        flash=flash,
        ram=ram,
        ran=ran,
        reason=reason,
        board=_fit(board, taken) if board else None,
        boards=tuple(_fit(one, taken) for one in boards_of(core.name)),
    )


def _fit(board: Board, taken: dict[str, int]) -> Fit:
    return fit(board, flash_bytes=taken["flash_bytes"], ram_bytes=taken["ram_bytes"])


def _linked(
    compiler: Compiler, model: ModelHeader, compiled: Path, folder: Path
) -> tuple[ElfFile | None, str]:
    """The model and what it calls, without a harness; or None, and why it could not be linked."""
    if not compiler.libraries:
        return None, f"{compiler.title} alone cannot link"
    made = folder / "model.elf"
    try:
        compiler.link([compiled], made, definitions=_ANYWHERE, entry=model.classify)
    except EdgestitchError as error:
        return None, error.message
    return read_elf(made.read_bytes()), ""


def _ram(
    model: ModelHeader, own: ElfFile, linked: ElfFile | None, compiled: Path, own_static: int
) -> Ram:
    usage = compiled.with_suffix(".su")
    told = read_stack_usage(usage.read_text()) if usage.exists() else {}
    # zig's linker leaves no relocations; Arm's branches say without them who calls whom.
    telling = linked is not None and (linked.references or linked.machine == ARM)
    stack = worst_stack(linked if linked and telling else own, model.classify, told)
    static = own_static if linked is None else static_bytes(linked)
    return Ram(
        arena=model.arena_bytes,
        static=max(0, static - model.arena_bytes),
        stack=stack.bytes,
        stack_path=stack.path,
        stack_unsure=stack.unsure,
    )


def _ran(
    core: Core,
    compiler: Compiler,
    model: ModelHeader,
    source: Path,
    compiled: Path,
    images_u8: np.ndarray | None,
    folder: Path,
) -> tuple[OnBoard | None, str]:
    """What ran, and "" - or None, and why the emulated board cannot hold the model."""
    golden = folder / "golden.o"
    compiler.compile(source.resolve(), golden, definitions=[model.with_golden])
    pixels = np.frombuffer(
        read_elf(golden.read_bytes()).bytes_of(f"{model.prefix}_golden_pixels"), np.uint8
    )
    vectors = pixels.reshape(-1, model.height, model.width)
    images = vectors if images_u8 is None else images_u8
    try:
        differing = self_test(core, compiler, model, golden, folder=folder)
        found = emulate(core, compiler, model, compiled, images, folder=folder)
    except EdgestitchError as error:
        if "region" not in error.message:
            raise
        return None, f"the emulated board is too small: {error.message}"
    assert core.machine is not None
    return OnBoard(
        machine=core.machine.name,
        qemu=qemu_version(),
        golden=len(vectors),
        golden_differing=differing,
        images=len(images),
        instructions_mean=float(found.instructions.mean()),
        instructions_most=int(found.instructions.max()),
        instructions_within=found.within,
        stack_seen=found.stack_bytes,
    ), ""
