"""Many blocks of single calls, each a histogram, as one latency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .comparing import repeat_interval
from .histogram import Histogram, merged
from .measurement import LEVELS, LatencyUs


def latency_of(blocks: Sequence[dict[str, Any]]) -> LatencyUs:
    """The latency that the answers to `block`, two or more in the order of time, make together."""
    parts = [
        Histogram(
            values_ns=np.array(told["values_ns"], np.int64),
            counts=np.array(told["counts"], np.int64),
        )
        for told in blocks
    ]
    runs = [told["runs"] for told in blocks]
    whole = merged(parts)
    p50, p90, p99 = (whole.quantiles_ns((0.5, 0.9, 0.99)) / 1000).tolist()
    block_p50 = tuple(float(part.quantiles_ns((0.5,))[0]) / 1000 for part in parts)
    return LatencyUs(
        p50=p50,
        p90=p90,
        p99=p99,
        mean=float(np.average([told["mean_ns"] for told in blocks], weights=runs)) / 1000,
        runs=sum(runs),
        quantiles=tuple((whole.quantiles_ns(LEVELS) / 1000).tolist()),
        block_p50=block_p50,
        repeat_p50=repeat_interval(p50, block_p50),
    )
