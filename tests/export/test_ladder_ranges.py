"""Ranges: against numpy's quantiles, against rounding itself, and as written files hold them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgestitch_export import calibration as calibrating
from edgestitch_export.formats import FORMATS
from edgestitch_export.range_estimates import METHODS, estimate
from edgestitch_export.source import Source, open_source


@pytest.fixture(scope="module")
def source(mini_run: Path) -> Source:
    return open_source(mini_run, data=None)


@pytest.fixture(scope="module")
def hidden(source: Source) -> np.ndarray:
    """What the mlp's hidden layer gives for 400 training images, from Keras: (400, 128)."""
    model = source.model
    inner = keras.Model(model.inputs, model.get_layer("hidden").output)
    images = chosen(source, "mse").images_u8
    return np.asarray(inner.predict_on_batch(images.astype(np.float32)))


def chosen(source: Source, method: str) -> calibrating.Calibration:
    found = calibrating.choose(
        source.dataset.train.images_u8, source.train_indices, count=400, seed=3
    )
    return replace(found, method=method)


def in_batches(values: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    for part in np.array_split(values, 3):
        yield {"t": part}


def rounding_error(values: np.ndarray, low: float, high: float) -> float:
    """The mean square error of 8 bits between low and high, computed by rounding."""
    step = (high - low) / 255
    zero = np.round(-low / step)
    codes = np.clip(np.round(values / step) + zero, 0, 255)
    return float(np.mean(((codes - zero) * step - values) ** 2))


def test_min_max_covers_every_value_and_zero(hidden: np.ndarray) -> None:
    assert estimate("min-max", lambda: in_batches(hidden)) == {"t": (0.0, float(hidden.max()))}
    shifted = estimate("min-max", lambda: in_batches(-1 - hidden))["t"]
    assert shifted == (float((-1 - hidden).min()), 0.0)


def test_the_percentile_is_that_of_numpy_on_both_sides(hidden: np.ndarray) -> None:
    values = np.concatenate([hidden, -0.5 * hidden])
    low, high = estimate("percentile", lambda: in_batches(values))["t"]
    taken = values[values != 0]
    for found, share in ((low, 0.5e-4), (high, 1 - 0.5e-4)):  # between the two values around it
        assert np.quantile(taken, share, method="lower") - 0.01 <= found
        assert found <= np.quantile(taken, share, method="higher") + 0.01
    assert high < values.max() and low > values.min()


def test_mse_takes_a_range_about_as_good_as_any_other(hidden: np.ndarray) -> None:
    """Heavy tails, as squares have them: rounding itself says which range is best."""
    outlier = np.append(hidden.ravel(), 30 * hidden.max()).astype(np.float32)
    for values in (hidden, hidden**7, outlier, np.concatenate([hidden**3, -hidden])):
        low, high = estimate("mse", lambda values=values: in_batches(values))["t"]
        found = rounding_error(values, low, high)
        shares = np.geomspace(1, 0.01, 60)
        best = min(rounding_error(values, s * values.min(), s * values.max()) for s in shares)
        assert found <= 1.05 * best
    many = np.append(np.tile(hidden.ravel(), 20), 10 * hidden.max()).astype(np.float32)
    low, high = estimate("mse", lambda: in_batches(many))["t"]
    assert rounding_error(many, low, high) < 0.7 * rounding_error(many, 0, many.max())


def scales_of(format_: str, content: bytes) -> list[float]:
    if format_ == "tflite":
        opened = Interpreter(model_content=content)
        opened.allocate_tensors()
        kinds = [d["quantization_parameters"]["scales"] for d in opened.get_tensor_details()]
        return [float(scales[0]) for scales in kinds if len(scales) == 1]
    model = onnx.load_from_string(content)
    values = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    linear = [n for n in model.graph.node if n.op_type.endswith("QuantizeLinear")]
    linear += [n for n in model.graph.node if n.op_type == "DequantizeLinear"]
    return [float(values[n.input[1]]) for n in linear if values[n.input[1]].ndim == 0]


@pytest.mark.parametrize("format_", FORMATS)
def test_the_file_has_the_scale_of_each_method(
    source: Source, hidden: np.ndarray, format_: str
) -> None:
    """Keras's own activations, and numpy, say what the hidden layer's scale must be."""
    expected = {
        "min-max": hidden.max() / 255,
        "percentile": np.quantile(hidden[hidden != 0], 1 - 0.5e-4) / 255,
        "mse": min(
            (s * hidden.max() for s in np.geomspace(1, 0.1, 200)),
            key=lambda high: rounding_error(hidden, 0, high),
        )
        / 255,
    }
    for method in METHODS:
        content = FORMATS[format_].convert(
            source.rewritten, "int8", chosen(source, method), source.kind
        )
        tolerance = {"min-max": 0.001, "percentile": 0.01, "mse": 0.15}[method]
        scales = scales_of(format_, content)
        assert any(abs(s / expected[method] - 1) < tolerance for s in scales), (scales, expected)
        assert any(s in (1.0, np.float32(1)) for s in scales) or format_ == "onnx"
        FORMATS[format_].check(FORMATS[format_].read_back(content, "int8"), "int8")
