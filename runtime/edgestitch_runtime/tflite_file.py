"""A .tflite file as a small typed form: tensors, operators, quantization, constants.

Any precision; nothing native and no schema package: `flatbuffer` checks every access, so that a
damaged file ends in one error (docs/decisions/0012-own-flatbuffer-reader.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .flatbuffer import Damaged, Table, root
from .tflite_schema import DTYPES, OPERATORS, OPTIONS

MOST_DIMENSIONS = 8
MOST_ELEMENTS = 1 << 28  # of one tensor at batch 1
_NUMPY = {
    "float32", "float16", "float64", "bool",
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """real = (code - zero_point) * scale: one pair, or one for each index of the axis `axis`.

    `scales` is (k,) float32, `zero_points` (k,) int64.
    """

    scales: np.ndarray
    zero_points: np.ndarray
    axis: int

    @property
    def per_channel(self) -> bool:
        return len(self.scales) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One tensor. `shape` is at batch 1 as a rule; `signature` has None where a size is free.

    `data` is a constant's content in its shape, a read-only view of the file; None for what is
    computed, for constants of a dtype that numpy has not, and for those that are packed as sparse.
    `bytes` is the constant's size, `buffer` where the file holds it: two tensors of equal content
    may share one. A `variable` keeps its content from one run to the next.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    signature: tuple[int | None, ...]
    dtype: str
    quantization: Quantization | None
    data: np.ndarray | None
    bytes: int
    buffer: int
    variable: bool = False

    @property
    def constant(self) -> bool:
        return self.bytes > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator. Inputs and outputs are indices of tensors, -1 for an input left out."""

    index: int
    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, int | float]


