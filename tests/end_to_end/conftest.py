"""The five wheels, built once from a copy of the sources, and empty environments to put them in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
UV = Path(sys.executable).with_name("uv")
MEMBERS = ("train", "export", "runtime", "benchmarks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """An environment that holds wheels, empty folders: to work in, home, and TMPDIR."""

    python: Path
    folder: Path
    home: Path
    scratch: Path

    def run(self, *words: str | Path, input: bytes = b"") -> subprocess.CompletedProcess[str]:
        """`edgestitch WORDS`, by the script that the wheel installed."""
        return self._process(self.python.with_name("edgestitch"), *words, input=input)

    def code(self, text: str, *words: str | Path) -> str:
        """What a Python program prints; it must end well."""
        done = self._process(self.python, "-c", text, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _process(
        self, program: Path, *words: str | Path, input: bytes = b""
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [program, *words],
            cwd=self.folder,
            env=_without_this_checkout() | {"HOME": str(self.home), "TMPDIR": str(self.scratch)},
            input=input,
            capture_output=True,
            timeout=300,
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def _without_this_checkout() -> dict[str, str]:
    """The environment variables, without those by which Python or edgestitch would find more."""
    gone = ("PYTHON", "VIRTUAL_ENV", "EDGESTITCH_", "KERAS_", "XDG_CACHE_HOME")
    return {name: value for name, value in os.environ.items() if not name.startswith(gone)}


def uv(*words: str | Path, cwd: Path) -> None:
    done = subprocess.run(
        [UV, *words], cwd=cwd, capture_output=True, text=True, env=dict(os.environ), timeout=600
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The five wheels by distribution name, built outside the repository from what git keeps."""
    sources = tmp_path_factory.mktemp("sources")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (sources / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, sources / name)
    for part in (".", *MEMBERS):
        uv(
            *("build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable),
            *("--out-dir", sources / "dist", sources / part),
            cwd=sources,
        )
    built = sorted((sources / "dist").glob("*.whl"))
    return {path.name.partition("-")[0].replace("_", "-"): path for path in built}


@pytest.fixture(scope="session")
def locked() -> dict[str, str]:
    """Name to version, as requirements.lock has it."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9.-]+)(?:\[.*])?==(\S+)", text, re.MULTILINE))


Install = Callable[..., Installed]


@pytest.fixture(scope="session")
def install(
    wheels: dict[str, Path], locked: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Install:
    """install(*wheels, extras=..., python=..., pinned=...) makes an environment that has just that.

    `pinned` names packages to be taken at the version of requirements.lock; `also` are more to
    install, such as "numpy<2".
    """

    def make(
        *names: str,
        extra: str = "",
        python: Path = Path(sys.executable),
        pinned: tuple[str, ...] = (),
        also: tuple[str, ...] = (),
    ) -> Installed:
        place = tmp_path_factory.mktemp("installed")
        for folder in ("empty", "home", "scratch"):
            (place / folder).mkdir()
        constraints = place / "constraints.txt"
        constraints.write_text("".join(f"{name}=={locked[name]}\n" for name in pinned))
        uv("venv", "--quiet", "--python", python, place / "env", cwd=place)
        uv(
            *("pip", "install", "--quiet", "--python", place / "env" / "bin" / "python"),
            *("--constraints", constraints),
            *(f"{wheels[name]}{extra}" for name in names),
            *also,
            cwd=place,
        )
        return Installed(
            python=place / "env" / "bin" / "python",
            folder=place / "empty",
            home=place / "home",
            scratch=place / "scratch",
        )

    return make
