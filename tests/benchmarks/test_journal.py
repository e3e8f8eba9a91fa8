"""What is left on disk of a measurement that ended early, and when it is gone on from."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgestitch_benchmarks import journal
from edgestitch_benchmarks.journal import FILE, FileJournal, forget
from edgestitch_runtime.errors import EdgestitchError

OF = {"files": ["a", "b"], "effort": {"blocks": 3}}


def opened(
    folder: Path,
    of: dict[str, Any] = OF,
    *,
    fresh: bool = False,
    told: list[str] | None = None,
) -> FileJournal:
    say = (lambda line: None) if told is None else told.append
    return FileJournal(folder, of, fresh=fresh, say=say)


def test_what_was_put_is_there_for_the_next_process(tmp_path: Path) -> None:
    with opened(tmp_path / "x" / "unfinished") as first:
        assert first.get("1/open") is None and first.sittings == 0
        first.put("1/open", {"version": "2"})
        first.put("1/open", {"version": "3"})
        assert first.sittings == 1
        first.tell({"load": 1})
    with opened(tmp_path / "x" / "unfinished") as second:
        assert second.get("1/open") == {"version": "3"} and second.sittings == 1
        second.tell({"load": 2})  # it found nothing
    with opened(tmp_path / "x" / "unfinished") as third:
        assert third.sittings == 1 and third.told == [{"load": 1}]
        third.put("2/open", {})
        third.tell({"load": 3})
    with opened(tmp_path / "x" / "unfinished") as fourth:
        assert fourth.sittings == 2 and fourth.told == [{"load": 1}, {"load": 3}]


def test_a_process_that_is_killed_at_once_loses_nothing_that_was_put(tmp_path: Path) -> None:
    script = f"""
import os, pathlib
from edgestitch_benchmarks.journal import FileJournal
kept = FileJournal(pathlib.Path({str(tmp_path)!r}), {OF!r}, fresh=False, say=print)
for k in range(50):
    kept.put(str(k), {{"k": k}})
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", script], timeout=60)
    assert done.returncode == -9
    with opened(tmp_path) as kept:
        assert [kept.get(str(k)) for k in range(50)] == [{"k": k} for k in range(50)]


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_torn_last_line_is_dropped_and_the_next_follows_whole(tmp_path: Path, cut: int) -> None:
    with opened(tmp_path) as first:
        first.put("one", {"v": 1})
        first.put("two", {"v": "x" * 50})
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-cut])
    with opened(tmp_path) as second:
        assert second.get("one") == {"v": 1} and second.get("two") is None
        second.put("three", {"v": 3})
    with opened(tmp_path) as third:
        assert third.get("one") == {"v": 1} and third.get("three") == {"v": 3}
    assert all(json.loads(line) for line in path.read_text("utf-8").splitlines())


@pytest.mark.parametrize(
    "damage", [b"", b"\0" * 100, b"{", b'{"schema": 1, "of', b'{"schema": 1}\n']
)
def test_what_is_left_of_a_journal_that_holds_nothing_is_begun_anew(
    tmp_path: Path, damage: bytes
) -> None:
    (tmp_path / FILE).write_bytes(damage)
    with opened(tmp_path) as kept:
        assert kept.answers == {} and kept.sittings == 0
        kept.put("a", {})
    with opened(tmp_path) as again:
        assert again.get("a") == {}


@pytest.mark.parametrize("foreign", [b"[1]\n", b"{}\n", b'{"of": 3}\n', b"dear diary\n", b"\n\0"])
@pytest.mark.parametrize("fresh", [False, True])
def test_a_file_of_others_by_that_name_is_left_as_it_is(
    tmp_path: Path, foreign: bytes, fresh: bool
) -> None:
    (tmp_path / FILE).write_bytes(foreign)
    (tmp_path / "first.npy").write_bytes(b"theirs")
    with pytest.raises(EdgestitchError, match="is not a journal of bench") as caught:
        opened(tmp_path, fresh=fresh)
    assert caught.value.hint
    assert (tmp_path / FILE).read_bytes() == foreign
    assert (tmp_path / "first.npy").read_bytes() == b"theirs"


