"""One operator of the `reference` engine, on tensors of any quantization, beside LiteRT's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgestitch_runtime.graph import Node
from edgestitch_runtime.operator_rules import RULES
from edgestitch_runtime.reference_kernels import KERNELS
from edgestitch_runtime.tflite_file import read_tflite
from edgestitch_runtime.tflite_schema import OPTIONS
from tflite_builder import Op, Spec, build, reference_rows

CODES = np.arange(-128, 128).astype(np.int8).reshape(1, 256)
PAIRS = (CODES.repeat(256).reshape(1, -1), np.tile(CODES, 256))  # every code with every other
_TABLES = {number: name for name, number in vars(schema.BuiltinOptions).items()}


def int8(scale: float, zero_point: int, shape: Sequence[int] = (1, 256)) -> Spec:
    """A computed int8 tensor."""
    return Spec(shape=shape, scales=scale, zero_points=zero_point)


def random_scale(rng: np.random.Generator, low: float, high: float) -> float:
    """A float32 between 10**low and 10**high."""
    return float(np.float32(10 ** rng.uniform(low, high)))


def random_zero_point(rng: np.random.Generator) -> int:
    """Any int8; one in four is at an end or 0."""
    ends = (-128, 0, 127)
    return int(rng.choice(ends) if rng.random() < 0.25 else rng.integers(-128, 128))


def random_codes(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-128, 128, shape).astype(np.int8)


def one_operator(name: str, inputs: Sequence[Spec], output: Spec, **fields: Any) -> bytes:
    """A file of one operator. Its inputs are those of `inputs` that are no constants."""
    places = range(len(inputs))
    table = _TABLES[OPTIONS[name].union] if name in OPTIONS else ""
    operator = Op(name=name, inputs=places, outputs=[len(inputs)], options=table, fields=fields)
    return build([operator], [*inputs, output], inputs=[k for k in places if not _held(inputs[k])])


def kernel_rows(content: bytes, *inputs: np.ndarray) -> np.ndarray:
    """What the kernel of that operator gives. Raises Unsupported when its rule refuses it."""
    model = read_tflite(content)
    (operator,) = model.operators
    node = Node(
        index=0,
        operator=operator.name,
        inputs=tuple(model.tensors[k] for k in operator.inputs),
        output=model.tensors[operator.outputs[0]],
        options=operator.options,
        macs=0,
    )
    assert RULES[node.operator].infer(node) == node.output.shape
    return KERNELS[node.operator](node)(*inputs)


def check_equal(content: bytes, *inputs: np.ndarray) -> None:
    """Fails unless the kernel gives what LiteRT's does, in dtype, shape and every element."""
    expected = reference_rows(content, *inputs)
    found = kernel_rows(content, *inputs)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found, expected)


def _held(spec: Spec) -> bool:
    return spec.data is not None
