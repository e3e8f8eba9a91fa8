"""docs/first-steps.ipynb, run as it stands in a kernel of this environment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "first-steps.ipynb"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("notebook")
    notebook: Any = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}
    ).execute()
    assert list(folder.iterdir()) == []  # it writes into a temporary folder of its own
    return notebook


def printed(notebook: Any, part: str) -> str:
    """What the cell that has `part` in it wrote to stdout."""
    (cell,) = [c for c in notebook.cells if c.cell_type == "code" and part in c.source]
    outputs = [o for o in cell.outputs if o.output_type == "stream" and o.name == "stdout"]
    return "".join(output.text for output in outputs)


def test_it_is_kept_without_outputs() -> None:
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None


def test_it_trains_exports_and_classifies_with_results_that_make_sense(ran: Any) -> None:
    training = printed(ran, "result = train(")
    right = re.search(r"([\d.]+) % of 1,000 test images right", training)
    assert right and float(right[1]) > 70
    assert len(re.findall(r"^ +[\d.]+ %  ", training, re.M)) == 10
    exports = re.findall(
        r"(mlp-\S+): ([\d,]+) bytes, ([\d.]+) % right, drop ([+-][\d.]+)", printed(ran, "= export(")
    )
    assert [name for name, *_ in exports] == ["mlp-int8.tflite", "mlp-float32.onnx"]
    for _, _, accuracy, drop in exports:
        assert float(accuracy) > 70 and abs(float(drop)) < 2
    assert re.fullmatch(r"\S.* [\d.]+ %", printed(ran, "Classifier.open(").strip())
    assert "'model.keras', 'run.json'" in printed(ran, "pretrained(")


def test_it_shows_two_pictures(ran: Any) -> None:
    shown = [
        output
        for cell in ran.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(shown) == 2
    assert all(len(output["data"]["image/png"]) > 10_000 for output in shown)
