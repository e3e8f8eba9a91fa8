"""A worker whose answers are in files, whose calls are written down, and that breaks when told to.

As a program: NAME BEHAVIOUR FOLDER, the worker. As a module: makes what such a worker measures.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.timing import Timed
from edgestitch_runtime.to_measure import Subject
from edgestitch_runtime.worker import serve


class Scripted:
    """The subject of the worker `name` in `folder`; `behaviour` says how it breaks."""

    engine_version = "1.0"

    def __init__(self, name: str, behaviour: str, folder: Path) -> None:
        self.name, self.behaviour, self.folder = name, behaviour, folder
        self._note("open")
        if behaviour == "no module":
            raise ModuleNotFoundError("No module named 'engine'")
        if behaviour == "exit":
            print("engine: fatal: bad operator", file=sys.stderr)
            os._exit(3)
        if behaviour == "abort":
            os.abort()

    def scores(self, images_u8: np.ndarray) -> np.ndarray:
        if len(images_u8) > 1:
            self._note("answers")
            if self.behaviour == "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
            if self.behaviour == "hang":
                time.sleep(600)
            if self.behaviour == "no room":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self.behaviour == "file deleted":
                (self.folder / self.name).unlink()
            if self.behaviour == "file changed":
                (self.folder / self.name).write_bytes(b"another")
        return np.load(self.folder / f"{self.name}-scores.npy")[: len(images_u8)]

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        values = scores.astype(np.float32) + 129
        return values / values.sum(axis=1, keepdims=True)

    def selftest(self) -> str | None:
        self._note("selftest")
        if self.behaviour == "damaged golden vectors":
            raise EdgestitchError("its golden vectors are damaged", hint="export it again")
        return "identical"

    def batch(self, images_u8: np.ndarray) -> Any:
        self._note(f"batch-{len(images_u8) if images_u8.ndim == 3 else 1}")

    def timed(self, images_u8: np.ndarray) -> dict[str, Timed]:
        self._note("prepare")
        return {"classify": Timed(call=self._call, inputs=list(images_u8))}

    def _call(self, image: np.ndarray) -> None:
        self._note("call")
        if self.behaviour == "killed while timed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.behaviour == "abort while timed":
            os.abort()
        if self.behaviour == "terminated while timed":
            os.kill(os.getpid(), signal.SIGTERM)

    def _note(self, what: str) -> None:
        with (self.folder / "log").open("a") as log:
            log.write(f"{self.name} {what} {os.getpid()}\n")


def scripted(
    folder: Path,
    name: str,
    behaviour: str = "well",
    *,
    scores: np.ndarray,
    format_: str = "tflite",
    engine: str = "fake",
    content: bytes | None = None,
) -> Subject:
    """The subject NAME in `folder`, whose worker answers `scores`, (n, classes).

    Its file holds `content`, by default its name; what is called is written to `folder`/log.
    """
    path = folder / name
    path.write_bytes(name.encode() if content is None else content)
    np.save(folder / f"{name}-scores.npy", scores)
    return Subject(
        path=path,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        bytes=path.stat().st_size,
        format=format_,
        precision="int8",
        engine=engine,
        command=(sys.executable, str(Path(__file__)), name, behaviour, str(folder)),
    )


class DictJournal:
    """A journal in memory, with what was asked of it; its content is JSON, as a file's."""

    def __init__(self, content: dict[str, str] | None = None) -> None:
        self.content = dict(content or {})
        self.puts: list[str] = []

    def get(self, key: str) -> dict[str, Any] | None:
        return json.loads(self.content[key]) if key in self.content else None

    def put(self, key: str, answer: dict[str, Any]) -> None:
        self.puts.append(key)
        self.content[key] = json.dumps(answer)


def logged(folder: Path) -> list[tuple[str, str, int]]:
    """What the workers in `folder` wrote down: (name, what, process id), in the order of time."""
    lines = (folder / "log").read_text(encoding="utf-8").splitlines()
    return [(name, what, int(pid)) for name, what, pid in (line.split() for line in lines)]


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    NAME, BEHAVIOUR, FOLDER = sys.argv[1:]
    sys.exit(serve(lambda command: Scripted(NAME, BEHAVIOUR, Path(FOLDER))))
