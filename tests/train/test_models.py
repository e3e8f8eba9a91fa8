"""The models: their size and cost, counted here by hand from the blocks, and their names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgestitch_train.layers import multiply_accumulates
from edgestitch_train.models import ARCHITECTURES, Shape
from edgestitch_train.recipes import RECIPES

LIMITS = {"mlp": (101_770, 101_632), "dscnn": (50_000, 1_700_000), "dscnn-l": (60_000, 4_000_000)}
STEM = {"dscnn": 16, "dscnn-l": 24}  # channels, at the image's own size
# (channels in, channels out, side after the block)
BLOCKS = {
    "dscnn": [(16, 40, 14), (40, 40, 14), (40, 88, 7), (88, 88, 7), (88, 240, 4)],
    "dscnn-l": [
        *[(24, 64, 14), (64, 64, 14), (64, 64, 14)],
        *[(64, 96, 7), (96, 96, 7), (96, 96, 7), (96, 128, 4)],
    ],
}


def built(name: str, *, height: int = 28, width: int = 28, classes: int = 10) -> Any:
    shape = Shape(height=height, width=width, classes=classes)
    return ARCHITECTURES[name].build(shape, RECIPES[name])


@pytest.mark.parametrize("name", BLOCKS)
def test_a_network_costs_what_its_blocks_add_up_to_and_stays_below_its_limit(name: str) -> None:
    macs = 28 * 28 * 9 * STEM[name]
    parameters = 9 * STEM[name] + 4 * STEM[name]
    for inside, outside, side in BLOCKS[name]:
        macs += side * side * (9 * inside + inside * outside)
        parameters += 9 * inside + 4 * inside + inside * outside + 4 * outside
    last = BLOCKS[name][-1][1]
    macs += last * 10
    parameters += last * 10 + 10
    model = built(name)
    assert (model.count_params(), multiply_accumulates(model)) == (parameters, macs)
    assert parameters <= LIMITS[name][0] and macs <= LIMITS[name][1]


def test_the_mlp_is_the_article_s() -> None:
    model = built("mlp")
    assert (model.count_params(), multiply_accumulates(model)) == LIMITS["mlp"]


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize(("height", "width", "classes"), [(4, 4, 2), (20, 33, 5), (64, 64, 256)])
def test_a_network_takes_any_allowed_size_and_number_of_classes(
    name: str, height: int, width: int, classes: int
) -> None:
    model = built(name, height=height, width=width, classes=classes)
    assert (model.input_shape, model.output_shape) == ((None, height, width), (None, classes))
    rows = model.predict(np.full((2, height, width), 200, np.uint8), verbose=0)
    assert np.allclose(rows.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_layers_have_the_same_names_each_time(name: str) -> None:
    first, second = ([layer.name for layer in built(name).layers] for _ in range(2))
    assert first == second and len(set(first)) == len(first)


def test_a_kernel_that_cannot_be_counted_gives_no_figure_and_a_nested_model_counts() -> None:
    from keras import Input, Sequential, layers

    inner = Sequential([Input((28, 28, 1)), layers.Conv2D(4, 3), layers.Flatten()])
    outer = Sequential([Input((28, 28, 1)), inner, layers.Dense(10)])
    assert multiply_accumulates(outer) == 26 * 26 * 9 * 4 + 26 * 26 * 4 * 10
    other = Sequential([Input((28, 28)), layers.LSTM(4), layers.Dense(10)])
    assert multiply_accumulates(other) is None