@dataclass(frozen=True, slots=True, kw_only=True)
class TfliteModel:
    """The one graph of a file. `min_runtime_version` is the converter's own word, or empty."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    description: str
    min_runtime_version: str


def read_tflite(content: bytes) -> TfliteModel:
    """The model in a flatbuffer; what follows it, as a card's zip does, is not looked at.

    Raises Damaged when it is no TFLite model, is not whole, or has several graphs.
    """
    if content[4:8] != b"TFL3":
        raise Damaged("it has no TFL3 mark")
    model = root(memoryview(content))
    if model.integer(0, "I") != 3:
        raise Damaged(f"its schema has version {model.integer(0, 'I')}, expected 3")
    graphs = model.tables(2)
    if len(graphs) != 1:
        raise Damaged(f"it has {len(graphs)} graphs, expected one")
    codes = [_operator_code(table) for table in model.tables(1)]
    buffers = [_buffer(table) for table in model.tables(4)]
    tensors = tuple(_tensor(k, t, buffers) for k, t in enumerate(graphs[0].tables(0)))
    return TfliteModel(
        tensors=tensors,
        operators=tuple(
            _operator(k, t, codes, len(tensors)) for k, t in enumerate(graphs[0].tables(3))
        ),
        inputs=_indices(graphs[0], 1, len(tensors), least=0),
        outputs=_indices(graphs[0], 2, len(tensors), least=0),
        description=model.text(3),
        min_runtime_version=_min_runtime_version(model, buffers),
    )


def _operator_code(table: Table) -> tuple[str, int]:
    # The first field is of 8 bits: codes above 127 stand only in the later one.
    code = max(table.integer(0, "b"), table.integer(3, "i"))
    if not 0 <= code < len(OPERATORS):
        raise Damaged(f"an operator has the unknown code {code}")
    name = OPERATORS[code]
    if name == "CUSTOM":
        name = f"CUSTOM {table.text(1)}".strip()
    return name, table.integer(2, "i", 1)


def _buffer(table: Table) -> np.ndarray | None:
    if table.integer(1, "Q") > 1:
        raise Damaged("its constants stand outside the flatbuffer")
    return table.array(0, "u1")


def _tensor(index: int, table: Table, buffers: list[np.ndarray | None]) -> Tensor:
    shape = _shape(table, index)
    number = table.integer(1, "b")
    if not 0 <= number < len(DTYPES):
        raise Damaged(f"tensor {index} has the unknown dtype {number}")
    dtype = DTYPES[number]
    place = table.integer(2, "I")
    if place >= len(buffers):
        raise Damaged(f"tensor {index} names the buffer {place} of {len(buffers)}")
    held = buffers[place]
    data = None
    sparse = table.table(6) is not None
    if held is not None and len(held) and dtype in _NUMPY and not sparse:
        if len(held) != math.prod(shape) * np.dtype(dtype).itemsize:
            raise Damaged(f"tensor {index}, {dtype} {shape}, has {len(held)} bytes")
        data = held.view(np.dtype(dtype).newbyteorder("<")).reshape(shape)
    signature = table.array(7, "<i4")
    if signature is None or len(signature) != len(shape):
        signature = np.array(shape, np.int32)
    return Tensor(
        index=index,
        name=table.text(3),
        shape=shape,
        signature=tuple(None if n == -1 else int(n) for n in signature),
        dtype=dtype,
        quantization=_quantization(index, table.table(4)),
        data=data,
        bytes=0 if held is None else len(held),
        buffer=place,
        variable=bool(table.integer(5, "?")),
    )


def _shape(table: Table, index: int) -> tuple[int, ...]:
    found = table.array(0, "<i4")
    shape = () if found is None else tuple(int(n) for n in found[: MOST_DIMENSIONS + 1])
    if len(shape) > MOST_DIMENSIONS or any(n < 0 for n in shape):
        raise Damaged(f"tensor {index} has the shape {shape}")
    if math.prod(shape) > MOST_ELEMENTS:
        raise Damaged(f"tensor {index} has {math.prod(shape)} elements")
    return shape


def _quantization(index: int, table: Table | None) -> Quantization | None:
    if table is None:
        return None
    scales = table.array(2, "<f4")
    if scales is None or not len(scales):
        return None
    zero_points = table.array(3, "<i8")
    if zero_points is None or not len(zero_points):
        zero_points = np.zeros(len(scales), np.int64)
    if len(zero_points) != len(scales):
        raise Damaged(f"tensor {index} has {len(scales)} scales and {len(zero_points)} zero points")
    return Quantization(scales=scales, zero_points=zero_points, axis=table.integer(6, "i"))


def _operator(index: int, table: Table, codes: list[tuple[str, int]], tensors: int) -> Operator:
    place = table.integer(0, "I")
    if place >= len(codes):
        raise Damaged(f"operator {index} names the code {place} of {len(codes)}")
    name, version = codes[place]
    return Operator(
        index=index,
        name=name,
        version=version,
        inputs=_indices(table, 1, tensors, least=-1),
        outputs=_indices(table, 2, tensors, least=0),
        options=_options(index, name, table),
    )


def _options(index: int, name: str, table: Table) -> dict[str, int | float]:
    wanted = OPTIONS.get(name)
    if wanted is None:
        return {}
    given = table.table(4)
    if given is None or table.integer(3, "B") != wanted.union:
        raise Damaged(f"operator {index}, {name}, lacks its options")
    return {
        field: given.number(spec.slot, spec.code, spec.default)
        for field, spec in wanted.fields.items()
    }


def _indices(table: Table, slot: int, tensors: int, *, least: int) -> tuple[int, ...]:
    found = table.array(slot, "<i4")
    indices = () if found is None else tuple(int(k) for k in found[: 1 << 12])
    if any(not least <= k < tensors for k in indices):
        raise Damaged(f"an index of a tensor is not one of {tensors}")
    return indices


def _min_runtime_version(model: Table, buffers: list[np.ndarray | None]) -> str:
    for entry in model.tables(6):
        place = entry.integer(1, "I")
        if entry.text(0) == "min_runtime_version" and place < len(buffers):
            held = buffers[place]
            text = b"" if held is None else held[:32].tobytes()
            return text.rstrip(b"\0").decode("ascii", "replace")
    return ""
