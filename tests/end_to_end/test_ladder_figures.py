"""What the ladder makes of networks that int8 hurts: `make figures` prints it. About 20 minutes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
GUIDE = Path(__file__).parents[2] / "docs" / "ml-guide.md"
FORMATS = ("tflite", "onnx")
SHIPPED = ("mlp", "dscnn", "dscnn-l")
MOST_CHANGED_PERCENT = 0.7
MOST_DROP_UPPER_PP = 0.25
LEAST_FLOAT_PERCENT = 90
LEAST_HURT_PP = 3
MOST_LEFT_PP = 0.5


def show(capsys: pytest.CaptureFixture[str], what: str, found: dict[str, Any]) -> None:
    with capsys.disabled():
        print(
            f"\n  {what}: float {found['float_correct']:,}, int8 {found['artifact_correct']:,} of "
            f"{found['n']:,}; {100 * found['changed'] / found['n']:.2f} % of answers changed, drop "
            f"{found['drop_pp']:+.2f} points (at most {found['drop_upper_pp']:+.2f})",
            end="",
            flush=True,
        )


@pytest.fixture(scope="module")
def exported(cli: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    def call(run: Path, format_: str, *words: str | Path) -> dict[str, Any]:
        words = ("export", run, "--format", format_, "--int8", "--json", *words)
        done = cli(*words, cwd=run.parent, timeout=1800)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)[0]

    return call


@pytest.mark.parametrize("model", SHIPPED)
def test_the_shipped_models_stay_with_float_within_a_budget(
    fashion_mnist: Path,
    tmp_path: Path,
    cli: Callable[..., Any],
    exported: Callable[..., dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    model: str,
) -> None:
    assert cli("train", "--pretrained", model, cwd=tmp_path).returncode == 0
    budget = ("--max-drop", f"{MOST_DROP_UPPER_PP}", "--max-changed", f"{MOST_CHANGED_PERCENT}")
    for format_ in FORMATS:
        record = exported(tmp_path / "runs" / model, format_, *budget)
        found = record["agreement"]
        show(capsys, f"{model} {format_}, {record['card']['ladder']['rungs'][-1]['rung']}", found)
        assert 100 * found["changed"] / found["n"] <= MOST_CHANGED_PERCENT
        assert found["drop_upper_pp"] <= MOST_DROP_UPPER_PP


def test_the_network_of_the_guide_that_min_max_hurts_is_brought_back(
    fashion_mnist: Path,
    tmp_path: Path,
    cli: Callable[..., Any],
    exported: Callable[..., dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Trained and exported as a reader of docs/ml-guide.md would."""
    text = GUIDE.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n# input_beside.py\n(.*?)```", text, re.DOTALL)
    (tmp_path / "input_beside.py").write_text(code, encoding="utf-8")
    (command,) = re.findall(r"^    edgestitch (train --model input_beside.py.*)$", text, re.M)
    done = cli(*command.split(), cwd=tmp_path, timeout=1800)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs" / "beside"
    for format_ in FORMATS:
        plain = exported(run, format_, "--name", "plain")["agreement"]
        show(capsys, f"beside {format_}, min-max", plain)
        assert 100 * plain["float_correct"] / plain["n"] >= LEAST_FLOAT_PERCENT
        assert plain["drop_pp"] >= LEAST_HURT_PP
        record = exported(run, format_, "--max-drop", f"{MOST_LEFT_PP}")
        found = record["agreement"]
        show(capsys, f"beside {format_}, {record['card']['ladder']['rungs'][-1]['rung']}", found)
        assert record["precision"] == "int8"
        assert found["drop_pp"] <= MOST_LEFT_PP
