"""Layers with weights, pools and reductions of the `reference` engine, against LiteRT's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.graph import integer_graph
from edgestitch_runtime.operator_rules import RULES
from edgestitch_runtime.reference_engine import steps_of
from edgestitch_runtime.reference_kernels import KERNELS
from edgestitch_runtime.tflite_file import read_tflite
from random_layers import LAYERS
from tflite_builder import Op, Spec, build, reference_rows

NETWORKS = 60  # random ones of each operator; whole networks are in test_random_networks.py
SAME, VALID = 0, 1
RELU6 = 3
EVERY_CODE = np.arange(-128, 128).astype(np.int8)


def ours(content: bytes, images: np.ndarray) -> np.ndarray:
    """What the `reference` engine gives for the images of one batch, whatever the shapes are."""
    graph = integer_graph(read_tflite(content), "built.tflite")
    held = {graph.input.index: images}
    for kernel, inputs, output, _ in steps_of(graph):
        held[output] = kernel(*[held[k] for k in inputs])
    return held[graph.output.index]


def check_equal(content: bytes, images: np.ndarray) -> np.ndarray:
    """LiteRT's answers, after ours have been found equal: in one batch, and for an image alone."""
    expected, found = reference_rows(content, images), ours(content, images)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(ours(content, images[-1:]), expected[-1:])
    return expected


def layer(
    name: str,
    image: Sequence[int],
    weights: np.ndarray,
    out: Sequence[int],
    *,
    bias: Sequence[int] | np.ndarray = (),
    scales: tuple[float, float | list[float], float] = (1.0, 1.0, 1.0),
    zero_points: tuple[int, int] = (0, 0),
    options: str = "Conv2DOptions",
    **fields: Any,
) -> bytes:
    """A file of one layer with weights; `scales` are those of input, weights and output."""
    biases = np.zeros(out[-1], np.int32) if len(bias) == 0 else np.asarray(bias, np.int32)
    product = np.float32(scales[0]) * np.atleast_1d(np.array(scales[1], np.float32))
    return build(
        [Op(name=name, inputs=(0, 1, 2), outputs=(3,), options=options, fields=fields, version=5)],
        [
            Spec(shape=image, scales=scales[0], zero_points=zero_points[0]),
            Spec(data=weights, scales=scales[1], axis=3 if name == "DEPTHWISE_CONV_2D" else 0),
            Spec(data=biases, scales=product),
            Spec(shape=out, scales=scales[2], zero_points=zero_points[1]),
        ],
    )


def reduction(
    name: str, axes: np.ndarray, output: Spec, *, image: Sequence[int] = (1, 3, 4, 5)
) -> bytes:
    """A file of one reduction, of scale 0.5 and zero point 3."""
    return build(
        [Op(name=name, inputs=(0, 1), outputs=(2,), options="ReducerOptions", version=2)],
        [Spec(shape=image, scales=0.5, zero_points=3), Spec(data=axes), output],
    )


