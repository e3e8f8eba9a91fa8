"""The runtime under Debian's Python on Arm processors that qemu emulates: `make emulated`.

About six minutes of a core, 100 MB of packages and wheels. docs/device-guide.md has the table that
it prints: of 300 rows those equal, the largest difference, top-1 answers changed. Emulation says
nothing of speed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_runtime import Classifier
from tflite_builder import interpreter_of

from .conftest import COUNT, ROOT, SHIPPED, run
from .foreign_root import MACHINES, Machine, run_python

pytestmark = pytest.mark.emulated
AARCH64 = [m for m in MACHINES if m.uname == "aarch64"]
ARMV7 = [m for m in MACHINES if m.uname == "armv7l"]
SCORES = """
import json, platform, sys, numpy as np
from edgestitch_runtime import Classifier
artifact, engine, images, output = sys.argv[1:]
classifier = Classifier.open(artifact, engine=engine)
np.save(output, classifier.scores(np.load(images)))
print(json.dumps([platform.machine(), classifier.engine]))
"""
MOST = {"int8": 1, "float32": 5e-6}  # steps; probability
MOST_CHANGED = 1  # of 300 top-1 answers
HEADER = ("machine", "artifact, engine", "beside", *SHIPPED)

Key = tuple[str, str, str]
Ask = Callable[..., np.ndarray]


def identity(machine: Machine) -> str:
    return machine.name.replace(" ", "-")


@pytest.fixture(scope="module")
def table(pytestconfig: pytest.Config) -> Generator[dict[Key, dict[str, str]], None, None]:
    """(machine, artifact and engine, beside what) to model to cell; printed at the end."""
    rows: dict[Key, dict[str, str]] = {}
    yield rows
    lines = [HEADER, ("---",) * len(HEADER), *merged(rows)]
    capture: Any = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\n", *(f"| {' | '.join(line)} |" for line in lines), sep="\n")


def merged(rows: dict[Key, dict[str, str]]) -> list[tuple[str, ...]]:
    """The table's lines; machines that differ in nothing else share one."""
    machines: dict[tuple[str, ...], list[str]] = {}
    for (machine, artifact, beside), cells in rows.items():
        rest = (artifact, beside, *(cells.get(model, "") for model in SHIPPED))
        machines.setdefault(rest, []).append(machine)
    return [(", ".join(names), *rest) for rest, names in machines.items()]


def told(one: np.ndarray, other: np.ndarray) -> str:
    """The distance of two sets of rows, for a cell of the table."""
    equal = int((one == other).all(axis=1).sum())
    if equal == len(one):
        return f"{equal} equal"
    apart = largest(one, other)
    distance = f"{apart:.0e}" if one.dtype == np.float32 else f"{apart:.0f} step{'s' * (apart > 1)}"
    return f"{equal} equal, {distance}, {changed(one, other)} changed"


def changed(one: np.ndarray, other: np.ndarray) -> int:
    """How many top-1 answers differ."""
    return int((one.argmax(axis=1) != other.argmax(axis=1)).sum())


def largest(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max())


@pytest.fixture(scope="module")
def there(root_of: Callable[[Machine], Path], images: Path, tmp_path_factory: Any) -> Ask:
    """there(machine, packages, artifact, engine, answering) gives the rows of that machine."""

    def ask(
        machine: Machine, packages: Path, artifact: Path, *, engine: str, answers: str
    ) -> np.ndarray:
        home = tmp_path_factory.mktemp("home")
        words = ("-c", SCORES, artifact, engine, images, home / "scores.npy")
        done = run_python(machine, root_of(machine), packages, *words, home=home)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1]) == [machine.uname, answers]
        assert [path.name for path in home.iterdir()] == ["scores.npy"]
        return np.load(home / "scores.npy")

    return ask


@pytest.fixture(scope="module")
def here(images: Path, tmp_path_factory: Any) -> Ask:
    """here(artifact, engine) gives the rows of this machine; each pair is asked for once."""
    known: dict[tuple[Path, str], np.ndarray] = {}

    def ask(artifact: Path, engine: str) -> np.ndarray:
        if (artifact, engine) not in known:
            if engine == "tflite-runtime":  # in its own environment
                python = ROOT / ".venv-tflite-runtime" / "bin" / "python"
                folder = tmp_path_factory.mktemp("here")
                run(python, "-c", SCORES, artifact, engine, images, "scores.npy", cwd=folder)
                known[artifact, engine] = np.load(folder / "scores.npy")
            else:
                with Classifier.open(artifact, engine=engine) as classifier:
                    known[artifact, engine] = classifier.scores(np.load(images))
        return known[artifact, engine]

    return ask


