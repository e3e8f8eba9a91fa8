"""A process that reads, runs and inspects a bundle of files, and tells of each how it ended.

    python fuzz_worker.py BUNDLE PIXELS FIRST WARMING

BUNDLE holds the files (see `read_bundle`); those before number FIRST are left out, but for the
WARMING first, which are read before memory is measured. PIXELS is a .npy of pictures, (n, 28, 28)
uint8. Each file gives a line before it is touched and a line of JSON behind it on stdout, so that
the last line names the file of a process that died.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import signal
import struct
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgestitch_runtime import Classifier, EdgestitchError, inspect_artifact
from edgestitch_runtime.cli import main as command
from edgestitch_runtime.inspect_text import as_text

MOST_CPU_S = 5.0  # for one file; a sound one takes about 0.01
MOST_GROWTH_BYTES = 200 << 20
DRAWN_EVERY, COMMANDS_EVERY = 4, 100


class TooSlow(BaseException):
    """A file that has taken MOST_CPU_S."""


class Unsound(AssertionError):
    """An answer or a refusal that is not as documented."""


def read_bundle(path: Path) -> Iterator[tuple[int, str, bytes]]:
    """(number, suffix, content) of each file."""
    content = path.read_bytes()
    place = 0
    while place < len(content):
        number, suffix, length = struct.unpack_from("<i8sI", content, place)
        place += 16
        yield number, suffix.rstrip(b"\0").decode(), content[place : place + length]
        place += length


def bundled(number: int, suffix: str, content: bytes) -> bytes:
    """A file as `read_bundle` takes it."""
    return struct.pack("<i8sI", number, suffix.encode(), len(content)) + content


def pictures_of(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Real pictures at another size: their middle, or repeated."""
    _, rows, columns = pixels.shape
    times = (1, -(-height // rows), -(-width // columns))
    wide = np.tile(pixels, times) if max(times) > 1 else pixels
    top, left = (wide.shape[1] - height) // 2, (wide.shape[2] - width) // 2
    return np.ascontiguousarray(wide[:, top : top + height, left : left + width])


def answered(path: Path, pixels: np.ndarray) -> dict[str, Any]:
    """What the reference engine answers, or the line with which it refuses the file."""
    try:
        with Classifier.open(path, engine="reference") as classifier:
            images = pictures_of(pixels, *classifier.shape)
            rows = classifier.scores(images)
            again = [classifier.classify(image) for image in images[:2]]
            listed = classifier.classify(list(images))
            shares = classifier.probabilities(images)
    except EdgestitchError as error:
        return {"refused": _line(path, error)}
    if rows.shape != (len(images), len(classifier.labels)):
        raise Unsound(f"scores of shape {rows.shape}")
    for row, one in zip(rows, again, strict=False):
        if one.scores.tobytes() != row.tobytes() or one.index != int(row.argmax()):
            raise Unsound("an image alone has another answer")
    if [one.index for one in listed] != rows.argmax(axis=1).tolist():
        raise Unsound("a list of images has another answer")
    # A card may call scores probabilities that are below 0; what sums to 1 is then all the same.
    least = 0 if classifier.card is None else -np.inf
    if not (np.abs(shares.sum(axis=1) - 1) < 1e-4).all() or not (shares >= least).all():
        raise Unsound("probabilities that are none")
    return {"dtype": rows.dtype.name, "shape": rows.shape, "rows": rows.tobytes().hex()}


def inspected(path: Path, *, draw: str) -> dict[str, Any]:
    """Nothing where the file has facts, or the line with which `inspect` refuses it."""
    try:
        found = inspect_artifact(path)
        as_text(found, layers=found.facts is not None)
        json.dumps(found.to_json(), indent=2, ensure_ascii=False)
        if draw == "yes" and found.facts is not None:
            found.svg().encode()
    except EdgestitchError as error:
        return {"not inspected": _line(path, error)}
    return {}


def commanded(path: Path, image: Path) -> dict[str, Any]:
    """The exit codes of `edgestitch classify` and `inspect`; their errors have two lines."""
    codes = []
    for words in (
        ["classify", "--engine", "reference", path, image],
        ["inspect", "--layers", path],
    ):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            codes.append(command([str(word) for word in words]))
        lines = err.getvalue().splitlines()
        told = [line for line in lines if not line.startswith("warning: ")]
        if "Traceback" in err.getvalue() or codes[-1] not in (0, 2):
            raise Unsound(f"edgestitch {words[0]} ended with {codes[-1]}: {lines}")
        if codes[-1] == 2 and [line.split(": ")[0] for line in told] != ["edgestitch", "hint"]:
            raise Unsound(f"edgestitch {words[0]} said {lines}")
        if bool(out.getvalue()) != (codes[-1] == 0):
            raise Unsound(
                f"edgestitch {words[0]} ended with {codes[-1]}, on stdout {out.getvalue()}"
            )
    return {"codes": codes}


def _line(path: Path, error: EdgestitchError) -> str:
    """The error without the file's name; checks its form."""
    if "cannot run" in error.message:  # an exception of another kind that was caught on its way
        raise Unsound(error.message) from error.__context__
    if not error.message or not error.hint or error.exit_code != 2:
        raise Unsound(f"{error.message!r}, hint {error.hint!r}, exit code {error.exit_code}")
    return error.message.replace(str(path), "").lstrip(": ")


def outcome(path: Path, number: int, pixels: np.ndarray, image: Path) -> dict[str, Any]:
    """How one file ended; "defect" is there where it did so in a way that it must not."""
    found: dict[str, Any] = {}
    signal.setitimer(signal.ITIMER_PROF, MOST_CPU_S)
    try:
        if path.suffix == ".tflite":
            found |= answered(path, pixels)
        found |= inspected(path, draw="yes" if number % DRAWN_EVERY == 0 else "no")
        if "rows" in found and "not inspected" in found:
            raise Unsound(f"it answers, and is not inspected: {found['not inspected']}")
        if number % COMMANDS_EVERY == 0 and path.suffix == ".tflite":
            found |= commanded(path, image)
    except TooSlow:
        found["defect"] = f"more than {MOST_CPU_S} s"
    except BaseException:  # a defect, whatever it is, and the next file
        found["defect"] = traceback.format_exc(limit=-6)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return found


def _too_slow(number: int, frame: object) -> None:
    raise TooSlow


def _resident_kib() -> int:
    """The most that this process has had in memory; getrusage begins with its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def _limit_memory() -> None:
    """Lets the address space grow by MOST_GROWTH_BYTES from now on."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MOST_GROWTH_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main(bundle: Path, pixels_file: Path, first: int, warming: int) -> None:
    pixels = np.load(pixels_file)
    warnings.simplefilter("error")
    signal.signal(signal.SIGPROF, _too_slow)
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.npy"
        np.save(image, pixels[0])
        start_kib = 0
        for place, (number, suffix, content) in enumerate(read_bundle(bundle)):
            if place == warming:
                _limit_memory()
                start_kib = _resident_kib()
            if place >= warming and number < first:
                continue
            path = Path(folder) / f"mutant{suffix}"
            path.write_bytes(content)
            if place >= warming:
                print(number, flush=True)
            found = outcome(path, number, pixels, image)
            if place >= warming:
                found["grown_kib"] = _resident_kib() - start_kib
                print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
