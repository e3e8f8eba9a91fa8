"""The elementwise operators of the `reference` engine, against LiteRT's own, to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from edgestitch_runtime.operator_fields import Unsupported
from one_operator import (
    CODES,
    PAIRS,
    check_equal,
    int8,
    kernel_rows,
    one_operator,
    random_codes,
    random_scale,
    random_zero_point,
)
from tflite_builder import Spec, reference_rows

QUANTIZATIONS = 150  # random ones of each operator
ALL_PAIRS = (1, 1 << 16)
BROADCASTS = [
    ((1, 3, 4, 5), (1, 1, 1, 5)),
    ((1, 3, 4, 1), (1, 3, 4, 5)),
    ((1, 3, 1, 5), (1, 1, 4, 1)),
    ((1, 7), (1, 1)),
    ((1, 2, 3, 1, 2), (1, 2, 1, 5, 1)),
]
BINARY = pytest.mark.parametrize("name", ["ADD", "SUB", "MUL"])


def longer(shape: tuple[int, ...], axis: int, extra: int) -> tuple[int, ...]:
    """`shape` with `extra` more along `axis`."""
    return tuple(n + extra * (k == axis % len(shape)) for k, n in enumerate(shape))


def random_binary(name: str, rng: np.random.Generator, shapes: list[tuple[int, ...]]) -> bytes:
    """ADD, SUB or MUL at random scales, zero points and fused activation."""
    first = random_scale(rng, -4, 1)
    second = first * random_scale(rng, -3, 3)
    if name == "MUL":
        out = first * second * random_scale(rng, -1, 2.5)
    else:
        out = max(first, second) * random_scale(rng, -2, 1)
    scales = zip((first, second), shapes, strict=True)
    specs = [int8(scale, random_zero_point(rng), shape) for scale, shape in scales]
    output = int8(out, random_zero_point(rng), np.broadcast_shapes(*shapes))
    return one_operator(name, specs, output, fusedActivationFunction=int(rng.integers(4)))


@BINARY
def test_every_pair_of_codes_gives_what_litert_gives(name: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(25):
        check_equal(random_binary(name, rng, [ALL_PAIRS, ALL_PAIRS]), *PAIRS)


@BINARY
@pytest.mark.parametrize("shapes", BROADCASTS)
def test_operands_are_broadcast_image_by_image(
    name: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]
) -> None:
    rng = np.random.default_rng(2)
    for images in (1, 3):
        inputs = [random_codes(rng, images, *shape[1:]) for shape in shapes]
        check_equal(random_binary(name, rng, list(shapes)), *inputs)
        check_equal(random_binary(name, rng, list(shapes[::-1])), *inputs[::-1])


@BINARY
@pytest.mark.parametrize("held", [(), (5,), (4, 1), (3, 1, 1), (1, 1, 1, 5), (1, 3, 4, 5)])
def test_a_constant_operand_is_taken_from_the_file(name: str, held: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    shape = (1, 3, 4, 5)
    specs = [int8(0.3, 7, shape), Spec(data=random_codes(rng, *held), scales=0.2, zero_points=-9)]
    images = random_codes(rng, 3, 3, 4, 5)
    for order in (specs, specs[::-1]):
        check_equal(one_operator(name, order, int8(0.25, 4, shape)), images)


@BINARY
def test_scales_far_apart_give_what_litert_gives(name: str) -> None:
    for second in (1e-4, 1e-8, 1e-12, 1e-30):
        specs = [int8(1, 3, ALL_PAIRS), int8(second, -4, ALL_PAIRS)]
        check_equal(one_operator(name, specs, int8(0.5, 9, ALL_PAIRS)), *PAIRS)


@pytest.mark.parametrize("name", ["ADD", "SUB"])
def test_an_output_scale_at_which_litert_stops_the_process_is_refused(name: str) -> None:
    specs = [int8(1, 3), int8(1, 3)]
    check_equal(one_operator(name, specs, int8(1.908e-6, 9)), CODES, CODES[:, ::-1].copy())
    with pytest.raises(Unsupported, match="too fine"):
        kernel_rows(one_operator(name, specs, int8(1.907e-6, 9)), CODES, CODES)


def test_operands_that_would_mix_the_images_of_a_batch_are_refused() -> None:
    content = one_operator(
        "ADD", [int8(1, 0, (1, 4)), int8(1, 0, (1, 3, 4))], int8(1, 0, (1, 3, 4))
    )
    with pytest.raises(Unsupported, match="the shapes"):
        kernel_rows(content)


def test_an_operator_on_nothing_but_constants_is_refused() -> None:
    held = Spec(data=CODES, scales=1.0)
    with pytest.raises(Unsupported, match="both inputs are constants"):
        kernel_rows(one_operator("ADD", [held, held], int8(1, 0)))
    with pytest.raises(Unsupported, match="all inputs are constants"):
        kernel_rows(one_operator("CONCATENATION", [held, held], int8(1, 0, (1, 512)), axis=1))
    reals = Spec(data=CODES.astype(np.float32))
    with pytest.raises(Unsupported, match="is a constant"):
        kernel_rows(one_operator("QUANTIZE", [reals], int8(1, 0)))


@pytest.mark.parametrize("name", ["RELU", "RELU6", "LEAKY_RELU", "QUANTIZE"])
def test_every_code_is_requantized_as_litert_does(name: str) -> None:
    rng = np.random.default_rng(4)
    for _ in range(QUANTIZATIONS):
        scale = random_scale(rng, -4, 1)
        out = scale if rng.random() < 0.1 else scale * random_scale(rng, -1.5, 1.5)
        fields = {"alpha": random_scale(rng, -3, 0.2)} if name == "LEAKY_RELU" else {}
        specs = [int8(scale, random_zero_point(rng))]
        check_equal(one_operator(name, specs, int8(out, random_zero_point(rng)), **fields), CODES)


@pytest.mark.parametrize("name", ["RELU", "RELU6", "LEAKY_RELU", "QUANTIZE"])
def test_products_that_leave_32_bits_are_refused(name: str) -> None:
    fields = {"alpha": 0.1} if name == "LEAKY_RELU" else {}
    content = one_operator(name, [int8(1, 3)], int8(0.9 / (1 << 21), 5), **fields)
    check_equal(content, CODES)
    content = one_operator(name, [int8(1, 3)], int8(0.9 / (1 << 22), 5), **fields)
    with pytest.raises(Unsupported, match="steps of the output"):
        kernel_rows(content, CODES)


@pytest.mark.parametrize("alpha", [-0.5, -0.75, -0.25, -1.0, -1 / 3, -3.7, 0.0, 1e-12, 250.0])
def test_a_leaky_slope_of_any_sign_rounds_as_litert_does(alpha: float) -> None:
    for scale, zero in ((0.5, 0), (0.0371, -7), (0.125, 100)):
        check_equal(one_operator("LEAKY_RELU", [int8(0.5, zero)], int8(scale, 3), alpha=alpha),
                    CODES)  # fmt: skip


def test_every_byte_of_uint8_is_requantized_as_litert_does() -> None:
    rng = np.random.default_rng(5)
    images = np.arange(256).astype(np.uint8).reshape(1, 256)
    for k in range(QUANTIZATIONS):
        scale = random_scale(rng, -4, 1)
        zero = 128 if k % 5 == 0 else int(rng.integers(256))
        spec = Spec(shape=(1, 256), dtype="uint8", scales=scale, zero_points=zero)
        out = scale if k % 5 == 0 else scale * random_scale(rng, -1, 1)
        output = int8(out, 0 if k % 10 == 0 else random_zero_point(rng))
        check_equal(one_operator("QUANTIZE", [spec], output), images)


def test_reals_are_quantized_as_litert_does() -> None:
    rng = np.random.default_rng(6)
    for _ in range(QUANTIZATIONS):
        scale, zero = random_scale(rng, -4, 2), random_zero_point(rng)
        steps = rng.integers(-300, 300, 4096) + rng.choice([0, 0.5, 0.25, 0.49999997], 4096)
        near = (steps * scale).astype(np.float32)
        reals = np.concatenate(
            [near, np.nextafter(near, np.float32(0)), rng.normal(0, 100 * scale, 4096)]
        )
        reals = np.append(reals, [1e-40, -1e-40, 1e8 * scale, -1e8 * scale]).astype(np.float32)
        source = Spec(shape=(1, len(reals)), dtype="float32")
        content = one_operator("QUANTIZE", [source], int8(scale, zero, (1, len(reals))))
        check_equal(content, reals[None])


def test_what_no_int32_holds_is_quantized_to_an_end() -> None:
    reals = np.array([[3e9, 1e30, np.inf, -3e9, -np.inf, np.nan]], np.float32)
    content = one_operator("QUANTIZE", [Spec(shape=(1, 6), dtype="float32")], int8(1, 5, (1, 6)))
    assert kernel_rows(content, reals).tolist() == [[127, 127, 127, -128, -128, -128]]


def test_every_code_is_dequantized_as_litert_does() -> None:
    rng = np.random.default_rng(7)
    for _ in range(QUANTIZATIONS):
        spec = int8(random_scale(rng, -30, 30), random_zero_point(rng))
        check_equal(
            one_operator("DEQUANTIZE", [spec], Spec(shape=(1, 256), dtype="float32")), CODES
        )


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_operands_are_joined_along_an_axis(axis: int) -> None:
    rng = np.random.default_rng(8)
    shapes = [longer((1, 3, 4, 5), axis, extra) for extra in (0, 2, 1)]
    specs = [int8(0.3, -5, shape) for shape in shapes]
    joined = int8(0.3, -5, longer((1, 3, 4, 5), axis, sum(shape[axis] for shape in shapes[1:])))
    content = one_operator("CONCATENATION", specs, joined, axis=axis)
    check_equal(content, *(random_codes(rng, 4, *shape[1:]) for shape in shapes))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_constant_is_joined_to_every_image(place: int) -> None:
    rng = np.random.default_rng(11)
    shape = (1, 3, 4, 5)
    specs = [int8(0.3, -5, shape)] * 2
    specs.insert(place, Spec(data=random_codes(rng, *shape), scales=0.3, zero_points=-5))
    content = one_operator("CONCATENATION", specs, int8(0.3, -5, (1, 3, 12, 5)), axis=2)
    images = [random_codes(rng, 4, *shape[1:]) for _ in range(2)]
    # LiteRT does not repeat a constant for the images of a batch: one by one.
    alone = [reference_rows(content, *(codes[k : k + 1] for codes in images)) for k in range(4)]
    np.testing.assert_array_equal(kernel_rows(content, *images), np.concatenate(alone))


def test_operands_quantized_differently_are_not_joined_by_litert_either() -> None:
    for second in (int8(0.25, -5), int8(float(np.nextafter(np.float32(0.3), 1)), -5), int8(0.3, 0)):
        content = one_operator(
            "CONCATENATION", [int8(0.3, -5), second], int8(0.3, -5, (1, 512)), axis=1
        )
        with pytest.raises(RuntimeError, match="output->params"):
            reference_rows(content, CODES, CODES)
        with pytest.raises(Unsupported, match="quantized differently"):
            kernel_rows(content, CODES, CODES)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize(
    "pairs",
    [
        [(0, 0), (1, 2)],
        [(0, 0), (0, 3), (2, 0)],
        [(0, 0), (1, 2), (0, 3), (0, 0)],
        [(0, 0), (0, 0), (2, 1), (1, 3)],
        [(0, 0), (1, 0), (0, 0), (2, 2), (0, 1)],
    ],
)
def test_padding_is_the_zero_point_of_the_output(
    pairs: list[tuple[int, int]], dtype: type[np.signedinteger]
) -> None:
    rng = np.random.default_rng(9)
    shape = (1, 3, 2, 4, 2)[: len(pairs)]
    padded = tuple(n + a + b for n, (a, b) in zip(shape, pairs, strict=True))
    paddings = Spec(data=np.array(pairs, dtype))
    for scale, zero_point in ((0.5, 3), (0.25, -7)):
        content = one_operator("PAD", [int8(0.5, 3, shape), paddings],
                               int8(scale, zero_point, padded))  # fmt: skip
        check_equal(content, random_codes(rng, 3, *shape[1:]))


@pytest.mark.parametrize("name", ["RESHAPE", "SQUEEZE"])
def test_reshaping_keeps_codes_whatever_the_scales(name: str) -> None:
    rng = np.random.default_rng(10)
    shape = Spec(data=np.array([-1, 12], np.int32))
    specs = [int8(0.5, 3, (1, 3, 1, 4) if name == "RESHAPE" else (1, 1, 12, 1)), shape]
    for scale, zero_point in ((0.5, 3), (0.25, -7)):
        given = specs if name == "RESHAPE" else specs[:1]
        content = one_operator(name, given, int8(scale, zero_point, (1, 12)))
        images = random_codes(rng, 4, *specs[0].shape[1:])
        assert kernel_rows(content, images).tolist() == images.reshape(4, 12).tolist()
        check_equal(content, images)


def test_a_product_s_factor_is_made_in_float32() -> None:
    # Made in float64 it gives 54 for -6464, and not 55.
    tensors = [int8(0.8752986788749695, 0, (1, 65536)), int8(0.0105507280677557, 0, (1, 65536))]
    check_equal(one_operator("MUL", tensors, int8(1.095483422279358, 0, (1, 65536))), *PAIRS)
