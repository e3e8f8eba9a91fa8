"""Reports whose answers are those of real files to real images, and whose speeds are made by hand.

The float model is the float32 TFLite file; a row that takes half the time of another has blocks of
half the time, with a noise that is drawn for both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgestitch_benchmarks.against import with_against
from edgestitch_benchmarks.answer import answer, recommended
from edgestitch_benchmarks.details import Answered, details_of
from edgestitch_benchmarks.flip_images import flip_images
from edgestitch_benchmarks.report import Report, Row, RunOfReport, TargetRow
from edgestitch_benchmarks.sizes_by_part import parts_of
from edgestitch_runtime.agreement import compare
from edgestitch_runtime.classifier import Classifier
from edgestitch_runtime.comparing import repeat_interval
from edgestitch_runtime.distance import Distance
from edgestitch_runtime.inspecting import inspect_artifact
from edgestitch_runtime.measurement import LEVELS, BatchSpeed, ColdStart, LatencyUs

BLOCKS = 20
HOSTILE = "</script><script>alert(1)</script>\"'<img src=x onerror=alert(2)>&amp;|`@x{0}"
RUN = RunOfReport(
    name="mlp",
    title="mlp on fashion-mnist-mini (a sample, not the full data set)",
    model_sha256="f" * 64,
    dataset="fashion-mnist-mini",
    dataset_sha256={"train-images-idx3-ubyte": "a" * 64},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A row to be made: its file, engine and p50, and whose answers it gives (None: its own)."""

    name: str
    engine: str
    p50: float
    like: str | None = None


TIMED = (
    Timed(name="model.keras", engine="keras predict", p50=90_000, like="mlp-float32.tflite"),
    Timed(name="model.keras", engine="keras function", p50=88, like="mlp-float32.tflite"),
    Timed(name="mlp-float32.tflite", engine="litert", p50=8.0),
    Timed(name="mlp-float16.tflite", engine="litert", p50=8.05),
    Timed(name="mlp-dynamic.tflite", engine="litert", p50=5.0),
    Timed(name="mlp-int8.tflite", engine="litert", p50=4.0),
    Timed(name="mlp-int8.tflite", engine="reference", p50=26),
    Timed(name="mlp-int8.onnx", engine="onnxruntime", p50=7.1),
)


def latency(p50: float, *, noise: float = 0.01, seed: int = 1) -> LatencyUs:
    """Blocks around `p50`, their noise the same for the same seed."""
    blocks = p50 * np.exp(np.random.default_rng(seed).normal(0, noise, BLOCKS))
    blocks *= p50 / np.median(blocks)
    ends = np.interp(LEVELS, (0, 0.5, 0.99, 1), (0.93, 1, 1.6, 40))
    return LatencyUs(
        p50=p50,
        p90=p50 * 1.2,
        p99=p50 * 1.6,
        mean=p50 * 1.1,
        runs=12_345,
        quantiles=tuple((p50 * ends).tolist()),
        block_p50=tuple(blocks.tolist()),
        repeat_p50=repeat_interval(p50, blocks.tolist()),
    )


_KNOWN: dict[tuple[Path, str], Answered] = {}


def _answers(path: Path, engine: str, images_u8: np.ndarray) -> Answered:
    if (path, engine) not in _KNOWN:
        _KNOWN[path, engine] = _scores(path, engine, images_u8)
    return _KNOWN[path, engine]


def _scores(path: Path, engine: str, images_u8: np.ndarray) -> Answered:
    with Classifier.open(path, engine) as classifier:
        scores = classifier.scores(images_u8)
        return Answered(
            answers=np.asarray(scores).argmax(axis=1),
            probabilities=classifier.probabilities_of(scores),
        )


def made_report(run: Path, images_u8: np.ndarray, labels: np.ndarray, **changes: Any) -> Report:
    """The report of `run`, which was exported, on these images: every kind of row and section."""
    rows, float_answers = [], _answers(run / "export/mlp-float32.tflite", "litert", images_u8)
    for timed in TIMED:
        keras = timed.like is not None
        path = run / timed.name if keras else run / "export" / timed.name
        like, engine = timed.like or timed.name, "litert" if keras else timed.engine
        answered = _answers(run / "export" / like, engine, images_u8)
        reference = timed.engine == "keras predict"
        rows.append(_row(timed, path, answered, None if reference else float_answers, labels))
    failed = replace(
        rows[-1],
        artifact="mlp-dynamic.onnx",
        precision="dynamic",
        status="failed",
        reason="its process ended: <b>bad</b> operator | sorry",
        **_nothing(),
    )
    rows = with_against([*rows, failed])
    content: dict[str, Any] = {
        "run": RUN,
        "runs": (RUN,),
        "labels": tuple(f"class {k}" for k in range(10)),
        "caveats": ("Mini data set: a sample.", "A virtual machine."),
        "not_measured": ("Energy and heat.",),
        "machine": {"cpu": "Some CPU", "cores": 2, "virtual": True, "governor": None},
        "machine_line": "Some CPU, 2 cores, virtual machine",
        "versions": {"edgestitch": "0.1.0", "litert": "2.3.0"},
        "command": "edgestitch bench runs/mlp",
        "quick": False,
        "timed": ("What is timed.", "What is not timed."),
        "targets": (
            TargetRow(
                artifact="mlp-int8.c",
                sha256="c" * 64,
                target="cortex-m4",
                core="cortex-m4",
                status="stale",
                reason="checked before the file changed",
            ),
        ),
        "graphs": {"mlp": inspect_artifact(run / "export/mlp-int8.tflite").svg()},
        "pictures": flip_images(rows, images_u8),
        "rows": tuple(rows),
    } | changes
    rows = content["rows"]
    told = {"answer": answer(rows), "recommended": recommended(rows)}
    return Report(**told | content)


