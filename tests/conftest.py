"""What the tests share: a run trained on the bundled real sample, its exports, the rules of CI."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, object, None]:
    """With EDGESTITCH_NO_SKIP set, a test that was skipped has failed: CI installs every tool."""
    outcome = yield
    report = outcome.get_result()  # pyright: ignore[reportAttributeAccessIssue]
    if report.skipped and os.environ.get("EDGESTITCH_NO_SKIP") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = (
            f"{item.nodeid} was skipped, which EDGESTITCH_NO_SKIP forbids: {report.longrepr}"
        )


def run_cli(
    *words: str | Path,
    cwd: Path,
    env: dict[str, str] | None = None,
    stdin: bytes | None = None,
    timeout: float = 600,
) -> subprocess.CompletedProcess[str]:
    """`edgestitch WORDS` as a process of its own; stdout and stderr as text."""
    done = subprocess.run(
        [sys.executable, "-m", "edgestitch_runtime", *map(str, words)],
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"} | (env or {}),
        input=stdin,
        capture_output=True,
        timeout=timeout,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


@pytest.fixture(scope="session")
def cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    return run_cli


@pytest.fixture(scope="session")
def refused() -> Callable[..., str]:
    """Runs a command that must be refused; returns its error line after checking its form."""

    def check(*words: str | Path, cwd: Path, code: int = 2, **more: object) -> str:
        done = run_cli(*words, cwd=cwd, **more)  # pyright: ignore[reportArgumentType]
        lines = [x for x in done.stderr.splitlines() if not x.endswith("...")]
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert len(lines) >= 2, done.stderr
        assert lines[-2].startswith("edgestitch: "), done.stderr
        assert lines[-1].startswith("hint: "), done.stderr
        assert done.stdout == ""
        return f"{lines[-2]}\n{lines[-1]}"

    return check


@pytest.fixture(scope="session")
def mini_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """runs/mlp, trained for three epochs on the bundled sample and exported --all. Read only.

    EDGESTITCH_MINI_RUN names a run that was made before so: tests/mutants.py makes one for all.
    """
    if os.environ.get("EDGESTITCH_MINI_RUN"):
        return Path(os.environ["EDGESTITCH_MINI_RUN"])
    folder = tmp_path_factory.mktemp("mini")
    trained = run_cli("train", "--dataset", "fashion-mnist-mini", "--epochs", "3", cwd=folder)
    assert trained.returncode == 0, trained.stderr
    exported = run_cli("export", "--all", cwd=folder)
    assert exported.returncode == 0, exported.stderr
    return folder / "runs" / "mlp"


@pytest.fixture
def own_run(mini_run: Path, tmp_path: Path) -> Path:
    """A copy of `mini_run` that a test may break, at runs/mlp in a folder of its own."""
    target = tmp_path / "runs" / "mlp"
    shutil.copytree(mini_run, target)
    return target


@pytest.fixture(scope="session")
def mini_test(mini_run: Path) -> tuple[np.ndarray, np.ndarray]:
    """The sample's 1,000 test images, (1000, 28, 28) uint8, and their classes, (1000,) int64."""
    from edgestitch_runtime.dataset import find_recorded
    from edgestitch_runtime.run_folder import read_run

    part = find_recorded(read_run(mini_run).record["data"]).test
    return part.images_u8, part.labels


@pytest.fixture(scope="session")
def mini_train(mini_run: Path) -> tuple[np.ndarray, np.ndarray]:
    """The sample's 6,000 training images and their classes."""
    from edgestitch_runtime.dataset import find_recorded
    from edgestitch_runtime.run_folder import read_run

    part = find_recorded(read_run(mini_run).record["data"]).train
    return part.images_u8, part.labels


@pytest.fixture(scope="session")
def float_rows(mini_run: Path, mini_test: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """What Keras itself answers to the sample's test images, (1000, 10) float32: the oracle."""
    import keras

    model: Any = keras.models.load_model(mini_run / "model.keras")
    return np.asarray(model(mini_test[0].astype(np.float32)))


@pytest.fixture(scope="session")
def fashion_mnist() -> Path:
    """The folder of the real Fashion-MNIST; the test is skipped where it is not installed."""
    if not (FASHION_MNIST / "train-images-idx3-ubyte.gz").is_file():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    return FASHION_MNIST


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """A shipped model as int8 TFLite; `laid` and `made` are the JSON of train and of export."""

    path: Path
    laid: dict[str, Any]
    made: dict[str, Any]


@pytest.fixture(scope="session")
def shipped_int8(
    fashion_mnist: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Shipped]:
    """Each shipped model, exported to int8 TFLite as a new user would, once for all tests."""
    folder = tmp_path_factory.mktemp("shipped")

    @functools.cache
    def export(model: str) -> Shipped:
        laid = run_cli("train", "--pretrained", model, "--json", cwd=folder)
        assert laid.returncode == 0, laid.stderr
        words = ("export", f"runs/{model}", "--format", "tflite", "--int8", "--json")
        done = run_cli(*words, cwd=folder)
        assert done.returncode == 0, done.stderr
        (made,) = json.loads(done.stdout)
        return Shipped(path=folder / made["path"], laid=json.loads(laid.stdout), made=made)

    return export
