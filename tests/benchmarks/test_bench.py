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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from edgestitch_benchmarks import benchmark
from edgestitch_benchmarks.journal import FOLDER, FileJournal
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


@pytest.fixture
def small_run(run_folder: Path) -> Path:
    """A run with two artifacts, which three engines of this environment take."""
    for path in (run_folder / "export").iterdir():
        if path.stem != "mlp-int8":
            path.unlink()
    return run_folder


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
    assert [r["engine"] for r in keras] == ["keras predict", "keras call", "keras function"]
    recorded = read_run(finished.folder).record["accuracy"]["test"]
    for row in keras:
        assert round(row["accuracy"] * row["n"]) == recorded["correct"]


def test_hashes_and_sizes_are_those_of_the_files(finished: Finished) -> None:
    for row in finished.told["rows"]:
        place = finished.folder if row["format"] == "keras" else finished.folder / "export"
        content = (place / row["artifact"]).read_bytes()
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert row["bytes"] == len(content) == sum(row["parts"].values())


def test_a_whole_call_takes_longer_than_the_bare_one_inside_it(finished: Finished) -> None:
    for row in finished.told["rows"]:
        if row["status"] == "ok" and row["bare_latency_us"] is not None:
            assert row["latency_us"]["p50"] > 0.8 * row["bare_latency_us"]["p50"]
            assert row["latency_us"]["runs"] >= 50 and row["cold_start_ms"] > 0


def test_every_row_that_ran_is_tested_and_compared_with_float32_on_litert(
    finished: Finished,
) -> None:
    assert (finished.told["schema"], finished.told["kind"]) == (2, "report")
    ran = [r for r in finished.told["rows"] if r["status"] == "ok"]
    for row in ran:
        baseline = (row["artifact"], row["engine"]) == ("mlp-float32.tflite", "litert")
        assert (row["against"] is None) == baseline
        if not baseline:
            told = row["against"]
            assert told["row"] == "mlp-float32.tflite on litert"
            assert told["low"] < told["value"] < told["high"]
        if row["format"] != "keras":
            assert row["selftest"] is not None and row["selftest"] != "differs"
        assert [speed["batch"] for speed in row["throughput"]] == [1, 16, 256]
        assert row["run"] == "mlp" and row["machine"] is None
        assert sum(map(sum, row["details"]["confusion"])) == row["n"]
    predict = next(r for r in ran if r["engine"] == "keras predict")
    assert predict["against"]["verdict"] == "slower" and predict["against"]["value"] > 10


def test_caveats_say_that_it_was_quick_and_of_a_sample(finished: Finished) -> None:
    caveats = " ".join(finished.told["caveats"])
    assert "quick" in caveats.lower() and "Mini data set" in caveats
    missing = " ".join(finished.told["not_measured"])
    assert "energy" in missing and "Other machines" in missing


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
    assert "[0/" in finished.stderr and "left" in finished.stderr
    assert "timing round 1 of" in finished.stderr and "\x1b" not in finished.stderr
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
        ["--add", "/nonexistent/pi4.json"],
        ["/nonexistent/run"],
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


def _journal(folder: Path) -> None:
    """What an interrupted bench left in the run `folder`."""
    with FileJournal(folder / "bench" / FOLDER, {"a": 1}, fresh=False, say=print) as kept:
        kept.put("1 open", {})


