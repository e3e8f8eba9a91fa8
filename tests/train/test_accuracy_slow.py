"""The figure of the mlp's recipe: `pytest -m slow tests/train` trains three seeds and prints it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgestitch_runtime.dataset import has_idx_files, places

from .conftest import command

SEEDS = (0, 1, 2)
LEAST_MEAN = 88.9  # per cent of test images
MOST_SECONDS = 90


@contextmanager
def shown(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    with capsys.disabled():
        print()
        yield


@pytest.mark.slow
def test_the_mlp_reaches_its_figure_on_fashion_mnist(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not any(has_idx_files(place) for place in places("fashion-mnist")):
        pytest.skip("the full Fashion-MNIST is not on this machine")
    results = []
    for seed in SEEDS:
        done = subprocess.run(
            command("train", "--seed", str(seed), "--name", f"s{seed}", "--json"),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        results.append(json.loads(done.stdout))
        told = results[-1]
        with shown(capsys):
            print(
                f"mlp on fashion-mnist, seed {seed}: "
                f"test {100 * told['test_correct'] / told['test_n']:.2f} % "
                f"({told['test_correct']:,} of {told['test_n']:,}, keras), validation "
                f"{100 * told['validation_correct'] / told['validation_n']:.2f} % "
                f"({told['validation_correct']:,} of {told['validation_n']:,}), "
                f"epoch {told['kept_epoch']} of {told['epochs']}, {told['seconds']:.0f} s on "
                f"{told['device']}",
                end="",
            )
    mean = sum(100 * r["test_correct"] / r["test_n"] for r in results) / len(results)
    with shown(capsys):
        print(f"mean test accuracy over seeds {', '.join(map(str, SEEDS))}: {mean:.2f} %")
    assert {r["epochs"] for r in results} == {15}
    assert {r["validation_n"] for r in results} == {3000}
    assert mean >= LEAST_MEAN
    assert max(r["seconds"] for r in results) < MOST_SECONDS
