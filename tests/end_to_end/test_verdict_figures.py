"""How often intervals and verdicts are right, on real processes: `make figures` prints it.

About nine minutes, on a machine that does nothing else: forty-one measurements of four rows, all of
one int8 artifact on LiteRT. One row is timed as ever; of the others a timed unit is ten calls, ten
calls and eleven calls. So the truth is known: the first two do not differ, the third is slower by a
tenth. A pair of rows is compared within each measurement (interleaved) and across two that follow
each other (separate).
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edgestitch_runtime.comparing import CANNOT_TELL, SLOWER, Ratio, overhead_growth
from edgestitch_runtime.comparing import interleaved_ratio as interleaved
from edgestitch_runtime.comparing import separate_ratio as separate
from edgestitch_runtime.measurement import LatencyUs
from edgestitch_runtime.rounds import Effort, Subject, measure

pytestmark = pytest.mark.slow
TRIALS = 40
EFFORT = Effort(batches=())
LEAST_HELD = 35
MOST_HALF_WIDTH = 0.05
LEAST_TOLD_SLOWER = 36  # 18 of 20
MOST_TOLD_DIFFERENT = 2
REPEATED = """
import sys

from edgestitch_runtime.timing import Timed
from edgestitch_runtime.worker import ArtifactSubject, serve

CALLS = int(sys.argv[1])


class Repeated(ArtifactSubject):
    def timed(self, images_u8):
        timed = super().timed(images_u8)["classify"]

        def call(image, one=timed.call):
            for _ in range(CALLS):
                one(image)

        return {"classify": Timed(call=call, inputs=timed.inputs)}


sys.exit(serve(Repeated))
"""
Rows = dict[str, LatencyUs]
Verdict = Callable[[Ratio], bool]


@pytest.fixture(scope="module")
def trials(
    mini_run: Path,
    mini_test: tuple[np.ndarray, np.ndarray],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Rows]:
    """What was found in each of the measurements, in the order of time, by row."""
    folder = tmp_path_factory.mktemp("verdicts")
    script = folder / "repeated.py"
    script.write_text(REPEATED)
    path = mini_run / "export" / "mlp-int8.tflite"
    commands = {
        "alone": ("-m", "edgestitch_runtime.worker"),
        "ten": (str(script), "10"),
        "ten again": (str(script), "10"),
        "eleven": (str(script), "11"),
    }
    subjects = [
        Subject(
            path=path,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            bytes=path.stat().st_size,
            format="tflite",
            precision="int8",
            engine="litert",
            command=(sys.executable, *words),
        )
        for words in commands.values()
    ]
    found = []
    for _ in range(TRIALS + 1):
        measured = measure(subjects, mini_test[0][:256], effort=EFFORT, folder=folder)
        rows = {}
        for name, one in zip(commands, measured, strict=True):
            assert one.measurement.latency_us is not None, one.measurement.reason
            rows[name] = one.measurement.latency_us
            if one.measurement.bare_latency_us is not None:
                rows[f"{name}, bare"] = one.measurement.bare_latency_us
        found.append(rows)
    return found


def show(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with capsys.disabled():
        print(f"\n  {text}", end="", flush=True)


@pytest.mark.parametrize("name", ["alone", "alone, bare", "ten"])
def test_the_prediction_interval_holds_a_repeat_and_is_narrow(trials, capsys, name) -> None:
    latencies = [rows[name] for rows in trials]
    pairs = list(pairwise(latencies))
    held = sum(a.repeat_p50[0] <= b.p50 <= a.repeat_p50[1] for a, b in pairs)
    halves = [(a.repeat_p50[1] - a.repeat_p50[0]) / 2 / a.p50 for a in latencies]
    spread = float(np.std(np.log([a.p50 for a in latencies]), ddof=1))
    show(
        capsys,
        f"{name}: p50 {latencies[0].p50:.2f} us; a repeat within the 95 % prediction interval in "
        f"{held} of {len(pairs)} (at least {LEAST_HELD}); half width {100 * np.median(halves):.1f} "
        f"% of p50 (median, at most {100 * MOST_HALF_WIDTH:.0f}; largest "
        f"{100 * max(halves):.1f}); spread of p50 {100 * spread:.2f} %",
    )
    assert held >= LEAST_HELD
    assert np.median(halves) <= MOST_HALF_WIDTH


def count(trials: list[Rows], first: str, second: str, wanted: Verdict) -> tuple[int, int]:
    """In how many trials the ratio of `first` to `second` is as wanted: interleaved, separate."""
    together = [
        interleaved(rows[first].block_p50, rows[second].block_p50) for rows in trials[:TRIALS]
    ]
    apart = [separate(new[first].block_p50, old[second].block_p50) for old, new in pairwise(trials)]
    return sum(map(wanted, together)), sum(map(wanted, apart))


def test_eleven_calls_for_ten_are_called_slower(trials, capsys) -> None:
    slower = count(trials, "eleven", "ten", lambda ratio: ratio.verdict == SLOWER)
    true = count(trials, "eleven", "ten", lambda ratio: ratio.low <= 1.1 <= ratio.high)
    show(
        capsys,
        f"eleven calls for ten: slower in {slower[0]} of {TRIALS} interleaved, {slower[1]} of "
        f"{TRIALS} separate (at least {LEAST_TOLD_SLOWER}); 1.1 in the interval in {true[0]} and "
        f"{true[1]}",
    )
    assert min(slower) >= LEAST_TOLD_SLOWER


@pytest.mark.parametrize(("first", "second"), [("ten again", "ten"), ("ten", "ten again")])
def test_an_unchanged_engine_is_not_called_different(trials, capsys, first, second) -> None:
    different = count(trials, first, second, lambda ratio: ratio.verdict != CANNOT_TELL)
    ratios = [math.log(rows[first].p50 / rows[second].p50) for rows in trials[:TRIALS]]
    show(
        capsys,
        f"{first} over {second}: different in {different[0]} of {TRIALS} interleaved, "
        f"{different[1]} of {TRIALS} separate (at most {MOST_TOLD_DIFFERENT}); spread of the "
        f"ratio {100 * float(np.std(ratios, ddof=1)):.2f} %",
    )
    assert max(different) <= MOST_TOLD_DIFFERENT


def test_an_unchanged_overhead_is_not_called_grown(trials, capsys) -> None:
    blocks = [(rows["alone"].block_p50, rows["alone, bare"].block_p50) for rows in trials]
    grown = [overhead_growth(new, old) for old, new in pairwise(blocks)]
    different = sum(ratio.verdict != CANNOT_TELL for ratio in grown)
    spread = float(np.std([math.log(ratio.value) for ratio in grown], ddof=1)) / math.sqrt(2)
    show(
        capsys,
        f"classify over bare: different in {different} of {len(grown)} (at most "
        f"{MOST_TOLD_DIFFERENT}); spread between measurements {100 * spread:.2f} %",
    )
    assert different <= MOST_TOLD_DIFFERENT
