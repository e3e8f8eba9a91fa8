"""Whole small int8 networks made at random, with images: the family that `reference` is tested on.

Every decision is a whole number from a Pick, so that a seed can make thousands, and the list of
them in `Network.choices` makes a network again (`replayed`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from network_draft import Draft, Pick
from network_layers import (
    MOST_CHANNELS,
    activation,
    arithmetic,
    conv,
    depthwise_conv,
    fully_connected,
    joined,
    pad,
    pool,
    reduced,
    requantized,
    reshape,
    squeeze,
    with_constant,
)
from tflite_builder import Spec, build

Step = Callable[[Draft, int], int]
MOST_ELEMENTS = 4000  # of an image that a step may still make larger
TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A .tflite file, images for it, (n, ...) of its input's dtype, and how it came about."""

    content: bytes
    images: np.ndarray
    choices: tuple[int, ...]

    def __repr__(self) -> str:
        return f"replayed({list(self.choices)})"


def network(pick: Pick) -> Network:
    """A network of two operators or more: a chain with branches, classifier or not."""
    choices: list[int] = []

    def recorded(low: int, high: int) -> int:
        choices.append(pick(low, high))
        return choices[-1]

    draft = Draft(recorded)
    k, images = _source(draft)
    wanted = draft.pick(2, 6)
    while draft.depth < wanted:
        k = _lively(draft, k, _step)
    if draft.pick(0, 1):
        k = _lively(draft, k, _to_classes)
    if draft.pick(0, 1):
        k = _lively(draft, k, activation)
    if draft.pick(0, 3) == 0:
        reals = Spec(shape=draft.shape(k), dtype="float32")
        draft.emit("DEQUANTIZE", [k], draft.plain(draft.reals[k], reals), "DequantizeOptions")
    return Network(
        content=build(draft.operators, draft.tensors), images=images, choices=tuple(choices)
    )


def seeded(*seed: int) -> Pick:
    """Picks that are all equally likely."""
    return random.Random("/".join(map(str, seed))).randint


def replayed(choices: Sequence[int]) -> Network:
    """The network that these choices made."""
    left = iter(choices)
    return network(lambda low, high: next(left))


def _source(draft: Draft) -> tuple[int, np.ndarray]:
    """The input, int8, or float32 or uint8 behind QUANTIZE: the int8 tensor, and images."""
    sizes = draft.pick(1, 13), draft.pick(1, 13), draft.pick(1, 4)
    shape = draft.one_of(sizes, sizes, sizes, sizes, sizes[:2], (draft.pick(2, 40),))
    full = (draft.pick(1, 4), *shape)
    scale = draft.one_of(1.0, draft.scale_near(math.exp(draft.rng.uniform(-6, -1))))
    zero_point = draft.one_of(-128, -128, 0, 127, draft.pick(-128, 127))
    codes = draft.rng.integers(-128, 128, full).astype(np.int8)
    dtype = draft.one_of("int8", "int8", "int8", "float32", "uint8")
    if dtype == "int8":
        return draft.computed((codes - np.float32(zero_point)) * scale, (scale, zero_point)), codes
    if dtype == "float32":
        near = draft.one_of(0.5, 0.5, 0.1)  # halves of a step, and what is no such thing
        steps = codes - float(zero_point) + near * draft.rng.integers(-2, 3, full)
        images = (steps * scale).astype(np.float32)
        source = draft.plain(images, Spec(shape=(1, *shape), dtype="float32"))
        output = draft.computed(images, (scale, zero_point))
    else:
        images = codes.view(np.uint8)
        zero = draft.one_of(zero_point + 128, draft.pick(0, 255))
        given = Spec(shape=(1, *shape), dtype="uint8", scales=scale, zero_points=zero)
        source = draft.plain((images - np.float32(zero)) * scale, given)
        reals = draft.reals[source]
        output = draft.computed(reals, draft.one_of((scale, zero - 128), draft.fitted(reals)))
    return draft.emit("QUANTIZE", [source], output, "QuantizeOptions"), images


def _lively(draft: Draft, k: int, step: Step) -> int:
    """Takes `step`, again if most of its codes are one, or its scale is of no usual size."""
    operators, tensors = len(draft.operators), len(draft.tensors)
    for _ in range(TRIES):
        output = step(draft, k)
        scale = draft.quantized(output)[0]
        codes = np.rint(draft.reals[output] / scale).ravel()
        most = np.unique(codes, return_counts=True)[1].max()
        if (codes.size < 3 or most < 0.7 * codes.size) and 1e-5 < scale < 1e2:
            return output
        del draft.operators[operators:], draft.tensors[tensors:], draft.reals[tensors:]
    return step(draft, k)


def _step(draft: Draft, k: int) -> int:
    """One more operator behind `k`, or a branch."""
    shape = draft.shape(k)
    steps: list[Step] = [activation, activation, with_constant, requantized, fully_connected]
    steps += [reshape, reduced, _branched, _branched]
    if len(shape) > 2 and 1 in shape[1:]:
        steps += [squeeze, squeeze]
    if math.prod(shape) < MOST_ELEMENTS:
        steps.append(pad)
    if len(shape) == 4 and shape[3] <= MOST_CHANNELS:
        steps += [conv] * 3 + [depthwise_conv] * 3 + [pool] * 3 + [_branched]
    return draft.one_of(*steps)(draft, k)


def _branched(draft: Draft, k: int) -> int:
    """Two ways that part at `k` and meet again in ADD, SUB, MUL or CONCATENATION."""
    first, second = k, k
    for _ in range(draft.pick(0, 1)):
        first = _inner(draft, first)
    for _ in range(draft.pick(0, 2)):
        second = _inner(draft, second)
    if draft.pick(0, 2) == 0 and len(draft.shape(k)) > 2:
        second = reduced(draft, second, over_the_image=True)
    shapes = draft.shape(first), draft.shape(second)
    apart = [axis for axis, (a, b) in enumerate(zip(*shapes, strict=True)) if a != b]
    if not apart:
        apart = [draft.pick(1, len(shapes[0]) - 1)]
        joins = draft.pick(0, 2) == 0
    else:
        joins = len(apart) == 1 and draft.pick(0, 1) == 1
    if joins and max(s[-1] for s in shapes) <= MOST_CHANNELS:
        return joined(draft, draft.one_of((first, second), (second, first)), apart[0])
    if shapes[0][-1] != shapes[1][-1] and 1 not in (shapes[0][-1], shapes[1][-1]):
        second = conv(draft, second, keeps_size=True, channels=shapes[0][-1])
    return arithmetic(draft, *draft.one_of((first, second), (second, first)))


def _inner(draft: Draft, k: int) -> int:
    """A step inside a branch: the image keeps its size, the rank does not change."""
    steps: list[Step] = [activation, with_constant, requantized]
    if len(draft.shape(k)) == 4 and draft.shape(k)[3] <= MOST_CHANNELS:
        steps += [_conv_of_size, _conv_of_size, _depthwise_conv_of_size, _pool_of_size]
    return draft.one_of(*steps)(draft, k)


def _to_classes(draft: Draft, k: int) -> int:
    return fully_connected(draft, k, channels=draft.pick(2, 10))


def _conv_of_size(draft: Draft, k: int) -> int:
    return conv(draft, k, keeps_size=True)


def _depthwise_conv_of_size(draft: Draft, k: int) -> int:
    return depthwise_conv(draft, k, keeps_size=True)


def _pool_of_size(draft: Draft, k: int) -> int:
    return pool(draft, k, keeps_size=True)
