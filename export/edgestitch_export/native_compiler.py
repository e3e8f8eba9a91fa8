"""The compilers of `--format native`: ziglang for any target, cc for the machine's own."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgestitch_runtime.errors import EdgestitchError

from .native_targets import own_target

INSTALL = "pip install 'edgestitch-export[native]'"
_SECONDS = 300
# No paths, no times, no names of their makers: the same C gives the same bytes.
_COMPILED = (
    "-O3", "-std=c99", "-c", "-fPIC", "-g0", "-fno-ident", "-fvisibility=hidden",
    "-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-fno-stack-protector",
)  # fmt: skip
# No libc is named: memcpy is the one of the process that loads the library, whatever its libc.
_LINKED = ("-shared", "-fPIC", "-nostdlib", "-s", "-Wl,--build-id=none", "-Wl,--gc-sections")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiler:
    """A C compiler: `name` is ziglang, gcc or clang, and `command` the words that start it."""

    name: str
    version: str
    command: tuple[str, ...]

    def compile(self, source: Path, made: str, *flags: str) -> None:
        """`source` to the object `made` beside it. Raises EdgestitchError."""
        own = ("-fno-sanitize=undefined",) if self.name == "ziglang" else ()
        self._run([*_COMPILED, *own, *flags, "-o", made, source.name], source.parent)

    def link(self, objects: Sequence[str], made: Path, *flags: str, helpers: bool) -> None:
        """`objects`, beside it, to the shared library `made`; with `helpers`, what the compiler
        calls where the processor has no instruction goes in. Raises EdgestitchError.
        """
        own = "-lcompiler_rt" if self.name == "ziglang" else "-lgcc"
        words = [*_LINKED, *flags, "-o", made.name, *objects, *((own,) if helpers else ())]
        self._run(words, made.parent)

    def _run(self, words: Sequence[str], folder: Path) -> None:
        caches = {f"ZIG_{scope}_CACHE_DIR": str(folder / "zig") for scope in ("LOCAL", "GLOBAL")}
        try:
            done = subprocess.run(
                [*self.command, *words],
                cwd=folder,
                env=dict(os.environ) | caches | {"LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EdgestitchError(
                f"{self.name} could not be run: {type(error).__name__}",
                hint=f"see whether `{' '.join(self.command)} --version` works",
            ) from None
        if done.returncode != 0:
            raise EdgestitchError(
                f"{self.name} {self.version} refuses the generated C: {_first_error(done.stderr)}",
                hint="another compiler may take it (CC=clang, or ziglang); if none does, it is a "
                "defect in edgestitch: please report it",
            )


def find_compiler(target: str) -> Compiler:
    """For this machine's own target the first that is there of $CC, gcc, clang and cc; else, and
    for all others, ziglang. None is the fastest for all: clang and ziglang were seen to make faster
    convolutions than gcc, and slower dense layers. Raises EdgestitchError when there is none.
    """
    own = target == own_target()
    names = dict.fromkeys(filter(None, (os.environ.get("CC"), "gcc", "clang", "cc")))
    for name in names if own else ():
        path = shutil.which(name)
        told = _version([path, "--version"]) if path else ""
        if path and told:
            number = re.search(r"\d+\.\d+(\.\d+)?", told)
            kind = "clang" if "clang" in told else "gcc"
            return Compiler(name=kind, version=number[0] if number else "unknown", command=(path,))
    if importlib.util.find_spec("ziglang"):
        command = (sys.executable, "-m", "ziglang")
        found = _version([*command, "version"])
        if found:
            return Compiler(name="ziglang", version=found, command=(*command, "cc"))
    if own:
        raise EdgestitchError(
            "no C compiler is installed here", hint=f"{INSTALL}, or install gcc or clang"
        )
    raise EdgestitchError(
        f"no compiler for {target} is installed here",
        hint=f"{INSTALL} brings ziglang, which compiles for every target",
    )


def _version(words: Sequence[str]) -> str:
    """The first line that the command prints; empty when it cannot be run."""
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return (done.stdout.decode(errors="replace").strip().splitlines() or [""])[0]


def _first_error(stderr: bytes) -> str:
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() or "undefined" in line]
    return (errors or lines or ["it says nothing"])[0][:300]
