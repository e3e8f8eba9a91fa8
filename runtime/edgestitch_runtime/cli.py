"""The command `edgestitch`: finds the commands of what is installed, and runs the one asked for.

A distribution registers each command in the entry-point group `edgestitch.commands`. The module
behind it has a docstring (its first line is the command's summary), `add_arguments(parser)` and
`run(args) -> int`. Only the chosen module is imported.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import NoReturn

from .errors import EdgestitchError, Terminated, os_error

GROUP = "edgestitch.commands"
# What to install for a command that is not there, in the order of a session.
PROVIDERS = {
    "train": "edgestitch-train",
    "export": "edgestitch-export",
    "diff": "edgestitch-export",
    "classify": "edgestitch-runtime",
    "inspect": "edgestitch-runtime",
    "profile": "edgestitch-runtime",
    "selftest": "edgestitch-runtime",
    "bench": "edgestitch-benchmarks",
    "compare": "edgestitch-benchmarks",
    "demo": "edgestitch",
}


class Parser(argparse.ArgumentParser):
    """argparse, with errors as one line and a hint."""

    def error(self, message: str) -> NoReturn:
        raise EdgestitchError(message, hint=f"`{self.prog} --help` lists what it takes")


def script() -> int:
    """The command as a process: after `main`, Ctrl-C no longer changes how it ended."""
    code = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # TensorFlow takes a second to take down
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line (without the program's name) and returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    _fill_closed_streams()
    _heed_termination()
    try:
        code = _dispatch(words)
        sys.stdout.flush()
        return code
    except EdgestitchError as error:
        print(f"edgestitch: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    except Terminated:
        print("\nedgestitch: terminated", file=sys.stderr)
        return 143
    except KeyboardInterrupt:
        print("\nedgestitch: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `edgestitch ... | head` closed the pipe: nothing more to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        failed = os_error(f"use {error.filename or 'the output'}", error)
        print(f"edgestitch: {failed.message}\nhint: {failed.hint}", file=sys.stderr)
        return 2
    except MemoryError:
        print("edgestitch: out of memory\nhint: give it fewer or smaller images", file=sys.stderr)
        return 2


def _fill_closed_streams() -> None:
    """A stream that the caller closed (`>&-`) is the null device: Python has None in its place."""
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest free descriptor: this one
            if opened != fd:
                os.dup2(opened, fd)
            setattr(sys, name, os.fdopen(fd, mode))

    if isinstance(sys.stdout, io.TextIOWrapper):  # a file name may hold what the terminal has not
        sys.stdout.reconfigure(errors="backslashreplace")


def _heed_termination() -> None:
    """SIGTERM and SIGHUP become an exception, so that temporary files go and children end."""

    def terminated(number: int, frame: object) -> NoReturn:
        raise Terminated

    if threading.current_thread() is threading.main_thread():
        hangup = getattr(signal, "SIGHUP", signal.SIGTERM)  # Windows has none
        for number in (signal.SIGTERM, hangup):
            if signal.getsignal(number) is signal.SIG_DFL:  # nohup's SIG_IGN stays
                signal.signal(number, terminated)


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if words[0] == "--version":
        from importlib.metadata import version

        print(f"edgestitch {version('edgestitch-runtime')}")
        return 0
    name, rest = words[0], words[1:]
    commands = _installed()
    if name not in commands:
        raise _unknown(name, commands)
    module = importlib.import_module(commands[name].value)
    summary = (module.__doc__ or "").strip()
    parser = Parser(
        prog=f"edgestitch {name}",
        description=summary,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    try:
        arguments = parser.parse_intermixed_args(rest)  # `MODEL --json FILES` too
    except SystemExit as stop:  # --help
        return int(stop.code or 0)
    return module.run(arguments)


def _installed() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def _unknown(name: str, commands: dict[str, EntryPoint]) -> EdgestitchError:
    if name in PROVIDERS:
        return EdgestitchError(
            f"the command {name} is not installed here", hint=f"pip install {PROVIDERS[name]}"
        )
    if name.startswith("-"):
        return EdgestitchError(
            f"unknown flag {name}", hint="`edgestitch --help` lists the commands"
        )
    from difflib import get_close_matches

    close = get_close_matches(name, [*commands, *PROVIDERS], n=1)
    guess = f"did you mean `edgestitch {close[0]}`? " if close else ""
    return EdgestitchError(
        f"there is no command {name!r}", hint=f"{guess}`edgestitch --help` lists the commands"
    )


def _overview() -> str:
    commands = _installed()
    ordered = [n for n in PROVIDERS if n in commands] + sorted(commands.keys() - PROVIDERS.keys())
    missing = [n for n in PROVIDERS if n not in commands]
    lines = [
        "usage: edgestitch COMMAND [...]",
        "",
        "Takes a Keras classifier of small images to the edge, and shows what it cost.",
        "",
        "commands:",
        *(f"  {name:<10}{_first_line(commands[name])}" for name in ordered),
    ]
    if missing:
        lines += ["", "not installed here:"]
        lines += [f"  {name:<10}pip install {PROVIDERS[name]}" for name in missing]
    lines += ["", "`edgestitch COMMAND --help` explains a command; --version prints the version."]
    return "\n".join(lines)


def _first_line(point: EntryPoint) -> str:
    """The first line of a command module's docstring, read from its source without importing it."""
    package, _, module = point.value.rpartition(".")
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        source = Path(folder) / f"{module}.py"
        if source.is_file():
            with source.open(encoding="utf-8") as stream:
                return stream.readline().strip().strip('"')
    return ""