@pytest.fixture(scope="module")
def kernels(images: Path) -> Callable[[Path], np.ndarray]:
    """What LiteRT's reference kernels give on this machine, (300, 10) int8."""
    known: dict[Path, np.ndarray] = {}

    def ask(artifact: Path) -> np.ndarray:
        if artifact not in known:
            interpreter = interpreter_of(artifact.read_bytes())
            interpreter.allocate_tensors()
            source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
            rows = []
            for image in np.load(images).astype(np.int16) - 128:
                codes = image.astype(np.int8).reshape(source["shape"])
                interpreter.set_tensor(source["index"], codes)
                interpreter.invoke()
                rows.append(interpreter.get_tensor(target["index"])[0])
            known[artifact] = np.stack(rows)
        return known[artifact]

    return ask


@pytest.mark.parametrize("model", SHIPPED)
@pytest.mark.parametrize("machine", MACHINES, ids=identity)
def test_without_an_engine_every_answer_is_that_of_x86_64_and_of_litert_s_reference_kernels(
    machine: Machine,
    model: str,
    slim: Path,
    artifacts: Path,
    there: Ask,
    here: Ask,
    kernels: Callable[[Path], np.ndarray],
    table: dict[Key, dict[str, str]],
) -> None:
    artifact = artifacts / f"{model}-int8.tflite"
    rows = there(machine, slim, artifact, engine="auto", answers="reference")
    key = machine.name, "int8 tflite, reference"
    for beside, others in (
        ("reference on x86-64", here(artifact, "reference")),
        ("LiteRT's reference kernels on x86-64", kernels(artifact)),
    ):
        table.setdefault((*key, beside), {})[model] = told(rows, others)
        assert rows.shape == others.shape == (COUNT, 10)
        assert (rows == others).all()


@pytest.mark.parametrize("machine", MACHINES, ids=identity)
def test_the_wheel_has_what_it_asks_for_there_and_brings_the_command(
    machine: Machine,
    slim: Path,
    artifacts: Path,
    images: Path,
    root_of: Callable[[Machine], Path],
    here: Ask,
    tmp_path: Path,
) -> None:
    def python(*words: str | Path) -> str:
        done = run_python(machine, root_of(machine), slim, *words, home=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    check = "import pkg_resources as p; print(*(d.key for d in p.require('edgestitch-runtime')))"
    assert python("-W", "ignore", "-c", check).split() == ["edgestitch-runtime", "numpy"]
    artifact = artifacts / "mlp-int8.tflite"
    lines = python(slim / "bin" / "edgestitch", "classify", artifact, images, "--json")
    answers = [json.loads(line)["index"] for line in lines.splitlines()]
    assert answers == here(artifact, "reference").argmax(axis=1).tolist()
    assert python("-m", "edgestitch_runtime", "classify", artifact, images, "--json") == lines


@pytest.mark.parametrize("model", SHIPPED)
@pytest.mark.parametrize("engine", ["litert", "onnxruntime"])
@pytest.mark.parametrize("machine", AARCH64, ids=identity)
def test_an_engine_of_aarch64_answers_as_that_of_x86_64(
    machine: Machine,
    engine: str,
    model: str,
    aarch64_engines: Callable[[Machine], Path],
    artifacts: Path,
    there: Ask,
    here: Ask,
    table: dict[Key, dict[str, str]],
) -> None:
    packages = aarch64_engines(machine)
    judge(machine, engine, model, packages, artifacts, there, here, table)


@pytest.mark.parametrize("model", SHIPPED)
@pytest.mark.parametrize("machine", ARMV7, ids=identity)
def test_tflite_runtime_of_armv7_answers_as_that_of_x86_64(
    machine: Machine,
    model: str,
    armv7_engine: Callable[[Machine], Path],
    artifacts: Path,
    there: Ask,
    here: Ask,
    table: dict[Key, dict[str, str]],
) -> None:
    packages = armv7_engine(machine)
    judge(machine, "tflite-runtime", model, packages, artifacts, there, here, table)


def judge(
    machine: Machine,
    engine: str,
    model: str,
    packages: Path,
    artifacts: Path,
    there: Ask,
    here: Ask,
    table: dict[Key, dict[str, str]],
) -> None:
    """Both precisions of a model: their distances into the table, and the limits kept."""
    kind = "onnx" if engine == "onnxruntime" else "tflite"
    for precision, most in MOST.items():
        artifact = artifacts / f"{model}-{precision}.{kind}"
        rows = there(machine, packages, artifact, engine=engine, answers=engine)
        beside = {f"{engine} on x86-64": here(artifact, engine)}
        oracle = f"{engine} on x86-64"
        if (precision, kind) == ("int8", "tflite"):
            beside["reference"] = reference = here(artifact, "reference")
            key = "x86-64", f"{precision} {kind}, {engine}", "reference"
            table.setdefault(key, {})[model] = told(here(artifact, engine), reference)
            # tflite-runtime on x86-64 is steps away from its own kernels on armv7.
            oracle = "reference" if engine == "tflite-runtime" else oracle
        for name, others in beside.items():
            key = machine.name, f"{precision} {kind}, {engine}", name
            table.setdefault(key, {})[model] = told(rows, others)
        assert rows.shape == beside[oracle].shape == (COUNT, 10)
        assert largest(rows, beside[oracle]) <= most
        assert changed(rows, beside[oracle]) <= MOST_CHANGED