def _row(
    timed: Timed,
    path: Path,
    answers: Answered,
    float_answers: Answered | None,
    labels: np.ndarray,
) -> Row:
    keras = path.suffix == ".keras"
    compared = float_answers or answers
    agreement = compare(labels, compared.answers, answers.answers)
    against_float = {
        "changed": agreement.changed,
        "drop_pp": agreement.drop_pp,
        "drop_interval_pp": agreement.drop_interval_pp,
        "flips_lost": agreement.lost,
        "flips_won": agreement.won,
        "mcnemar_p": agreement.mcnemar_p,
    }
    cold = ColdStart(interpreter_ms=20, import_ms=180.5, load_ms=3, first_ms=0.5)
    return Row(
        artifact=timed.name,
        sha256=f"{sum(timed.name.encode()):064x}",
        format="keras" if keras else path.suffix.removeprefix("."),
        precision="float32" if keras else path.stem.removeprefix("mlp-"),
        engine=timed.engine,
        status="ok",
        bytes=path.stat().st_size,
        run="mlp",
        engine_version="2.3.0",
        python_version="3.11.0",
        numpy_version="2.0.0",
        selftest=None if keras else "identical",
        latency_us=latency(timed.p50),
        bare_latency_us=None if keras else latency(timed.p50 * 0.7),
        images_per_s=1e6 / timed.p50,
        throughput=tuple(
            BatchSpeed(batch=batch, images_per_s=batch**0.2 * 1e6 / timed.p50)
            for batch in (1, 16, 256)
        ),
        cold_start=cold,
        cold_start_ms=cold.total_ms,
        peak_rss_mb=51.2,
        memory_mb=30.1,
        accuracy=agreement.accuracy,
        n=len(labels),
        distance=Distance(n=1000, rows_equal=987, largest_step=2, flips=3)
        if timed.name == "mlp-int8.tflite" and timed.engine == "litert"
        else None,
        parts=parts_of(path, keras=keras),
        details=details_of(labels, answers, float_answers),
        **(against_float if float_answers else {}),
    )


def _nothing() -> dict[str, Any]:
    names = (
        "selftest latency_us bare_latency_us images_per_s cold_start_ms cold_start peak_rss_mb "
        "memory_mb accuracy n changed drop_pp drop_interval_pp flips_lost flips_won mcnemar_p "
        "distance against details"
    )
    return {**dict.fromkeys(names.split()), "throughput": ()}


def without_numbers(row: Row, *, reason: str) -> Row:
    """The row as one that failed."""
    return replace(row, status="failed", reason=reason, **_nothing())


def of_two_runs(report: Report) -> Report:
    """The report's rows twice, as of two runs whose files have the same names."""
    second = replace(RUN, name="dscnn", title="dscnn on fashion-mnist-mini")
    rows = []
    for run in ("mlp", "dscnn"):
        rows += [replace(r, run=run, artifact=f"{run}/{r.artifact}") for r in report.rows]
    rows = with_against(rows)
    return replace(
        report, runs=(RUN, second), rows=tuple(rows), answer=answer(rows), recommended=()
    )


def hostile(report: Report) -> Report:
    """The report with HOSTILE in every text that comes from outside."""
    rows = [replace(row, artifact=f"{HOSTILE}{row.artifact}") for row in report.rows]
    rows[-1] = replace(rows[-1], reason=HOSTILE)
    rows = with_against(rows)
    run = replace(RUN, title=HOSTILE, name=HOSTILE, dataset=HOSTILE)
    return replace(
        report,
        run=run,
        runs=(run,),
        labels=tuple(f"{HOSTILE}{k}" for k in range(10)),
        machine={HOSTILE: HOSTILE},
        machine_line=HOSTILE,
        versions={HOSTILE: HOSTILE},
        command=HOSTILE,
        caveats=(HOSTILE,),
        not_measured=(HOSTILE,),
        timed=(HOSTILE,),
        answer=HOSTILE,
        rows=tuple(rows),
        recommended=recommended(rows),
        targets=tuple(replace(t, artifact=HOSTILE, reason=HOSTILE) for t in report.targets),
        graphs={HOSTILE: report.graphs["mlp"]},
    )
