"""Which rows a run gets, before anything is started."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgestitch_benchmarks import plans
from edgestitch_benchmarks.benchmark import _graphs
from edgestitch_benchmarks.measure import Planned
from edgestitch_benchmarks.plans import find_engine_python, plan_rows
from edgestitch_runtime.card import model_bytes
from edgestitch_runtime.engines import ENGINES
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.run_folder import read_run


@pytest.fixture
def run_folder(mini_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(mini_run, tmp_path / "mlp"))


def test_every_artifact_meets_every_engine_of_its_format_and_the_float_model_comes_first(
    mini_run: Path,
) -> None:
    rows = plan_rows(read_run(mini_run), engine_pythons={})
    assert [p.engine for p in rows[:3]] == ["keras predict", "keras call", "keras function"]
    expected = {
        (path.name, engine.name)
        for path in (mini_run / "export").iterdir()
        for engine in ENGINES.values()
        if path.suffix.lstrip(".") in engine.formats
        and (engine.name != "reference" or path.name == "mlp-int8.tflite")
    }
    assert {(p.path.name, p.engine) for p in rows[3:]} == expected and len(rows[3:]) == len(
        expected
    )
    assert [p.precision for p in rows[3:] if p.engine == "litert"] == [
        "float32",
        "float16",
        "dynamic",
        "int8",
    ]


def test_an_engine_that_is_nowhere_keeps_its_row_with_what_to_install(
    mini_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "installed", lambda name: name != "onnxruntime")
    monkeypatch.setattr(plans, "find_engine_python", lambda name: None)
    rows = plan_rows(read_run(mini_run), engine_pythons={})
    absent = [p for p in rows if p.engine == "onnxruntime"]
    assert absent and all(p.status == "absent" and p.command is None for p in absent)
    assert all("pip install 'edgestitch-runtime[onnxruntime]'" in (p.reason or "") for p in absent)
    assert all(p.command for p in rows if p.engine == "litert")


def test_without_tensorflow_the_float_rows_are_absent_and_say_what_to_install(
    mini_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(plans, "installed", lambda name: True)
    first = plan_rows(read_run(mini_run), engine_pythons={})[0]
    assert first.status == "absent" and "pip install" in (first.reason or "")


def test_a_named_python_runs_its_engine(mini_run: Path) -> None:
    rows = plan_rows(read_run(mini_run), engine_pythons={"litert": Path("/other/python")})
    for plan in rows:
        if plan.engine == "litert":
            assert plan.command is not None and plan.command[0] == "/other/python"


def test_the_environment_in_the_current_folder_is_found_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "elsewhere" / ".venv"))
    assert find_engine_python("tflite-runtime") is None
    for place in (tmp_path, tmp_path / "elsewhere"):  # the one beside ours comes before
        python = place / ".venv-tflite-runtime" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text("#!/bin/sh\n", encoding="utf-8")
        python.chmod(0o755)
        assert find_engine_python("tflite-runtime") == python


def test_a_damaged_artifact_keeps_its_rows_as_failed(run_folder: Path) -> None:
    damaged = next((run_folder / "export").glob("*-int8.onnx"))
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:1000])
    rows = plan_rows(read_run(run_folder), engine_pythons={})
    (row,) = [p for p in rows if p.path == damaged]
    assert row.status == "failed" and row.command is None and row.reason
    assert all(p.status != "failed" for p in rows if p.path != damaged)


def test_a_run_without_artifacts_says_how_to_export(run_folder: Path) -> None:
    shutil.rmtree(run_folder / "export")
    with pytest.raises(EdgestitchError) as caught:
        plan_rows(read_run(run_folder), engine_pythons={})
    assert caught.value.hint == f"edgestitch export {run_folder} --all"


def test_an_unknown_engine_is_refused_with_the_list(mini_run: Path) -> None:
    with pytest.raises(EdgestitchError, match="toaster") as caught:
        plan_rows(read_run(mini_run), engine_pythons={"toaster": Path(sys.executable)})
    assert "litert" in caught.value.hint


def _retrained(folder: Path, record: dict[str, Any]) -> None:
    model = folder / "model.keras"
    model.write_bytes(model.read_bytes() + b" ")
    record["model"]["sha256"] = hashlib.sha256(model.read_bytes()).hexdigest()


def _relabelled(folder: Path, record: dict[str, Any]) -> None:
    record["data"]["labels"][0] = "something else"


def _other_data(folder: Path, record: dict[str, Any]) -> None:
    record["data"]["files"][0]["sha256"] = "0" * 64


@pytest.mark.parametrize(
    ("change", "says"),
    [(_retrained, "source model"), (_relabelled, "labels"), (_other_data, "other data")],
)
def test_an_artifact_of_another_run_is_not_compared_with_this_ones_model(
    run_folder: Path, change: Callable[[Path, dict[str, Any]], None], says: str
) -> None:
    bare = run_folder / "export" / "bare.tflite"
    content = next((run_folder / "export").glob("*-int8.tflite")).read_bytes()
    bare.write_bytes(model_bytes("tflite", content))  # no card: nothing to compare
    record = json.loads((run_folder / "run.json").read_text("utf-8"))
    change(run_folder, record)
    (run_folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    rows = plan_rows(read_run(run_folder), engine_pythons={})[3:]
    for row in rows:
        if row.path == bare:
            assert row.status != "failed" and row.precision == "unknown"
        else:
            assert row.status == "failed" and row.command is None
            assert says in (row.reason or "") and "hint: " in (row.reason or "")
    assert sum(row.path == bare for row in rows) >= 1


def test_the_graph_of_a_run_is_that_of_its_own_file(run_folder: Path) -> None:
    def graphs() -> dict[str, str]:
        rows = plan_rows(read_run(run_folder), engine_pythons={})
        return _graphs([Planned(run="mlp", artifact=row.path.name, subject=row) for row in rows])

    assert list(graphs()) == ["mlp: mlp-int8.tflite"]
    record = json.loads((run_folder / "run.json").read_text("utf-8"))
    _retrained(run_folder, record)
    (run_folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    assert graphs() == {}  # all files are of the old model now


def test_a_model_that_run_json_does_not_describe_is_refused(run_folder: Path) -> None:
    model = run_folder / "model.keras"
    model.write_bytes(model.read_bytes() + b" ")
    with pytest.raises(EdgestitchError, match="not the model that run"):
        plan_rows(read_run(run_folder), engine_pythons={})


def test_what_cannot_be_read_as_a_file_is_a_failed_row(run_folder: Path) -> None:
    folder = run_folder / "export"
    (folder / "x.tflite").mkdir()
    (folder / "y.onnx").symlink_to("nowhere")
    os.mkfifo(folder / "z.onnx")
    rows = plan_rows(read_run(run_folder), engine_pythons={})
    broken = [p for p in rows if p.path.stem in "xyz"]
    assert {p.path.stem for p in broken} == set("xyz")
    for row in broken:
        assert row.status == "failed" and row.command is None and "hint: " in (row.reason or "")
        assert row.sha256 is None and row.bytes is None
    assert all(p.status != "failed" for p in rows if p not in broken)
