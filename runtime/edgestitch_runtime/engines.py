"""The engines: what executes an artifact. A table from name to a small record.

Only the chosen engine is imported, when a model is opened. An absent engine stays in the table with
what to install.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

import numpy as np

from .c_file import is_compiled
from .card import Artifact
from .errors import EdgestitchError
from .golden_check import DIFFERS, check_golden


class Session(Protocol):
    """An opened model. `run` and the call that `bare` returns are for one thread at a time.

    `input_shape` is (height, width), `input_dtype` what the model takes; `input_scale` and
    `input_zero_point` are (1.0, 0) for a float input. The same for the output, of `classes` scores.
    """

    input_shape: tuple[int, int]
    input_dtype: np.dtype
    input_scale: float
    input_zero_point: int
    output_dtype: np.dtype
    output_scale: float
    output_zero_point: int
    classes: int

    def run(self, batch: np.ndarray) -> np.ndarray:
        """(n, height, width) of `input_dtype` to (n, classes) of `output_dtype`."""
        ...

    def shape_one(self, image: np.ndarray) -> np.ndarray:
        """(height, width) of `input_dtype` in the shape that `bare` takes, at batch 1."""
        ...

    def bare(self) -> Callable[[np.ndarray], np.ndarray]:
        """The engine's call on one prepared image (set, invoke, get) to (1, classes), no more."""
        ...

    def single(self) -> Callable[[np.ndarray], np.ndarray]:
        """A call from one image, (height, width) uint8, checked already, to (1, classes).

        Each call that this returns is for one thread at a time; two of them may run together.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One engine: the module it imports, the distribution that brings it, the formats it runs.

    `precisions` are those that it runs, None for all.
    """

    name: str
    module: str
    distribution: str
    formats: frozenset[str]
    opener: str  # "module:function" in this package; function(artifact, threads) -> Session
    precisions: frozenset[str] | None = None

    @property
    def install(self) -> str:
        return f"pip install 'edgestitch-runtime[{self.name}]'"


# The fastest first, as README's table has them: engine="auto" tries them in this order.
ENGINES: dict[str, Engine] = {
    "litert": Engine(
        name="litert",
        module="ai_edge_litert.interpreter",
        distribution="ai-edge-litert",
        formats=frozenset({"tflite"}),
        opener="tflite_engine:open_interpreter",
    ),
    "tflite-runtime": Engine(
        name="tflite-runtime",
        module="tflite_runtime.interpreter",
        distribution="tflite-runtime",
        formats=frozenset({"tflite"}),
        opener="tflite_engine:open_interpreter",
    ),
    "onnxruntime": Engine(
        name="onnxruntime",
        module="onnxruntime",
        distribution="onnxruntime",
        formats=frozenset({"onnx"}),
        opener="onnx_engine:open_onnxruntime",
    ),
    "reference": Engine(  # of this package itself: always there, and slower than the others
        name="reference",
        module="numpy",
        distribution="edgestitch-runtime",
        formats=frozenset({"tflite"}),
        opener="reference_engine:open_reference",
        precisions=frozenset({"int8"}),
    ),
    "native": Engine(  # the artifact itself is the code: C that was compiled at export
        name="native",
        module="ctypes",
        distribution="edgestitch-runtime",
        formats=frozenset({"native"}),
        opener="native_engine:open_native",
        precisions=frozenset({"int8"}),
    ),
}


def installed(name: str) -> bool:
    """Whether the engine's package is found; it may still be broken. Imports nothing."""
    return importlib.util.find_spec(ENGINES[name].module.partition(".")[0]) is not None


def engine_version(name: str) -> str:
    """The version of the engine's distribution, or "unknown"."""
    try:
        return version(ENGINES[name].distribution)
    except PackageNotFoundError:
        return "unknown"


