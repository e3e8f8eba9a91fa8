"""A .tflite taken apart, altered as a whole structure, and written again: a sound flatbuffer.

Found like tflite_builder. What byte by byte alterations do not come to: fields that were absent,
other ranks, operators left out, doubled or in another order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgestitch_runtime.operator_rules import RULES

_ENUMS = ("padding", "fusedActivationFunction", "weightsFormat")  # of one byte
_SUPPORTED = [getattr(schema.BuiltinOperator, name) for name in RULES]
Change = Callable[[np.random.Generator, Any], None]


def rewritten(content: bytes, rng: np.random.Generator) -> bytes:
    """The file with one to three changes."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for _ in range(int(rng.choice([1, 1, 2, 3]))):
        CHANGES[int(rng.integers(len(CHANGES)))](rng, model)
    return packed(model)


def packed(model: Any) -> bytes:
    """A model as a file."""
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _shape(rng: np.random.Generator, model: Any) -> None:
    """Another size, rank or order of axes; sometimes of every tensor of that shape."""
    tensors = model.subgraphs[0].tensors
    tensor = _one(rng, tensors)
    old = _listed(tensor.shape)
    new = list(old)
    way = int(rng.integers(5))
    if way == 0 and new:
        new[int(rng.integers(len(new)))] = int(rng.choice([0, 1, 2, 3, 9, 28, 255, 70000, -1]))
    elif way == 1:
        new.insert(int(rng.integers(len(new) + 1)), 1)
    elif way == 2 and new:
        del new[int(rng.integers(len(new)))]
    elif way == 3:
        new = [int(k) for k in rng.permutation(new)]
    else:
        new = [int(k) for k in rng.integers(1, 9, int(rng.integers(0, 7)))]
    for other in tensors if rng.random() < 0.3 else [tensor]:
        if _listed(other.shape) == old:
            other.shape = new


def _quantization(rng: np.random.Generator, model: Any) -> None:
    """None, without a part, or another count of scales."""
    tensor = _one(rng, model.subgraphs[0].tensors)
    found = tensor.quantization
    way = int(rng.integers(5))
    if way == 0 or found is None:
        tensor.quantization = None if found else schema.QuantizationParametersT()
    elif way == 1:
        found.zeroPoint = None
    elif way == 2:
        found.scale = None
    elif way == 3:
        count = int(rng.choice([0, 1, 2, 3, 4, 8]))
        found.scale = rng.uniform(0.01, 1, count).tolist()
        found.zeroPoint = [0] * count
    else:
        count = max(1, len(_listed(found.scale)))
        found.scale = (10 ** rng.uniform(-6, 3, count)).tolist()


def _dtype(rng: np.random.Generator, model: Any) -> None:
    """Another dtype, of a tensor that is computed or of a constant with its bytes."""
    tensor = _one(rng, model.subgraphs[0].tensors)
    tensor.type = int(rng.choice([0, 1, 2, 3, 4, 6, 7, 9, 10, 17]))


def _operator(rng: np.random.Generator, model: Any) -> None:
    """Left out, doubled, moved, or another operator with the same tensors."""
    operators = model.subgraphs[0].operators
    place = int(rng.integers(len(operators)))
    way = int(rng.integers(4))
    if way == 0:
        del operators[place]
    elif way == 1:
        operators.insert(int(rng.integers(len(operators) + 1)), operators[place])
    elif way == 2:
        operators.insert(int(rng.integers(len(operators))), operators.pop(place))
    elif model.operatorCodes:
        operators[place].opcodeIndex = int(rng.integers(len(model.operatorCodes)))


def _code(rng: np.random.Generator, model: Any) -> None:
    """An operator code becomes another: of a supported operator, or of any."""
    code = _one(rng, model.operatorCodes)
    number = int(rng.choice(_SUPPORTED)) if rng.random() < 0.7 else int(rng.integers(0, 215))
    code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
    if rng.random() < 0.3:
        code.version = int(rng.integers(0, 12))


def _wiring(rng: np.random.Generator, model: Any) -> None:
    """An operator, or the graph, takes or gives other tensors, more of them or fewer."""
    graph = model.subgraphs[0]
    owner = _one(rng, [*graph.operators, graph]) if graph.operators else graph
    name = str(rng.choice(["inputs", "outputs"]))
    indices = _listed(getattr(owner, name))
    other = int(rng.integers(-1, len(graph.tensors)))
    way = int(rng.integers(4))
    if way == 0 and indices:
        indices[int(rng.integers(len(indices)))] = other
    elif way == 1:
        indices.append(other)
    elif way == 2 and indices:
        del indices[int(rng.integers(len(indices)))]
    else:
        indices = indices[::-1]
    setattr(owner, name, indices)


def _options(rng: np.random.Generator, model: Any) -> None:
    """One field of an operator's options, or all of them gone."""
    with_options = [o for o in model.subgraphs[0].operators or [] if o.builtinOptions is not None]
    if not with_options:
        return
    operator = _one(rng, with_options)
    if rng.random() < 0.15:
        operator.builtinOptions, operator.builtinOptionsType = None, 0
        return
    names = [n for n, v in vars(operator.builtinOptions).items() if isinstance(v, int | float)]
    if not names:
        return
    name = str(rng.choice(names))
    old = getattr(operator.builtinOptions, name)
    if isinstance(old, bool):
        value: Any = not old
    elif isinstance(old, float):
        value = float(np.float32(rng.choice([0.0, -1.0, 0.5, 1e-12, 1e9, np.inf, np.nan])))
    elif name in _ENUMS or name.endswith("Type"):
        value = int(rng.integers(-1, 6))
    else:
        value = int(rng.choice([-1, 0, 1, 2, 3, 4, 7, 100, 1000, 2_000_000_000]))
    setattr(operator.builtinOptions, name, value)


def _constant(rng: np.random.Generator, model: Any) -> None:
    """A constant is computed now, or the other way round, or two have each other's content."""
    first, second = _one(rng, model.subgraphs[0].tensors), _one(rng, model.subgraphs[0].tensors)
    if rng.random() < 0.4:
        first.buffer = 0
    elif rng.random() < 0.6:
        first.buffer, second.buffer = second.buffer, first.buffer
    else:
        count = int(np.prod(np.maximum(_listed(first.shape), 0)))
        buffer = schema.BufferT()
        codes = rng.integers(0, 256, min(count, 4096) * int(rng.choice([1, 1, 4])))
        buffer.data = codes.astype(np.uint8)  # pyright: ignore[reportAttributeAccessIssue]
        first.buffer = len(model.buffers)
        model.buffers.append(buffer)


def _end(rng: np.random.Generator, model: Any) -> None:
    """The file's input or output becomes another tensor, as where a model is cut."""
    graph = model.subgraphs[0]
    tensor = int(rng.integers(len(graph.tensors)))
    if rng.random() < 0.5:
        graph.outputs = [tensor]
    else:
        graph.inputs = [tensor]


def _unusual(rng: np.random.Generator, model: Any) -> None:
    """A tensor that keeps its content, or whose content is packed as sparse."""
    tensor = _one(rng, model.subgraphs[0].tensors)
    if rng.random() < 0.5:
        tensor.isVariable = True
    else:
        tensor.sparsity = schema.SparsityParametersT()


CHANGES: tuple[Change, ...] = (
    _shape, _quantization, _dtype, _operator, _code, _wiring, _options, _constant, _end, _unusual,
)  # fmt: skip


def _one(rng: np.random.Generator, items: Any) -> Any:
    return items[int(rng.integers(len(items)))]


def _listed(values: Any) -> list[Any]:
    return [] if values is None else list(values)
