"""The demo's chain with the commands taken out: what it types, and what it does when one fails."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from edgestitch_benchmarks import demo
from edgestitch_benchmarks.demo import MARK, NAME, run_demo
from edgestitch_runtime.cli import main
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.run_folder import read_run

Answer = Callable[[Sequence[str]], int]


@pytest.fixture
def typed(mini_run: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that the demo ran, none of them for real; train leaves a finished run."""
    return typing(monkeypatch, mini_run, lambda words: 0)


def typing(monkeypatch: pytest.MonkeyPatch, mini_run: Path, answer: Answer) -> list[list[str]]:
    commands: list[list[str]] = []

    def run(command: Sequence[str]) -> int:
        words = list(command[command.index("edgestitch_runtime") + 1 :])
        commands.append(words)
        code = answer(words)
        if words[0] == "train" and code == 0:
            target = Path(words[words.index("--runs") + 1]) / NAME
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(mini_run, target)
        return code

    monkeypatch.setattr(demo, "_run", run)
    return commands


def test_the_chain_is_train_export_classify_bench_each_shown_before_it_runs(
    typed: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--runs", str(tmp_path)]) == 0
    assert [words[0] for words in typed] == ["train", "export", "classify", "bench"]
    told = capsys.readouterr().out
    shown = [line for line in told.splitlines() if line.startswith("$ edgestitch ")]
    assert [line.split()[2:] for line in shown] == typed
    assert "Look at:" in told and "report.html" in told
    tries = told[told.index("Try next:") :].splitlines()[1:]
    assert len(tries) == 3 and all(line.startswith("  edgestitch ") for line in tries)


def test_classify_gets_real_test_images_named_after_what_they_show(
    typed: list[list[str]], tmp_path: Path
) -> None:
    run_demo(runs=tmp_path, say=lambda text: None)
    images = Path(next(words[1] for words in typed if words[0] == "classify"))
    assert (images / "ankle-boot.png").is_file() and len(list(images.iterdir())) == 10


def test_without_real_data_the_demo_goes_on_with_the_sample_and_says_so_loudly(
    mini_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(demo, "places", lambda name: [tmp_path])
    typed = typing(monkeypatch, mini_run, lambda words: 2 if "fashion-mnist" in words else 0)
    run_demo(runs=tmp_path, say=said.append)
    assert [w[w.index("--dataset") + 1] for w in typed if w[0] == "train"] == [
        "fashion-mnist",
        "fashion-mnist-mini",
    ]
    assert any(text.count("!!") >= 2 and "NOT" in text for text in said)


def test_a_training_that_failed_with_the_data_at_hand_is_not_tried_on_the_sample(
    mini_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = read_run(mini_run).record["data"]
    monkeypatch.setattr(demo, "places", lambda name: [tmp_path, Path(data["folder"])])
    monkeypatch.setattr(demo, "FASHION_SHA256", {f["name"]: f["sha256"] for f in data["files"]})
    typed = typing(monkeypatch, mini_run, lambda words: 2)
    said: list[str] = []
    with pytest.raises(EdgestitchError):
        run_demo(runs=tmp_path, say=said.append)
    assert len(typed) == 1 and not any("!!" in text for text in said)


@pytest.mark.parametrize("runs", ["file", "file/deeper"])
def test_a_place_that_cannot_be_written_is_refused_before_training(
    typed: list[list[str]], tmp_path: Path, runs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["demo", "--runs", str(tmp_path / runs)]) == 2
    captured = capsys.readouterr()
    assert typed == [] and captured.out == "" and len(captured.err.splitlines()) == 2


def test_a_data_set_that_was_asked_for_is_not_replaced_by_the_sample(
    mini_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = typing(monkeypatch, mini_run, lambda words: 2)
    with pytest.raises(EdgestitchError):
        run_demo(dataset="fashion-mnist", runs=tmp_path, say=lambda text: None)
    assert len(typed) == 1


def test_a_run_that_no_demo_made_is_left_alone(
    typed: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / NAME / "model.keras"
    own.parent.mkdir()
    own.write_bytes(b"mine")
    assert main(["demo", "--runs", str(tmp_path)]) == 2
    assert typed == [] and own.read_bytes() == b"mine"
    assert "hint: " in capsys.readouterr().err


def test_a_second_demo_replaces_the_first_ones_run(typed: list[list[str]], tmp_path: Path) -> None:
    for _ in range(2):
        run_demo(runs=tmp_path, say=lambda text: None)
    trains = [words for words in typed if words[0] == "train"]
    assert ["--force" in words for words in trains] == [False, True]
    assert (tmp_path / NAME / MARK).is_file()


@pytest.mark.parametrize(("code", "expected"), [(1, 1), (2, 2), (-9, 2), (130, 130), (143, 143)])
def test_a_step_that_fails_ends_the_demo_with_its_code(
    mini_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    code: int,
    expected: int,
) -> None:
    typed = typing(monkeypatch, mini_run, lambda words: code if words[0] == "export" else 0)
    assert main(["demo", "--runs", str(tmp_path)]) == expected
    assert [words[0] for words in typed] == ["train", "export"]
    assert "Traceback" not in capsys.readouterr().err


def test_quick_trains_and_times_less(typed: list[list[str]], tmp_path: Path) -> None:
    run_demo(runs=tmp_path, quick=True, say=lambda text: None)
    assert "--epochs" in typed[0] and "--quick" in typed[-1]


def test_an_interrupted_step_may_finish_what_it_does(tmp_path: Path) -> None:
    step = (
        "import signal, sys, time\n"
        "def late(*_):\n"
        "    time.sleep(1)\n"
        f"    open({str(tmp_path / 'saved')!r}, 'w').close()\n"
        "    sys.exit(130)\n"
        "signal.signal(signal.SIGINT, late)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    code = (
        "import sys\nfrom edgestitch_benchmarks.demo import _run\n"
        f"try:\n    _run([sys.executable, '-c', {step!r}])\n"
        "except KeyboardInterrupt:\n    sys.exit(130)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
    assert process.returncode == 130 and (tmp_path / "saved").exists()


def test_sigterm_is_passed_on_and_the_step_may_clean_up(tmp_path: Path) -> None:
    step = (
        "import os, time\n"
        "from edgestitch_runtime import cli\n"
        "def work(words):\n"
        "    try:\n"
        "        print(os.getpid(), flush=True)\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        f"        open({str(tmp_path / 'cleaned')!r}, 'w').close()\n"
        "cli._dispatch = work\n"
        "cli.main([])\n"
    )
    code = (
        "import sys\nfrom edgestitch_benchmarks.demo import _run\n"
        "from edgestitch_runtime import cli\n"
        f"cli._dispatch = lambda words: _run([sys.executable, '-c', {step!r}])\n"
        "sys.exit(cli.main([]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        told = process.stderr.read() if process.stderr else ""
    assert process.returncode == 143, told
    assert (tmp_path / "cleaned").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
