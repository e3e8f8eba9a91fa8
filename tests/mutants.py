"""Plants small faults in a copy of our code, one at a time; the tests must notice every one.

    .venv/bin/python tests/mutants.py              all of tests/mutants_table/
    .venv/bin/python tests/mutants.py 3 17         these; --list names them

Ends with 1 when a fault survives, when its old text is not found exactly once, when tests end in
another way than by failing, and when they fail without any fault.
"""

from __future__ import annotations

import argparse
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mutants_table import MUTANTS, Mutant

ROOT = Path(__file__).parent.parent
MEMBERS = ("train", "export", "runtime", "benchmarks")
AT_ONCE = 2
LIMIT_S = 300  # for the tests of one fault
LIMIT_WITHOUT_FAULT_S = 1800
ALL_PASSED, SOME_FAILED = 0, 1  # pytest's exit codes
CANARY = "import edgestitch_{0} as m; print(m.__file__, m.CANARY)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a fault; `caught` names the test, or is None, and then `why` says more."""

    caught: str | None
    why: str
    seconds: float


class Copy:
    """A copy of the repository that is imported instead of the installed, editable one."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder = folder
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)

    def environment(self, shared_run: Path | None) -> dict[str, str]:
        variables = os.environ | {
            "PYTHONPATH": os.pathsep.join(str(self.folder / member) for member in MEMBERS),
            "PYTHONDONTWRITEBYTECODE": "1",  # a stale .pyc would hide a fault of the same length
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        for name in ("EDGESTITCH_MINI_RUN", "EDGESTITCH_NO_SKIP", "PYTEST_ADDOPTS"):
            variables.pop(name, None)
        if shared_run is not None:
            variables["EDGESTITCH_MINI_RUN"] = str(shared_run)
        return variables

    def sing(self) -> None:
        """Makes sure that what is imported is this copy: a line added to it must be seen."""
        for member in MEMBERS:
            package = self.folder / member / f"edgestitch_{member}" / "__init__.py"
            text = package.read_text(encoding="utf-8")
            package.write_text(f"{text}\nCANARY = {str(package)!r}\n", encoding="utf-8")
            done = subprocess.run(
                [sys.executable, "-c", CANARY.format(member)],
                cwd=tempfile.gettempdir(),
                env=self.environment(None),
                capture_output=True,
                text=True,
            )
            package.write_text(text, encoding="utf-8")
            if done.stdout.split() != [str(package)] * 2:
                raise SystemExit(
                    f"{member} is not imported from the copy: {done.stdout}{done.stderr}"
                )

    def test(
        self, files: tuple[str, ...], shared_run: Path | None, *, limit_s: int = LIMIT_S
    ) -> tuple[int, str]:
        """pytest's exit code and output on these files; the code is -1 when time ran out."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        command += ["-m", "not slow", *(f"tests/{file}" for file in files)]
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment(shared_run),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=limit_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)  # pytest and what it started, a group of its own
                output, _ = process.communicate()
                return -1, output
        return process.returncode, output

    def judge(self, mutant: Mutant, shared_run: Path) -> Verdict:
        started = time.monotonic()
        member, _, module = mutant.file.partition("/")
        name = module if module.endswith(".c") else f"{module}.py"
        path = self.folder / member / f"edgestitch_{member}" / name
        text = path.read_text(encoding="utf-8")
        count = text.count(mutant.old)
        if count != 1:
            return Verdict(caught=None, why=f"its old text is there {count} times", seconds=0)
        path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        try:
            code, output = self.test(mutant.tests, None if mutant.retrains else shared_run)
        finally:
            path.write_text(text, encoding="utf-8")
        seconds = time.monotonic() - started
        first = re.search(r"^(?:FAILED|ERROR) ([^\s\[]+)", output, re.MULTILINE)
        if code == SOME_FAILED and first:
            name = first[1].removeprefix("tests/")
            return Verdict(caught=name, why="", seconds=seconds)
        why = "SURVIVED" if code == ALL_PASSED else f"pytest ended with {code}:\n{output[-1500:]}"
        return Verdict(caught=None, why=why, seconds=seconds)