def decline_telemetry() -> None:
    """Tells ONNX Runtime to send and keep no usage data; it reads this when it is imported."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def open_session(artifact: Artifact, *, engine: str, threads: int) -> tuple[str, Session]:
    """Opens `artifact` on `engine`, or on the fastest, which is the first of the table, that passes
    its golden vectors ("auto"; without such vectors, that opens it).

    Returns the engine's name and the session. Raises EdgestitchError when the engine is unknown,
    does not run this format, is not installed, is installed but broken, or refuses the model.
    """
    limit = max(64, 4 * (os.cpu_count() or 1))
    if not 1 <= threads <= limit:
        raise EdgestitchError(
            f"threads is {threads}, expected 1 to {limit}", hint="1 is best for small models"
        )
    if artifact.format == "c":
        raise is_compiled(artifact.path, artifact.content)
    if engine != "auto":
        return engine, _open(artifact, _lookup(engine, artifact), threads)
    able = [e for e in ENGINES.values() if runs(e, artifact)]
    found = [e for e in able if installed(e.name)]
    if not found:
        raise EdgestitchError(
            f"no engine for {artifact.format} is installed here",
            hint=" or ".join(e.install for e in able),
        )
    first_error: EdgestitchError | None = None
    for candidate in found:
        try:
            session = _open(artifact, candidate, threads)
            _passes(artifact, session, candidate.name)
            return candidate.name, session
        except EdgestitchError as error:
            first_error = first_error or error
    assert first_error is not None
    raise first_error


def _lookup(name: str, artifact: Artifact) -> Engine:
    if name not in ENGINES:
        raise EdgestitchError(
            f"there is no engine {name!r}", hint=f"the engines are auto, {', '.join(ENGINES)}"
        )
    engine = ENGINES[name]
    if artifact.format not in engine.formats:
        able = ", ".join(e.name for e in ENGINES.values() if artifact.format in e.formats)
        raise EdgestitchError(
            f"{name} does not run {artifact.format} files", hint=f"--engine {able}, or auto"
        )
    if not _takes(engine, artifact):
        raise EdgestitchError(
            f"{name} runs {' and '.join(sorted(engine.precisions or ()))} files only, and not "
            f"{artifact.path}",
            hint="export the model at that precision, or choose another engine",
        )
    if not installed(name):
        raise EdgestitchError(f"the engine {name} is not installed here", hint=engine.install)
    return engine


def runs(engine: Engine, artifact: Artifact) -> bool:
    """Whether `engine` is one for files of this format and precision, installed or not."""
    return artifact.format in engine.formats and _takes(engine, artifact)


def _takes(engine: Engine, artifact: Artifact) -> bool:
    """Whether `engine` runs the precision that the artifact's card names; without one it may."""
    precision = None if artifact.card is None else artifact.card["precision"]
    return engine.precisions is None or precision is None or precision in engine.precisions


def _open(artifact: Artifact, engine: Engine, threads: int) -> Session:
    module_name, _, function = engine.opener.partition(":")
    opener: Callable[[Artifact, Any, int], Session] = getattr(
        importlib.import_module(f"{__package__}.{module_name}"), function
    )
    decline_telemetry()
    try:
        package = importlib.import_module(engine.module)
    except Exception as error:  # a broken native package raises whatever it likes
        if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None  # which a native module turned into its own error
        raise EdgestitchError(
            f"the engine {engine.name} is installed but broken: {_one_line(error)}",
            hint=f"{engine.install} into a fresh environment",
        ) from None
    try:
        session = opener(artifact, package, threads)
        _answers(session)
    except EdgestitchError:
        raise
    except Exception as error:
        raise EdgestitchError(
            f"{engine.name} {engine_version(engine.name)} cannot run {artifact.path}: "
            f"{_one_line(error)}",
            hint=_why_refused(artifact, engine),
        ) from None
    return session


def _passes(artifact: Artifact, session: Session, engine: str) -> None:
    """Raises EdgestitchError, with exit code 1, when the golden vectors are answered otherwise."""
    found = check_golden(artifact, session, engine=engine, engine_version=engine_version(engine))
    if found is not None and found.verdict == DIFFERS:
        raise EdgestitchError(
            f"{engine} {engine_version(engine)} does not answer {artifact.path} as exported: "
            f"{found.line()}",
            hint=f"edgestitch selftest {artifact.path} --engine all",
            exit_code=1,
        )


def _why_refused(artifact: Artifact, engine: Engine) -> str:
    if artifact.card is None:  # nothing vouches for the file
        return "copy the file again if it may be damaged; else try a newer or another engine"
    least = artifact.card.get("least_engines", {}).get(engine.name)
    asks = f"its card asks for {engine.name} {least} or newer; " if least else ""
    return f"{asks}the file itself is whole, another engine may run it"


def _answers(session: Session) -> None:
    """One black image through the engine: tflite-runtime beside numpy 2 opens, and fails here."""
    height, width = session.input_shape
    scores = session.run(np.zeros((1, height, width), session.input_dtype))
    if scores.shape != (1, session.classes):
        raise ValueError(f"it answered {scores.shape}, expected {(1, session.classes)}")


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:297]}..."
