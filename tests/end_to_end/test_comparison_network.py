"""ds112, the network that generated C is compared on: the committed file is what is said of it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import keras
import pytest

from edgestitch_export import export
from edgestitch_export.exporting import Exported
from edgestitch_runtime.graph import IntegerGraph, integer_graph
from edgestitch_runtime.tflite_file import read_tflite
from edgestitch_train.models import Shape
from edgestitch_train.own_code import load_builder

ROOT = Path(__file__).parents[2]
NETWORKS = ROOT / "tests/networks"
MODEL = NETWORKS / "ds112.keras"
MINI = ROOT / "train/edgestitch_train/fashion_mnist_mini"

# The network in the words of its docstring: (operator, positions, multiply-accumulates at each).
STAGES = [
    ("CONV_2D", 14 * 14, 9 * 112),
    *[("DEPTHWISE_CONV_2D", 7 * 7, 9 * 112), ("CONV_2D", 7 * 7, 112 * 112)] * 4,
    ("MEAN", 1, 0),
    ("FULLY_CONNECTED", 1, 112 * 10),
]
NORM = 4 * 112  # scale, shift, mean and variance of each channel
PARAMETERS = 9 * 112 + NORM + 4 * (9 * 112 + NORM + 112 * 112 + NORM) + 112 * 10 + 10


@pytest.fixture(scope="module")
def committed() -> Any:
    return keras.models.load_model(MODEL)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    out = tmp_path_factory.mktemp("ds112")
    return export(MODEL, format="tflite", precision="int8", data=MINI, out=out)


@pytest.fixture(scope="module")
def graph(exported: Exported) -> IntegerGraph:
    return integer_graph(read_tflite(exported.path.read_bytes()), exported.path.name)


def test_the_committed_model_is_built_by_its_recipe_layer_for_layer(committed: Any) -> None:
    build, _ = load_builder(NETWORKS / "ds112.py", "build")
    built: Any = build(Shape(height=28, width=28, classes=10))
    assert layers_of(committed) == layers_of(built)
    assert [w.shape for w in committed.weights] == [w.shape for w in built.weights]


def layers_of(model: Any) -> list[tuple[type, dict[str, Any]]]:
    return [(type(layer), layer.get_config()) for layer in model.layers]


def test_the_committed_model_has_the_parameters_that_it_is_known_by(committed: Any) -> None:
    assert committed.count_params() == PARAMETERS == 60_378
    assert MODEL.stat().st_size < 400_000  # an optimizer's state would make it twice as large


def test_the_readme_names_the_committed_file() -> None:
    digest = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    assert digest in (NETWORKS / "README.md").read_text(encoding="utf-8")


def test_its_int8_export_is_the_network_of_the_comparison(graph: IntegerGraph) -> None:
    found = [(node.operator, node.macs) for node in graph.nodes]
    assert found == [(operator, places * each) for operator, places, each in STAGES]
    assert graph.macs == 2_854_880
    assert (graph.input.shape[1:], graph.output.shape[1:]) == ((28, 28, 1), (10,))


def test_it_is_trained_and_int8_keeps_its_answers(exported: Exported) -> None:
    found = exported.agreement
    assert found.n == 1000
    assert found.float_correct >= 900
    assert found.artifact_correct >= found.float_correct - 10
    assert exported.card["output"]["kind"] == "logits"
