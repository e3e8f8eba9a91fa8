"""Random files of one layer each, with images for them: any size, stride, scale and zero point.

Found like tflite_builder. Scales are powers of two now and then, so that halves are met.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tflite_builder import Op, Spec, build

Made = tuple[bytes, np.ndarray]  # a file, images (n, ...) int8
Window = tuple[dict[str, int], list[int], list[int], list[int]]  # options, image, size, out


def fully_connected(rng: np.random.Generator) -> Made:
    depth, channels = _count(rng, 120), _count(rng, 40)
    shape = [1, *(_count(rng, 3) for _ in range(rng.integers(0, 3))), depth]
    keeps = _either(rng)
    out = [*shape[:-1], channels] if keeps else [1, channels]
    weights = _codes(rng, channels, depth if keeps else math.prod(shape))
    return _layer(
        rng, "FULLY_CONNECTED", "FullyConnectedOptions", {"keepNumDims": keeps}, shape, weights, out
    )


def conv(rng: np.random.Generator) -> Made:
    fields, image, size, out = _window(rng, most=5, dilated=True)
    groups, depth = int(rng.choice([1, 1, 2, 3])), _count(rng, 6)
    channels = groups * _count(rng, 5)
    shape = [1, *image, groups * depth]
    weights = _codes(rng, channels, *size, depth)
    return _layer(rng, "CONV_2D", "Conv2DOptions", fields, shape, weights, [1, *out, channels])


def depthwise_conv(rng: np.random.Generator) -> Made:
    fields, image, size, out = _window(rng, most=5, dilated=True)
    depth, times = _count(rng, 8), int(rng.choice([1, 1, 2, 3]))
    fields = {**fields, "depthMultiplier": times}
    weights = _codes(rng, 1, *size, depth * times)
    return _layer(
        rng, "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", fields, [1, *image, depth], weights,
        [1, *out, depth * times],
    )  # fmt: skip


def average_pool(rng: np.random.Generator) -> Made:
    return _pool(rng, "AVERAGE_POOL_2D")


def max_pool(rng: np.random.Generator) -> Made:
    return _pool(rng, "MAX_POOL_2D")


def mean(rng: np.random.Generator) -> Made:
    return _reduced(rng, "MEAN")


def reduce_max(rng: np.random.Generator) -> Made:
    return _reduced(rng, "REDUCE_MAX")


LAYERS: dict[str, Callable[[np.random.Generator], Made]] = {
    "FULLY_CONNECTED": fully_connected,
    "CONV_2D": conv,
    "DEPTHWISE_CONV_2D": depthwise_conv,
    "AVERAGE_POOL_2D": average_pool,
    "MAX_POOL_2D": max_pool,
    "MEAN": mean,
    "REDUCE_MAX": reduce_max,
}


def _reduced(rng: np.random.Generator, name: str) -> Made:
    """Over axes in any order, counted from either end, one of them said twice."""
    rank = int(rng.integers(2, 7))
    shape = [1, *(_count(rng, 8 if rank < 5 else 4) for _ in range(rank - 1))]
    over = rng.permutation(np.arange(1, rank))[: _count(rng, rank - 1)].tolist()
    keeps = _either(rng)
    out = [1 if k in over else n for k, n in enumerate(shape) if keeps or k not in over]
    written = [k - rank if _either(rng) else k for k in [*over, over[0]]]
    scale = _scale(rng)
    zero_point = _zero_point(rng)
    output = (scale * math.exp(rng.normal()), _zero_point(rng))
    if name == "REDUCE_MAX" or _either(rng):
        output = (scale, zero_point)
    content = build(
        [Op(name=name, inputs=(0, 1), outputs=(2,), options="ReducerOptions",
            fields={"keepDims": keeps}, version=2)],
        [
            Spec(shape=shape, scales=scale, zero_points=zero_point),
            Spec(data=np.array(written, np.int32)),
            Spec(shape=out, scales=output[0], zero_points=output[1]),
        ],
    )  # fmt: skip
    return content, _images(rng, shape)


def _layer(
    rng: np.random.Generator,
    name: str,
    options: str,
    fields: dict[str, Any],
    shape: list[int],
    weights: np.ndarray,
    out: list[int],
) -> Made:
    """A layer with weights, of one scale or of one for each channel, with a bias or without."""
    axis = 3 if name == "DEPTHWISE_CONV_2D" else 0
    channels = out[-1]
    scale = _scale(rng)
    scales = np.array([_scale(rng) / 8 for _ in range(channels if _either(rng) else 1)])
    # An output scale that spreads the answers over the codes, or far too narrow, or too wide.
    spread = scale * scales.mean() * math.sqrt(weights.size / channels) * 75 * 75
    out_scale = spread / 60 * math.exp(rng.normal(0, 1.2))
    if _either(rng):
        out_scale = 2.0 ** round(math.log2(out_scale))
    most = int(rng.choice([0, 100, 10_000, 200_000]))
    bias = rng.integers(-most, most + 1, channels).astype(np.int32)
    biased = name == "CONV_2D" or bool(rng.integers(0, 4))  # LiteRT wants one in CONV_2D
    content = build(
        [Op(name=name, inputs=(0, 1, 2) if biased else (0, 1), outputs=(3,), options=options,
            fields={**fields, "fusedActivationFunction": int(rng.integers(0, 4))}, version=5)],
        [
            Spec(shape=shape, scales=scale, zero_points=_zero_point(rng)),
            Spec(data=weights, scales=scales, axis=axis),
            Spec(data=bias, scales=np.float32(scale) * scales.astype(np.float32)),
            Spec(shape=out, scales=out_scale, zero_points=_zero_point(rng)),
        ],
    )  # fmt: skip
    return content, _images(rng, shape)


def _pool(rng: np.random.Generator, name: str) -> Made:
    fields, image, size, out = _window(rng, most=8, dilated=False)
    fields = {
        **fields,
        "filterHeight": size[0],
        "filterWidth": size[1],
        "fusedActivationFunction": int(rng.integers(0, 4)),
    }
    depth = _count(rng, 8)
    scale, zero_point = _scale(rng), _zero_point(rng)
    content = build(
        [Op(name=name, inputs=(0,), outputs=(1,), options="Pool2DOptions", fields=fields,
            version=2)],
        [
            Spec(shape=[1, *image, depth], scales=scale, zero_points=zero_point),
            Spec(shape=[1, *out, depth], scales=scale, zero_points=zero_point),
        ],
    )  # fmt: skip
    return content, _images(rng, [1, *image, depth])


def _window(rng: np.random.Generator, *, most: int, dilated: bool) -> Window:
    """A window that fits an image at least once."""
    image, size, stride = (rng.integers(1, n + 1, 2).tolist() for n in (13, most, 3))
    dilation = rng.choice([1, 1, 2, 3], 2).tolist() if dilated else [1, 1]
    valid = int(_either(rng))
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    if valid:
        image = [max(n, k) for n, k in zip(image, reach, strict=True)]
    room = [n - k + 1 if valid else n for n, k in zip(image, reach, strict=True)]
    out = [-(-n // s) for n, s in zip(room, stride, strict=True)]
    fields = {"padding": valid, "strideH": stride[0], "strideW": stride[1]}
    if dilated:
        fields |= {"dilationHFactor": dilation[0], "dilationWFactor": dilation[1]}
    return fields, image, size, out


def _images(rng: np.random.Generator, shape: list[int]) -> np.ndarray:
    return _codes(rng, int(rng.choice([1, 1, 2, 3, 5])), *shape[1:])


def _codes(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-128, 128, shape).astype(np.int8)


def _scale(rng: np.random.Generator) -> float:
    return 2.0 ** int(rng.integers(-8, 2)) if _either(rng) else math.exp(rng.uniform(-6, 1))


def _zero_point(rng: np.random.Generator) -> int:
    return int(rng.choice([-128, 0, 127, *rng.integers(-128, 128, 4)]))


def _count(rng: np.random.Generator, most: int) -> int:
    return int(rng.integers(1, most + 1))


def _either(rng: np.random.Generator) -> bool:
    return bool(rng.integers(0, 2))
