"""The steps that a random network is made of: each adds an operator to a draft, at random.

Part of `random_networks`. A step takes a draft and a tensor and gives the tensor that follows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from network_draft import LEFT_OUT, Draft, Quantized
from tflite_builder import Spec

SAME, VALID = 0, 1
MOST_CHANNELS = 24
_SHARE = 1 / 256


def conv(draft: Draft, k: int, *, keeps_size: bool = False, channels: int | None = None) -> int:
    """CONV_2D, now and then in groups; `keeps_size` of the image, with so many `channels`."""
    depth = draft.shape(k)[3]
    fields, size = _window(draft, k, most=5, dilated=True, keeps_size=keeps_size)
    groups = draft.one_of(1, 1, *(g for g in (2, 3, 4, depth) if depth % g == 0 and g <= 12))
    if channels is not None:
        groups = 1
    filters = channels or groups * draft.pick(1, 12 // groups)
    shape = (filters, *size, depth // groups)
    return _weighted(draft, k, "CONV_2D", "Conv2DOptions", fields, shape)


def depthwise_conv(draft: Draft, k: int, *, keeps_size: bool = False) -> int:
    depth = draft.shape(k)[3]
    fields, size = _window(draft, k, most=5, dilated=True, keeps_size=keeps_size)
    times = draft.one_of(1, *(t for t in (1, 2, 3) if depth * t <= MOST_CHANNELS))
    shape = (1, *size, depth * times)
    fields["depthMultiplier"] = times
    return _weighted(draft, k, "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", fields, shape)


def fully_connected(draft: Draft, k: int, channels: int | None = None) -> int:
    """FULLY_CONNECTED, of the last axis or of all that an image has."""
    shape = draft.shape(k)
    keeps = channels is None and draft.pick(0, 1) == 1
    depth = shape[-1] if keeps else math.prod(shape)
    fields = {"keepNumDims": int(keeps)}
    rows = channels or draft.pick(1, 16)
    return _weighted(
        draft, k, "FULLY_CONNECTED", "FullyConnectedOptions", fields, (rows, depth)
    )  # fmt: skip


def pool(draft: Draft, k: int, *, keeps_size: bool = False) -> int:
    fields, size = _window(draft, k, most=6, dilated=False, keeps_size=keeps_size)
    fields |= {"filterHeight": size[0], "filterWidth": size[1], **_fused(draft)}
    name = draft.one_of("AVERAGE_POOL_2D", "MAX_POOL_2D")
    return draft.run(
        name, [k], "Pool2DOptions", fields, quantized=draft.quantized(k), version=2
    )  # fmt: skip


def reduced(draft: Draft, k: int, *, over_the_image: bool = False) -> int:
    """MEAN or REDUCE_MAX over some axes, or over all but the channels, which keep their place."""
    rank = len(draft.shape(k))
    axes = list(range(1, rank - 1))
    keeps = over_the_image or draft.pick(0, 1) == 1
    if not axes or (not over_the_image and draft.pick(0, 1)):
        axes = [a for a in range(1, rank) if draft.pick(0, 1)] or [rank - 1]
    keeps = keeps or len(axes) == rank - 1
    written = [a - rank if draft.pick(0, 3) == 0 else a for a in axes]  # from the end: the same
    place = draft.constant(np.array(written, np.int32))
    name = draft.one_of("MEAN", "REDUCE_MAX")
    quantized = draft.fitted if name == "MEAN" else draft.quantized(k)
    fields = {"keepDims": keeps}
    return draft.run(name, [k, place], "ReducerOptions", fields, quantized=quantized, version=2)


def with_constant(draft: Draft, k: int) -> int:
    """ADD, SUB or MUL of a tensor and a constant, in either order."""
    shape = draft.shape(k)
    held = draft.one_of(shape, shape[-1:], (1,), (), (*(1,) * (len(shape) - 1), shape[-1]))
    codes = draft.rng.integers(-128, 128, held).astype(np.int8)
    scale = draft.scale_near(_size(draft.reals[k]) / 75 * math.exp(draft.rng.normal()))
    other = draft.constant(codes, scale, draft.one_of(-128, 127, 0, draft.pick(-128, 127)))
    return arithmetic(draft, *draft.one_of((k, other), (other, k)))


def arithmetic(draft: Draft, first: int, second: int) -> int:
    name, options = draft.one_of(
        ("ADD", "AddOptions"), ("SUB", "SubOptions"), ("MUL", "MulOptions")
    )
    return draft.run(name, [first, second], options, _fused(draft))


def activation(draft: Draft, k: int) -> int:
    """An activation that is an operator of its own; SOFTMAX where there is more than one class."""
    names = ["RELU", "RELU6", "LEAKY_RELU", "TANH", "LOGISTIC", "HARD_SWISH"]
    name = draft.one_of(*names, *["SOFTMAX"] * (draft.shape(k)[-1] > 1))
    if name == "LEAKY_RELU":
        alpha = draft.one_of(0.125, 0.3, 0.01, 0.75, 1.5, -0.5)
        return draft.run(name, [k], "LeakyReluOptions", {"alpha": alpha})
    if name == "TANH":
        return draft.run(name, [k], quantized=draft.one_of(draft.fitted, (1 / 128, 0)))
    if name == "LOGISTIC":
        quantized = (_SHARE, draft.one_of(-128, -128, -127, draft.pick(-128, -64)))
        return draft.run(name, [k], quantized=quantized)
    if name == "SOFTMAX":
        fields = {"beta": draft.one_of(1.0, 1.0, 0.5, 1.7)}
        return draft.run(name, [k], "SoftmaxOptions", fields, quantized=(_SHARE, -128))
    if name == "HARD_SWISH":  # LiteRT takes no output that is 128 times finer than its input
        coarse = draft.quantized(k)[0] / 64

        def fitted(reals: np.ndarray) -> Quantized:
            scale, zero_point = draft.fitted(reals)
            return max(scale, coarse), zero_point

        return draft.run(name, [k], quantized=fitted)
    return draft.run(name, [k])


def requantized(draft: Draft, k: int, quantized: Quantized | None = None) -> int:
    """QUANTIZE from int8 to int8."""
    reals = draft.reals[k]
    output = draft.computed(reals, quantized or draft.fitted(reals))
    return draft.emit("QUANTIZE", [k], output, "QuantizeOptions")


def pad(draft: Draft, k: int) -> int:
    rank = len(draft.shape(k))
    pairs = [(0, 0), *((draft.pick(0, 2), draft.pick(0, 2)) for _ in range(rank - 1))]
    if rank == 4:
        pairs[3] = draft.one_of((0, 0), (0, 0), pairs[3])
    place = draft.constant(np.array(pairs, draft.one_of(np.int32, np.int64)))
    reals, quantized = _relabelled(draft, k)
    return draft.emit(
        "PAD", [k, place], draft.computed(np.pad(reals, pairs), quantized), "PadOptions"
    )


def reshape(draft: Draft, k: int) -> int:
    """RESHAPE; its shape is a constant, an option, or computed as Flatten leaves it behind."""
    shape = draft.shape(k)
    size = math.prod(shape)
    side = draft.one_of(*(n for n in range(1, size + 1) if size % n == 0))
    wanted = draft.one_of(
        (1, size),
        (1, size),
        (1, side, size // side),
        (1, *shape[:0:-1]),
        (1, 1, side, size // side),
    )
    reals, quantized = _relabelled(draft, k)
    inputs, fields = [k], {"newShape": list(wanted)}
    how = draft.pick(0, 3)
    if how == 1:
        inputs.append(draft.constant(np.array([-1, *wanted[1:]], np.int32)))
    elif how > 1:
        inputs.append(_computed_shape(draft, k, [*wanted[1:-1], draft.one_of(-1, wanted[-1])]))
        fields = {}
    output = draft.computed(reals.reshape(-1, *wanted[1:]), quantized)
    return draft.emit("RESHAPE", inputs, output, "ReshapeOptions", fields)


def squeeze(draft: Draft, k: int) -> int:
    """SQUEEZE of axes of length 1; one axis besides that of the images is left."""
    shape = draft.shape(k)
    ones = [axis for axis in range(1, len(shape)) if shape[axis] == 1][: len(shape) - 2]
    gone = [axis for axis in ones if draft.pick(0, 2)] or ones[:1]
    left = [n for axis, n in enumerate(shape) if axis not in gone]
    reals, quantized = _relabelled(draft, k)
    output = draft.computed(reals.reshape(-1, *left[1:]), quantized)
    return draft.emit("SQUEEZE", [k], output, "SqueezeOptions", {"squeezeDims": gone})


def joined(draft: Draft, tensors: Sequence[int], axis: int) -> int:
    """CONCATENATION, of operands that are first brought to one quantization."""
    reals = np.concatenate([draft.reals[k] for k in tensors], axis)
    quantized = draft.one_of(draft.fitted(reals), draft.quantized(tensors[0]))
    alike = [
        k if draft.quantized(k) == quantized else requantized(draft, k, quantized) for k in tensors
    ]
    if draft.pick(0, 5) == 0:
        held = (1, *draft.reals[tensors[0]].shape[1:])
        codes = draft.rng.integers(-128, 128, held).astype(np.int8)
        alike.insert(draft.pick(0, len(alike)), draft.constant(codes, *quantized))
    parts = [np.broadcast_to(draft.reals[k], (len(reals), *draft.shape(k)[1:])) for k in alike]
    output = draft.computed(np.concatenate(parts, axis), quantized)
    written = axis - reals.ndim if draft.pick(0, 1) else axis
    return draft.emit("CONCATENATION", alike, output, "ConcatenationOptions", {"axis": written})


def _weighted(
    draft: Draft,
    k: int,
    name: str,
    options: str,
    fields: dict[str, int],
    shape: tuple[int, ...],
) -> int:
    """A layer with weights of `shape`, of one scale or of one for each channel."""
    axis = 3 if name == "DEPTHWISE_CONV_2D" else 0
    channels = shape[axis]
    most = draft.one_of(127, 127, 20, 3)
    codes = draft.rng.integers(-most - (most == 127), most + 1, shape).astype(np.int8)
    # Answers of a size at which fused activations, sigmoids and the like leave something.
    size = math.exp(draft.rng.uniform(-1.5, 2.5))
    products = math.sqrt(codes.size / channels) * _size(draft.reals[k]) * _size(codes)
    count = draft.one_of(1, channels)
    scales = np.array(
        [draft.scale_near(size / products * math.exp(draft.rng.normal() / 2)) for _ in range(count)]
    )
    share = draft.one_of(0.0, 0.3, 1.0)
    if count > 1 and draft.pick(0, 3) == 0:  # a channel that is hardly more than its bias: a long
        scales[draft.pick(0, count - 1)] /= 512  # sum, for which floats are not exact
        share = 1.0
    inputs = [k, draft.constant(codes, scales, axis=axis)]
    if share or name == "CONV_2D":  # LiteRT wants a bias in CONV_2D
        steps = np.float32(draft.quantized(k)[0]) * scales.astype(np.float32)
        bias = np.rint(draft.rng.normal(0, size * share, channels) / steps).astype(np.int32)
        inputs.append(draft.constant(bias, steps))
    elif name == "FULLY_CONNECTED" and draft.pick(0, 1):
        inputs.append(LEFT_OUT)
    return draft.run(name, inputs, options, fields | _fused(draft), version=5)


def _window(
    draft: Draft, k: int, *, most: int, dilated: bool, keeps_size: bool
) -> tuple[dict[str, int], tuple[int, int]]:
    """The options of a window that fits the image, and the window's size."""
    image = draft.shape(k)[1:3]
    size = draft.pick(1, most), draft.pick(1, most)
    stride = (1, 1) if keeps_size else (draft.pick(1, 3), draft.pick(1, 3))
    dilation = (draft.one_of(1, 1, 2, 3), draft.one_of(1, 1, 2, 3)) if dilated else (1, 1)
    reach = [(n - 1) * d + 1 for n, d in zip(size, dilation, strict=True)]
    fits = not keeps_size and all(n >= m for n, m in zip(image, reach, strict=True))
    padding = draft.one_of(VALID, SAME) if fits else SAME
    fields = {"padding": padding, "strideH": stride[0], "strideW": stride[1]}
    if dilated:
        fields |= {"dilationHFactor": dilation[0], "dilationWFactor": dilation[1]}
    return fields, size


