"""One real training on the bundled sample, made twice in two processes, for the tests here."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

EPOCHS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A command that ran: its run folder and what it printed."""

    folder: Path
    stdout: str
    stderr: str


def command(*words: str) -> list[str]:
    """`edgestitch` in a process of its own, whatever PATH holds."""
    start = "import sys; from edgestitch_runtime.cli import main; sys.exit(main())"
    return [sys.executable, "-c", start, *words]


def environment(home: Path) -> dict[str, str]:
    """No data set but the bundled one, and nothing of the tester's own home."""
    return os.environ | {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "KERAS_HOME": str(home / "keras"),
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture(scope="session")
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Finished, Finished]:
    """The same training, side by side in two folders."""
    folders = [tmp_path_factory.mktemp("twin") for _ in range(2)]
    words = ["train", "--dataset", "fashion-mnist-mini", "--epochs", str(EPOCHS), "--seed", "7"]
    running = [
        subprocess.Popen(
            command(*words, *extra),
            cwd=folder,
            env=environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for folder, extra in zip(folders, ([], ["--runs", "deep/er", "--name", "b"]), strict=True)
    ]
    outputs = [process.communicate(timeout=300) for process in running]
    for process, (_, stderr) in zip(running, outputs, strict=True):
        assert process.returncode == 0, stderr
    first, second = (
        Finished(folder=folder, stdout=stdout, stderr=stderr)
        for folder, (stdout, stderr) in zip(
            (folders[0] / "runs" / "mlp", folders[1] / "deep" / "er" / "b"), outputs, strict=True
        )
    )
    return first, second


@pytest.fixture(scope="session")
def finished(twins: tuple[Finished, Finished]) -> Finished:
    """A run on fashion-mnist-mini, made by the command line."""
    return twins[0]
