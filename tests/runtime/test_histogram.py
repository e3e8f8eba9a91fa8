"""Histograms against numpy on the samples themselves."""

from __future__ import annotations

import numpy as np
import pytest

from edgestitch_runtime.histogram import histogram, merged
from edgestitch_runtime.measurement import LEVELS


def samples_like_calls(seed: int, n: int) -> np.ndarray:
    """Two humps and a long tail, in nanoseconds."""
    generator = np.random.default_rng(seed)
    scale = 10 ** generator.uniform(1, 8)
    body = generator.lognormal(0, 0.05, n) * np.where(generator.random(n) < 0.2, 1.7, 1)
    tail = np.where(generator.random(n) < 0.01, generator.pareto(1, n) + 1, 1)
    return np.maximum(scale * body * tail, 1).astype(np.int64)


@pytest.mark.parametrize("seed", range(12))
def test_percentiles_of_merged_blocks_are_within_a_thousandth_of_numpys(seed: int) -> None:
    sizes = (1, 2, 7, 100, 5000)
    blocks = [samples_like_calls(seed, n) for n in sizes]
    whole = merged(histogram(block) for block in blocks)
    exact = np.percentile(np.concatenate(blocks), [100 * level for level in LEVELS])
    np.testing.assert_allclose(whole.quantiles_ns(LEVELS), exact, rtol=1e-3)
    assert whole.counts.sum() == sum(sizes) and (np.diff(whole.values_ns) > 0).all()


def test_every_value_is_kept_to_a_thousandth_and_small_ones_exactly() -> None:
    values = np.unique(np.geomspace(1, 2**52, 20_001).astype(np.int64))
    for value in values[::50]:
        kept = histogram(np.array([value]))
        assert abs(kept.values_ns[0] - value) <= value / 1000
    small = np.arange(1, 1024)
    np.testing.assert_array_equal(histogram(small).values_ns, small)


def test_a_histogram_is_small_however_many_calls_it_holds() -> None:
    held = histogram(np.random.default_rng(1).integers(1_000, 1_000_000, 200_000))
    assert len(held.values_ns) < 10 * 512 + 1024 and held.counts.sum() == 200_000


def test_a_call_that_took_no_time_counts_as_a_nanosecond_and_none_is_refused() -> None:
    assert histogram(np.array([0, 0, 3])).values_ns.tolist() == [1, 3]
    with pytest.raises(ValueError, match="at least one"):
        histogram(np.array([], np.int64))