def committed_files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return [n for n in listed.stdout.decode().split("\0") if n and (ROOT / n).is_file()]


def make_run(copy: Copy, folder: Path) -> Path:
    """The run that tests/conftest.py's mini_run makes, made once by the code without a fault."""
    folder.mkdir()
    for words in (
        ("train", "--dataset", "fashion-mnist-mini", "--epochs", "3"),
        ("export", "--all"),
    ):
        subprocess.run(
            [sys.executable, "-m", "edgestitch_runtime", *words],
            cwd=folder,
            env=copy.environment(None),
            check=True,
            capture_output=True,
        )
    return folder / "runs" / "mlp"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("numbers", nargs="*", type=int, metavar="N", help="only these faults")
    parser.add_argument("--list", action="store_true", help="name the faults and stop")
    args = parser.parse_args()
    chosen = {n: m for n, m in enumerate(MUTANTS, 1) if not args.numbers or n in args.numbers}
    if args.list:
        for number, mutant in chosen.items():
            print(f"{number:3} {mutant.file}: {mutant.meaning}")
        return 0
    with tempfile.TemporaryDirectory(prefix="edgestitch-mutants-") as scratch:
        return plant(chosen, Path(scratch).resolve())


def plant(chosen: dict[int, Mutant], scratch: Path) -> int:
    """Judges the chosen faults, prints a line each and returns the exit code."""
    names = committed_files()
    idle: queue.SimpleQueue[Copy] = queue.SimpleQueue()
    copies = [Copy(scratch / f"copy-{k}", names) for k in range(AT_ONCE)]
    for copy in copies:
        copy.sing()
        idle.put(copy)
    shared_run = make_run(copies[0], scratch / "shared")
    if not passes_without_fault(copies, chosen, shared_run):
        return 1

    def judge(mutant: Mutant) -> Verdict:
        copy = idle.get()
        try:
            return copy.judge(mutant, shared_run)
        finally:
            idle.put(copy)

    print(f"{'no':>3}  {'fault':<86}  {'s':>4}  caught by")
    lost = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number, verdict in zip(chosen, pool.map(judge, chosen.values()), strict=True):
            mutant = chosen[number]
            fault = f"{mutant.file}: {mutant.meaning}"
            told = verdict.caught or verdict.why
            print(f"{number:3}  {fault:<86}  {verdict.seconds:4.0f}  {told}", flush=True)
            lost += verdict.caught is None
    print(f"\n{len(chosen) - lost} of {len(chosen)} faults caught")
    return 1 if lost else 0


def passes_without_fault(copies: list[Copy], chosen: dict[int, Mutant], shared_run: Path) -> bool:
    """Whether the tests that judge pass on the code as it is: else their failing says nothing."""
    sets = [
        (
            tuple(sorted({f for m in chosen.values() if m.retrains == retrains for f in m.tests})),
            run,
        )
        for retrains, run in ((True, None), (False, shared_run))
    ]
    print("without a fault ...", flush=True)
    started = time.monotonic()

    def passes(copy: Copy, files: tuple[str, ...], run: Path | None) -> bool:
        code, output = (ALL_PASSED, "")
        if files:
            code, output = copy.test(files, run, limit_s=LIMIT_WITHOUT_FAULT_S)
        if code != ALL_PASSED:
            print(f"tests fail without any fault (pytest: {code}):\n{output[-5000:]}", flush=True)
        return code == ALL_PASSED

    with ThreadPoolExecutor(AT_ONCE) as pool:
        passed = all(list(pool.map(passes, copies, *zip(*sets, strict=True))))
    print(f"without a fault: {time.monotonic() - started:.0f} s\n", flush=True)
    return passed


if __name__ == "__main__":
    sys.exit(main())
