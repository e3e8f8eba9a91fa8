"""A report made by hand, and rows that are measured by real processes that do as a test asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgestitch_benchmarks.report import Report, Row, RunOfReport
from edgestitch_runtime.dataset import Part
from edgestitch_runtime.distance import Distance
from edgestitch_runtime.measurement import LEVELS, LatencyUs
from edgestitch_runtime.rounds import Subject
from scripted_worker import scripted

DISTANCE = Distance(n=10_000, rows_equal=9871, largest_step=2, flips=3)


@pytest.fixture
def test_part() -> Part:
    """Sixty tiny images of four classes."""
    generator = np.random.default_rng(5)
    return Part(
        images_u8=generator.integers(0, 256, (60, 4, 4)).astype(np.uint8),
        labels=generator.integers(0, 4, 60),
    )


@pytest.fixture
def fake_subject(tmp_path: Path, test_part: Part) -> Callable[..., Subject]:
    """Makes a subject whose worker answers four of five images rightly and behaves as told.

    Its answers lie in NAME.npy, its scores in NAME-scores.npy: int8, the answer's the highest.
    """

    def make(name: str, behaviour: str = "well", **more: str | bytes) -> Subject:
        generator = np.random.default_rng(sum(name.encode()))
        answers = np.where(generator.random(60) < 0.8, test_part.labels, 3 - test_part.labels)
        scores = generator.integers(-128, 100, (60, 4)).astype(np.int8)
        scores[np.arange(60), answers] = 120
        np.save(tmp_path / f"{name}.npy", answers)
        return scripted(tmp_path, name, behaviour, scores=scores, **more)  # pyright: ignore[reportArgumentType]

    return make


def latency(p50: float, *, p90: float = 1.5, p99: float = 3.0, runs: int = 12_345) -> LatencyUs:
    """A latency whose other quantiles are `p50` times so much, and whose blocks hardly differ."""
    return LatencyUs(
        p50=p50,
        p90=p50 * p90,
        p99=p50 * p99,
        mean=p50 * 1.1,
        runs=runs,
        quantiles=tuple(p50 * (0.9 + 0.1 * k) for k in range(len(LEVELS))),
        block_p50=tuple(p50 * (1 + 0.001 * (k % 3)) for k in range(20)),
        repeat_p50=(p50 * 0.97, p50 * 1.03),
    )


def row(artifact: str, engine: str, p50: float, accuracy: float | None, **other: object) -> Row:
    """A measured row; two rows of one artifact have the same size."""
    content: dict[str, object] = {
        "sha256": f"{sum(artifact.encode()):064x}",
        "format": artifact.rsplit(".", 1)[1],
        "precision": "int8" if "int8" in artifact else "float32",
        "status": "ok",
        "run": "mlp",
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
        "latency_us": latency(p50),
        "bare_latency_us": latency(p50 * 0.6, runs=23_456),
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
    failed = row("mlp-float32.onnx", "onnxruntime", 1, None, **nothing)
    rows = (
        row("model.keras", "keras predict", 90_000, 0.8912, **reference),
        row("model.keras", "keras call", 3_000, 0.8912),
        row("mlp-float32.tflite", "litert", 8.2, 0.8912),
        row("mlp-float32.tflite", "tflite-runtime", 8.3, 0.8912),
        row("mlp-int8.tflite", "litert", 3.9, 0.8900, distance=DISTANCE),
        row("mlp-int8.tflite", "tflite-runtime", 8.25, 0.8900),
        row("mlp-int8.onnx", "onnxruntime", 8.2, 0.8921),
        replace(failed, status="failed", reason="<b>operator</b> too new | sorry"),
    )
    run = RunOfReport(
        name="mlp",
        title="mlp on fashion-mnist-mini (a sample, not the full data set)",
        model_sha256="f" * 64,
        dataset="fashion-mnist-mini",
        dataset_sha256={"train-images-idx3-ubyte": "a" * 64},
    )
    return Report(
        run=run,
        runs=(run,),
        labels=tuple("abcdefghij"),
        caveats=("Mini data set.",),
        not_measured=("Energy.",),
        answer="int8 TFLite: as fast as any.",
        recommended=(),
        machine={"cpu": "Some CPU", "cores": 2},
        machine_line="Some CPU, 2 cores",
        versions={"edgestitch": "0.1.0", "litert": "2.3.0"},
        command="edgestitch bench runs/mlp",
        quick=True,
        timed=("What is timed.", "What is not timed."),
        rows=rows,
    )
