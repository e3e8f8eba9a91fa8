"""The project's own guard: classify may not grow by more than 25 % over the bare engine call.

`make guard` prints what is compared here. The profile that it is held against was made by the
commands at the end of docs/report.md.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BASELINE = Path(__file__).parents[2] / "benchmarks/guard/mlp-int8.json"
LIMITS = ("--fail-if-slower", "none", "--fail-if-drop", "none", "--fail-if-overhead", "25%")
# Every classify waits as long as a bare call takes on the baseline's machine.
SLOWED = """
import time

from edgestitch_runtime.classifier import Classifier

inner = Classifier.classify


def classify(self, images_u8, clock=time.perf_counter_ns):
    end = clock() + {ns}
    while clock() < end:
        pass
    return inner(self, images_u8)


Classifier.classify = classify
"""
Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def guarded(cli: Cli, shipped_int8: Callable[[str], Any]) -> Callable[..., Any]:
    """Profiles the shipped mlp and compares: the comparison's JSON and the exit code."""
    artifact: Path = shipped_int8("mlp").path

    def run(folder: Path, *words: str, env: dict[str, str] | None = None) -> tuple[Any, int]:
        done = cli("profile", artifact, *words, "--json", "new.json", cwd=folder, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        done = cli("compare", BASELINE, "new.json", *LIMITS, "--json", cwd=folder)
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout), done.returncode

    return run


def test_classify_costs_no_more_over_the_bare_call_than_it_did(guarded, tmp_path: Path) -> None:
    """A busy machine gets two more tries."""
    engines = ("--engine", "litert", "--engine", "reference", "--min-seconds", "1")
    told: list[Any] = []
    for _ in range(3):
        found, code = guarded(tmp_path, *engines, *(("--force",) if told else ()))
        assert [row["engine"] for row in found["rows"]] == ["litert", "reference"]
        assert all(row["overhead"] for row in found["rows"])
        told.append(found["regressions"])
        if code == 0:
            return
    pytest.fail(f"classify grew over the bare call: {told}")


def test_a_planted_wait_of_one_bare_call_is_a_regression(guarded, tmp_path: Path) -> None:
    baseline = json.loads(BASELINE.read_text())
    (litert,) = [row for row in baseline["rows"] if row["engine"] == "litert"]
    wait_ns = round(1000 * litert["bare_latency_us"]["p50"])
    (tmp_path / "sitecustomize.py").write_text(SLOWED.format(ns=wait_ns))
    found, code = guarded(
        tmp_path, "--engine", "litert", "--quick", env={"PYTHONPATH": str(tmp_path)}
    )
    assert code == 1, found
    (why,) = found["regressions"]
    assert "mlp-int8.tflite on litert: classify over the bare call grew" in why
    assert found["rows"][0]["overhead"]["ratio"] > 1.25