def codes(shape: Sequence[int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


def test_every_operator_has_a_kernel_and_a_test_that_names_it() -> None:
    here = Path(__file__).parent
    tests = "".join(p.read_text() for p in [here / "random_layers.py", *here.glob("test_kernels*")])
    assert RULES.keys() == KERNELS.keys()
    assert [name for name in RULES if f'"{name}"' not in tests] == []


@pytest.mark.parametrize("name", LAYERS)
def test_random_layers_answer_as_litert_does(name: str) -> None:
    inside = total = 0
    for seed in range(NETWORKS):
        content, images = LAYERS[name](np.random.default_rng([seed, len(name)]))
        expected = check_equal(content, images)
        inside += int(((expected > -128) & (expected < 127)).sum())
        total += expected.size
    assert inside > total / 2  # most answers are no clamped ones


@pytest.mark.parametrize("scale", [0.5, [0.5, 0.25]], ids=["per tensor", "per channel"])
def test_fully_connected_takes_halves_away_from_zero(scale: float | list[float]) -> None:
    content = layer(
        "FULLY_CONNECTED", (1, 1), np.ones((2, 1), np.int8), (1, 2), scales=(1.0, scale, 1.0),
        options="FullyConnectedOptions",
    )  # fmt: skip
    expected = check_equal(content, EVERY_CODE[:, None])
    assert expected[128 - 3, 0] == -2
    assert expected[128 + 3, 0] == 2


def test_convolution_takes_halves_away_from_zero() -> None:
    # Scaled by 3/4 and by 1/8 the halves fall to the second of the two roundings.
    weights = np.array([1, 1, -3]).astype(np.int8).reshape(3, 1, 1, 1)
    content = layer(
        "CONV_2D", (1, 1, 1, 1), weights, (1, 1, 1, 3), scales=(1.0, [0.75, 0.125, 0.125], 1.0),
        strideW=1, strideH=1, padding=VALID,
    )  # fmt: skip
    expected = check_equal(content, EVERY_CODE.reshape(-1, 1, 1, 1))
    assert expected[128 - 12, 0, 0].tolist() == [-9, -2, 5]


def test_sums_beyond_24_bits_are_exact() -> None:
    weights = np.full((3, 2000), 127, np.int8)
    weights[1] = -127
    weights[2, ::2] = -127
    images = np.stack([np.full(2000, 127, np.int8), np.full(2000, -128, np.int8), codes((2000,))])
    content = layer(
        "FULLY_CONNECTED", (1, 2000), weights, (1, 3), bias=[1, -1, 12345],
        scales=(1.0, 1.0, 500_000.0), zero_points=(-128, 3), options="FullyConnectedOptions",
    )  # fmt: skip
    check_equal(content, images)


def test_a_bias_too_large_for_floats_is_taken_in_integers() -> None:
    bias = [1 << 29, -(1 << 29) - 77, 3]
    content = layer(
        "CONV_2D", (1, 5, 4, 2), codes((3, 3, 3, 2)), (1, 5, 4, 3), bias=bias,
        scales=(0.1, [1e-7, 1e-7, 3e-4], 1.7), zero_points=(-5, -7), strideW=1, strideH=1,
        padding=SAME,
    )  # fmt: skip
    check_equal(content, codes((4, 5, 4, 2), 1))


def test_an_odd_sum_beyond_24_bits_decides_a_half() -> None:
    # 127 * 127 * 1999 + 127 * 126 - 7873 is 64.5 times the output's scale.
    images = np.full((1, 2000), 127, np.int8)
    images[0, -1] = 126
    content = layer(
        "FULLY_CONNECTED", (1, 2000), np.full((1, 2000), 127, np.int8), (1, 1), bias=[-7873],
        scales=(1.0, 1.0, 500_000.0), options="FullyConnectedOptions",
    )  # fmt: skip
    assert check_equal(content, images).tolist() == [[65]]


def test_just_below_a_half_is_none() -> None:
    # 49 times the double nearest to 1/98 is the largest double below a half.
    assert np.nextafter(0.5, 0) == 49 * (1 / 98)
    content = layer(
        "FULLY_CONNECTED", (1, 1), np.ones((1, 1), np.int8), (1, 1), scales=(1.0, 1.0, 98.0),
        options="FullyConnectedOptions",
    )  # fmt: skip
    assert check_equal(content, np.array([[49]], np.int8)).tolist() == [[0]]


def test_a_product_of_57_bits_is_rounded_in_integers() -> None:
    # Times the factor it is 6 / 2**31 below 260,046,847.5, which float64 cannot tell from it;
    # rounded up, it would be 15.5 steps, and 16.
    content = layer(
        "CONV_2D", (1, 1, 1, 1), np.zeros((1, 1, 1, 1), np.int8), (1, 1, 1, 1), bias=[474376389],
        scales=(1.0, [0.9319174885749817], float(np.float32(1.7)) * 2**24), strideW=1, strideH=1,
        padding=VALID,
    )  # fmt: skip
    assert check_equal(content, np.zeros((1, 1, 1, 1), np.int8)).tolist() == [[[[15]]]]


@pytest.mark.parametrize("padding", [SAME, VALID])
def test_convolution_of_odd_sizes_is_strided_dilated_and_padded(padding: int) -> None:
    # The border holds the zero point, and of an odd padding more stands after than before.
    out = (1, 4, 6, 5) if padding == SAME else (1, 3, 5, 5)
    content = layer(
        "CONV_2D", (1, 11, 12, 3), codes((5, 2, 3, 3)), out, bias=codes((5,), 2).astype(int) * 50,
        scales=(0.02, [0.01, 0.02, 0.03, 0.04, 0.05], 0.7), zero_points=(-101, 13), strideW=2,
        strideH=3, dilationHFactor=3, dilationWFactor=1, padding=padding,
        fusedActivationFunction=RELU6,
    )  # fmt: skip
    check_equal(content, codes((2, 11, 12, 3), 1))


def test_convolution_in_groups() -> None:
    content = layer(
        "CONV_2D", (1, 5, 5, 6), codes((9, 3, 3, 2)), (1, 5, 5, 9), scales=(0.1, 0.01, 2.0),
        zero_points=(7, -7), strideW=1, strideH=1, padding=SAME,
    )  # fmt: skip
    check_equal(content, codes((3, 5, 5, 6), 1))


def test_depthwise_convolution_multiplies_channels() -> None:
    scales = [0.01 * k for k in range(1, 10)]
    content = layer(
        "DEPTHWISE_CONV_2D", (1, 7, 6, 3), codes((1, 3, 4, 9)), (1, 4, 3, 9),
        bias=codes((9,), 2).astype(int) * 100, scales=(0.1, scales, 1.5), zero_points=(-128, -128),
        options="DepthwiseConv2DOptions", strideW=2, strideH=2, depthMultiplier=3, padding=SAME,
    )  # fmt: skip
    check_equal(content, codes((3, 7, 6, 3), 1))


def test_sums_that_could_leave_32_bits_are_refused() -> None:
    content = layer(
        "FULLY_CONNECTED", (1, 2), np.full((1, 2), 127, np.int8), (1, 1), bias=[2**31 - 1],
        options="FullyConnectedOptions",
    )  # fmt: skip
    with pytest.raises(EdgestitchError, match="more than 32 bits hold"):
        ours(content, codes((1, 2)))


def test_average_pool_counts_the_pixels_inside_and_takes_halves_away_from_zero() -> None:
    fields = {"padding": SAME, "strideW": 1, "strideH": 1, "filterWidth": 2, "filterHeight": 2}
    content = build(
        [Op(name="AVERAGE_POOL_2D", inputs=(0,), outputs=(1,), options="Pool2DOptions",
            fields=fields, version=2)],
        [Spec(shape=(1, 2, 2, 1), scales=0.1, zero_points=-3)] * 2,
    )  # fmt: skip
    images = np.array([[[-1, -1], [0, 0]], [[1, 2], [2, 1]], [[-128, -128], [-127, -127]]])
    expected = check_equal(content, images.astype(np.int8)[..., None])
    assert expected[..., 0].tolist() == [
        [[-1, -1], [0, 0]], [[2, 2], [2, 1]], [[-128, -128], [-127, -127]]
    ]  # fmt: skip


def test_a_pool_of_the_whole_image() -> None:
    for name in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        fields = {"padding": VALID, "strideW": 9, "strideH": 7, "filterWidth": 9, "filterHeight": 7}
        content = build(
            [Op(name=name, inputs=(0,), outputs=(1,), options="Pool2DOptions", fields=fields,
                version=2)],
            [Spec(shape=(1, *size, 5), scales=0.1, zero_points=-3) for size in ((7, 9), (1, 1))],
        )  # fmt: skip
        check_equal(content, codes((3, 7, 9, 5)))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 65, 4096])
