"""Steps of generated C to be tried: each operator without weights, at random and at its limits.

Found like tflite_builder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from edgestitch_export.c_pointwise import POINTWISE
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.graph import integer_graph
from edgestitch_runtime.operator_fields import Unsupported
from edgestitch_runtime.reference_engine import data_inputs
from edgestitch_runtime.reference_kernels import KERNELS
from edgestitch_runtime.tflite_file import read_tflite
from one_operator import (
    CODES,
    PAIRS,
    int8,
    one_operator,
    random_codes,
    random_scale,
    random_zero_point,
)
from random_layers import LAYERS
from random_networks import Network, network, seeded
from step_programs import Case, case_of
from tflite_builder import Spec

BROADCASTS = (
    ((1, 3, 4, 5), (1, 1, 1, 5)),
    ((1, 3, 4, 1), (1, 3, 4, 5)),
    ((1, 3, 1, 5), (1, 1, 4, 1)),
    ((1, 7), (1, 1)),
    ((1, 1), (1, 1)),
    ((1, 2, 3, 1, 2), (1, 2, 1, 5, 1)),
    ((1, 1, 3, 1, 2, 1, 2), (1, 2, 1, 2, 1, 3, 1)),
)
ONE_CODE = ("RELU", "RELU6", "LEAKY_RELU", "TANH", "LOGISTIC", "HARD_SWISH", "QUANTIZE")


def tables(seed: int, count: int) -> list[Case]:
    """Every operator of one code on all 256 of them, at random scales and zero points."""
    rng = np.random.default_rng(seed)
    cases = []
    for name in ONE_CODE:
        for k in range(count):
            scale, zero = random_scale(rng, -3, 0), random_zero_point(rng)
            out, out_zero = scale * random_scale(rng, -1, 1), random_zero_point(rng)
            if k % 3 == 0:  # alike, so that nothing but a bound is left of many
                out, out_zero = scale, zero
            if name == "LOGISTIC":
                out = 1 / 256
            fields = {"alpha": random_scale(rng, -2, 0.2)} if name == "LEAKY_RELU" else {}
            content = one_operator(name, [int8(scale, zero)], int8(out, out_zero), **fields)
            cases.append(case_of(content, CODES))
    return cases


def binary(
    rng: np.random.Generator,
    name: str,
    shapes: Sequence[tuple[int, ...]],
    inputs: Sequence[np.ndarray],
    held: int | None = None,
) -> Case:
    """ADD, SUB or MUL at random scales, zero points and fused activation, `held` a constant."""
    while True:
        scales = [random_scale(rng, -4, 1)]
        scales.append(scales[0] * random_scale(rng, -3, 3))
        if rng.random() < 0.3:
            scales = [2.0 ** round(math.log2(scale)) for scale in scales]
        out = max(scales) * random_scale(rng, -2, 1)
        if name == "MUL":
            out = scales[0] * scales[1] * random_scale(rng, -1, 2.5)
        specs = []
        for k, (scale, shape) in enumerate(zip(scales, shapes, strict=True)):
            zero, data = random_zero_point(rng), random_codes(rng, *shape)
            constant = Spec(data=data, scales=scale, zero_points=zero)
            specs.append(constant if k == held else int8(scale, zero, shape))
        output = int8(out, random_zero_point(rng), np.broadcast_shapes(*shapes))
        fused = int(rng.integers(4))
        try:
            content = one_operator(name, specs, output, fusedActivationFunction=fused)
            return case_of(content, *inputs)
        except Unsupported:  # some scales are
            continue


def arithmetic(seed: int, count: int) -> list[Case]:
    """ADD, SUB and MUL: all pairs of codes, operands of other shapes, constants."""
    rng = np.random.default_rng(seed)
    cases = []
    for name in ("ADD", "SUB", "MUL"):
        cases += [binary(rng, name, [PAIRS[0].shape] * 2, PAIRS) for _ in range(count)]
        for shapes in BROADCASTS:
            inputs = [random_codes(rng, 3, *shape[1:]) for shape in shapes]
            cases.append(binary(rng, name, shapes, inputs))
            specs = [int8(0.5, 0, shape) for shape in shapes]
            output = int8(0.002, 0, np.broadcast_shapes(*shapes))  # for which no weights are found
            cases.append(case_of(one_operator(name, specs, output), *inputs))
        for held in ((), (5,), (4, 1), (3, 1, 1), (1, 1, 1, 5), (1, 3, 4, 5)):
            images, shapes = random_codes(rng, 3, 3, 4, 5), ((1, 3, 4, 5), held)
            cases.append(binary(rng, name, shapes, [images], held=1))
            cases.append(binary(rng, name, shapes[::-1], [images], held=0))
        for second in (1e-4, 1e-8, 1e-30):
            specs = [int8(1, 3, PAIRS[0].shape), int8(second, -4, PAIRS[0].shape)]
            cases.append(case_of(one_operator(name, specs, int8(0.5, 9, PAIRS[0].shape)), *PAIRS))
    return cases


def softmaxes(seed: int, count: int) -> list[Case]:
    """Rows of few and of many classes, equal codes, scales from a hair to far beyond."""
    rng = np.random.default_rng(seed)
    cases = []
    for k in range(count):
        classes = int(rng.choice([1, 2, 3, 10, 10, 47, 300, 4095]))
        shape = (1, *(int(n) for n in rng.integers(1, 4, rng.integers(3))), classes)
        scale = random_scale(rng, *((-1.7, -0.7), (-7.5, -1), (-1, 8))[k % 3])
        images = random_codes(rng, 4, *shape[1:])
        images[0] = images[0, ..., :1]  # all alike
        images[1] = np.where(images[1] < 100, -128, images[1])  # few that count
        fields = {"beta": float(rng.choice([1.0, 0.5, 1.7]))}
        output = int8(1 / 256, -128, shape)
        specs = [int8(scale, random_zero_point(rng), shape)]
        cases.append(case_of(one_operator("SOFTMAX", specs, output, **fields), images))
    for scale in (0.0358, 0.05):  # so many rows that a last bit of a sum moves some code
        shape = (1, 3000, 10)
        content = one_operator("SOFTMAX", [int8(scale, 4, shape)], int8(1 / 256, -128, shape),
                               beta=1.0)  # fmt: skip
        cases.append(case_of(content, rng.integers(60, 128, shape).astype(np.int8)))
    steps = -np.arange(256).reshape(256, 1)  # each difference to the top, by itself
    pairs = (np.concatenate([0 * steps, steps], axis=1) + 127).astype(np.int8)
    for scale in (0.0358, 0.05, 0.0317, 2.0**-5, 0.25, 1.0, 16.0, 2.0**-26 * 1.5):
        content = one_operator("SOFTMAX", [int8(scale, 4, (1, 2))], int8(1 / 256, -128, (1, 2)),
                               beta=1.0)  # fmt: skip
        cases.append(case_of(content, pairs))
    return cases


def windows(seed: int, count: int) -> list[Case]:
    """Pools and reductions of any window, stride, padding, axes and activation."""
    rng = np.random.default_rng(seed)
    cases = [mean_of_next_to_nothing()]
    while len(cases) < count * 4:
        name = ("AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "REDUCE_MAX")[len(cases) % 4]
        content, images = LAYERS[name](rng)
        try:
            cases.append(case_of(content, images))
        except Unsupported:  # some scales are
            continue
    return cases


def mean_of_next_to_nothing() -> Case:
    """Shifted by all the 31 bits that there are."""
    axes = Spec(data=np.array([1], np.int32))
    content = one_operator("MEAN", [int8(2.0**-29, 5, (1, 49, 3)), axes], int8(1.0, -9, (1, 3)))
    return case_of(content, random_codes(np.random.default_rng(0), 2, 49, 3))


def moves(seed: int, count: int) -> list[Case]:
    """CONCATENATION and PAD along every axis."""
    rng = np.random.default_rng(seed)
    cases = []
    for k in range(count):
        shape = [1, *(int(n) for n in rng.integers(1, 5, rng.integers(1, 5)))]
        quantized = {"scales": 0.5, "zero_points": random_zero_point(rng)}
        pairs = [[0, 0], *([int(n) for n in rng.integers(0, 3, 2)] for _ in shape[1:])]
        pairs = [pair if rng.random() < 0.6 else [0, 0] for pair in pairs]
        wide = [n + a + b for n, (a, b) in zip(shape, pairs, strict=True)]
        specs = [Spec(shape=shape, **quantized), Spec(data=np.array(pairs, np.int32))]
        images = random_codes(rng, 3, *shape[1:])
        cases.append(case_of(one_operator("PAD", specs, Spec(shape=wide, **quantized)), images))
        axis = int(rng.integers(1, len(shape)))
        parts = [[*shape[:axis], int(n), *shape[axis + 1 :]] for n in rng.integers(1, 4, 3)]
        specs = [Spec(shape=part, **quantized) for part in parts]
        if k % 2:
            specs[k % 3] = Spec(data=random_codes(rng, *parts[k % 3]), **quantized)
        given = [random_codes(rng, 3, *s.shape[1:]) for s in specs if s.data is None]
        joined = [*shape[:axis], sum(part[axis] for part in parts), *shape[axis + 1 :]]
        output = Spec(shape=joined, **quantized)
        cases.append(case_of(one_operator("CONCATENATION", specs, output, axis=axis), *given))
    return cases


def of_networks(seed: int, count: int) -> list[Case]:
    """The operators without weights of random networks, on what really reaches them."""
    cases = []
    for k in range(count):
        cases += _of_network(network(seeded(seed, k)))
    return cases


def _of_network(made: Network) -> list[Case]:
    try:
        graph = integer_graph(read_tflite(made.content), "random.tflite")
    except EdgestitchError:
        return []
    found = {graph.input.index: made.images}
    cases = []
    for node in graph.nodes:
        inputs = tuple(found[tensor.index] for tensor in data_inputs(node))
        found[node.output.index] = KERNELS[node.operator](node)(*inputs)
        if node.operator in POINTWISE and all(values.dtype == np.int8 for values in inputs):
            cases.append(Case(node=node, inputs=inputs))
    return cases


def softmax_of(scale: float) -> Case:
    content = one_operator(
        "SOFTMAX", [int8(scale, 4, (1, 2))], int8(1 / 256, -128, (1, 2)), beta=1.0
    )
    return case_of(content, random_codes(np.random.default_rng(0), 1, 2))


# Each with how many at a time, and how many where time is no matter.
FAMILIES: dict[str, tuple[Callable[[int, int], list[Case]], int, int]] = {
    "tables": (tables, 3, 100),
    "arithmetic": (arithmetic, 3, 40),
    "softmaxes": (softmaxes, 12, 100),
    "windows": (windows, 15, 150),
    "moves": (moves, 6, 80),
    "of networks": (of_networks, 20, 300),
}
