"""Compilers for small cores: which one is there, and compiling and linking with it."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgestitch_runtime.errors import EdgestitchError

from .c_target import Core

HARNESS = Path(__file__).parent / "c_harness"
KINDS = ("gcc", "zig", "clang")  # in the order of preference: clang alone cannot link
OPTIMIZATION = ("-O2", "-std=c99")
# A section for each function lets the linker drop what is not called, as firmware builds do.
_SECTIONS = ("-ffunction-sections",)
_NO_TABLES = ("-fno-unwind-tables", "-fno-asynchronous-unwind-tables")
_SECONDS = 300
_AS_WRITTEN = "are the .c and the .h of the same model, and as edgestitch wrote them?"
_LIBRARY = "has the compiler its C library? Debian: libnewlib-arm-none-eabi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiler:
    """A compiler for one core. `flags` choose the core; `libraries` is what it links with, "" where
    it cannot link, and `linked_with` says in words what that is."""

    kind: str
    command: tuple[str, ...]
    title: str  # arm-none-eabi-gcc 12.2.1
    flags: tuple[str, ...]
    libraries: tuple[str, ...]
    linked_with: str

    @property
    def options(self) -> tuple[str, ...]:
        """The flags a user would name to get the same code."""
        return (*self.flags, *OPTIMIZATION, *_SECTIONS)

    def compile(
        self, source: Path, made: Path, *, definitions: Sequence[str] = (), harness: bool = False
    ) -> None:
        """`source` to the object `made`, and beside it `made`.su where the compiler can.

        `harness` is for our own start-up, which is not of C99. Raises EdgestitchError.
        """
        language = ("-O2", "-ffreestanding") if harness else OPTIMIZATION
        extra = () if self.kind == "gcc" else _NO_TABLES
        if self.kind == "zig":
            extra = (*extra, "-fno-sanitize=undefined", "-fno-stack-protector")
        else:
            extra = (*extra, "-fstack-usage")
        words = [
            *self.command, *self.flags, *language, *_SECTIONS, *extra,
            "-idirafter", str(HARNESS / "include"),
            *(f"-D{one}" for one in definitions), "-c", str(source), "-o", str(made),
        ]  # fmt: skip
        _run(words, made.parent, f"{self.title} cannot compile {source.name}", hint=_AS_WRITTEN)

    def link(
        self, objects: Sequence[Path], made: Path, *, definitions: dict[str, int], entry: str
    ) -> None:
        """Links `objects` by c_harness/board.ld, whose numbers `definitions` gives.

        What `entry` does not need is left out. Raises EdgestitchError.
        """
        script = (HARNESS / "board.ld").read_text()
        for name, value in definitions.items():  # zig's linker knows no --defsym
            script = script.replace(name, f"{value:#x}")
        (made.parent / "board.ld").write_text(script)
        words = [
            *self.command, *self.flags, "-nostartfiles", "-nostdlib",
            "-T", "board.ld", "-Wl,--gc-sections", f"-Wl,-e,{entry}",
            *(() if self.kind == "zig" else ("-Wl,--emit-relocs",)),
            *(str(one) for one in objects), *self.libraries, "-o", str(made),
        ]  # fmt: skip
        _run(words, made.parent, f"{self.title} cannot link {objects[0].name}", hint=_LIBRARY)


def find_compiler(core: Core, kind: str | None = None) -> Compiler:
    """The first compiler for `core` that works here; of `kind` alone ("gcc", "zig", "clang").

    Raises EdgestitchError where there is none.
    """
    for one in _candidates(core):
        if kind in (None, one.kind) and _works(one):
            return one
    package = "gcc-arm-none-eabi" if core.machine else "gcc-riscv64-unknown-elf"
    raise EdgestitchError(
        f"no {kind or 'compiler'} for {core.name} was found",
        hint=f"install {core.commands[0]} (Debian: {package}, libnewlib-arm-none-eabi), clang, or "
        "ziglang (pip install ziglang)"
        if core.machine
        else f"install {core.commands[0]} (Debian: {package}), clang, or ziglang "
        "(pip install ziglang)",
    )


def host_compilers() -> Iterator[tuple[str, ...]]:
    """Commands that compile for this machine."""
    named = os.environ.get("CC")
    for name in (*([named] if named else []), "cc", "gcc", "clang"):
        found = shutil.which(name)
        if found:
            yield (found,)
    if _has_zig():
        yield (sys.executable, "-m", "ziglang", "cc")


def version_of(command: Sequence[str], flag: str = "--version") -> str:
    """The first number with dots that `command --version` prints, or "" where it prints none."""
    try:
        done = subprocess.run(
            [*command, flag], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    # "(15:12.2.rel1-1) 12.2.1": what distributions put in brackets is not the version.
    found = re.search(r"\d+\.\d+(\.\d+)*", re.sub(r"\([^)]*\)", "", done.stdout))
    return found.group() if found else ""


def _candidates(core: Core) -> Iterator[Compiler]:
    for name in core.commands:
        found = shutil.which(name)
        if found:
            command = (found,)
            library = _newlib(command, core.gcc)
            yield Compiler(
                kind="gcc",
                command=command,
                title=f"{name} {version_of(command)}",
                # Without a C library, stdint.h is GCC's own only where there is to be none.
                flags=core.gcc if library else (*core.gcc, "-ffreestanding", "-fbuiltin"),
                libraries=("-Wl,--start-group", *library, "-lgcc", "-Wl,--end-group"),
                linked_with="newlib and libgcc" if library else "libgcc, without a C library",
            )
            break
    if _has_zig():
        command = (sys.executable, "-m", "ziglang", "cc")
        yield Compiler(
            kind="zig",
            command=command,
            title=f"zig cc {version_of(command[:-1], 'version')}",
            flags=core.zig,
            libraries=("-lcompiler_rt",),
            linked_with="zig's compiler-rt",
        )
    found = shutil.which("clang")
    if found:
        yield Compiler(
            kind="clang",
            command=(found,),
            title=f"clang {version_of((found,))}",
            flags=core.clang,
            libraries=(),
            linked_with="",
        )


def _has_zig() -> bool:
    return importlib.util.find_spec("ziglang") is not None


def _newlib(command: tuple[str, ...], flags: tuple[str, ...]) -> tuple[str, ...]:
    """-lc where the compiler has a C library for these flags."""
    done = subprocess.run(
        [*command, *flags, "-print-file-name=libc.a"], capture_output=True, text=True, check=False
    )
    return ("-lc",) if Path(done.stdout.strip()).is_absolute() else ()


def _works(compiler: Compiler) -> bool:
    """It compiles an empty file for the core: a clang may have been built without it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "empty.c").touch()
        done = subprocess.run(
            [*compiler.command, *compiler.flags, "-S", "-o", "empty.s", "empty.c"],
            cwd=folder,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    return done.returncode == 0


def _run(words: list[str], folder: Path, failed: str, *, hint: str) -> None:
    """Raises EdgestitchError with the first line that names an error."""
    try:
        done = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EdgestitchError(f"{failed}: {error}", hint="look at the compiler") from None
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        telling = [x for x in lines if "error" in x or "overflowed" in x or "undefined" in x]
        said = (telling or lines or [f"it ended with {done.returncode}"])[0]
        said = re.sub(r"(^|(?<=\s))[\w./\\:-]*[/\\](?=[\w.-]+:\d)", "", said)  # folders
        raise EdgestitchError(f"{failed}: {said}", hint=hint)