def _fused(draft: Draft) -> dict[str, int]:
    """None half of the time, else RELU, RELU_N1_TO_1 or RELU6."""
    return {"fusedActivationFunction": draft.one_of(0, 0, 0, 1, 2, 3)}


def _relabelled(draft: Draft, k: int) -> tuple[np.ndarray, Quantized]:
    """What the codes of `k` stand for in an output that now and then is quantized otherwise."""
    scale, zero_point = draft.quantized(k)
    if draft.pick(0, 7):
        return draft.reals[k], (scale, zero_point)
    other = 2 * scale, int(np.clip(zero_point + draft.pick(-9, 9), -128, 127))
    return (draft.reals[k] / scale + zero_point - other[1]) * other[0], other


def _computed_shape(draft: Draft, k: int, rest: Sequence[int]) -> int:
    """The number of images, taken from the shape of `k`, and behind it `rest`."""
    rank = len(draft.shape(k))
    shape, batch, packed = (
        draft.plain(np.array(found, np.int32), Spec(shape=size, dtype="int32"))
        for found, size in (([*draft.shape(k)], (rank,)), (1, ()), ([1, *rest], (1 + len(rest),)))
    )
    draft.emit("SHAPE", [k], shape, "ShapeOptions", {"outType": 2})
    ends = [draft.constant(np.array([n], np.int32)) for n in (0, 1, 1)]
    draft.emit("STRIDED_SLICE", [shape, *ends], batch, "StridedSliceOptions", {"shrinkAxisMask": 1})
    sizes = [draft.constant(np.array(n, np.int32)) for n in rest]
    fields = {"valuesCount": 1 + len(rest)}
    return draft.emit("PACK", [batch, *sizes], packed, "PackOptions", fields)


def _size(values: np.ndarray) -> float:
    """The root of the mean square; 1 of nothing but zeros."""
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) or 1.0
