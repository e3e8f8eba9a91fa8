"""The JSON file of `edgestitch profile`: where it goes, and what keeps it from being written."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from edgestitch_runtime import EdgestitchError, measuring, writing
from edgestitch_runtime.cli import main
from edgestitch_runtime.to_measure import Effort

BRIEF = Effort(min_seconds=0.02, min_runs=20, blocks=4, batches=(1,), batch_seconds=0.001)


@pytest.fixture(scope="module")
def artifact(mini_run: Path) -> Path:
    return next((mini_run / "export").glob("*-int8.tflite"))


@pytest.fixture(scope="module")
def made(artifact: Path) -> measuring.Profile:
    return measuring.profile(artifact, engines=["litert"], effort=BRIEF)


def test_json_to_a_file_is_written_once_and_overwritten_only_when_asked(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new" / "pi4.json"
    words = ["profile", str(artifact), "--min-seconds", "0.02", "--json", str(file)]
    assert main(words) == 0
    captured = capsys.readouterr()
    assert "microseconds" in captured.out and str(file) in captured.err
    content = file.read_bytes()
    assert json.loads(content)["kind"] == "profile"
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "hint: --force" in captured.err and file.read_bytes() == content
    assert main([*words, "--force"]) == 0 and file.read_bytes() != content
    assert [x.name for x in file.parent.iterdir()] == ["pi4.json"]


@pytest.mark.parametrize("after", [True, False], ids=["after the artifact", "before it"])
def test_json_never_eats_an_artifact(
    artifact: Path, tmp_path: Path, after: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = Path(shutil.copy(artifact, tmp_path))
    words = ["--json", str(mine)]
    assert main(["profile", *([str(artifact)] if after else []), *words, "--force"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "hint: " in captured.err and ".json" in captured.err
    assert mine.read_bytes() == artifact.read_bytes()


@pytest.fixture
def measured(made: measuring.Profile, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """`profile` gives `made` at once; what it was asked for."""
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(measuring, "profile", lambda *a, **k: (asked.append(k), made)[1])
    return asked


@pytest.mark.parametrize("name", ["file/a.json", "folder.json", "file/b/c.json"])
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_measured(
    measured: list[dict[str, Any]],
    artifact: Path,
    tmp_path: Path,
    name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "folder.json").mkdir()
    assert main(["profile", str(artifact), "--force", "--json", str(tmp_path / name)]) == 2
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == "" and len(lines) == 2 and lines[1].startswith("hint: ")
    assert measured == []


def test_a_file_that_cannot_be_written_after_all_loses_no_number(
    measured: list[dict[str, Any]],
    made: measuring.Profile,
    artifact: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: Any, **more: Any) -> None:
        raise EdgestitchError("cannot write a.json: no space left", hint="free some disk space")

    monkeypatch.setattr(writing, "write_json", full)
    assert main(["profile", str(artifact), "--json", str(tmp_path / "a.json")]) == 2
    captured = capsys.readouterr()
    assert (
        captured.out == json.dumps(made.to_json(), indent=2, ensure_ascii=False) + "\n"
        and len(measured) == 1
    )
    assert "no space left; the JSON is printed" in captured.err and "hint: free" in captured.err


@pytest.mark.parametrize(("output", "code"), [("full", 2), ("closed pipe", 0)])
def test_the_file_is_written_where_the_text_cannot_be_printed(
    measured: list[dict[str, Any]],
    made: measuring.Profile,
    artifact: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    output: str,
    code: int,
) -> None:
    if output == "full":
        descriptor = os.open("/dev/full", os.O_WRONLY)
    else:
        reading, descriptor = os.pipe()
        os.close(reading)
    stdout = os.fdopen(descriptor, "w")
    monkeypatch.setattr(sys, "stdout", stdout)
    file = tmp_path / "a.json"
    assert main(["profile", str(artifact), "--json", str(file)]) == code
    with contextlib.suppress(OSError):
        stdout.close()
    assert (
        file.read_text() == json.dumps(made.to_json(), indent=2, ensure_ascii=False) + "\n"
        and len(measured) == 1
    )


def test_a_system_without_sighup_has_the_commands_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Windows."""
    monkeypatch.delattr("signal.SIGHUP")
    assert main(["profile", "--help"]) == 0
    assert "edgestitch profile" in capsys.readouterr().out
