"""A report made by hand, and workers that behave as badly as a test asks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgestitch_benchmarks.plans import Plan
from edgestitch_benchmarks.report import LatencyUs, Report, Row, RunOfReport
from edgestitch_runtime.dataset import Part
from edgestitch_runtime.distance import Distance

DISTANCE = Distance(n=10_000, rows_equal=9871, largest_step=2, flips=3)
# A worker whose answers are in a file, whose calls are written down, and that can be told to break.
WORKER = """
import json, os, signal, sys, time
import numpy as np
from edgestitch_runtime.timing import Timed
from edgestitch_runtime.worker import serve

NAME, BEHAVIOUR, FOLDER = sys.argv[1:]

def note(what):
    with open(os.path.join(FOLDER, "log"), "a") as log:
        log.write(f"{NAME} {what} {os.getpid()}\\n")

class Subject:
    engine_version = "1.0"
    def __init__(self, command):
        note("open")
        if BEHAVIOUR == "no module":
            raise ModuleNotFoundError("No module named 'engine'")
        if BEHAVIOUR == "exit":
            print("engine: fatal: bad operator", file=sys.stderr)
            os._exit(3)
    def scores(self, images_u8):
        if BEHAVIOUR == "segfault" and len(images_u8) > 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        if BEHAVIOUR == "hang" and len(images_u8) > 1:
            time.sleep(600)
        return np.load(os.path.join(FOLDER, NAME + "-scores.npy"))[: len(images_u8)]
    def timed(self, images_u8):
        return {"classify": Timed(call=self.call, inputs=list(images_u8))}
    def call(self, image):
        note("call")
        if BEHAVIOUR == "killed while timed":
            os.kill(os.getpid(), signal.SIGKILL)

sys.exit(serve(Subject))
"""


@pytest.fixture
def test_part() -> Part:
    """Sixty tiny images of four classes."""
    generator = np.random.default_rng(5)
    return Part(
        images_u8=generator.integers(0, 256, (60, 4, 4)).astype(np.uint8),
        labels=generator.integers(0, 4, 60),
    )


@pytest.fixture
def fake_plan(tmp_path: Path, test_part: Part) -> Callable[..., Plan]:
    """Makes a plan whose worker answers four of five images rightly and behaves as told.

    Its answers lie in NAME.npy, its scores in NAME-scores.npy: int8, the answer's the highest.
    """
    script = tmp_path / "worker.py"
    script.write_text(WORKER, encoding="utf-8")

    def make(
        name: str, behaviour: str = "well", *, format_: str = "tflite", engine: str = "fake"
    ) -> Plan:
        generator = np.random.default_rng(sum(name.encode()))
        answers = np.where(generator.random(60) < 0.8, test_part.labels, 3 - test_part.labels)
        scores = generator.integers(-128, 100, (60, 4)).astype(np.int8)
        scores[np.arange(60), answers] = 120
        np.save(tmp_path / f"{name}.npy", answers)
        np.save(tmp_path / f"{name}-scores.npy", scores)
        return Plan(
            path=tmp_path / name,
            sha256="0" * 64,
            bytes=1000,
            format=format_,
            precision="int8",
            engine=engine,
            command=(sys.executable, str(script), name, behaviour, str(tmp_path)),
        )

    return make


def row(artifact: str, engine: str, p50: float, accuracy: float, **other: object) -> Row:
    """A measured row; two rows of one artifact have the same size."""
    content: dict[str, object] = {
        "sha256": f"{sum(artifact.encode()):064x}",
        "format": artifact.rsplit(".", 1)[1],
        "precision": "int8" if "int8" in artifact else "float32",
        "status": "ok",
        "engine_version": "1.2.3",
        "python_version": "3.11.0",
        "numpy_version": "2.0.0",
        "bytes": 100_000 + 1000 * sum(artifact.encode()),
        "n": 10_000,
        "changed": 40,
        "drop_pp": 0.12,
        "drop_interval_pp": (-0.05, 0.29),
        "flips_lost": 26,
        "flips_won": 14,
        "mcnemar_p": 0.0807,
        "distance": None,
        "latency_us": LatencyUs(p50=p50, p90=p50 * 1.5, p99=p50 * 3, runs=12_345),
        "bare_latency_us": LatencyUs(p50=p50 * 0.6, p90=p50, p99=p50 * 2, runs=23_456),
        "images_per_s": 1e6 / p50,
        "cold_start_ms": 240.4,
        "peak_rss_mb": 51.2,
    }
    return Row(artifact=artifact, engine=engine, accuracy=accuracy, **content | other)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def report() -> Report:
    """Rows that crowd one place of the picture, one far away, one failed, one absent."""
    nothing = dict.fromkeys(
        (
            "n", "changed", "drop_pp", "drop_interval_pp", "flips_lost", "flips_won", "mcnemar_p",
            "latency_us", "bare_latency_us", "images_per_s", "cold_start_ms", "peak_rss_mb",
        )
    )  # fmt: skip
    reference = dict.fromkeys(
        ("changed", "drop_pp", "drop_interval_pp", "flips_lost", "flips_won", "mcnemar_p")
    )
    failed = row("mlp-float32.onnx", "onnxruntime", 1, 0, **nothing)
    rows = (
        row("model.keras", "keras predict", 90_000, 0.8912, **reference),
        row("model.keras", "keras call", 3_000, 0.8912),
        row("mlp-float32.tflite", "litert", 8.2, 0.8912),
        row("mlp-float32.tflite", "tflite-runtime", 8.3, 0.8912),
        row("mlp-int8.tflite", "litert", 3.9, 0.8900, distance=DISTANCE),
        row("mlp-int8.tflite", "tflite-runtime", 8.25, 0.8900),
        row("mlp-int8.onnx", "onnxruntime", 8.2, 0.8921),
        Row(
            **{name: getattr(failed, name) for name in failed.__slots__}
            | {"accuracy": None, "status": "failed", "reason": "<b>operator</b> too new | sorry"}
        ),
    )
    return Report(
        run=RunOfReport(
            name="mlp",
            title="mlp on fashion-mnist-mini (a sample, not the full data set)",
            model_sha256="f" * 64,
            dataset="fashion-mnist-mini",
            dataset_sha256={"train-images-idx3-ubyte": "a" * 64},
        ),
        machine={"cpu": "Some CPU", "cores": 2},
        machine_line="Some CPU, 2 cores",
        versions={"edgestitch": "0.1.0", "litert": "2.3.0"},
        command="edgestitch bench runs/mlp",
        quick=True,
        timed=("What is timed.", "What is not timed."),
        rows=rows,
    )
