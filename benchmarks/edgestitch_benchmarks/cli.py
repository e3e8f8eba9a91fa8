"""Measures runs' artifacts against their float models.

Accuracy, latency, size and memory: each artifact on every engine that takes
its format, each row in a process of its own, timed in blocks that go round the
rows. What `export --check` found on microcontrollers is a second table. The
tables go to stdout; report.html, report.md and report.json go to RUN/bench, or
for several runs to the folder bench. A row that cannot run stays in its table
with its reason. A measurement that was interrupted goes on when it is asked for
again.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import shutil
import sys
from pathlib import Path

from edgestitch_runtime.errors import EdgestitchError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `edgestitch bench`."""
    parser.add_argument(
        "runs",
        nargs="*",
        type=Path,
        metavar="RUN",
        help="run folders, for one report (default: the newest in runs)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where the report goes (default: RUN/bench, of several runs ./bench)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="where the runs' data is, when it has moved: the only place looked in then",
    )
    parser.add_argument(
        "--add",
        action="append",
        default=[],
        type=Path,
        metavar="FILE.json",
        help="add the rows of a profile made on another machine by `edgestitch profile --json "
        "FILE.json`; may be repeated",
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
        help="time each kind of call for at least so long, up to 600 (default: 2)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a first look with few runs; the report says so"
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="take away what an interrupted measurement left, and measure anew",
    )
    parser.add_argument("--force", action="store_true", help="overwrite an existing report")
    parser.add_argument(
        "--json", action="store_true", help="print report.json instead of the table"
    )


def run(args: argparse.Namespace) -> int:
    """Measures, prints, writes; returns the exit code."""
    from dataclasses import replace

    from edgestitch_runtime.timing import MAX_SECONDS

    engine_pythons = dict(map(engine_python, args.engine_python))
    if args.min_seconds is not None and not 0 < args.min_seconds <= MAX_SECONDS:
        raise EdgestitchError(
            f"--min-seconds is {args.min_seconds:g}, expected more than 0 and at most "
            f"{MAX_SECONDS}",
            hint="2 is the default, --quick the shortest that still says something",
        )

    from edgestitch_runtime.rounds import QUICK, Effort

    from .benchmark import bench
    from .chosen_runs import choose_runs
    from .journal import FOLDER, forget
    from .progress import shown_on
    from .table import as_text
    from .writer import as_json, probe_folder, refuse_existing, write_report

    folders = [one.run.folder for one in choose_runs(args.runs)]
    out = args.out or (folders[0] / "bench" if len(folders) == 1 else Path("bench"))
    if not args.force:
        refuse_existing(out)
    probe_folder(_existing(out))
    effort = QUICK if args.quick else Effort()
    if args.min_seconds is not None:
        effort = replace(effort, min_seconds=args.min_seconds)
    # With --fresh the same command would take away what is kept.
    again = "the same command without --fresh" if args.fresh else "the same command"
    with shown_on(sys.stderr) as shown:
        try:
            report = bench(
                folders,
                data=args.data,
                engine_pythons=engine_pythons,
                effort=effort,
                add=args.add,
                keep=out / FOLDER,
                fresh=args.fresh,
                command=_command(args, folders),
                tell=shown.step,
                say=shown.say,
            )
        except KeyboardInterrupt:
            if (out / FOLDER).is_dir():
                shown.say(f"what was measured is kept: {again} goes on from there")
            raise
    # Written and printed whatever becomes of the other: measuring took minutes.
    failure: EdgestitchError | None = None
    written: list[Path] = []
    try:
        written = write_report(report, out, overwrite=args.force)
        forget(out / FOLDER)
    except EdgestitchError as error:
        hint = f"{error.hint}; what was measured is kept: {again} then only writes it"
        failure = EdgestitchError(error.message, hint=hint, exit_code=error.exit_code)
    try:
        text = as_json(report) if args.json else as_text(report, width=_width()) + "\n"
        print(text, end="", flush=True)
    finally:
        if failure is not None:
            raise failure
        with contextlib.suppress(OSError):
            print("written: " + ", ".join(map(str, written)), file=sys.stderr, flush=True)
    return 0


def _existing(folder: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


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


def _command(args: argparse.Namespace, folders: list[Path]) -> str:
    from .chosen_runs import printable

    words = ["edgestitch", "bench", *map(str, folders)]
    for name in ("out", "data", "min_seconds"):
        value = getattr(args, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", f"{value}"]
    for path in args.add:
        words += ["--add", f"{path}"]
    for pair in args.engine_python:
        words += ["--engine-python", pair]
    words += [f"--{name}" for name in ("quick", "fresh", "force") if getattr(args, name)]
    return printable(shlex.join(words))


def _width() -> int:
    return max(20, shutil.get_terminal_size((100, 24)).columns) if sys.stdout.isatty() else 100
