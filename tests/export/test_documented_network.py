"""The network of one's own that docs/ml-guide.md shows, as a reader would type it in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "ml-guide.md"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, cli: Callable[..., Any]) -> Path:
    """A folder with runs/NAME, trained for an epoch by the command that the guide gives."""
    folder = tmp_path_factory.mktemp("own")
    text = GUIDE.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n# my_network.py\n(.*?)```", text, re.DOTALL)
    (folder / "my_network.py").write_text(code, encoding="utf-8")
    (command,) = re.findall(r"^    edgestitch (train --model my_network.py.*)$", text, re.MULTILINE)
    words = [*command.split(), "--dataset", "fashion-mnist-mini", "--epochs", "1"]
    done = cli(*words, "--name", "own", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
def test_the_network_of_the_guide_is_trained_exported_and_classifies(
    trained: Path,
    cli: Callable[..., Any],
    mini_test: tuple[np.ndarray, np.ndarray],
    tmp_path: Path,
    format_: str,
) -> None:
    done = cli("export", "--format", format_, "--int8", "--json", cwd=trained)
    assert done.returncode == 0, done.stderr
    (artifact,) = json.loads(done.stdout)
    assert artifact["path"] == f"runs/own/export/own-int8.{format_}"
    operators = artifact["card"]["operators"]
    assert sum(name in ("CONV_2D", "Conv") for name in operators) == 1
    assert not {"MUL", "ADD", "Mul", "Add"} & set(operators), "the norm and the scaling are folded"
    np.save(tmp_path / "images.npy", mini_test[0][:50])
    told = cli("classify", artifact["path"], tmp_path / "images.npy", "--json", cwd=trained)
    assert told.returncode == 0, told.stderr
    answers = [json.loads(line) for line in told.stdout.splitlines()]
    assert len(answers) == 50
    assert {a["label"] for a in answers} <= set(artifact["card"]["labels"])
