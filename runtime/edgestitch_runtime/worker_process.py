"""One worker seen from its parent: started, asked a line at a time, ended whatever it does."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from .errors import EdgestitchError
from .file_graph import printable
from .json_shape import Shape, count, misfit, null, number, word

_MOST = 2**53  # above it JSON's numbers are not exact everywhere
_BLAS = (
    "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip
_CHATTER_BYTES = 4096  # how much of a dead worker's stderr is looked at
_MOST_TEXT = 500  # characters of a reason: an engine may say kilobytes


def _positive(value: Any) -> bool:
    return number(value) and value > 0


def _duration(value: Any) -> bool:
    return number(value) and value >= 0


def _whole(value: Any) -> bool:
    return count(value) and 0 < value < _MOST


def _kinds(value: Any) -> bool:
    return isinstance(value, list) and "classify" in value and all(map(word, value))


def _shape(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_whole, value))


# What is relied on in the answer to each command: the program may be no worker at all.
ANSWERS: dict[str, Shape] = {
    "open": {
        "engine_version": word,
        "peak_rss_mb": (null, number),
        "memory_mb": (null, number),
        "cold_start": dict.fromkeys(
            ("interpreter_ms", "import_ms", "load_ms", "first_ms"), _duration
        ),
        "versions": {"python": word, "numpy": word},
    },
    "probe": {"engine": word, "shape": _shape},
    "prepare": {"kinds": _kinds},
    "answers": {"n": count, "kinds": _kinds},
    "selftest": {"verdict": (null, word)},
    "throughput": {"images_per_s": _positive},
    "block": {"runs": _whole, "mean_ns": _positive, "values_ns": [_whole], "counts": [_whole]},
}


class RowFailed(Exception):
    """A row cannot go on; the message is its reason, one short printable line.

    `passing`: it may be of the moment, a process that was killed, a full disk, and is no verdict.
    `refused`: the error that the worker itself answered with, where it did.
    """

    def __init__(
        self,
        reason: str,
        *,
        passing: bool = False,
        refused: EdgestitchError | None = None,
    ) -> None:
        super().__init__(printable(" ".join(reason.split()), _MOST_TEXT))
        self.passing = passing
        self.refused = refused


def wrong_in(do: str, answer: dict[str, Any]) -> str | None:
    """What is not as it should be in a worker's answer, or None."""
    wrong = misfit(answer, ANSWERS[do])
    if wrong is None and do == "block":
        values, counts = answer["values_ns"], answer["counts"]
        if len(values) != len(counts) or sum(counts) != answer["runs"]:
            return "counts"
    return wrong


def _refusal(answer: dict[str, Any]) -> RowFailed:
    message, hint = (
        printable(" ".join(str(text).split()), _MOST_TEXT)
        for text in (answer.get("message", "refused"), answer.get("hint") or "")
    )
    told = f" (hint: {hint})" if hint else ""
    code = 1 if answer.get("exit_code") == 1 else 2
    refused = EdgestitchError(message, hint=hint, exit_code=code) if hint else None
    return RowFailed(f"{message}{told}", passing=answer.get("passing") is True, refused=refused)


def _environment(python: str) -> dict[str, str]:
    """The worker's: ours must not leak into a Python of another environment."""
    environment = dict(os.environ)
    if python != sys.executable:
        for name in ("PYTHONPATH", "PYTHONHOME"):
            environment.pop(name, None)
        return environment
    places = environment.get("PYTHONPATH", "").split(os.pathsep)
    if any(places):  # from the current folder, which is not the worker's
        environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(x) for x in places)  # noqa: PTH100
    return environment


class WorkerProcess:
    """A started worker. Leaving the context ends the process, at once if need be."""

    def __init__(self, command: Sequence[str], *, folder: Path, threads: int = 1) -> None:
        """Starts `command` in `folder`, which holds nothing that Python could import by mistake.

        numpy's linear algebra gets `threads`: what the engine is opened with does not reach it.
        """
        chatter: IO[bytes] | None = None
        try:
            chatter = tempfile.TemporaryFile()  # noqa: SIM115  (closed by close)
            self.started_ns = time.monotonic_ns()
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=chatter,
                cwd=folder,
                env=_environment(command[0]) | dict.fromkeys(_BLAS, str(threads)),
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            if chatter is not None:
                chatter.close()
            reason = f"cannot start {command[0]}: {error.strerror or error}"
            raise RowFailed(reason, passing=True) from None
        self._chatter = chatter
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.sent: str | None = None  # the command whose answer was not waited for yet
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, do: str, **arguments: Any) -> None:
        """Sends one command; the `ask` for the same that comes next waits for its answer."""
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(OSError):  # a dead worker: what is asked next says how it died
            stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            stdin.flush()
        self.sent = do

    def ask(self, do: str, *, timeout_s: float, **arguments: Any) -> dict[str, Any]:
        """Sends one command, unless it was sent before, and waits for its answer.

        Raises RowFailed when the worker refuses, dies, has not answered after `timeout_s`, or
        answers what no worker does.
        """
        if self.sent != do:
            self.send(do, **arguments)
        self.sent = None
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            self.close()
            reason = f"no answer to {do} within {timeout_s:.0f} s: ended"
            raise RowFailed(reason, passing=True) from None
        if line is None:
            raise self._how_it_died()
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            raise RowFailed(f"the worker answered {line[:80]!r}, expected JSON") from None
        if not isinstance(answer, dict):
            raise RowFailed(f"the worker answered {line[:80]!r}, expected a JSON object")
        if answer.get("ok") is not True:
            raise _refusal(answer)
        wrong = wrong_in(do, answer)
        if wrong:
            raise RowFailed(
                f"the worker's answer to {do} has no {wrong} as it should be: {line[:80]!r} "
                "(hint: the Python of an engine must have this version of edgestitch-runtime)"
            )
        return answer

    def close(self) -> None:
        """Ends the process. May be called again."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._chatter.close()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        with stdout:
            for line in stdout:
                self._lines.put(line)
        self._lines.put(None)

    def _how_it_died(self) -> RowFailed:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return RowFailed("the worker closed its output and did not end")
        last = self._last_chatter()
        if code >= 0:
            return RowFailed(f"the worker ended with code {code}" + (f": {last}" if last else ""))
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = "unknown"
        starved = " (out of memory?)" if name == "SIGKILL" else ""
        return RowFailed(
            f"the worker was killed by signal {-code}, {name}{starved}",
            passing=name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"),
        )

    def _last_chatter(self) -> str:
        size = self._chatter.seek(0, os.SEEK_END)
        self._chatter.seek(max(0, size - _CHATTER_BYTES))
        lines = self._chatter.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