def test_a_full_disk_at_the_last_write_prints_what_was_measured_and_keeps_it(
    run_folder: Path,
    report: Report,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(benchmark, "bench", lambda *args, **kwargs: report)
    _journal(run_folder)
    with monkeypatch.context() as context:
        context.setattr(writing.os, "fsync", full)
        assert main(["bench", str(run_folder)]) == 2
    captured = capsys.readouterr()
    assert "drop pp [95 %]" in captured.out and "no space left" in captured.err
    assert "what was measured is kept" in captured.err and "hint: " in captured.err
    assert [path.name for path in (run_folder / "bench").iterdir()] == [FOLDER]
    assert main(["bench", str(run_folder)]) == 0  # somebody made room
    assert sorted(path.name for path in (run_folder / "bench").iterdir()) == [
        "report.html",
        "report.json",
        "report.md",
    ]


@pytest.mark.parametrize("flags", [[], ["--json"]])
@pytest.mark.parametrize("place", ["pipe", "/dev/full"])
def test_a_report_that_nobody_reads_is_written_all_the_same(
    run_folder: Path,
    report: Report,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    place: str,
) -> None:
    monkeypatch.setattr(benchmark, "bench", lambda *args, **kwargs: report)
    _journal(run_folder)
    descriptor = os.open("/dev/full", os.O_WRONLY)
    if place == "pipe":
        os.close(descriptor)
        reading, descriptor = os.pipe()
        os.close(reading)
    with os.fdopen(descriptor, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["bench", str(run_folder), *flags]) == (0 if place == "pipe" else 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    assert "written: " in capsys.readouterr().err
    written = sorted(path.name for path in (run_folder / "bench").iterdir())
    assert written == ["report.html", "report.json", "report.md"]


def test_a_name_that_is_not_utf_8_costs_no_report(
    run_folder: Path, report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bench(runs: list[Path], *, command: str, **more: Any) -> Report:
        first, *others = report.rows
        named = replace(first, reason="gone: \udcff.onnx")
        return replace(report, command=command, rows=(named, *others))

    monkeypatch.setattr(benchmark, "bench", bench)
    folder = run_folder.rename(tmp_path / "run-\udcff")
    assert main(["bench", str(folder)]) == 0
    told = json.loads((folder / "bench" / "report.json").read_text("utf-8"))
    assert "run-\\udcff" in told["command"]


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


def test_a_report_of_several_runs_goes_to_the_folder_bench_or_where_it_is_asked(
    run_folder: Path, report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def bench(runs: list[Path], **more: Any) -> Report:
        asked.update(more, runs=runs)
        return report

    other = Path(shutil.copytree(run_folder, tmp_path / "other"))
    monkeypatch.setattr(benchmark, "bench", bench)
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "mlp", "other", "--add", "pi4.json", "--add", "pi5.json"]) == 0
    assert asked["runs"] == [Path("mlp"), Path("other")] and asked["keep"] == Path("bench", FOLDER)
    assert asked["add"] == [Path("pi4.json"), Path("pi5.json")] and asked["fresh"] is False
    assert asked["command"] == "edgestitch bench mlp other --add pi4.json --add pi5.json"
    assert len(list((tmp_path / "bench").iterdir())) == 3
    assert main(["bench", "mlp", "other"]) == 2  # there is a report
    assert main(["bench", "mlp", "other", "--out", "x/y", "--fresh", "--quick"]) == 0
    assert len(list((tmp_path / "x" / "y").iterdir())) == 3 and asked["fresh"] is True
    assert asked["effort"].quick is True and "--out x/y --quick --fresh" in asked["command"]
    assert not (run_folder / "bench").exists() and not (other / "bench").exists()


@pytest.mark.parametrize(
    ("flags", "says"),
    [([], "the same command goes on"), (["--fresh"], "the same command without --fresh goes on")],
)
def test_what_goes_on_from_an_interrupted_bench_is_said_rightly(
    run_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    says: str,
) -> None:
    def bench(runs: list[Path], *, keep: Path, **more: Any) -> Report:
        keep.mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmark, "bench", bench)
    assert main(["bench", str(run_folder), *flags]) == 130
    assert says in capsys.readouterr().err


# TensorFlow takes seconds to start, once for each time that a bench is started here.
WITHOUT_TENSORFLOW = """
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "tensorflow" else found(name, *more)
"""


@pytest.fixture
def without_tensorflow(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that finds no TensorFlow."""
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "sitecustomize.py").write_text(WITHOUT_TENSORFLOW, "utf-8")
    paths = [str(tmp_path / "without"), os.environ.get("PYTHONPATH", "")]
    return dict(os.environ) | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _started(run: Path, until: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    """A bench of `run` that has printed a line with `until` in it."""
    process = subprocess.Popen(
        [*BENCH, str(run), "--quick"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if until in line:
            break
    return process


def _children(process: subprocess.Popen[str]) -> list[str]:
    return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()


def _wait_for_end(children: list[str]) -> None:
    end = time.monotonic() + 10  # one that was just being started ends when its stdin does
    while any(map(_is_running, children)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(_is_running, children))


def test_an_interrupted_bench_leaves_no_worker_and_goes_on_where_it_was(
    small_run: Path, tmp_path: Path, without_tensorflow: dict[str, str]
) -> None:
    """Ctrl-C, then SIGTERM, then kill -9, then to its end: one measurement."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    for number, code, says, until in (
        (signal.SIGINT, 130, "interrupted", "litert: start"),
        (signal.SIGTERM, 143, "terminated", "reference: start"),
        (signal.SIGKILL, -9, "", "timing round 1"),
    ):
        with _started(small_run, until, without_tensorflow | {"TMPDIR": str(temporary)}) as process:
            children = _children(process)
            if number == signal.SIGINT:
                os.killpg(process.pid, number)  # as a terminal does: to every process at once
            else:
                process.send_signal(number)
            assert process.stderr is not None
            told = process.stderr.read()
        assert process.returncode == code and says in told and "Traceback" not in told
        if number != signal.SIGKILL:
            assert "the same command goes on" in told
        assert children or number != signal.SIGKILL  # in a round all are alive
        _wait_for_end(children)
        assert [path.name for path in (small_run / "bench").iterdir()] == [FOLDER]
        assert list(temporary.iterdir()) == []
    done = subprocess.run(
        [*BENCH, str(small_run), "--quick"],
        capture_output=True,
        text=True,
        timeout=300,
        env=without_tensorflow,
    )
    assert done.returncode == 0, done.stderr
    assert "goes on from an unfinished measurement: " in done.stderr
    assert "start, batches" not in done.stderr  # and none is started anew
    told = json.loads((small_run / "bench" / "report.json").read_text("utf-8"))
    absent = [row for row in told["rows"] if row["format"] == "keras"]
    assert len(absent) == 3 and all("pip install" in row["reason"] for row in absent)
    ran = [row for row in told["rows"] if row["format"] != "keras"]
    assert {row["engine"] for row in ran} >= {"litert", "reference", "onnxruntime"}
    assert all(row["status"] == "ok" and row["n"] == 1000 for row in ran)
    assert all(len(row["latency_us"]["block_p50"]) == 4 for row in ran)
    assert any(" sittings: it was interrupted" in caveat for caveat in told["caveats"])
    assert not (small_run / "bench" / FOLDER).exists()
