"""Programs that are no workers, or answer what no worker does: a failed row each."""

from __future__ import annotations

import errno
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_runtime import worker_process
from edgestitch_runtime.rounds import Effort, measure
from edgestitch_runtime.worker_process import RowFailed, WorkerProcess
from scripted_worker import scripted

IMAGES_U8 = np.zeros((5, 4, 4), np.uint8)
SCORES = np.zeros((5, 3), np.int8)
BRIEF = Effort(
    min_seconds=0.01, min_runs=2, blocks=2, batches=(1,), batch_seconds=0.001, patience_s=20
)
GOOD = {
    "ok": True,
    "engine_version": "1",
    "peak_rss_mb": 1.5,
    "memory_mb": None,
    "cold_start": {"interpreter_ms": 1, "import_ms": 0, "load_ms": 2.5, "first_ms": 3},
    "versions": {"python": "3", "numpy": "1"},
    "kinds": ["classify"],
    "n": 5,
    "verdict": None,
    "images_per_s": 5.0,
    "runs": 2,
    "mean_ns": 3.0,
    "values_ns": [2, 4],
    "counts": [1, 1],
}


def test_a_program_that_is_no_worker_becomes_a_failed_row(tmp_path: Path) -> None:
    plain = [scripted(tmp_path, name, scores=SCORES) for name in "abc"]
    missing, talker, silent = measure(
        [
            replace(plain[0], command=("/nonexistent/python", "-m", "x")),
            replace(plain[1], command=("/bin/echo", "hello")),
            replace(plain[2], command=("/bin/true",)),
        ],
        IMAGES_U8,
        effort=BRIEF,
        folder=tmp_path,
    )
    assert "/nonexistent/python" in str(missing.measurement.reason)
    assert "hello" in str(talker.measurement.reason)
    assert silent.measurement.status == "failed"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("1", "expected a JSON object"),
        ("[]", "expected a JSON object"),
        ("null", "expected a JSON object"),
        ("[" * 100_000, "expected JSON"),
        ('{"ok": true}', "engine_version"),
        ('{"ok": 1}', "refused"),
        (GOOD | {"peak_rss_mb": float("nan")}, "peak_rss_mb"),
        (GOOD | {"memory_mb": "much"}, "memory_mb"),
        (GOOD | {"cold_start": {"interpreter_ms": -1}}, "cold_start"),
        (GOOD | {"versions": 3}, "versions"),
        (GOOD | {"verdict": 3}, "verdict"),
        (GOOD | {"kinds": []}, "kinds"),
        (GOOD | {"kinds": ["classify", {}]}, "kinds"),
        (GOOD, "did not write its answers"),
    ],
    ids=lambda text: str(text)[-24:],
)
def test_a_program_that_answers_what_no_worker_does_becomes_a_failed_row(
    tmp_path: Path, answer: object, says: str
) -> None:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    (tmp_path / "answer").write_text(text + "\n", encoding="utf-8")
    script = f"while read line; do cat {tmp_path / 'answer'}; done"
    liar = replace(scripted(tmp_path, "a", scores=SCORES), command=("/bin/sh", "-c", script))
    (found,) = measure([liar], IMAGES_U8, effort=BRIEF, folder=tmp_path)
    row = found.measurement
    assert row.status == "failed" and says in str(row.reason)
    assert "\n" not in str(row.reason) and len(str(row.reason)) < 400


def test_what_an_engine_says_is_told_in_a_short_printable_line(tmp_path: Path) -> None:
    message = "\x1b[31mbad\u202e operator\n" + "again " * 2000
    text = json.dumps({"ok": False, "message": message, "hint": "\x1b]0;x\x07" * 500})
    code = f"print({text!r}, flush=True); input()"
    with (
        WorkerProcess((sys.executable, "-c", code), folder=tmp_path) as worker,
        pytest.raises(RowFailed, match=r"^\?\[31mbad\? operator again") as failure,
    ):
        worker.ask("open", timeout_s=20)
    refused = failure.value.refused
    assert refused is not None
    for told in (str(failure.value), refused.message, refused.hint):
        assert told.isprintable() and len(told) <= 500


def test_a_row_that_gets_no_file_for_its_chatter_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**more: Any) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(worker_process.tempfile, "TemporaryFile", refuse)
    subject = scripted(tmp_path, "a", scores=SCORES)
    (found,) = measure([subject], IMAGES_U8, effort=BRIEF, folder=tmp_path)
    assert found.measurement.status == "failed"
    assert "Too many open files" in str(found.measurement.reason)


@pytest.mark.parametrize(
    "wrong",
    [
        {"runs": 0},
        {"runs": 3},
        {"mean_ns": 0},
        {"values_ns": []},
        {"values_ns": [1, 2, 3]},
        {"values_ns": [2, -4]},
        {"values_ns": [2, 10**30]},
        {"counts": [1, True]},
        {"counts": [2, 0]},
    ],
    ids=str,
)
def test_a_block_that_cannot_be_is_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    text = json.dumps(GOOD | wrong)
    code = f"import sys\nfor line in sys.stdin: print({text!r}, flush=True)"
    with (
        WorkerProcess((sys.executable, "-c", code), folder=tmp_path) as worker,
        pytest.raises(RowFailed, match=next(iter(wrong)).split("_")[0] + "|counts"),
    ):
        worker.ask("block", timeout_s=20)


def test_a_block_that_can_be_is_taken(tmp_path: Path) -> None:
    code = f"import sys\nfor line in sys.stdin: print({json.dumps(GOOD)!r}, flush=True)"
    with WorkerProcess((sys.executable, "-c", code), folder=tmp_path) as worker:
        assert worker.ask("block", timeout_s=20)["runs"] == 2


def told_by(*command: str, folder: Path, threads: int = 1) -> str | None:
    with WorkerProcess(command, folder=folder, threads=threads) as worker:
        return worker.ask("selftest", timeout_s=20)["verdict"]


def environment_of(name: str, python: str = sys.executable) -> tuple[str, ...]:
    """A worker whose verdict is the value of a variable of its environment."""
    if python == sys.executable:
        answer = f"{{'ok': True, 'verdict': os.environ.get({name!r})}}"
        return (python, "-c", f"import json, os\ninput()\nprint(json.dumps({answer}))")
    return (python, "-c", f'read line; echo "{{\\"ok\\": true, \\"verdict\\": \\"<${name}>\\"}}"')


def test_linear_algebra_gets_as_many_threads_as_the_row(tmp_path: Path) -> None:
    """With more, a batch on the engine reference is no single-threaded one."""
    for threads in (1, 3):
        words = environment_of("OPENBLAS_NUM_THREADS")
        assert told_by(*words, folder=tmp_path, threads=threads) == str(threads)


def test_a_worker_finds_what_this_process_does_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a Python of another environment is not told where this one's packages lie."""
    monkeypatch.setenv("PYTHONPATH", "here")
    monkeypatch.chdir(tmp_path)
    assert told_by(*environment_of("PYTHONPATH"), folder=Path("/")) == str(tmp_path / "here")
    assert told_by(*environment_of("PYTHONPATH", "/bin/sh"), folder=tmp_path) == "<>"
