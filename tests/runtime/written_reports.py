"""Reports and profiles with every field filled, as they are written, for what reads them."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from edgestitch_benchmarks.report import (
    AddedProfile,
    Against,
    Bin,
    Details,
    Flip,
    Recommended,
    Report,
    Row,
    RunOfReport,
)
from edgestitch_runtime.agreement import ClassAgreement
from edgestitch_runtime.comparing import repeat_interval
from edgestitch_runtime.distance import Distance
from edgestitch_runtime.measurement import (
    LEVELS,
    MEASUREMENT_SCHEMA,
    BatchSpeed,
    ColdStart,
    LatencyUs,
    Measurement,
)

MACHINE = {
    "cpu": "Some CPU",
    "architecture": "x86_64",
    "cores": 2,
    "memory_mb": 4000,
    "os": "Debian GNU/Linux 12, Linux 6.1.0",
    "python": "3.11.2",
    "virtual": True,
    "governor": "performance",
    "load_1m": 0.1,
    "isa": ["avx2", "avx512_vnni"],
    "temperature_c": None,
}
TEST_HASHES = {"t10k-images-idx3-ubyte": "5" * 64, "t10k-labels-idx1-ubyte": "6" * 64}


def latency(p50: float, *, seed: int = 0, blocks: int = 20) -> LatencyUs:
    """Blocks that are 0.5 % apart, and a tail; microseconds."""
    generator = np.random.default_rng(seed)
    block_p50 = (p50 * generator.lognormal(0, 0.005, blocks)).tolist()
    quantiles = [p50 * (0.9 + 0.2 * level) for level in LEVELS]
    return LatencyUs(
        p50=p50,
        p90=p50 * 1.2,
        p99=p50 * 3,
        mean=p50 * 1.1,
        runs=20_000,
        quantiles=tuple(quantiles),
        block_p50=tuple(block_p50),
        repeat_p50=repeat_interval(p50, block_p50),
    )


def row(artifact: str = "mlp-int8.tflite", engine: str = "litert", **other: Any) -> Row:
    """A row that ran, 5 us a whole call and 2 us a bare one, with 8,800 of 10,000 right."""
    content: dict[str, Any] = {
        "sha256": f"{sum(artifact.encode()):064x}",
        "format": artifact.rsplit(".", 1)[1],
        "precision": "int8",
        "status": "ok",
        "bytes": 104_472,
        "engine_version": "2.1.2",
        "python_version": "3.11.2",
        "numpy_version": "2.3.0",
        "selftest": "identical",
        "latency_us": latency(5.0, seed=1),
        "bare_latency_us": latency(2.0, seed=2),
        "images_per_s": 180_000.0,
        "throughput": (
            BatchSpeed(batch=1, images_per_s=180e3),
            BatchSpeed(batch=16, images_per_s=2e5),
        ),
        "cold_start_ms": 120.0,
        "cold_start": ColdStart(interpreter_ms=20.0, import_ms=80.0, load_ms=19.0, first_ms=1.0),
        "peak_rss_mb": 50.5,
        "memory_mb": 40.25,
        "run": "mlp",
        "accuracy": 0.88,
        "n": 10_000,
        "changed": 30,
        "drop_pp": 0.05,
        "drop_interval_pp": (-0.1, 0.2),
        "flips_lost": 15,
        "flips_won": 10,
        "mcnemar_p": 0.42,
        "distance": Distance(n=10_000, rows_equal=9_990, largest_step=1, flips=1),
        "against": Against(
            row="mlp-float32.tflite on litert", value=0.7, low=0.68, high=0.72, verdict="faster"
        ),
        "parts": {"weights": 100_000, "card": 4_472},
        "details": Details(
            confusion=((4_400, 600), (600, 4_400)),
            classes=(
                ClassAgreement(n=5_000, float_correct=4_405, artifact_correct=4_400, lost=9, won=4),
            )
            * 2,
            reliability=(
                Bin(low=0.0, high=0.5, n=0, confidence=None, accuracy=None),
                Bin(low=0.5, high=1.0, n=10_000, confidence=0.9, accuracy=0.88),
            ),
            calibration_error=0.02,
            flips=(
                Flip(
                    image=7,
                    truth=1,
                    float_answer=1,
                    float_probability=0.6,
                    answer=0,
                    probability=0.55,
                ),
            ),
        ),
    }
    return Row(artifact=artifact, engine=engine, **content | other)


NOTHING: dict[str, Any] = {
    **dict.fromkeys(
        (
            "latency_us", "bare_latency_us", "images_per_s", "cold_start_ms", "cold_start",
            "peak_rss_mb", "memory_mb", "accuracy", "n", "changed", "drop_pp", "drop_interval_pp",
            "flips_lost", "flips_won", "mcnemar_p", "distance", "against", "parts", "details",
            "selftest",
        )
    ),
    "throughput": (),
}  # fmt: skip


def failed(artifact: str = "mlp-int8.tflite", engine: str = "litert", **other: Any) -> Row:
    """A row that broke."""
    reason = "the worker was killed by signal 6, SIGABRT"
    return row(artifact, engine, **NOTHING | {"status": "failed", "reason": reason} | other)


def report(*rows: Row, **other: Any) -> Report:
    """A report of one run, on one machine unless `added` says more."""
    run = RunOfReport(
        name="mlp",
        title="mlp on fashion-mnist",
        model_sha256="f" * 64,
        dataset="fashion-mnist",
        dataset_sha256={"train-images-idx3-ubyte": "a" * 64, **TEST_HASHES},
    )
    content: dict[str, Any] = {
        "run": run,
        "runs": (run,),
        "labels": ("T-shirt/top", "Trouser"),
        "machine": MACHINE,
        "machine_line": "Some CPU (x86_64), 2 cores",
        "versions": {"edgestitch": "0.1.0", "litert": "2.1.2"},
        "command": "edgestitch bench runs/mlp",
        "quick": False,
        "caveats": ("the machine is a virtual one",),
        "not_measured": ("energy",),
        "timed": ("What is timed.",),
        "answer": "int8 TFLite: 3.7 times smaller.",
        "recommended": (
            Recommended(kind="smallest", row="mlp-int8.tflite on litert", reason="104 kB"),
        ),
        "rows": rows or (row(),),
    }
    return Report(**content | other)


def added(label: str, **machine: Any) -> AddedProfile:
    """A profile of another machine, as a report keeps it."""
    return AddedProfile(
        label=label,
        machine=MACHINE | machine,
        machine_line="another",
        versions={"litert": "2.1.2"},
        command="edgestitch profile mlp-int8.tflite",
    )


def profile(*rows: Row, **other: Any) -> dict[str, Any]:
    """A profile's JSON with what a profile tells of these rows."""
    names = [one.name for one in fields(Measurement)]
    return {
        "schema": MEASUREMENT_SCHEMA,
        "kind": "profile",
        "machine": MACHINE,
        "machine_line": "Some CPU (x86_64), 2 cores",
        "versions": {"litert": "2.1.2"},
        "command": "edgestitch profile mlp-int8.tflite --json new.json",
        "timer_ns": 30.0,
        "images": "256 test images",
        "timed": ["What is timed."],
        "caveats": [],
        "rows": [
            {name: content[name] for name in [*names, "against"]}
            | {"distance": content["distance"] or {"reason": "it is the reference"}}
            for content in map(asdict, rows or (row(),))
        ],
        **other,
    }


def write(path: Path, content: Report | dict[str, Any]) -> Path:
    """Writes a report or a profile as it lies on a disk; returns the path."""
    plain = content.to_json() if isinstance(content, Report) else content
    path.write_text(json.dumps(plain, indent=2, ensure_ascii=False), encoding="utf-8")
    return path
