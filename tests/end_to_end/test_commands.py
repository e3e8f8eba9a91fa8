"""Exit codes, and what a command chooses by itself: the thin skin over the library."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgestitch_runtime import Classifier
from edgestitch_runtime.cli import main


@pytest.fixture
def boots(mini_test: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> Path:
    path = tmp_path / "boots.npy"
    np.save(path, mini_test[0][mini_test[1] == 9][:20])
    return path


def test_what_could_not_be_run_exits_with_2_one_line_and_a_hint(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    assert "`edgestitch train`" in refused("trian", cwd=tmp_path)
    assert "lists the commands" in refused("--frobnicate", cwd=tmp_path)
    assert "edgestitch inspect --help" in refused("inspect", cwd=tmp_path)
    assert "no-such.tflite" in refused("inspect", "no-such.tflite", cwd=tmp_path)
    assert "there is no run" in refused("classify", "boots.npy", cwd=tmp_path)


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (KeyboardInterrupt(), 130, ["", "edgestitch: interrupted"]),
        (OSError(28, "No space left on device", "x.png"), 2, ["edgestitch: cannot use x.png:"]),
        (MemoryError(), 2, ["edgestitch: out of memory"]),
    ],
    ids=["ctrl-c", "disk", "memory"],
)
def test_however_a_command_breaks_off_it_is_a_line_and_a_code(
    raised: BaseException,
    code: int,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import edgestitch_runtime.cli_inspect as command

    def run(args: object) -> int:
        raise raised

    monkeypatch.setattr(command, "run", run)
    assert main(["inspect", "x.tflite"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == len(said) if code == 130 else len(lines) == 2
    for line, beginning in zip(lines, said, strict=False):
        assert line.startswith(beginning)


def test_the_model_by_default_is_the_newest_runs_int8_tflite_and_is_named(
    own_run: Path, boots: Path, cli: Callable, tmp_path: Path
) -> None:
    done = cli("classify", boots, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "model: runs/mlp/export/mlp-int8.tflite on litert" in done.stderr
    (own_run / "export" / "mlp-int8.tflite").unlink()
    done = cli("classify", boots, "--json", cwd=tmp_path)
    assert "model: runs/mlp/export/mlp-int8.onnx on onnxruntime" in done.stderr


def test_top_ranks_by_probability_and_ties_by_class(
    mini_run: Path, boots: Path, cli: Callable, tmp_path: Path
) -> None:
    model = mini_run / "export" / "mlp-int8.tflite"
    done = cli("classify", model, boots, "--top", "10", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = Classifier.open(model).probabilities(np.load(boots))
    records = [json.loads(line) for line in done.stdout.splitlines()]
    tied = 0
    for record, row in zip(records, rows, strict=True):
        by_hand = np.lexsort((np.arange(10), -row))
        assert [entry["index"] for entry in record["top"]] == by_hand.tolist()
        assert record["index"] == by_hand[0]
        assert record["confidence"] == pytest.approx(row.max(), abs=1e-6)
        tied += len(set(row.tolist())) < 10
    assert tied, "int8 gives several classes nothing at all: there are ties to rank"


def test_files_may_follow_a_flag(mini_run: Path, boots: Path, cli: Callable) -> None:
    model = mini_run / "export" / "mlp-int8.tflite"
    first = cli("classify", "--json", "--top", "3", model, boots, cwd=boots.parent)
    for words in ((model, "--json", "--top", "3", boots), (model, "--top", "3", boots, "--json")):
        done = cli("classify", *words, cwd=boots.parent)
        assert done.returncode == 0, done.stderr
        assert done.stdout == first.stdout != ""


def test_what_is_no_artifact_and_no_run_is_told_as_what_it_is(
    mini_run: Path, boots: Path, refused: Callable[..., str]
) -> None:
    folder = boots.parent
    said = refused("classify", mini_run / "model.keras", boots, cwd=folder)
    assert "is a Keras model, classify takes what was exported of it" in said
    assert "is a file, a run is a folder" in refused("bench", boots, cwd=folder)


def test_standard_input_is_a_file_too(mini_run: Path, boots: Path, cli: Callable) -> None:
    model = mini_run / "export" / "mlp-int8.tflite"
    piped = cli("classify", model, "-", cwd=boots.parent, stdin=boots.read_bytes())
    named = cli("classify", model, boots.name, cwd=boots.parent)
    assert piped.returncode == 0, piped.stderr
    assert piped.stdout == named.stdout.replace("boots.npy", "-")
    assert len(piped.stdout.splitlines()) == 20


def test_the_version_is_the_installed_one(cli: Callable, tmp_path: Path) -> None:
    from importlib.metadata import version

    assert cli("--version", cwd=tmp_path).stdout == f"edgestitch {version('edgestitch-runtime')}\n"


def test_python_dash_m_is_the_command(cli: Callable, tmp_path: Path) -> None:
    done = cli("--help", cwd=tmp_path)
    assert done.args[:3] == [sys.executable, "-m", "edgestitch_runtime"]
    assert done.stdout.startswith("usage: edgestitch COMMAND")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_reason_to_fail(mini_run: Path, boots: Path, closed: str) -> None:
    import subprocess

    artifact = mini_run / "export" / "mlp-int8.tflite"
    done = subprocess.run(
        f"exec '{sys.executable}' -m edgestitch_runtime classify '{artifact}' '{boots}' {closed}",
        shell=True,
        cwd=boots.parent,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    if ">&-" not in closed.replace("2>&-", ""):
        assert len(done.stdout.splitlines()) == 20
