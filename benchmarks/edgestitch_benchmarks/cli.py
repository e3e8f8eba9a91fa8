"""Measures a run's artifacts against its float model.

Accuracy, latency, size and memory: each artifact on every engine that takes
its format, each row in a process of its own, timed in blocks that go round the
rows. What `export --check` found on microcontrollers is a second table. The
tables go to stdout; report.html, report.md and report.json go to RUN/bench. A
row that cannot run stays in its table with its reason.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from pathlib import Path

from edgestitch_runtime.errors import EdgestitchError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `edgestitch bench`."""
    parser.add_argument(
        "run",
        nargs="?",
        type=Path,
        metavar="RUN",
        help="a run folder (default: the newest in runs)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="where the run's data is, when it has moved: the only place looked in then",
    )
    parser.add_argument(
        "--engine-python",
        action="append",
        default=[],
        metavar="ENGINE=PYTHON",
        help="run an engine in another environment, for example "
        "tflite-runtime=venv/bin/python; may be repeated (found by itself: .venv-ENGINE)",
    )
    parser.add_argument(
        "--min-seconds",
        type=float,
        metavar="SECONDS",
        help="time each kind of call for at least so long, up to 600 (default: 1)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a first look with few runs; the report says so"
    )
    parser.add_argument("--force", action="store_true", help="overwrite an existing report")
    parser.add_argument(
        "--json", action="store_true", help="print report.json instead of the table"
    )


def run(args: argparse.Namespace) -> int:
    """Measures, prints, writes; returns the exit code."""
    from dataclasses import replace

    from edgestitch_runtime.run_folder import find_run
    from edgestitch_runtime.timing import MAX_SECONDS

    engine_pythons = dict(map(engine_python, args.engine_python))
    if args.min_seconds is not None and not 0 < args.min_seconds <= MAX_SECONDS:
        raise EdgestitchError(
            f"--min-seconds is {args.min_seconds:g}, expected more than 0 and at most "
            f"{MAX_SECONDS}",
            hint="1 is the default, --quick the shortest that still says something",
        )
    found = find_run(args.run)

    from .benchmark import bench
    from .measure import QUICK, Effort
    from .table import as_text
    from .writer import as_json, probe_folder, refuse_existing, write_report

    if not args.force:
        refuse_existing(found.bench_folder)
    probe_folder(found.folder)
    effort = QUICK if args.quick else Effort()
    if args.min_seconds is not None:
        effort = replace(effort, min_seconds=args.min_seconds)
    report = bench(
        found.folder,
        data=args.data,
        engine_pythons=engine_pythons,
        effort=effort,
        command=_command(args, found.folder),
        tell=_tell,
    )
    # Printed first: a full disk must not cost what minutes of measuring found.
    if args.json:
        print(as_json(report), end="")
    else:
        print(as_text(report, width=_width()))
    written = write_report(report, found.bench_folder, overwrite=args.force)
    _tell("written: " + ", ".join(map(str, written)))
    return 0


def engine_python(text: str) -> tuple[str, Path]:
    """ENGINE=PYTHON as its two parts, the path absolute; EdgestitchError when it is not that."""
    import os

    name, equals, path = text.partition("=")
    if not equals or not name or not path:
        raise EdgestitchError(
            f"--engine-python {text!r} is not ENGINE=PYTHON",
            hint="for example --engine-python tflite-runtime=.venv-tflite-runtime/bin/python",
        )
    python = Path(path).expanduser().absolute()
    if not python.is_file() or not os.access(python, os.X_OK):
        raise EdgestitchError(
            f"--engine-python: {path} is not a program that can be run",
            hint="name the python of the environment, such as .venv-tflite-runtime/bin/python",
        )
    return name, python


def _command(args: argparse.Namespace, folder: Path) -> str:
    words = ["edgestitch", "bench", str(folder)]
    for name in ("data", "min_seconds"):
        value = getattr(args, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", f"{value}"]
    for pair in args.engine_python:
        words += ["--engine-python", pair]
    words += [f"--{name}" for name in ("quick", "force") if getattr(args, name)]
    return shlex.join(words)


def _width() -> int:
    return max(20, shutil.get_terminal_size((100, 24)).columns) if sys.stdout.isatty() else 100


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
