"""Which rows a report gets: the float model, and every artifact on every engine that can run it."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgestitch_runtime.array_files import read_regular
from edgestitch_runtime.card import FORMATS, MAX_ARTIFACT_BYTES, read_artifact
from edgestitch_runtime.engines import ENGINES, installed
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.rounds import Subject
from edgestitch_runtime.run_folder import Run

from .belonging import stranger
from .target_checks import check_files

FORMAT_ORDER = ("tflite", "onnx", "native")
PRECISION_ORDER = ("float32", "float16", "dynamic", "mixed", "int8")
KERAS_ENGINES = ("keras predict", "keras call", "keras function")
RUNTIME_WORKER = ("-m", "edgestitch_runtime.worker")
KERAS_WORKER = ("-m", "edgestitch_benchmarks.keras_worker")


def plan_rows(run: Run, *, engine_pythons: Mapping[str, Path]) -> list[Subject]:
    """The rows of `run`: the float model, then formats, precisions and engines in a fixed order.

    `engine_pythons` gives the Python of another environment for an engine. An engine that is
    nowhere to be found, and an artifact that is damaged or of another model than this run's, keep
    their rows, with the reason. Raises EdgestitchError when the run has neither an artifact for an
    engine nor C that was checked, its model is not the one that run.json describes, or an engine
    is unknown.
    """
    for name in engine_pythons:
        if name not in ENGINES:
            raise EdgestitchError(
                f"there is no engine {name!r}", hint=f"the engines are {', '.join(ENGINES)}"
            )
    artifacts = _artifacts(run)
    if not artifacts and not check_files(run):
        raise EdgestitchError(
            f"{run.folder} has no exported artifact",
            hint=f"edgestitch export {run.folder} --all",
        )
    model = read_regular(run.model_path)
    if hashlib.sha256(model).hexdigest() != run.record["model"]["sha256"]:
        raise EdgestitchError(
            f"{run.model_path} is not the model that run.json describes: its hash differs",
            hint="train the run again: what was exported cannot be compared with another model",
        )
    plans = [_keras_plan(run.model_path, model, engine) for engine in KERAS_ENGINES]
    of_artifacts = [p for path in artifacts for p in _artifact_plans(path, run, engine_pythons)]
    return plans + sorted(of_artifacts, key=_place)


def _artifacts(run: Run) -> list[Path]:
    """The run's files that an engine takes, by name: C has rows of its own, on its targets."""
    formats = frozenset[str]().union(*(engine.formats for engine in ENGINES.values()))
    if not run.export_folder.is_dir():
        return []
    found = run.export_folder.iterdir()
    return sorted(path for path in found if FORMATS.get(path.suffix) in formats)


def find_engine_python(name: str) -> Path | None:
    """The Python of `.venv-NAME`, beside this environment or in the current folder, if it is there.

    `make setup` puts the environment of an engine that cannot live with the others there.
    """
    for folder in (Path(sys.prefix).parent, Path.cwd()):
        python = folder / f".venv-{name}" / "bin" / "python"
        if os.access(python, os.X_OK):
            return python
    return None


def _place(plan: Subject) -> tuple[int, int, str, int]:
    def position(order: Sequence[str], word: str) -> int:
        return order.index(word) if word in order else len(order)

    return (
        position(FORMAT_ORDER, plan.format),
        position(PRECISION_ORDER, plan.precision),
        plan.path.name,
        position(tuple(ENGINES), plan.engine),
    )


def _keras_plan(path: Path, content: bytes, engine: str) -> Subject:
    here = importlib.util.find_spec("tensorflow") is not None
    return Subject(
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        format="keras",
        precision="float32",
        engine=engine,
        command=(sys.executable, *KERAS_WORKER) if here else None,
        status="ok" if here else "absent",
        reason=None
        if here
        else "TensorFlow is not installed here (hint: pip install edgestitch-train)",
    )


def _artifact_plans(path: Path, run: Run, engine_pythons: Mapping[str, Path]) -> list[Subject]:
    format_ = FORMATS[path.suffix]
    content, damage, precision = None, None, "unknown"
    try:
        content = read_regular(path, limit=MAX_ARTIFACT_BYTES)
        card = read_artifact(path).card
        if card is not None:
            precision = card["precision"]
            damage = stranger(card, run)
    except EdgestitchError as error:
        damage = f"{error.message} (hint: {error.hint})"
    plans = []
    able = [engine for engine in ENGINES.values() if format_ in engine.formats]
    taking = [engine for engine in able if precision in (engine.precisions or {precision})]
    for engine in taking or able:  # a file whose precision is not known keeps a row
        python = _engine_python(engine.name, engine_pythons)
        status, reason = "ok", None
        if damage is not None:
            status, reason = "failed", damage
        elif python is None:
            status = "absent"
            reason = f"{engine.name} is not installed here (hint: {engine.install})"
        plans.append(
            Subject(
                path=path,
                sha256=None if content is None else hashlib.sha256(content).hexdigest(),
                bytes=None if content is None else len(content),
                format=format_,
                precision=precision,
                engine=engine.name,
                command=None if reason is not None else (str(python), *RUNTIME_WORKER),
                status=status,
                reason=reason,
            )
        )
    return plans


def _engine_python(name: str, engine_pythons: Mapping[str, Path]) -> Path | None:
    if name in engine_pythons:
        return engine_pythons[name]
    return find_engine_python(name) or (Path(sys.executable) if installed(name) else None)
