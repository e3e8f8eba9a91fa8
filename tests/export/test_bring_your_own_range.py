"""The range that a model takes pixels in: how it is said, and when it is refused."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from edgestitch_export import cli as export_cli
from edgestitch_export import export
from edgestitch_export.input_range import RAW, parse_range
from edgestitch_export.scaling_check import check_scaling
from edgestitch_runtime import EdgestitchError


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("0..255", 0, 255), ("0..1", 0, 1), ("-1..1", -1, 1), ("-.5 .. 0.5", -0.5, 0.5),
     ("mean=0.286,std=0.353", -0.286 / 0.353, 0.714 / 0.353)],
)  # fmt: skip
def test_a_range_is_where_black_and_white_go(text: str, low: float, high: float) -> None:
    found = parse_range(text)
    assert found.offset == pytest.approx(low)
    assert 255 * found.scale + found.offset == pytest.approx(high)
    assert found.raw == (text == "0..255")


@pytest.mark.parametrize(
    ("text", "said"),
    [("1..0", "1..0' is no range: 0 is not above 1"), ("1..1", "not above"), ("0-1", "is no input"),
     ("0..1e400", "is no input"), ("nan..1", "is no input"), ("", "is no input"),
     ("mean=72.9,std=90", "not of pixels in 0..1"), ("mean=0.3,std=0", "not of pixels in 0..1"),
     ("mean=0.3", "is no input range")],
)  # fmt: skip
def test_what_is_no_range_is_refused(text: str, said: str) -> None:
    with pytest.raises(EdgestitchError, match=said) as no:
        parse_range(text)
    assert no.value.hint and no.value.exit_code == 2


def test_a_range_that_begins_with_a_minus_is_no_option() -> None:
    parser = argparse.ArgumentParser()
    export_cli.add_arguments(parser)
    found = parser.parse_args(["m.keras", "--input-range", "-1..1", "--dataset", "d", "--int8"])
    assert (found.input_range, found.data) == ("-1..1", Path("d"))


@pytest.mark.parametrize("given", [{"input_range": "0..1"}, {"trust_code": True}])
def test_a_run_takes_raw_pixels_and_has_no_code(mini_run: Path, given: dict[str, Any]) -> None:
    with pytest.raises(EdgestitchError, match="whose model takes raw pixels and has no code") as no:
        export(mini_run, format="tflite", precision="int8", **given)
    assert no.value.exit_code == 2 and no.value.hint


def test_always_answering_the_frequent_class_is_chance(
    mini_train: tuple[np.ndarray, np.ndarray],
) -> None:
    model: Any = keras.Sequential([keras.Input((28, 28)), layers.Flatten(), layers.Dense(2)])
    model.set_weights([np.zeros((784, 2)), np.array([1.0, 0.0])])
    labels = (np.arange(400) % 10 == 0).astype(np.int64)  # nine in ten are right
    with pytest.raises(EdgestitchError, match=r"near chance, 50\.0 %"):
        check_scaling(model, mini_train[0][:400], labels, RAW)
