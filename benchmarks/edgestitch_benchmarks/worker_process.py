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

from edgestitch_runtime.json_shape import Shape, count, misfit, null, number, word

_CHATTER_BYTES = 4096  # how much of a dead worker's stderr is looked at


def _positive(value: Any) -> bool:
    return number(value) and value > 0


# What is relied on in the answer to each command: the program may be no worker at all.
_ANSWERS: dict[str, Shape] = {
    "open": {
        "engine_version": word,
        "peak_rss_mb": (null, number),
        "versions": {"python": word, "numpy": word},
    },
    "answers": {"kinds": lambda v: isinstance(v, list) and "classify" in v and all(map(word, v))},
    "block": {},
    "latency": {
        **dict.fromkeys(("p50_us", "p90_us", "p99_us", "mean_us"), _positive),
        "runs": count,
    },
}


class RowFailed(Exception):
    """A row cannot go on; the message is its reason, one line."""

    def __init__(self, reason: str) -> None:
        super().__init__(" ".join(reason.split()))


class WorkerProcess:
    """A started worker. Leaving the context ends the process, at once if need be."""

    def __init__(self, command: Sequence[str], *, folder: Path) -> None:
        """Starts `command` in `folder`, which holds nothing that Python could import by mistake."""
        environment = dict(os.environ)
        if command[0] != sys.executable:  # another environment: ours must not leak into it
            for name in ("PYTHONPATH", "PYTHONHOME"):
                environment.pop(name, None)
        self._chatter: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (closed by close)
        self._started = time.perf_counter()
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._chatter,
                cwd=folder,
                env=environment,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            self._chatter.close()
            raise RowFailed(f"cannot start {command[0]}: {error.strerror or error}") from None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def ask(self, do: str, *, timeout_s: float, **arguments: Any) -> dict[str, Any]:
        """Sends one command and waits for its answer.

        Raises RowFailed when the worker refuses, dies, has not answered after `timeout_s`, or
        answers what no worker does.
        """
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(OSError):  # a dead worker: the answer below says how it died
            stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            stdin.flush()
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            self.close()
            raise RowFailed(f"no answer to {do} within {timeout_s:.0f} s: ended") from None
        if line is None:
            raise RowFailed(self._how_it_died())
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            raise RowFailed(f"the worker answered {line[:80]!r}, expected JSON") from None
        if not isinstance(answer, dict):
            raise RowFailed(f"the worker answered {line[:80]!r}, expected a JSON object")
        if answer.get("ok") is not True:
            hint = f" (hint: {answer['hint']})" if answer.get("hint") else ""
            raise RowFailed(f"{answer.get('message', 'refused')}{hint}")
        wrong = misfit(answer, _ANSWERS[do])
        if wrong:
            raise RowFailed(
                f"the worker's answer to {do} has no {wrong} as it should be: {line[:80]!r} "
                "(hint: the Python of an engine must have this version of edgestitch-runtime)"
            )
        return answer

    def age_ms(self) -> float:
        """Milliseconds since the process was started."""
        return 1000 * (time.perf_counter() - self._started)

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

    def _how_it_died(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "the worker closed its output and did not end"
        last = self._last_chatter()
        if code >= 0:
            return f"the worker ended with code {code}" + (f": {last}" if last else "")
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = "unknown"
        starved = " (out of memory?)" if -code == getattr(signal, "SIGKILL", 9) else ""
        return f"the worker was killed by signal {-code}, {name}{starved}"

    def _last_chatter(self) -> str:
        size = self._chatter.seek(0, os.SEEK_END)
        self._chatter.seek(max(0, size - _CHATTER_BYTES))
        lines = self._chatter.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
