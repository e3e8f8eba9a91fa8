"""Measures artifacts here: latency, throughput, cold start, memory, the machine.

Needs nothing but the slim runtime and one engine, or none but reference. Every
artifact on every engine asked for is a row, in a process of its own; blocks of
calls go round the rows, so that their ratio means something. Real images are
used where there are some: --images, --data, else the test images of the run that
an artifact lies in. Their answers are compared with those of the engine reference.
Exit code 1 when a row failed while others were measured, or when the self-test
of one differs.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .measuring import Profile
    from .to_measure import Effort, Progress

_PRINTED = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `edgestitch profile`."""
    parser.add_argument(
        "artifact", type=Path, nargs="*", metavar="ARTIFACT", help="a .tflite, .onnx or .so"
    )
    parser.add_argument(
        "--engine",
        action="append",
        metavar="E",
        help="an engine that runs it, may be repeated; all: every one that is installed (default: "
        "auto, the one that classify would take)",
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="threads in the engine (default: 1)"
    )
    parser.add_argument(
        "--images", type=Path, metavar="FILE", help="uint8 images to time with, .npy or IDX"
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="a data set whose test images are used: IDX files, an .npz, a folder of pictures",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="0.1 seconds and 50 runs of each call instead of 2 and 1,000; the result says so",
    )
    parser.add_argument(
        "--min-seconds",
        type=float,
        metavar="SECONDS",
        help="time each call for at least so long, up to 600 (default: 2; with --quick 0.1)",
    )
    parser.add_argument(
        "--json",
        nargs="?",
        const=_PRINTED,
        metavar="FILE.json",
        help="write the result as JSON, for `edgestitch compare` and `edgestitch bench --add`; "
        "without a name it is printed",
    )
    parser.add_argument("--force", action="store_true", help="overwrite FILE.json if it is there")


def run(args: argparse.Namespace) -> int:
    """Measures and prints; returns the exit code."""
    from .errors import EdgestitchError
    from .measuring import profile

    file = _file(args)
    if not args.artifact:
        raise EdgestitchError("no artifact is named", hint="edgestitch profile mlp-int8.tflite")
    if args.images is not None and args.data is not None:
        raise EdgestitchError("--images and --data are both given", hint="leave one of them out")
    result = profile(
        args.artifact,
        engines=args.engine or ["auto"],
        images=args.images,
        data=args.data,
        effort=_effort(args),
        command=_command(args),
        tell=_tell if sys.stderr.isatty() else lambda progress: None,
    )
    failed = [row.measurement for row in result.rows if row.measurement.reason is not None]
    if len(failed) == len(result.rows):
        raise EdgestitchError(
            f"{failed[0].name}: {failed[0].reason}",
            hint="another engine may run it: edgestitch profile --engine all",
        )
    if file is not None:  # before anything is printed: a closed pipe ends this process
        _write(result, file, force=args.force)
    if result.generated:
        print(
            "notice: timed with generated pixels: the artifact lies in no run whose data is here;\n"
            "        --images FILE times with your own",
            file=sys.stderr,
        )
    _show(result, as_json=args.json == _PRINTED)
    return 0 if result.whole else 1


def _file(args: argparse.Namespace) -> Path | None:
    """The file that the JSON goes to. Raises EdgestitchError before anything is measured."""
    from .errors import EdgestitchError, os_error

    if args.json in (None, _PRINTED):
        return None
    path = Path(args.json)
    if path.suffix != ".json":
        raise EdgestitchError(
            f"--json writes to a .json file, and {path} is none",
            hint=f"--json FILE.json; to print it, name the artifact first: profile {path} --json",
        )
    if path.exists() and not args.force:
        raise EdgestitchError(
            f"{path} exists, and a new measurement is never the same",
            hint="--force overwrites it; another name keeps both",
        )
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        parent = next(folder for folder in path.absolute().parents if folder.exists())
        tempfile.TemporaryFile(dir=parent).close()
    except OSError as error:
        raise os_error(f"write {path}", error) from None
    return path


def _effort(args: argparse.Namespace) -> Effort:
    from dataclasses import replace

    from .to_measure import QUICK, Effort

    effort = replace(QUICK if args.quick else Effort(), threads=args.threads)
    return effort if args.min_seconds is None else replace(effort, min_seconds=args.min_seconds)


def _command(args: argparse.Namespace) -> str:
    """What was asked for, without the folders of this machine."""
    words = ["edgestitch profile", *(path.name for path in args.artifact)]
    words += [f"--engine {engine}" for engine in args.engine or ()]
    words += [f"--threads {args.threads}"] if args.threads != 1 else []
    for name, path in (("--images", args.images), ("--data", args.data)):
        words += [] if path is None else [f"{name} {path.name}"]
    words += ["--quick"] if args.quick else []
    words += [] if args.min_seconds is None else [f"--min-seconds {args.min_seconds:g}"]
    return " ".join(words)


def _columns() -> int | None:
    """How wide the terminal is; None where stdout is none."""
    return max(20, shutil.get_terminal_size().columns) if sys.stdout.isatty() else None


def _write(result: Profile, file: Path, *, force: bool) -> None:
    from .errors import EdgestitchError
    from .writing import write_json

    try:
        write_json(file, result.to_json(), overwrite=force)
    except EdgestitchError as error:
        _show(result, as_json=True)
        raise EdgestitchError(
            f"{error.message}; the JSON is printed instead", hint=error.hint
        ) from None
    print(f"{file}: written", file=sys.stderr)


def _show(result: Profile, *, as_json: bool) -> None:
    from .profile_text import as_text

    if as_json:
        print(json.dumps(result.to_json(), indent=2, ensure_ascii=False), flush=True)
    else:
        print(as_text(result, columns=_columns()), flush=True)


def _tell(progress: Progress) -> None:
    left = "" if progress.seconds_left is None else f", about {progress.seconds_left:.0f} s left"
    line = f"[{progress.done}/{progress.total}] {progress.text}{left}"
    print(line, file=sys.stderr, flush=True)