def test_mean_puts_the_number_of_elements_into_the_factor(size: int) -> None:
    content = build(
        [Op(name="MEAN", inputs=(0, 1), outputs=(2,), options="ReducerOptions", version=2)],
        [
            Spec(shape=(1, size, 3), scales=0.11, zero_points=-128),
            Spec(data=np.array([1], np.int32)),
            Spec(shape=(1, 3), scales=0.037, zero_points=-97),
        ],
    )
    check_equal(content, codes((20, size, 3), size))


@pytest.mark.parametrize(("scale", "zero_point"), [(0.25, 3), (0.5, 4)])
def test_a_maximum_in_other_codes_is_refused_as_by_litert(scale: float, zero_point: int) -> None:
    output = Spec(shape=(1, 5), scales=scale, zero_points=zero_point)
    content = reduction("REDUCE_MAX", np.array([1, 2], np.int32), output)
    with pytest.raises(RuntimeError, match="failed to invoke"):
        reference_rows(content, codes((2, 3, 4, 5)))
    with pytest.raises(EdgestitchError, match="quantized differently"):
        ours(content, codes((2, 3, 4, 5)))


@pytest.mark.parametrize("name", ["MEAN", "REDUCE_MAX"])
def test_axes_that_litert_refuses_are_refused(name: str) -> None:
    output = Spec(shape=(1, 5), scales=0.5, zero_points=3)
    for axes, why in (
        (np.array([1, 2], np.int64), "axes of int64, expected int32"),
        (np.array([1, 4], np.int32), r"the axes \[1, 4\] of 4"),
    ):
        with pytest.raises(RuntimeError, match="failed to prepare"):
            reference_rows(reduction(name, axes, output), codes((2, 3, 4, 5)))
        with pytest.raises(EdgestitchError, match=why):
            ours(reduction(name, axes, output), codes((2, 3, 4, 5)))


@pytest.mark.parametrize("name", ["MEAN", "REDUCE_MAX"])
def test_a_reduction_that_would_mix_the_images_of_a_batch_is_refused(name: str) -> None:
    output = Spec(shape=(1, 5), scales=0.5, zero_points=3)
    content = reduction(name, np.array([0], np.int32), output, image=(1, 1, 5))
    with pytest.raises(EdgestitchError, match=r"the axes \(0,\)"):
        ours(content, codes((2, 1, 5)))