def test_a_journal_of_something_else_is_not_thrown_away_unasked(tmp_path: Path) -> None:
    other = {**OF, "effort": {"blocks": 4}}
    with opened(tmp_path):
        pass
    with opened(tmp_path, other) as second:  # the first had found nothing
        second.put("a", {"v": 1})
    (tmp_path / "scores-1.npy").write_bytes(b"old")
    with pytest.raises(EdgestitchError, match="of other effort") as caught:
        opened(tmp_path)
    assert caught.value.hint and "--fresh" in caught.value.hint
    with opened(tmp_path, other) as again:
        assert again.get("a") == {"v": 1}
    told: list[str] = []
    with opened(tmp_path, fresh=True, told=told) as anew:
        assert anew.get("a") is None
    assert len(told) == 1
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_python_that_did_not_answer_is_not_another_one(tmp_path: Path) -> None:
    known, unknown = ({**OF, "versions": {"python": of}} for of in ({"numpy": "2"}, {}))
    with opened(tmp_path, known) as first:
        first.put("a", {"v": 1})
    with opened(tmp_path, unknown) as second:
        assert second.get("a") == {"v": 1}
    with pytest.raises(EdgestitchError, match="versions"):
        opened(tmp_path, {**OF, "versions": {"python": {"numpy": "3"}}})


def test_files_of_others_in_its_folder_are_left_alone(tmp_path: Path) -> None:
    ours = ("images.npy", "first.npy", "scores-1.npy", "probabilities-12.npy", "scores-2.npy.part")
    for fresh in (False, True):
        for name in (*ours, "thesis.txt", "scores.npy"):
            (tmp_path / name).write_bytes(b"content")
        (tmp_path / "more").mkdir(exist_ok=True)
        with opened(tmp_path, fresh=fresh) as kept:
            kept.put("a", {})
        left = sorted(path.name for path in tmp_path.iterdir())
        assert left == [FILE, "more", "scores.npy", "thesis.txt"]
    forget(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["more", "scores.npy", "thesis.txt"]


def test_fresh_begins_anew_though_the_journal_would_do(tmp_path: Path) -> None:
    with opened(tmp_path) as first:
        first.put("a", {"v": 1})
    told: list[str] = []
    with opened(tmp_path, fresh=True, told=told) as second:
        assert second.get("a") is None and second.sittings == 0
    assert "--fresh" in told[0]


def test_two_processes_do_not_measure_into_one_folder(tmp_path: Path) -> None:
    with opened(tmp_path) as first:
        with pytest.raises(EdgestitchError, match="another process"):
            opened(tmp_path)
        first.put("a", {"v": 1})  # and the first goes on
    with opened(tmp_path) as second:
        assert second.get("a") == {"v": 1}


class _Full:
    """A file on a disk that takes only so many bytes more."""

    def __init__(self, file: Any, room: int) -> None:
        self._file, self.room = file, room

    def write(self, content: memoryview) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = bytes(content[: self.room])
        self.room -= len(taken)
        return self._file.write(taken)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_on_a_full_disk_answers_wait_in_memory_and_the_file_stays_whole(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    kept.put("a", {"v": 1})
    full = _Full(kept._file, room=10)
    kept._file = full  # pyright: ignore[reportAttributeAccessIssue]
    kept.put("b", {"v": 2})
    kept.put("c", {"v": 3})
    assert kept.get("b") == {"v": 2}
    lines = (tmp_path / FILE).read_bytes()
    assert lines.endswith(b"\n") and b'"key": "b"' not in lines
    full.room = 10_000  # somebody made room
    kept.put("d", {"v": 4})
    kept.close()
    with opened(tmp_path) as again:
        assert [again.get(key) for key in "abcd"] == [{"v": k} for k in range(1, 5)]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EdgestitchError) as caught:
        opened(tmp_path / "file" / "unfinished")
    assert caught.value.hint


def test_forgetting_takes_a_journal_away_and_nothing_else(tmp_path: Path) -> None:
    with opened(tmp_path / "unfinished"):
        pass
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis").write_bytes(b"")
    forget(tmp_path / "unfinished")
    forget(tmp_path / "unfinished")
    forget(tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine" / "thesis").is_file()
    assert journal.FOLDER == "unfinished"
