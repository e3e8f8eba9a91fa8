"""Activations of an ONNX graph brought to where the quantizer can do without them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx

ONE = "one"


def part_activations(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `model` with a product with 1 before each Relu and Clip whose input others take.

    A requantization saturates at both ends of its range, and so the quantizer lets that of the node
    before do the activation's work; where others take that node's output it cannot, as before the
    convolutions of a residual network, and ONNX Runtime would compute the activation in float.
    The product is an integer operator with a requantization of its own.
    """
    parted = onnx.ModelProto()
    parted.CopyFrom(model)
    takers = Counter(name for node in model.graph.node for name in node.input)
    del parted.graph.node[:]
    for node in model.graph.node:  # in topological order
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        if node.op_type in ("Relu", "Clip") and takers[node.input[0]] > 1:
            copy.input[0] = f"{node.output[0]}_parted"
            product = onnx.helper.make_node("Mul", [node.input[0], ONE], [copy.input[0]])
            product.name = copy.input[0]
            parted.graph.node.append(product)
        parted.graph.node.append(copy)
    if len(parted.graph.node) > len(model.graph.node):
        one = onnx.numpy_helper.from_array(np.array(1, np.float32), ONE)
        parted.graph.initializer.append(one)
    return parted
