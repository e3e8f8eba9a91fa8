"""The wheels as a stranger gets them: what is in them, and their commands in empty environments.

An editable install hides what a wheel forgets: a file, a dependency, an entry point.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
import zipfile
from collections.abc import Callable
from email.message import Message
from email.parser import Parser
from pathlib import Path

import numpy as np
import pytest

from edgestitch_runtime import Classifier

PARTS = ("edgestitch-train", "edgestitch-export", "edgestitch-runtime", "edgestitch-benchmarks")
NAMES = ("edgestitch", *PARTS)
SHIPPED = ("mlp", "dscnn", "dscnn-l")
COUNT = 130  # more than one batch, and a remainder
SCORES = """
import importlib, pkgutil, sys, numpy as np, edgestitch_runtime
from edgestitch_runtime import Classifier
for module in pkgutil.iter_modules(edgestitch_runtime.__path__):
    importlib.import_module(f"edgestitch_runtime.{module.name}")
artifact, engine, images, output = sys.argv[1:]
np.save(output, Classifier.open(artifact, engine=engine).scores(np.load(images)))
"""


def other_pythons() -> list[Path]:
    """This Python, and the newest of each other minor version from 3.10 on that pyenv built."""
    newest: dict[str, Path] = {}
    found = Path.home().glob(".pyenv/versions/3.*/bin/python")
    for python in sorted(found, key=lambda p: tuple(map(int, re.findall(r"\d+", p.parts[-3])))):
        minor = re.match(r"3\.\d+", python.parts[-3])
        if minor and int(minor[0][2:]) >= 10 and int(minor[0][2:]) != sys.version_info.minor:
            newest[minor[0]] = python
    return [Path(sys.executable), *newest.values()]


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def metadata(wheel: Path) -> Message:
    found = contents(wheel)
    (name,) = (n for n in found if n.endswith(".dist-info/METADATA"))
    return Parser().parsestr(found[name].decode())


def modules(wheel: Path) -> set[str]:
    return {name for name in contents(wheel) if ".dist-info/" not in name}


@pytest.fixture(scope="session")
def images(mini_test: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory):
    """COUNT real test images in a file: (COUNT, 28, 28) uint8."""
    path = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(path, mini_test[0][:COUNT])
    return path


def test_there_are_five_wheels_of_one_version(wheels: dict[str, Path]) -> None:
    assert set(wheels) == set(NAMES)
    assert len({metadata(path)["Version"] for path in wheels.values()}) == 1
    for path in wheels.values():
        assert path.name.endswith("-py3-none-any.whl")


def test_the_runtime_is_slim(wheels: dict[str, Path]) -> None:
    assert wheels["edgestitch-runtime"].stat().st_size <= 200_000  # docs/decisions/0022


def test_the_sample_ships_with_train_in_under_four_megabytes(wheels: dict[str, Path]) -> None:
    found = modules(wheels["edgestitch-train"])
    sample = {name.rpartition("/")[2] for name in found if "/fashion_mnist_mini/" in name}
    idx = {
        f"{a}-{b}.gz" for a in ("train", "t10k") for b in ("images-idx3-ubyte", "labels-idx1-ubyte")
    }
    assert sample >= idx | {"LICENSE", "ORIGIN.md"}
    assert wheels["edgestitch-train"].stat().st_size < 4_000_000


def test_the_trained_models_ship_with_train_as_they_are_in_the_repository(
    wheels: dict[str, Path],
) -> None:
    folder = Path(__file__).parents[2] / "train" / "edgestitch_train" / "pretrained"
    here = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert set(here) >= {f"{m}/{f}" for m in SHIPPED for f in ("model.keras", "run.json")}
    there = contents(wheels["edgestitch-train"])
    start = "edgestitch_train/pretrained/"
    assert {n.removeprefix(start): c for n, c in there.items() if n.startswith(start)} == here
    assert sum(len(here[f"{model}/model.keras"]) for model in SHIPPED) < 1_500_000


def test_the_templates_ship_with_benchmarks(wheels: dict[str, Path]) -> None:
    found = modules(wheels["edgestitch-benchmarks"])
    assert "edgestitch_benchmarks/templates/report.html" in found


def test_the_wheel_edgestitch_is_empty_and_brings_the_others(wheels: dict[str, Path]) -> None:
    assert modules(wheels["edgestitch"]) == set()
    needed = metadata(wheels["edgestitch"]).get_all("Requires-Dist") or []
    assert {re.split(r"[\[=]", one)[0] for one in needed} == set(PARTS)


@pytest.mark.parametrize("name", PARTS)
def test_a_wheel_holds_its_whole_package_typed_and_nothing_else(
    name: str, wheels: dict[str, Path]
) -> None:
    package = name.replace("-", "_")
    folder = Path(__file__).parents[2] / name.removeprefix("edgestitch-") / package
    found = modules(wheels[name])
    assert {n.partition("/")[0] for n in found} == {package}
    assert f"{package}/py.typed" in found
    here = {f"{package}/{p.relative_to(folder)}" for p in folder.rglob("*.py")}
    assert {n for n in found if n.endswith(".py")} == here
    assert not [
        n for n in found if n.split("/")[-1].startswith(("test_", "conftest")) or n.endswith(".pyc")
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_metadata_pins_siblings_and_carries_licence_and_readme(
    name: str, wheels: dict[str, Path]
) -> None:
    told = metadata(wheels[name])
    needed = told.get_all("Requires-Dist") or []
    siblings = [one for one in needed if one.startswith("edgestitch")]
    assert all(one.endswith(f"=={told['Version']}") for one in siblings)
    assert bool(siblings) == (name != "edgestitch-runtime")
    assert told["Requires-Python"] == (">=3.10" if name == "edgestitch-runtime" else ">=3.11")
    assert told["License-Expression"] == "Apache-2.0"
    assert any(n.endswith("licenses/LICENSE") for n in contents(wheels[name]))
    assert len(str(told.get_payload())) > 300, "the README is the page that a registry shows"


def test_the_extras_of_the_runtime_are_the_engines(wheels: dict[str, Path]) -> None:
    from edgestitch_runtime.engines import ENGINES

    told = metadata(wheels["edgestitch-runtime"])
    assert set(told.get_all("Provides-Extra") or []) == {*ENGINES, "image"}
    plain = [one for one in told.get_all("Requires-Dist") or [] if "extra ==" not in one]
    assert len(plain) == 1
    assert plain[0].startswith("numpy")


def test_without_an_engine_the_runtime_inspects_and_says_what_to_install(
    install: Callable, mini_run: Path, images: Path
) -> None:
    installed = install("edgestitch-runtime", pinned=("numpy",))
    overview = installed.run("--help")
    assert overview.returncode == 0, overview.stderr
    assert "pip install edgestitch-train" in overview.stdout
    for command in ("classify", "inspect", "profile", "selftest"):
        assert installed.run(command, "--help").returncode == 0
    model = shutil.copy(mini_run / "export" / "mlp-int8.tflite", installed.folder)
    told = installed.run("inspect", "mlp-int8.tflite", "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["card"] == Classifier.open(model).card
    answered = installed.run("classify", "mlp-int8.tflite", images, "--json")
    assert answered.returncode == 0, answered.stderr  # on the reference engine
    records = [json.loads(line) for line in answered.stdout.splitlines()]
    here = Classifier.open(model, engine="reference").scores(np.load(images))
    assert [r["index"] for r in records] == here.argmax(axis=1).tolist()
    shutil.copy(mini_run / "export" / "mlp-float32.tflite", installed.folder)
    for words, hint in (
        (("classify", "mlp-float32.tflite", images), "pip install 'edgestitch-runtime[litert]'"),
        (("profile", "mlp-float32.tflite"), "pip install 'edgestitch-runtime[litert]'"),
        (("train",), "pip install edgestitch-train"),
        (("bench",), "pip install edgestitch-benchmarks"),
    ):
        refused = installed.run(*words)
        assert refused.returncode == 2
        first, second = refused.stderr.splitlines()
        assert first.startswith("edgestitch: ")
        assert second.startswith("hint: ")
        assert hint in second


ENGINES = [
    pytest.param(python, "litert", "mlp-int8.tflite", id=f"litert-{python.parts[-3]}")
    for python in other_pythons()
]
ENGINES += [
    pytest.param(python, "reference", "mlp-int8.tflite", id=f"reference-{python.parts[-3]}")
    for python in other_pythons()
]
ENGINES += [
    pytest.param(Path(sys.executable), "onnxruntime", "mlp-int8.onnx", id="onnxruntime"),
    pytest.param(Path(sys.executable), "tflite-runtime", "mlp-int8.tflite", id="tflite-runtime"),
]


@pytest.mark.parametrize(("python", "engine", "artifact"), ENGINES)
def test_the_runtime_and_one_engine_answer_as_the_development_environment_does(
    python: Path, engine: str, artifact: str, install: Callable, mini_run: Path, images: Path
) -> None:
    pinned = {"litert": ("ai-edge-litert",), "onnxruntime": ("onnxruntime",)}.get(engine, ())
    installed = install("edgestitch-runtime", extra=f"[{engine}]", python=python, pinned=pinned)
    assert installed.run("--help").returncode == 0
    model = shutil.copy(mini_run / "export" / artifact, installed.folder)
    scores = installed.folder / "scores.npy"
    installed.code(SCORES, model, engine, images, scores)  # importing every module on the way
    here = Classifier.open(model, engine="reference" if engine == "reference" else "auto")
    pixels = np.load(images)
    there = np.load(scores)
    steps = np.abs(there.astype(int) - here.scores(pixels).astype(int)).max()
    assert steps <= (1 if engine == "tflite-runtime" else 0)

    told = installed.run("classify", artifact, images, "--json", "--engine", engine)
    assert told.returncode == 0, told.stderr
    records = [json.loads(line) for line in told.stdout.splitlines()]
    assert [r["index"] for r in records] == there.argmax(axis=1).tolist()
    assert {r["label"] for r in records} <= set(here.labels)
    assert len(records) == COUNT

    told = installed.run("profile", artifact, "--images", images, "--quick", "--json")
    assert told.returncode == 0, told.stderr
    (row,) = json.loads(told.stdout)["rows"]
    assert (row["engine"], row["status"], row["reason"]) == (engine, "ok", None)
    assert row["latency_us"]["runs"] >= 50 and row["bare_latency_us"]["p50"] > 0
    assert told.stderr == ""
    assert sorted(p.name for p in installed.folder.iterdir()) == sorted([artifact, "scores.npy"])
    # ONNX Runtime's telemetry, on by default, would leave a device's id and a queue of events.
    assert [*installed.home.rglob("*"), *installed.scratch.rglob("*")] == []


@pytest.fixture(scope="module")
def whole(install: Callable, locked: dict[str, str]):
    """All five wheels in one environment, at the locked versions."""
    return install(*NAMES, pinned=tuple(locked))


@pytest.fixture(scope="module")
def commands_there(whole):
    """A training and two int8 exports, made by the wheels in their empty folder."""
    outputs = {}
    for words in WORDS:
        done = whole.run(*words)
        assert done.returncode == 0, done.stderr
        outputs[words[0]] = done
    return outputs


WORDS = (
    ("train", "--dataset", "fashion-mnist-mini", "--epochs", "1"),
    ("export", "--format", "tflite", "--format", "onnx", "--int8", "--json"),
)


def test_all_five_wheels_bring_every_command(whole) -> None:
    overview = whole.run("--help")
    assert overview.returncode == 0, overview.stderr
    assert "not installed here" not in overview.stdout
    listed = re.findall(r"^  ([a-z]+) +[A-Z]", overview.stdout, re.MULTILINE)
    assert listed == [
        "train",
        "export",
        "diff",
        "classify",
        "inspect",
        "profile",
        "selftest",
        "bench",
        "compare",
        "demo",
    ]
    for command in listed:
        page = whole.run(command, "--help")
        assert page.returncode == 0, page.stderr
        assert f"edgestitch {command}" in page.stdout
    code = "import edgestitch_runtime as r, edgestitch_export as e; print(r.__file__, e.__file__)"
    assert all("site-packages" in path for path in whole.code(code).split())


def test_the_wheels_make_the_same_bytes_as_the_development_environment(
    whole, commands_there, cli: Callable, tmp_path: Path
) -> None:
    for words in WORDS:
        done = cli(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    for name in ("model.keras", "export/mlp-int8.tflite", "export/mlp-int8.onnx"):
        here, there = (
            hashlib.sha256((folder / "runs" / "mlp" / name).read_bytes()).hexdigest()
            for folder in (tmp_path, whole.folder)
        )
        assert there == here, name


def test_the_wheels_classify_profile_and_bench_in_an_empty_folder(
    whole, commands_there, images: Path
) -> None:
    told = whole.run("classify", images, "--json")
    assert told.returncode == 0, told.stderr
    assert len(told.stdout.splitlines()) == COUNT
    assert "mlp-int8.tflite" in told.stderr
    timed = whole.run("profile", "runs/mlp/export/mlp-int8.onnx", "--min-seconds", "0.1", "--json")
    assert timed.returncode == 0, timed.stderr
    assert json.loads(timed.stdout)["rows"][0]["latency_us"]["runs"] >= 1000
    report = whole.run("bench", "--quick", "--min-seconds", "0.05", "--json")
    assert report.returncode == 0, report.stderr
    rows = json.loads(report.stdout)["rows"]
    assert {r["artifact"] for r in rows} == {"model.keras", "mlp-int8.tflite", "mlp-int8.onnx"}
    assert {r["engine"] for r in rows if r["status"] == "ok"} >= {"litert", "onnxruntime"}
    written = {p.name for p in (whole.folder / "runs" / "mlp" / "bench").iterdir()}
    assert written == {"report.html", "report.md", "report.json"}
    assert [p for p in whole.home.rglob("*") if "microsoft" in p.name.lower()] == []
    left = [p for p in whole.scratch.rglob("*") if "__pycache__" not in p.parts]
    assert left == []  # but for what TensorFlow compiles of its own


def test_a_shipped_model_is_laid_out_and_exported_by_the_wheels(
    whole, fashion_mnist: Path, images: Path
) -> None:
    laid = whole.run("train", "--pretrained", "dscnn", "--runs", "shipped", "--json")
    assert laid.returncode == 0, laid.stderr
    told = json.loads(laid.stdout)
    words = ("--format", "tflite", "--format", "onnx", "--int8", "--json")
    done = whole.run("export", "shipped/dscnn", *words)
    assert done.returncode == 0, done.stderr
    for artifact in json.loads(done.stdout):
        agreement = artifact["agreement"]
        assert (agreement["n"], agreement["float_correct"]) == (10_000, told["test_correct"])
        assert (whole.folder / artifact["path"]).stat().st_size == artifact["bytes"]
    answers = whole.run("classify", "shipped/dscnn/export/dscnn-int8.tflite", images, "--json")
    assert answers.returncode == 0, answers.stderr
    assert len(answers.stdout.splitlines()) == COUNT
