"""An unfinished measurement on disk: every answer of a worker, a JSON object a line.

The first line says what the measurement is of; a journal of anything else is not gone on from. A
line {"sitting": n} stands at each start. A line that was cut when the process was killed or the
disk was full is dropped. While the disk is full the answers wait in memory, and the file ends with
a whole line. The workers' score files lie beside it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from edgestitch_runtime.errors import EdgestitchError, os_error

JOURNAL_SCHEMA = 1
FILE = "journal.jsonl"
FOLDER = "unfinished"


class FileJournal:
    """The journal in a folder that is made if need be, and that one process at a time may use.

    `sittings` counts this one too. `answers` is what earlier ones found, by key.
    """

    def __init__(
        self, folder: Path, of: dict[str, Any], *, fresh: bool, say: Callable[[str], None]
    ) -> None:
        """Goes on from the journal in `folder` if it is of `of`, plain JSON, and not `fresh`.

        Else begins anew; `say` is told why, where there was one. Raises EdgestitchError when the
        folder cannot be written or another process uses it.
        """
        self.folder = folder
        self.answers: dict[str, dict[str, Any]] = {}
        self.sittings = 1
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
            lines, self._end = _whole_lines(self._file.read())
            why = _why_anew(lines, of, fresh=fresh)
            if lines and why is None:
                self._go_on(lines[1:])
                self._file.truncate(self._end)
            else:
                if why:
                    say(why)
                self._clear()
                self._write(of)
            self._write({"sitting": self.sittings})
        except OSError as error:
            self._file.close()
            raise os_error(f"write in {folder}", error) from None
        except BaseException:
            self._file.close()
            raise

    def _go_on(self, lines: list[dict[str, Any]]) -> None:
        counted = False  # a sitting that found nothing is none
        for line in lines:
            if "key" not in line:
                counted = False
                continue
            self.answers[line["key"]] = line["answer"]
            self.sittings += not counted
            counted = True

    def get(self, key: str) -> dict[str, Any] | None:
        """What was put under `key`, in this sitting or an earlier one."""
        return self.answers.get(key)

    def put(self, key: str, answer: dict[str, Any]) -> None:
        """Keeps `answer`, plain JSON, on disk as soon as the disk takes it."""
        self.answers[key] = answer
        with contextlib.suppress(OSError):  # it waits in memory
            self._write({"key": key, "answer": answer})

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

    def _clear(self) -> None:
        for path in self.folder.iterdir():
            if path.name != FILE and path.is_file():
                path.unlink()
        self._file.truncate(0)
        self._end = 0


class NoFileJournal:
    """Keeps nothing."""

    sittings = 1

    def __init__(self) -> None:
        self.answers: dict[str, dict[str, Any]] = {}

    def get(self, key: str) -> None:
        return None

    def put(self, key: str, answer: dict[str, Any]) -> None:
        pass


def forget(folder: Path) -> None:
    """Takes the journal in `folder` away, if there is one: its report has been written."""
    if (folder / FILE).is_file():
        shutil.rmtree(folder, ignore_errors=True)


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
    return "sitting" in line


def _why_anew(lines: list[dict[str, Any]], of: dict[str, Any], *, fresh: bool) -> str | None:
    """Why what `lines` hold is not gone on from, or None."""
    if not lines:
        return None
    if fresh:
        return "takes an unfinished measurement away and starts anew: --fresh"
    held = lines[0]
    if held == of:
        return None
    kept = held.get("of")
    parts = [
        key for key in of["of"] if not isinstance(kept, dict) or kept.get(key) != of["of"][key]
    ]
    if held.get("schema") != of["schema"] or not parts:
        parts = ["version"]
    return (
        "takes an unfinished measurement away and starts anew: "
        f"it is of other {' and '.join(parts)}"
    )
