"""What planted faults (make mutants) got past the other tests here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgestitch_benchmarks.measure import Effort, measure_rows
from edgestitch_benchmarks.plans import Plan
from edgestitch_runtime.dataset import Part


def test_images_a_second_are_a_million_microseconds_over_the_mean_latency(
    fake_plan: Callable[..., Plan], test_part: Part, tmp_path: Path
) -> None:
    """Half of the calls take at least p50, so the mean is half of it or more."""
    (row,) = measure_rows(
        [fake_plan("a")],
        test_part,
        effort=Effort(min_seconds=0.05, min_runs=50, blocks=2),
        folder=tmp_path,
        tell=lambda line: None,
    )
    assert row.latency_us is not None
    assert row.images_per_s is not None
    mean_us = 1e6 / row.images_per_s
    assert row.latency_us.p50 / 2 <= mean_us <= 50 * row.latency_us.p99
