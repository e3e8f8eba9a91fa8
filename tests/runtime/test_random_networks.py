"""The `reference` engine on a family of whole small networks, against LiteRT's reference kernels.

Of every network each operator's output is compared, not only the last; what the family holds is
asserted too, so that it cannot shrink unseen.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import TypeGuard

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.graph import IntegerGraph, Node, integer_graph
from edgestitch_runtime.operator_fields import (
    activation_of,
    constant_of,
    operand,
    pair_of,
    window_of,
    zero_point_of,
)
from edgestitch_runtime.operator_rules import RULES
from edgestitch_runtime.reference_engine import data_inputs, steps_of
from edgestitch_runtime.tflite_file import Tensor, TfliteModel, read_tflite
from random_networks import Network, network, replayed, seeded

NETWORKS, MANY_NETWORKS = 2000, 20_000
SEED, SEED_OF_MANY = 2, 1
SAME = 0
LONG = 1 << 21  # such sums do not fit the float64 arithmetic of CONV_2D and DEPTHWISE_CONV_2D
_FUSED = ("with relu", "with relu_n1_to_1", "with relu6")
_WINDOW = ("strided", "same", "valid", "of odd padding", "not square")
_WEIGHTS = ("per channel", "per tensor")
_CONVOLUTION = (*_WINDOW, *_WEIGHTS, *_FUSED, "dilated", "of long sums")
_ARITHMETIC = ("of two computed", "of a constant first", "of a constant second", *_FUSED)
_REDUCTION = ("keeps its axes", "drops its axes")
_FEATURES = {
    "CONV_2D": (*_CONVOLUTION, "in groups"),
    "DEPTHWISE_CONV_2D": (*_CONVOLUTION, "of a multiplier", "without bias"),
    "FULLY_CONNECTED": (*_WEIGHTS, *_FUSED, "without bias", "of a last axis"),
    "AVERAGE_POOL_2D": _WINDOW,
    "MAX_POOL_2D": _WINDOW,
    "ADD": _ARITHMETIC,
    "SUB": _ARITHMETIC,
    "MUL": _ARITHMETIC,
    "CONCATENATION": ("of two computed", "of a constant first"),
    "MEAN": _REDUCTION,
    "REDUCE_MAX": _REDUCTION,
    "QUANTIZE": ("from int8", "from uint8", "from float32"),
}
_ZERO_POINTS = ("-128", "0", "127", "between")
_SHAPE_OPERATORS = ("SHAPE", "STRIDED_SLICE", "PACK")
# The least share of the networks that has it: half of what was found, or less.
LEAST_SHARES = {
    **dict.fromkeys(RULES, 0.03),
    **{f"{name} {feature}": 0.005 for name in _FEATURES for feature in _FEATURES[name]},
    **{f"zero point {which}": 0.1 for which in _ZERO_POINTS},
    **dict.fromkeys(_SHAPE_OPERATORS, 0.03),
    "operands of two shapes": 0.02,
    "an operand twice": 0.01,
}


class Seen:
    """What a number of networks held, and what they answered."""

    def __init__(self) -> None:
        self.networks = self.refused = self.constant = self.images = 0
        self.features: Counter[str] = Counter()  # networks that have it
        self.depths: Counter[int] = Counter()  # networks of so many operators
        self.codes = np.zeros(256, np.int64)  # how often the outputs were -128, -127, ...

    def check(self, made: Network) -> bool:
        """Fails unless both engines give the same for every operator and image of `made`.

        What the rules refuse is only counted: False.
        """
        model = read_tflite(made.content)
        try:
            graph = integer_graph(model, "random.tflite")
        except EdgestitchError:
            self.refused += 1
            return False
        together, alone = ours(graph, made.images), ours(graph, made.images[-1:])
        expected = litert_answers(made, graph)
        for node in graph.nodes:
            k = node.output.index
            where = f"operator {node.index}, {node.operator}, of {made}"
            assert together[k].dtype == alone[k].dtype == expected[k].dtype, where
            np.testing.assert_array_equal(together[k], expected[k], where, strict=True)
            np.testing.assert_array_equal(alone[k], expected[k][-1:], where, strict=True)
        self.note(model, graph, made, expected)
        return True

    def note(
        self, model: TfliteModel, graph: IntegerGraph, made: Network, found: dict[int, np.ndarray]
    ) -> None:
        self.networks += 1
        self.depths[len(graph.nodes)] += 1
        self.images += len(made.images)
        self.features.update({feature for node in graph.nodes for feature in features_of(node)})
        self.features.update({operator.name for operator in model.operators} - RULES.keys())
        last = next(t for t in (graph.nodes[-1].output, graph.nodes[-1].inputs[0]) if is_int8(t))
        answers = found[last.index]
        self.constant += bool(answers.size > 1 and (answers == answers.flat[0]).all())
        self.codes += np.bincount(answers.ravel().astype(int) + 128, minlength=256)

    def check_family(self) -> None:
        """Fails unless these networks hold all that the family is for, and their answers vary."""
        shares = {name: self.features[name] / self.networks for name in LEAST_SHARES}
        assert {name: shares[name] for name in shares if shares[name] < LEAST_SHARES[name]} == {}
        assert min(self.depths) > 1
        assert sum(self.depths[k] for k in range(2, 9)) > 0.8 * self.networks
        assert self.refused < 0.01 * self.networks
        assert self.constant < 0.05 * self.networks
        assert self.codes[1:-1].sum() > 0.6 * self.codes.sum()  # neither -128 nor 127
        assert self.codes.min() > 0

    def __str__(self) -> str:
        return (
            f"{self.networks:,} of {self.networks:,} generated networks equal to BUILTIN_REF in "
            f"every operator's output ({self.images:,} images; {self.refused} refused)"
        )


def features_of(node: Node) -> Iterator[str]:
    """What a node is an example of."""
    name = node.operator
    yield name
    fused = activation_of(node)
    if fused != "none":
        yield f"{name} with {fused}"
    for tensor in (node.inputs[0], node.output):
        if is_int8(tensor):
            zero_point = zero_point_of(tensor)
            yield f"zero point {zero_point if zero_point in (-128, 0, 127) else 'between'}"
    if "stride_height" in node.options:
        yield from _of_window(node)
    if name in ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D"):
        yield from _of_weights(node)
    if name in ("ADD", "SUB", "MUL", "CONCATENATION"):
        constant = [operand(node, k).constant for k in (0, 1)]
        places = {(False, False): "two computed", (True, False): "a constant first"}
        yield f"{name} of {places.get((constant[0], constant[1]), 'a constant second')}"
        shapes = {tensor.shape for tensor in data_inputs(node)}
        if name != "CONCATENATION" and len(shapes) > 1:
            yield "operands of two shapes"
        if node.inputs[0] is node.inputs[1]:
            yield "an operand twice"
    if "keep_dims" in node.options:
        yield f"{name} {'keeps' if node.options['keep_dims'] else 'drops'} its axes"
    if name == "QUANTIZE":
        yield f"QUANTIZE from {operand(node, 0).dtype}"


def _of_window(node: Node) -> Iterator[str]:
    weights = operand(node, 1).shape[1:3] if len(node.inputs) > 1 else pair_of(node, "filter")
    window = window_of(node, (weights[0], weights[1]))
    if max(window.stride) > 1:
        yield f"{node.operator} strided"
    if any(n > 1 and d > 1 for n, d in zip(window.size, window.dilation, strict=True)):
        yield f"{node.operator} dilated"
    yield f"{node.operator} {'same' if node.options['padding'] == SAME else 'valid'}"
    if window.before != window.after:
        yield f"{node.operator} of odd padding"
    if window.stride[0] != window.stride[1] and window.size[0] != window.size[1]:
        yield f"{node.operator} not square"


def _of_weights(node: Node) -> Iterator[str]:
    source, weights = operand(node, 0).shape, operand(node, 1)
    assert weights.quantization is not None
    yield f"{node.operator} per {'channel' if weights.quantization.per_channel else 'tensor'}"
    if len(node.inputs) < 3 or node.inputs[2] is None:
        yield f"{node.operator} without bias"
    elif np.abs(constant_of(node, 2)).max() > LONG:
        yield f"{node.operator} of long sums"
    if node.operator == "CONV_2D" and weights.shape[3] < source[3]:
        yield "CONV_2D in groups"
    if node.operator == "DEPTHWISE_CONV_2D" and weights.shape[3] > source[3]:
        yield "DEPTHWISE_CONV_2D of a multiplier"
    if node.operator == "FULLY_CONNECTED" and node.options["keep_num_dims"] and len(source) > 2:
        yield "FULLY_CONNECTED of a last axis"


def is_int8(tensor: Tensor | None) -> TypeGuard[Tensor]:
    return tensor is not None and tensor.dtype == "int8"


def ours(graph: IntegerGraph, images: np.ndarray) -> dict[int, np.ndarray]:
    """What the `reference` engine gives for each tensor, the images in one batch."""
    held = {graph.input.index: images}
    for kernel, inputs, output, _ in steps_of(graph):
        held[output] = kernel(*[held[k] for k in inputs])
    return held


def litert_answers(made: Network, graph: IntegerGraph) -> dict[int, np.ndarray]:
    """What LiteRT gives for the output of each node, image by image."""
    interpreter = Interpreter(
        model_content=made.content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
        num_threads=1,
    )
    interpreter.allocate_tensors()
    wanted = [node.output.index for node in graph.nodes]
    rows = []
    for image in made.images:
        interpreter.set_tensor(graph.input.index, image[None])
        interpreter.invoke()
        rows.append([interpreter.get_tensor(k) for k in wanted])
    return {
        k: np.concatenate(found) for k, found in zip(wanted, zip(*rows, strict=True), strict=True)
    }


def _compared(seed: int, count: int) -> Seen:
    """Compares `count` networks of equally likely picks.

    Hypothesis would draw them from the constants that it finds in the modules that are imported:
    others after every edit, and after other tests.
    """
    seen, numbers = Seen(), itertools.count()
    while seen.networks < count:
        seen.check(network(seeded(seed, next(numbers))))
    print(f"reference: {seen}")
    return seen


def test_generated_networks_answer_as_litert_does() -> None:
    _compared(SEED, NETWORKS).check_family()


@pytest.mark.slow
def test_many_generated_networks_answer_as_litert_does() -> None:
    """`make figures`: more of the same family; prints the count."""
    _compared(SEED_OF_MANY, MANY_NETWORKS).check_family()


def test_a_network_is_made_again_from_its_choices() -> None:
    for k in range(5):
        made = network(seeded(k))
        again = replayed(made.choices)
        assert again.content == made.content
        assert again.images.tobytes() == made.images.tobytes()
