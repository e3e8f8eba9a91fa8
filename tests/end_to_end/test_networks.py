"""The figures of the convolutional networks, trained in full: `make networks` prints them.

About 45 minutes on two cores. With EDGESTITCH_TRAINED set to a folder that has runs of these
commands (`edgestitch train --model dscnn --seed 0` and so on), those are judged as they stand.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from edgestitch_train.recipes import RECIPES

pytestmark = pytest.mark.trainings
# Of each model: seeds, least mean accuracy in percent, most minutes for a training.
ASKED = {"dscnn": ((0, 1), 93.0, 15), "dscnn-l": ((0,), 94.0, 30)}
MOST_DROP_UPPER_PP = 0.40


@pytest.fixture(scope="module")
def runs(
    fashion_mnist: Path, tmp_path_factory: pytest.TempPathFactory, cli: Callable[..., Any]
) -> dict[tuple[str, int], Path]:
    """(model, seed) to the run that the command of its own leaves."""
    folder = tmp_path_factory.mktemp("networks")
    given = os.environ.get("EDGESTITCH_TRAINED")
    found = {}
    for model, (seeds, *_) in ASKED.items():
        for seed in seeds:
            name = model if seed == 0 else f"{model}-seed{seed}"
            run = (Path(given) if given else folder) / name
            if not (run / "run.json").is_file():
                words = ["train", "--model", model, "--seed", str(seed), "--name", name]
                done = cli(*words, "--runs", run.parent, cwd=folder, timeout=3600)
                assert done.returncode == 0, done.stderr
            found[model, seed] = run
    return found


def record(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text())


def show(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with capsys.disabled():
        print(f"\n  {text}", end="", flush=True)


@pytest.mark.parametrize("model", ASKED)
def test_a_network_reaches_its_accuracy_in_its_time(
    runs: dict[tuple[str, int], Path], capsys: pytest.CaptureFixture[str], model: str
) -> None:
    seeds, least, minutes = ASKED[model]
    shares = []
    for seed in seeds:
        told = record(runs[model, seed])
        test, held_out = told["accuracy"]["test"], told["accuracy"]["validation"]
        assert told["model"]["architecture"] == model
        assert told["recipe"] == asdict(replace(RECIPES[model], seed=seed))  # none of an older one
        assert (test["n"], held_out["n"]) == (10_000, 3000)
        shares.append(100 * test["correct"] / test["n"])
        show(
            capsys,
            f"{model}, seed {seed}: test {shares[-1]:.2f} % ({test['correct']:,} of 10,000), "
            f"validation {100 * held_out['correct'] / 3000:.2f} % of 3,000 (keras); "
            f"{told['recipe']['epochs']} epochs, {told['seconds'] / 60:.1f} min of at most "
            f"{minutes} on {told['device']}",
        )
        assert told["seconds"] <= 60 * minutes
    show(capsys, f"{model}, mean: {statistics.mean(shares):.2f} % (asked: {least})")
    assert statistics.mean(shares) >= least


@pytest.mark.parametrize("model", ASKED)
def test_int8_tflite_stays_with_float(
    runs: dict[tuple[str, int], Path],
    cli: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    model: str,
) -> None:
    for seed in ASKED[model][0]:
        words = ["export", runs[model, seed], "--format", "tflite", "--int8", "--json"]
        done = cli(*words, "--out", tmp_path / str(seed), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        (artifact,) = json.loads(done.stdout)
        found = artifact["agreement"]
        show(
            capsys,
            f"{model}, seed {seed}, int8 TFLite on {artifact['engine']}: "
            f"{found['artifact_correct']:,} of 10,000, {found['lost']} lost, {found['won']} won, "
            f"drop {found['drop_pp']:+.2f}, upper bound {found['drop_upper_pp']:+.2f} points (at "
            f"most {MOST_DROP_UPPER_PP:.2f}), {artifact['bytes']:,} bytes",
        )
        assert found["drop_upper_pp"] <= MOST_DROP_UPPER_PP
