"""`edgestitch bench` on a real run, once, and what it does with bad input."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgestitch_benchmarks import benchmark
from edgestitch_benchmarks.plans import find_engine_python
from edgestitch_benchmarks.report import Report
from edgestitch_runtime import Classifier, writing
from edgestitch_runtime.cli import main
from edgestitch_runtime.dataset import find_recorded
from edgestitch_runtime.run_folder import read_run

BENCH = [sys.executable, "-m", "edgestitch_runtime", "bench"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A bench that ran: its run, what it printed, and its report.json."""

    folder: Path
    stdout: str
    stderr: str
    told: dict[str, Any]


@pytest.fixture(scope="session")
def finished(mini_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = Path(shutil.copytree(mini_run, tmp_path_factory.mktemp("bench") / "mlp"))
    (folder / "export" / "mlp-int8-check.json").write_text("[]", encoding="utf-8")
    done = subprocess.run(
        [*BENCH, "mlp", "--quick"], cwd=folder.parent, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    told = json.loads((folder / "bench" / "report.json").read_text("utf-8"))
    return Finished(folder=folder, stdout=done.stdout, stderr=done.stderr, told=told)


@pytest.fixture
def run_folder(mini_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(mini_run, tmp_path / "mlp"))


def test_accuracy_is_that_of_classifying_the_test_images_one_by_one(finished: Finished) -> None:
    test = find_recorded(read_run(finished.folder).record["data"]).test
    rows = [r for r in finished.told["rows"] if r["engine"] in ("litert", "onnxruntime")]
    assert len(rows) >= 7
    for row in rows:
        assert row["status"] == "ok", row["reason"]
        with Classifier.open(finished.folder / "export" / row["artifact"], row["engine"]) as c:
            right = sum(
                c.classify(image).index == label
                for image, label in zip(test.images_u8, test.labels, strict=True)
            )
        assert row["n"] == len(test.labels) and row["accuracy"] == right / row["n"]


def test_the_float_rows_say_what_training_measured(finished: Finished) -> None:
    keras = [r for r in finished.told["rows"] if r["format"] == "keras"]
    assert [r["engine"] for r in keras] == ["keras predict", "keras call"]
    recorded = read_run(finished.folder).record["accuracy"]["test"]
    for row in keras:
        assert round(row["accuracy"] * row["n"]) == recorded["correct"]


def test_hashes_and_sizes_are_those_of_the_files(finished: Finished) -> None:
    for row in finished.told["rows"]:
        place = finished.folder if row["format"] == "keras" else finished.folder / "export"
        content = (place / row["artifact"]).read_bytes()
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert row["bytes"] == len(content)


def test_a_whole_call_takes_longer_than_the_bare_one_inside_it(finished: Finished) -> None:
    for row in finished.told["rows"]:
        if row["status"] == "ok" and row["bare_latency_us"] is not None:
            assert row["latency_us"]["p50"] > 0.8 * row["bare_latency_us"]["p50"]
            assert row["latency_us"]["runs"] >= 50 and row["cold_start_ms"] > 0


def test_an_engine_of_another_environment_answers_as_its_successor_does(
    finished: Finished,
) -> None:
    if find_engine_python("tflite-runtime") is None:
        pytest.skip("there is no .venv-tflite-runtime: `make setup` builds it")
    rows = {(r["precision"], r["engine"]): r for r in finished.told["rows"]}
    old, new = rows["int8", "tflite-runtime"], rows["int8", "litert"]
    assert old["status"] == "ok", old["reason"]
    assert old["accuracy"] == new["accuracy"] and old["numpy_version"].startswith("1.")
    refused = rows["dynamic", "tflite-runtime"]
    assert refused["status"] == "failed" and "version" in refused["reason"]


def test_the_table_is_on_stdout_and_progress_on_stderr(finished: Finished) -> None:
    assert "drop pp [95 %]" in finished.stdout and "[1/" not in finished.stdout
    assert "[1/" in finished.stderr and "left" in finished.stderr
    assert "quick" in finished.stdout and finished.told["quick"] is True
    assert "command: edgestitch bench mlp --quick" in finished.stdout
    assert max(map(len, finished.stdout.splitlines())) <= 100
    assert sorted(p.name for p in (finished.folder / "bench").iterdir()) == [
        "report.html",
        "report.json",
        "report.md",
    ]


def test_a_check_that_cannot_be_read_is_a_row_and_costs_no_other(finished: Finished) -> None:
    (row,) = finished.told["targets"]
    assert row["artifact"] == "mlp-int8.c" and row["status"] == "failed" and row["flash"] is None
    assert "mlp-int8-check.json cannot be read as a check" in " ".join(finished.stdout.split())


def test_an_existing_report_is_refused_before_anything_is_measured(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (finished.folder / "bench" / "report.json").read_bytes()
    started = time.monotonic()
    assert main(["bench", str(finished.folder)]) == 2
    assert time.monotonic() - started < 5 and "--force" in capsys.readouterr().err
    assert (finished.folder / "bench" / "report.json").read_bytes() == before


@pytest.mark.parametrize(
    "flags",
    [
        ["--engine-python", "tflite-runtime"],
        ["--engine-python", "tflite-runtime="],
        ["--engine-python", "=/bin/sh"],
        ["--engine-python", "tflite-runtime=/nonexistent"],
        ["--engine-python", "tflite-runtime=/etc/passwd"],
        ["--engine-python", "toaster=/bin/sh"],
        ["--min-seconds", "0"],
        ["--min-seconds", "nan"],
        ["--data", "/nonexistent"],
        ["--sideways"],
    ],
    ids=" ".join,
)
def test_bad_flags_are_one_line_a_hint_and_exit_2(
    run_folder: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(run_folder), *flags]) == 2
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == "" and len(lines) == 2 and lines[1].startswith("hint: ")
    assert not (run_folder / "bench").exists()


def test_a_folder_that_is_no_run_and_a_run_without_exports_are_refused(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(tmp_path / "nowhere")]) == 2
    assert "hint: " in capsys.readouterr().err
    shutil.rmtree(run_folder / "export")
    assert main(["bench", str(run_folder)]) == 2
    assert f"hint: edgestitch export {run_folder} --all" in capsys.readouterr().err


def test_a_model_that_run_json_does_not_describe_is_refused(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_folder / "model.keras").write_bytes(b"another")
    assert main(["bench", str(run_folder)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and "run.json" in lines[0] and lines[1].startswith("hint: ")
    assert not (run_folder / "bench").exists()


def test_data_that_is_not_the_runs_is_refused(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path(shutil.copytree(read_run(run_folder).record["data"]["folder"], tmp_path / "data"))
    labels = next(other.glob("t10k-labels*"))
    content = bytearray(_unzipped(labels))
    content[-1] ^= 1
    labels.unlink()
    (other / "t10k-labels-idx1-ubyte").write_bytes(content)
    assert main(["bench", str(run_folder), "--data", str(other)]) == 2
    assert "t10k-labels-idx1-ubyte" in capsys.readouterr().err


def _is_running(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def _unzipped(path: Path) -> bytes:
    import gzip

    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def test_a_full_disk_at_the_last_write_still_prints_what_was_measured(
    run_folder: Path,
    report: Report,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(benchmark, "bench", lambda *args, **kwargs: report)
    monkeypatch.setattr(writing.os, "fsync", full)
    assert main(["bench", str(run_folder)]) == 2
    captured = capsys.readouterr()
    assert "drop pp [95 %]" in captured.out and "no space left" in captured.err
    assert list((run_folder / "bench").iterdir()) == []


def test_json_on_stdout_is_the_report(
    run_folder: Path,
    report: Report,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(benchmark, "bench", lambda *args, **kwargs: report)
    assert main(["bench", str(run_folder), "--json"]) == 0
    written = (run_folder / "bench" / "report.json").read_text("utf-8")
    assert json.loads(capsys.readouterr().out) == json.loads(written)


@pytest.mark.parametrize(
    ("number", "code", "says", "after"),
    [(signal.SIGINT, 130, "interrupted", 3), (signal.SIGTERM, 143, "terminated", 1)],
)
def test_an_interrupted_bench_leaves_no_worker_no_report_and_no_temporary_file(
    run_folder: Path, number: signal.Signals, code: int, says: str, after: int
) -> None:
    temporary = run_folder.parent / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [*BENCH, str(run_folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"TMPDIR": str(temporary)},
    )
    with process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(f"[{after}/"):
                break
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does: to every process at once
        else:
            process.send_signal(number)
        told = process.stderr.read()
    assert process.returncode == code and says in told and "Traceback" not in told
    assert len(children) >= after
    end = time.monotonic() + 5  # one that was just being started ends when its stdin does
    while any(map(_is_running, children)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(_is_running, children))
    assert not (run_folder / "bench").exists() and list(temporary.iterdir()) == []
