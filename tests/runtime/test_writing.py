import errno
import json
import os
from pathlib import Path

import pytest

from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.run_folder import newest_run, read_run
from edgestitch_runtime.writing import write_file, write_files, write_json


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_the_same_bytes_again_are_unchanged_and_others_need_overwrite(tmp_path):
    path = tmp_path / "new" / "a.bin"
    assert write_file(path, b"one", overwrite=False) == "written"
    before = path.stat().st_mtime_ns
    assert write_file(path, b"one", overwrite=False) == "unchanged"
    assert path.stat().st_mtime_ns == before
    with pytest.raises(EdgestitchError, match="exists and differs") as caught:
        write_file(path, b"two", overwrite=False)
    assert "--force" in caught.value.hint
    assert path.read_bytes() == b"one"
    assert write_file(path, b"two", overwrite=True) == "written"
    assert path.read_bytes() == b"two"
    assert names(path.parent) == ["a.bin"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, call):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if call == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(EdgestitchError, match="no space left on device") as caught:
        write_file(path, b"new", overwrite=True)
    assert "free some disk space" in caught.value.hint
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_an_interrupt_while_writing_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_file(path, b"new", overwrite=True)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_files_that_belong_together_are_written_all_or_none(tmp_path, monkeypatch):
    pair = {tmp_path / "a.c": b"array", tmp_path / "a.h": b"header"}
    assert write_files(pair, overwrite=False) == "written"
    assert write_files(pair, overwrite=False) == "unchanged"
    (tmp_path / "a.c").unlink()
    (tmp_path / "a.h").write_bytes(b"mine")
    with pytest.raises(EdgestitchError, match=r"a\.h exists and differs"):
        write_files(pair, overwrite=False)
    assert names(tmp_path) == ["a.h"]

    real, asked = os.fsync, []

    def full_at_the_second(descriptor):
        asked.append(descriptor)
        if len(asked) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full_at_the_second)
    with pytest.raises(EdgestitchError, match=r"cannot write .*a\.h"):
        write_files(pair, overwrite=True)
    assert names(tmp_path) == ["a.h"] and (tmp_path / "a.h").read_bytes() == b"mine"
    monkeypatch.undo()
    assert write_files(pair, overwrite=True) == "written"
    assert {path: path.read_bytes() for path in pair} == pair
    assert names(tmp_path) == ["a.c", "a.h"]


def test_a_file_in_the_place_of_a_folder_is_said(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(EdgestitchError, match="cannot write"):
        write_file(tmp_path / "runs" / "a.bin", b"x", overwrite=False)


def test_files_are_readable_as_the_umask_says(tmp_path):
    path = tmp_path / "a"
    old = os.umask(0o027)
    try:
        write_file(path, b"x", overwrite=False)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o640


def test_json_refuses_numbers_that_json_has_not(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")}, overwrite=False)
    assert names(tmp_path) == []


def test_json_keeps_a_path_that_is_no_text(tmp_path):
    path = os.fsdecode(b"runs/\xff")
    write_json(tmp_path / "x.json", {"folder": path}, overwrite=False)
    text = (tmp_path / "x.json").read_bytes().decode("ascii")
    assert json.loads(text) == {"folder": path}


def test_the_newest_run_is_the_one_written_last(own_run, tmp_path):
    import shutil

    second = own_run.parent / "a-second"
    shutil.copytree(own_run, second)
    os.utime(second / "run.json", ns=(1, 1))
    os.utime(own_run / "run.json", ns=(2, 2))
    assert newest_run(own_run.parent).folder == own_run
    os.utime(second / "run.json", ns=(3, 3))
    assert newest_run(own_run.parent).folder == second


def test_no_run_and_broken_runs_are_refused(own_run, tmp_path):
    with pytest.raises(EdgestitchError, match="no run in the folder"):
        newest_run(tmp_path / "nowhere")
    with pytest.raises(EdgestitchError, match=r"no run\.json"):
        read_run(tmp_path)
    record = own_run / "run.json"
    whole = record.read_text()
    for text, said in (
        (whole[:100], "not whole JSON"),
        ("[1]", "not the record of a run"),
        ("{}", "not the record of a run"),
        (whole.replace('"schema": 1', '"schema": 7', 1), "schema 7"),
    ):
        record.write_text(text)
        with pytest.raises(EdgestitchError, match=said):
            read_run(own_run)
    record.write_text(whole)
    (own_run / "model.keras").unlink()
    with pytest.raises(EdgestitchError, match=r"no model\.keras"):
        read_run(own_run)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("data",), None),
        (("data", "files"), "x"),
        (("data", "files"), [{"name": "a"}]),
        (("data", "folder"), None),
        (("data", "labels"), [1, 2]),
        (("model",), "x"),
        (("model", "sha256"), "abc"),
        (("split",), None),
        (("split", "seed"), -1),
        (("split", "validation_count"), 1.5),
        (("name",), "../../evil"),
        (("name",), ""),
        (("title",), ["x"]),
        (("schema",), True),
        (("schema",), None),
    ],
)
def test_a_run_edited_by_hand_is_refused_by_the_name_of_the_entry(own_run, path, value):
    record = json.loads((own_run / "run.json").read_text())
    part = record
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    (own_run / "run.json").write_text(json.dumps(record))
    with pytest.raises(EdgestitchError, match=path[-1] if path != ("name",) else "name") as caught:
        read_run(own_run)
    assert caught.value.hint


def test_json_too_deep_to_read_is_refused(own_run):
    (own_run / "run.json").write_text("[" * 200_000)
    with pytest.raises(EdgestitchError, match="not whole JSON"):
        read_run(own_run)
