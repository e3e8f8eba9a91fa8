"""Foreign roots, what is installed for them, the shipped models' artifacts, 300 real images."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_runtime.dataset import read_idx

from .foreign_root import MACHINES, Machine, NoForeignRoot, make_root

ROOT = Path(__file__).parent.parent.parent
UV = Path(sys.executable).with_name("uv")
SHIPPED = ("mlp", "dscnn", "dscnn-l")
COUNT = 300
BUILT = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")


def run(*words: str | Path, cwd: Path) -> None:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


def locked(name: str, lock: str) -> str:
    """NAME==VERSION as that lock file has it."""
    found = re.search(rf"^{name}==\S+", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE)
    assert found, f"{lock} has no {name}"
    return found[0]


@pytest.fixture(scope="session")
def root_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Machine], Path]:
    """The root for a machine; those of one Debian architecture share it."""
    roots: dict[str, Path] = {}

    def find(machine: Machine) -> Path:
        if machine.debian not in roots:
            try:
                folder = tmp_path_factory.mktemp(machine.debian)
                roots[machine.debian] = make_root(machine, folder)
            except NoForeignRoot as missing:
                pytest.skip(str(missing))
        return roots[machine.debian]

    return find


@pytest.fixture(scope="session", autouse=True)
def root_before_all_else(root_of: Callable[[Machine], Path]) -> None:
    """What is missing here is told before minutes are spent on artifacts."""
    root_of(MACHINES[0])


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runtime's wheel, built outside the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "runtime", folder / "runtime", ignore=BUILT)
    run(
        *(UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable),
        *("--out-dir", folder, folder / "runtime"),
        cwd=folder,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def slim(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runtime alone, for a Python that has numpy."""
    folder = tmp_path_factory.mktemp("slim")
    run(UV, "pip", "install", "--quiet", "--no-deps", "--target", folder, wheel, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def aarch64_engines(
    wheel: Path, root_of: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Machine], Path]:
    """The runtime with litert, onnxruntime and all they need, at the locked versions."""
    made: list[Path] = []

    def install(machine: Machine) -> Path:
        if not made:
            folder = tmp_path_factory.mktemp("aarch64")
            text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
            versions = re.findall(r"^[a-z0-9.-]+==\S+", text, re.MULTILINE)
            (folder / "constraints.txt").write_text("\n".join(versions))
            python = (root_of(machine) / "usr" / "bin" / "python3").readlink().name
            run(
                *(UV, "pip", "install", "--quiet", "--only-binary", ":all:"),
                *("--python-platform", "aarch64-unknown-linux-gnu"),
                *("--python-version", python.removeprefix("python")),
                *("--constraints", folder / "constraints.txt", "--target", folder / "packages"),
                f"edgestitch-runtime[litert,onnxruntime] @ {wheel.as_uri()}",
                cwd=folder,
            )
            made.append(folder / "packages")
        return made[0]

    return install


@pytest.fixture(scope="session")
def armv7_engine(
    slim: Path, root_of: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Machine], Path]:
    """The runtime with tflite-runtime, for a Python that has a numpy below 2."""
    made: list[Path] = []

    def install(machine: Machine) -> Path:
        if not made:
            folder = tmp_path_factory.mktemp("armv7") / "packages"
            shutil.copytree(slim, folder)
            python = (root_of(machine) / "usr" / "bin" / "python3").readlink().name
            run(  # by pip: uv knows no platform of 32 bits
                *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
                *("--only-binary", ":all:", "--platform", "manylinux_2_34_armv7l"),
                *("--implementation", "cp", "--python-version", python.removeprefix("python")),
                *("--target", folder),
                locked("tflite-runtime", "requirements-tflite-runtime.lock"),
                cwd=folder,
            )
            made.append(folder)
        return made[0]

    return install


@pytest.fixture(scope="session")
def artifacts(
    fashion_mnist: Path, tmp_path_factory: pytest.TempPathFactory, cli: Callable[..., Any]
) -> Path:
    """MODEL-PRECISION.EXT of each shipped model in a folder: int8 and float32, TFLite and ONNX."""
    folder = tmp_path_factory.mktemp("shipped")
    words = ("--format", "tflite", "--format", "onnx", "--int8", "--float32", "--out", "out")
    for model in SHIPPED:
        for command in (("train", "--pretrained", model), ("export", f"runs/{model}", *words)):
            done = cli(*command, cwd=folder)
            assert done.returncode == 0, done.stderr
    return folder / "out"


@pytest.fixture(scope="session")
def images(fashion_mnist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 300 test images in a file: (300, 28, 28) uint8."""
    path = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(path, read_idx(fashion_mnist / "t10k-images-idx3-ubyte.gz")[0][:COUNT])
    return path
