"""LiteRT and its predecessor tflite-runtime behind one Session: the same interpreter API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .card import Artifact
from .errors import EdgestitchError

BATCH = 64  # images in one invocation of `run`; larger batches gain nothing at this size


class TfliteSession:
    """One interpreter for single images, and a second one, made when first needed, for batches.

    Resizing an interpreter back and forth would cost more than the work itself.
    """

    def __init__(self, artifact: Artifact, package: Any, threads: int) -> None:
        self._content = artifact.content
        self._package = package
        self._threads = threads
        self._single = self._interpreter(1)
        self._batched: Any = None
        source = self._only(self._single.get_input_details(), artifact, "input")
        target = self._only(self._single.get_output_details(), artifact, "output")
        self.input_index: int = source["index"]
        self.output_index: int = target["index"]
        self._input_dims = [int(n) for n in source["shape"]]
        dims = [n for n in self._input_dims[1:] if n != 1]
        if len(self._input_dims) not in (3, 4) or len(dims) != 2 or len(target["shape"]) != 2:
            raise EdgestitchError(
                f"{artifact.path} takes {self._input_dims} and gives {target['shape'].tolist()}; "
                "expected (n, height, width) and (n, classes)",
                hint="only classifiers of grayscale images can be run",
            )
        self.input_shape = (dims[0], dims[1])
        self.classes = int(target["shape"][1])
        self.input_dtype = np.dtype(source["dtype"])
        self.output_dtype = np.dtype(target["dtype"])
        self.input_scale, self.input_zero_point = _quantization(source)
        self.output_scale, self.output_zero_point = _quantization(target)

    def run(self, batch: np.ndarray) -> np.ndarray:
        shaped = batch.reshape(-1, *self._input_dims[1:])
        scores = np.empty((len(shaped), self.classes), self.output_dtype)
        whole = len(shaped) - len(shaped) % BATCH
        if whole and self._batched is None:
            self._batched = self._interpreter(BATCH)
        for start in range(0, whole, BATCH):
            scores[start : start + BATCH] = self._invoke(
                self._batched, shaped[start : start + BATCH]
            )
        for position in range(whole, len(shaped)):
            scores[position] = self._invoke(self._single, shaped[position : position + 1])[0]
        return scores

    def shape_one(self, image: np.ndarray) -> np.ndarray:
        return image.reshape(self._input_dims)

    def bare(self) -> Callable[[np.ndarray], np.ndarray]:
        set_tensor, invoke = self._single.set_tensor, self._single.invoke
        get_tensor = self._single.get_tensor
        source, target = self.input_index, self.output_index

        def call(prepared: np.ndarray) -> np.ndarray:
            set_tensor(source, prepared)
            invoke()
            return get_tensor(target)

        return call

    def single(self) -> Callable[[np.ndarray], np.ndarray]:
        interpreter = self._interpreter(1)
        set_tensor, invoke = interpreter.set_tensor, interpreter.invoke
        get_tensor = interpreter.get_tensor
        source, target = self.input_index, self.output_index
        prepared = np.empty(self._input_dims, self.input_dtype)
        pixels = prepared.reshape(self.input_shape)
        if self.input_dtype == np.int8:
            codes, top_bit, flip = pixels.view(np.uint8), np.array(128, np.uint8), np.bitwise_xor

            def call_int8(image: np.ndarray) -> np.ndarray:
                flip(image, top_bit, codes)  # pixel - 128
                set_tensor(source, prepared)
                invoke()
                return get_tensor(target)

            return call_int8

        def call(image: np.ndarray) -> np.ndarray:
            pixels[...] = image
            set_tensor(source, prepared)
            invoke()
            return get_tensor(target)

        return call

    def _invoke(self, interpreter: Any, shaped: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(self.input_index, shaped)
        interpreter.invoke()
        return interpreter.get_tensor(self.output_index)

    def _interpreter(self, batch: int) -> Any:
        interpreter = self._package.Interpreter(
            model_content=self._content, num_threads=self._threads
        )
        source = interpreter.get_input_details()[0]
        if batch != 1 or source["shape"][0] != 1:
            dims = [batch, *(int(n) for n in source["shape"][1:])]
            interpreter.resize_tensor_input(source["index"], dims)
        interpreter.allocate_tensors()
        return interpreter

    @staticmethod
    def _only(details: list[dict[str, Any]], artifact: Artifact, what: str) -> dict[str, Any]:
        if len(details) != 1:
            raise EdgestitchError(
                f"{artifact.path} has {len(details)} {what}s, expected one",
                hint="only classifiers with one input and one output can be run",
            )
        return details[0]


def open_interpreter(artifact: Artifact, package: Any, threads: int) -> TfliteSession:
    """`package` is ai_edge_litert.interpreter or tflite_runtime.interpreter: the same API."""
    return TfliteSession(artifact, package, threads)


def _quantization(detail: dict[str, Any]) -> tuple[float, int]:
    scale, zero_point = detail["quantization"]
    return (float(scale), int(zero_point)) if scale else (1.0, 0)
