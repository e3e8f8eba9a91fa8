"""One spelling for an ONNX graph: the same computation gives the same bytes.

Nodes and values are named after their place in topological order, initializers are sorted by
name, operator-set imports that no node uses and everything descriptive go.
"""

from __future__ import annotations

import onnx

INPUT, OUTPUT = "pixels", "scores"


def canonical(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `model` in canonical form. It has one input, `pixels`, and one output, `scores`."""
    graph = model.graph
    names = {graph.input[0].name: INPUT}
    constants = {i.name for i in graph.initializer}
    nodes = []
    for position, node in enumerate(_sorted_nodes(graph)):
        label = f"{position:03d}_{node.op_type}"
        for slot, name in enumerate(node.input):
            if name in constants and name not in names:
                names[name] = f"{label}.{slot}"
        for slot, name in enumerate(node.output):
            if name:
                names[name] = label if slot == 0 else f"{label}.out{slot}"
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = label
        copy.ClearField("doc_string")
        nodes.append(copy)
    names[graph.output[0].name] = OUTPUT
    for node in nodes:
        node.input[:] = [names[n] if n else "" for n in node.input]
        node.output[:] = [names[n] if n else "" for n in node.output]
        attributes = sorted(node.attribute, key=lambda a: a.name)
        del node.attribute[:]
        node.attribute.extend(attributes)
    initializers = []
    for tensor in graph.initializer:
        if tensor.name in names:
            copied = onnx.numpy_helper.from_array(
                onnx.numpy_helper.to_array(tensor), names[tensor.name]
            )
            initializers.append(copied)
    made = onnx.helper.make_graph(
        nodes,
        "classifier",
        [_value(graph.input[0], INPUT)],
        [_value(graph.output[0], OUTPUT)],
        sorted(initializers, key=lambda t: t.name),
    )
    used = {node.domain for node in nodes}
    imports = sorted(
        (o for o in model.opset_import if o.domain in used or o.domain == ""),
        key=lambda o: o.domain,
    )
    return onnx.helper.make_model(
        made, opset_imports=imports, ir_version=model.ir_version, producer_name="edgestitch"
    )


def _value(value: onnx.ValueInfoProto, name: str) -> onnx.ValueInfoProto:
    tensor = value.type.tensor_type
    dims = [d.dim_value or None for d in tensor.shape.dim]
    return onnx.helper.make_tensor_value_info(name, tensor.elem_type, ["n", *dims[1:]])


def _sorted_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Topological order by depth first search from the output: independent of the file's order."""
    maker = {name: node for node in graph.node for name in node.output}
    ordered: list[onnx.NodeProto] = []
    done: set[int] = set()
    stack = [(maker[graph.output[0].name], False)]
    while stack:
        node, inputs_done = stack.pop()
        if id(node) in done:
            continue
        if inputs_done:
            done.add(id(node))
            ordered.append(node)
            continue
        stack.append((node, True))
        stack.extend((maker[n], False) for n in reversed(node.input) if n in maker)
    return ordered
