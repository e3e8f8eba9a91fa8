"""The `reference` engine: an int8 model computed in integers with numpy, and nothing else.

Equal to LiteRT's reference kernels (OpResolverType.BUILTIN_REF) in every output. It defines what
an int8 model answers, and runs where no engine has a wheel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .card import Artifact
from .errors import EdgestitchError
from .flatbuffer import Damaged
from .graph import IntegerGraph, Node, integer_graph
from .operator_fields import MOST_SEEN, scale_of, zero_point_of
from .reference_kernels import KERNELS, Kernel
from .sliding_window import elements_seen
from .tflite_file import Tensor, read_tflite

TOGETHER = 1 << 17  # elements of the largest tensor, of the images computed at once: fits caches


class ReferenceSession:
    """A graph with a kernel for each node. Nothing is written after it is made: threads share it.

    A Session of `engines`.
    """

    def __init__(self, graph: IntegerGraph, name: str) -> None:
        dims = [n for n in graph.input.shape[1:] if n != 1]
        if len(graph.input.shape) not in (3, 4) or len(dims) != 2 or len(graph.output.shape) != 2:
            raise EdgestitchError(
                f"{name} takes {graph.input.shape} and gives {graph.output.shape}; expected "
                "(1, height, width) and (1, classes)",
                hint="only classifiers of grayscale images can be run",
            )
        self._steps = steps_of(graph)
        tensors = (graph.input, *(node.output for node in graph.nodes))
        largest = max(math.prod(tensor.shape) for tensor in tensors)
        seen = max((elements_seen(node) for node in graph.nodes), default=1)
        self._at_once = max(1, min(TOGETHER // largest, MOST_SEEN // seen))
        self._source, self._target = graph.input.index, graph.output.index
        self._input_dims = graph.input.shape[1:]
        self.input_shape = (dims[0], dims[1])
        self.classes = graph.output.shape[1]
        self.input_dtype = np.dtype(graph.input.dtype)
        self.output_dtype = np.dtype(graph.output.dtype)
        self.input_scale, self.input_zero_point = _quantization(graph.input)
        self.output_scale, self.output_zero_point = _quantization(graph.output)

    def run(self, batch: np.ndarray) -> np.ndarray:
        shaped = batch.reshape(-1, *self._input_dims)
        scores = np.empty((len(shaped), self.classes), self.output_dtype)
        for start in range(0, len(shaped), self._at_once):
            part = slice(start, start + self._at_once)
            scores[part] = self._computed(shaped[part])
        return scores

    def shape_one(self, image: np.ndarray) -> np.ndarray:
        return image.reshape(1, *self._input_dims)

    def bare(self) -> Callable[[np.ndarray], np.ndarray]:
        return self._computed

    def single(self) -> Callable[[np.ndarray], np.ndarray]:
        if self.input_dtype != np.int8:
            return lambda image: self._computed(self.shape_one(image.astype(self.input_dtype)))
        top_bit = np.array(128, np.uint8)
        return lambda image: self._computed(self.shape_one((image ^ top_bit).view(np.int8)))

    def _computed(self, images: np.ndarray) -> np.ndarray:
        """(n, ...) of the input's dtype to (n, classes)."""
        held = {self._source: images}
        for kernel, inputs, output, done in self._steps:
            held[output] = kernel(*[held[k] for k in inputs])
            for k in done:
                del held[k]
        return held[self._target]


def steps_of(graph: IntegerGraph) -> list[tuple[Kernel, tuple[int, ...], int, tuple[int, ...]]]:
    """Of each node: its kernel, the tensors it takes, the one it gives, those not needed after."""
    computed = {graph.input.index, *(node.output.index for node in graph.nodes)}
    steps = []
    needed = {graph.output.index}
    for node in reversed(graph.nodes):
        inputs = tuple(t.index for t in data_inputs(node) if t.index in computed)
        done = tuple(sorted(set(inputs) - needed))
        needed |= set(inputs)
        steps.append((KERNELS[node.operator](node), inputs, node.output.index, done))
    return steps[::-1]


def data_inputs(node: Node) -> list[Tensor]:
    """The inputs of `node` that carry images; a computed shape is not one."""
    given = node.inputs[:1] if node.operator in ("RESHAPE", "SQUEEZE") else node.inputs
    return [t for t in given if t is not None and not t.constant]


def open_reference(artifact: Artifact, package: Any, threads: int) -> ReferenceSession:
    """A session on `artifact`. `package` is numpy, and `threads` says nothing here."""
    name = str(artifact.path)
    try:
        model = read_tflite(artifact.content)
    except Damaged as error:
        raise EdgestitchError(
            f"{name} is a damaged TFLite file: {error}", hint="copy it again, or export it again"
        ) from None
    return ReferenceSession(integer_graph(model, name), name)


def _quantization(tensor: Tensor) -> tuple[float, int]:
    if tensor.quantization is None or tensor.dtype == "float32":
        return 1.0, 0
    return float(scale_of(tensor)), zero_point_of(tensor)
