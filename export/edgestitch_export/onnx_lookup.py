"""Element by element functions of an int8 ONNX graph that ONNX Runtime has no integer kernel for.

A function of one uint8 has 256 answers: they are computed in float on export, and looked up. It is
what TensorFlow Lite's int8 kernels of TANH and GELU do.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

LOOKED_UP = ("Tanh", "Erf", "Elu", "Selu", "Softplus", "Neg")
_ELEMENTWISE = {*LOOKED_UP, "Add", "Sub", "Mul", "Div", "Sigmoid"}


def functions(model: onnx.ModelProto) -> list[onnx.GraphProto]:
    """The functions in a float graph that are to be looked up, each as a graph of its own.

    One takes one tensor and gives one; in between all is element by element with single numbers,
    and something in it has no integer kernel. GELU is one such function, not five operators.
    """
    single = {i.name for i in model.graph.initializer if np.prod(i.dims, dtype=int) == 1}
    constants = {i.name for i in model.graph.initializer}
    root: dict[str, str] = {}  # of a tensor, the one that it is a function of
    maker: dict[str, onnx.NodeProto] = {}
    for node in model.graph.node:  # in topological order
        moving = [name for name in node.input if name not in single]
        roots = {root.get(name, name) for name in moving}
        if node.op_type in _ELEMENTWISE and len(roots) == 1 and not constants & roots:
            root[node.output[0]] = roots.pop()
            maker[node.output[0]] = node
    outward = {value.name for value in model.graph.output}
    outward |= {n for node in model.graph.node if node.output[0] not in maker for n in node.input}
    outward |= {  # what a function of another tensor takes
        name
        for made, node in maker.items()
        for name in node.input
        if name in maker and root[name] != root[made]
    }
    found = []
    for target in (name for name in maker if name in outward):
        nodes = _behind(target, maker)
        if any(node.op_type in LOOKED_UP for node in nodes):
            found.append(_graph(model.graph, nodes, root[target], target))
    return found


def look_up(quantized: onnx.ModelProto, graphs: list[onnx.GraphProto]) -> None:
    """Puts a table of uint8 in the place of each of `functions`, in the graph that QDQ made."""
    graph = quantized.graph
    values = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    quantizers = {n.input[0]: n for n in graph.node if n.op_type == "QuantizeLinear"}
    for function in graphs:
        source, target = function.input[0].name, function.output[0].name
        if source not in quantizers or target not in quantizers:
            continue  # the check of what was written names the operator
        before, after = quantizers[source], quantizers[target]
        scale, zero_point = (values[name] for name in before.input[1:])
        codes = np.arange(256)
        answers = _answers(function, ((codes - int(zero_point)) * scale).astype(np.float32))
        scale, zero_point = (values[name] for name in after.input[1:])
        table = np.clip(np.rint(answers / scale) + int(zero_point), 0, 255).astype(np.uint8)
        names = f"{target}_table", f"{target}_codes"
        graph.initializer.append(numpy_helper.from_array(table, names[0]))
        place = list(graph.node).index(after)
        graph.node.remove(after)
        for node in (
            helper.make_node("Gather", names, [after.output[0]], f"{target}_looked_up"),
            helper.make_node("Cast", [before.output[0]], [names[1]], names[1], to=6),  # int32
        ):
            graph.node.insert(place, node)
    if graphs:
        _prune(graph)


def _behind(target: str, maker: dict[str, onnx.NodeProto]) -> list[onnx.NodeProto]:
    """The nodes that make `target` from what it is a function of, in topological order."""
    wanted = {target}
    for name, node in reversed(maker.items()):
        if name in wanted:
            wanted.update(node.input)
    return [node for name, node in maker.items() if name in wanted]


def _graph(
    graph: onnx.GraphProto, nodes: list[onnx.NodeProto], source: str, target: str
) -> onnx.GraphProto:
    taken = {name for node in nodes for name in node.input}
    vector = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [256])
        for name in (source, target)
    ]
    constants = [i for i in graph.initializer if i.name in taken]
    return helper.make_graph(nodes, target, vector[:1], vector[1:], constants)


def _answers(function: onnx.GraphProto, values: np.ndarray) -> np.ndarray:
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(function, opset_imports=[opset], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    answers = session.run(None, {function.input[0].name: values})[0]
    return np.asarray(answers, np.float64).reshape(256)


def _prune(graph: onnx.GraphProto) -> None:
    """Removes what no output needs any more."""
    wanted = {value.name for value in graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            wanted.update(node.input)
            kept.insert(0, node)
    constants = [i for i in graph.initializer if i.name in wanted]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(kept)
    graph.initializer.extend(constants)
