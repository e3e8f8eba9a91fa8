"""An unfinished measurement on disk: every answer of a worker, a JSON object a line.

The first line says what the measurement is of; a journal of anything else is not gone on from, nor
taken away unasked, and a file that is no journal is left as it is. A line {"sitting": n} stands at
each start, {"told": ...} at the end of one. A line that was cut when the process was killed or the
disk was full is dropped. While the disk is full the answers wait in memory, and the file ends with
a whole line. The workers' files lie beside it; what else is in the folder is left alone.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from edgestitch_runtime.errors import EdgestitchError, os_error

JOURNAL_SCHEMA = 1
FILE = "journal.jsonl"
FOLDER = "unfinished"
_BEGIN = b'{"schema": '
_OF_WORKERS = re.compile(r"(images|first|(scores|probabilities)-[0-9]+)\.npy(\.part)?")


class FileJournal:
    """The journal in a folder that is made if need be, and that one process at a time may use.

    `answers` is what was found, by key, in so many `sittings`: one that found nothing is none.
    `told` is what sittings said of themselves at their end.
    """

    def __init__(
        self, folder: Path, of: dict[str, Any], *, fresh: bool, say: Callable[[str], None]
    ) -> None:
        """Goes on from the journal in `folder` if it is of `of`, plain JSON, and not `fresh`.

        Begins anew where there is none that holds an answer, or with `fresh`, which `say` is told.
        Raises EdgestitchError when a journal of something else is there, the folder cannot be
        written or another process uses it.
        """
        self.folder = folder
        self.answers: dict[str, dict[str, Any]] = {}
        self.told: list[dict[str, Any]] = []
        self.sittings = 0
        self._found = False
        self._waiting: list[bytes] = []
        of = json.loads(json.dumps({"schema": JOURNAL_SCHEMA, "of": of}))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / FILE).open("a+b", buffering=0)
        except OSError as error:
            raise os_error(f"write in {folder}", error) from None
        try:
            _lock(self._file.fileno(), folder)
            self._file.seek(0)
            content = self._file.read()
            if not _is_ours(content):
                raise EdgestitchError(
                    f"{folder / FILE} is not a journal of bench, which would overwrite it",
                    hint="move it away, or measure elsewhere: --out FOLDER",
                )
            lines, self._end = _whole_lines(content)
            holds = any("key" in line for line in lines[1:])
            other = _other(lines[0], of) if lines else None
            if lines and other is None and not fresh:
                self._go_on(lines[1:])
                self._file.truncate(self._end)
            else:
                if holds and not fresh:
                    raise EdgestitchError(
                        f"{folder} holds an unfinished measurement of other {other}",
                        hint="--fresh takes it away, --out FOLDER measures elsewhere",
                    )
                if holds:
                    say("takes an unfinished measurement away and starts anew: --fresh")
                _remove_ours(folder)
                self._file.truncate(0)
                self._end = 0
                self._write(of)
            self._write({"sitting": self.sittings + 1})
        except OSError as error:
            self._file.close()
            raise os_error(f"write in {folder}", error) from None
        except BaseException:
            self._file.close()
            raise

    def _go_on(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            if "key" in line:
                self._take(line["key"], line["answer"])
            elif "told" in line:
                self.told.append(line["told"])
            else:
                self._found = False
        self._found = False

    def _take(self, key: str, answer: dict[str, Any]) -> None:
        self.answers[key] = answer
        self.sittings += not self._found
        self._found = True

    def get(self, key: str) -> dict[str, Any] | None:
        """What was put under `key`, in this sitting or an earlier one."""
        return self.answers.get(key)

    def put(self, key: str, answer: dict[str, Any]) -> None:
        """Keeps `answer`, plain JSON, on disk as soon as the disk takes it."""
        self._take(key, answer)
        with contextlib.suppress(OSError):  # it waits in memory
            self._write({"key": key, "answer": answer})

    def tell(self, told: dict[str, Any]) -> None:
        """Keeps what this sitting says of itself, plain JSON, if it found anything."""
        if self._found:
            self.told.append(told)
            with contextlib.suppress(OSError):
                self._write({"told": told})

    def close(self) -> None:
        """Lets go of the folder; what is in it stays. May be called again."""
        if not self._file.closed:
            with contextlib.suppress(OSError):
                self._flush()
            self._file.close()

    def __enter__(self) -> FileJournal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, line: dict[str, Any]) -> None:
        self._waiting.append(json.dumps(line).encode() + b"\n")
        self._flush()

    def _flush(self) -> None:
        """Appends what waits; what is not whole at a full disk or a signal is taken back.

        Raises OSError.
        """
        while self._waiting:
            line = memoryview(self._waiting[0])
            written = 0
            try:
                while written < len(line):
                    written += self._file.write(line[written:]) or 0
            except BaseException:
                with contextlib.suppress(OSError):
                    self._file.truncate(self._end)
                raise
            self._end += written
            del self._waiting[0]


class NoFileJournal:
    """Keeps nothing."""

    sittings = 1

    def __init__(self) -> None:
        self.answers: dict[str, dict[str, Any]] = {}
        self.told: list[dict[str, Any]] = []

    def get(self, key: str) -> None:
        return None

    def put(self, key: str, answer: dict[str, Any]) -> None:
        pass

    def tell(self, told: dict[str, Any]) -> None:
        self.told.append(told)


def forget(folder: Path) -> None:
    """Takes the journal in `folder` away, if there is one: its report has been written.

    The folder goes too, unless there is something else in it.
    """
    if (folder / FILE).is_file():
        with contextlib.suppress(OSError):
            _remove_ours(folder)
            (folder / FILE).unlink()
            folder.rmdir()


def _remove_ours(folder: Path) -> None:
    for path in folder.iterdir():
        if _OF_WORKERS.fullmatch(path.name) and path.is_file():
            path.unlink()


def _lock(descriptor: int, folder: Path) -> None:
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise EdgestitchError(
            f"another process is measuring into {folder.parent}",
            hint="wait until it is done, or end it; what it measured by then is kept",
        ) from None
    except OSError:  # a file system without locks
        return


def _is_ours(content: bytes) -> bool:
    """Whether it begins as a journal does; one that was cut, or lost in a crash of the system (only
    zeros are left), is one too.
    """
    begin = content[: len(_BEGIN)]
    return begin == _BEGIN[: len(begin)] or not content.strip(b"\0")


def _whole_lines(content: bytes) -> tuple[list[dict[str, Any]], int]:
    """The lines until the first that is not whole, and where they end."""
    lines: list[dict[str, Any]] = []
    end = 0
    for raw in content.splitlines(keepends=True):
        try:
            line = json.loads(raw) if raw.endswith(b"\n") else None
        except (ValueError, RecursionError):
            line = None
        if not isinstance(line, dict) or (lines and not _is_entry(line)):
            break
        lines.append(line)
        end += len(raw)
    return lines, end


def _is_entry(line: dict[str, Any]) -> bool:
    if "key" in line:
        return isinstance(line["key"], str) and isinstance(line.get("answer"), dict)
    return "sitting" in line or isinstance(line.get("told"), dict)


def _other(held: dict[str, Any], of: dict[str, Any]) -> str | None:
    """What differs between the first line and the one that would be written, or None."""
    kept = held.get("of")
    if held.get("schema") != of["schema"] or not isinstance(kept, dict):
        return "version"
    names = kept.keys() | of["of"].keys()
    parts = sorted(k for k in names if not _agree(kept.get(k), of["of"].get(k)))
    return " and ".join(parts) or None


def _agree(held: Any, now: Any) -> bool:
    """Whether both are the same; an empty object is what could not be told."""
    if isinstance(held, dict) and isinstance(now, dict) and held and now:
        return held.keys() == now.keys() and all(_agree(held[k], now[k]) for k in held)
    return held == now or (isinstance(held, dict) and isinstance(now, dict))
