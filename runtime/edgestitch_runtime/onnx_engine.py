"""ONNX Runtime behind a Session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .card import Artifact
from .errors import EdgestitchError

BATCH = 64
_DTYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}


class OnnxSession:
    """One InferenceSession. Scale and zero point of an integer output come from the card."""

    def __init__(self, artifact: Artifact, package: Any, threads: int) -> None:
        options = package.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = package.InferenceSession(
            artifact.content, options, providers=["CPUExecutionProvider"]
        )
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise EdgestitchError(
                f"{artifact.path} has {len(inputs)} inputs and {len(outputs)} outputs, "
                "expected one of each",
                hint="only classifiers with one input and one output can be run",
            )
        source, target = inputs[0], outputs[0]
        self._input_name: str = source.name
        self._output_names: list[str] = [target.name]
        trailing = list(source.shape[1:])
        dims = [n for n in trailing if n != 1]
        good = len(dims) == 2 and all(isinstance(n, int) for n in trailing)
        if not good or len(target.shape) != 2 or not isinstance(target.shape[1], int):
            raise EdgestitchError(
                f"{artifact.path} takes {source.shape} and gives {target.shape}; "
                "expected (n, height, width) and (n, classes)",
                hint="only classifiers of grayscale images can be run",
            )
        if source.type not in _DTYPES or target.type not in _DTYPES:
            raise EdgestitchError(
                f"{artifact.path} takes {source.type} and gives {target.type}",
                hint=f"the element types that can be run are {', '.join(_DTYPES)}",
            )
        fixed_batch = source.shape[0] if isinstance(source.shape[0], int) else None
        self._trailing = trailing
        self.input_shape = (dims[0], dims[1])
        self.classes: int = target.shape[1]
        self.input_dtype = np.dtype(_DTYPES[source.type])
        self.output_dtype = np.dtype(_DTYPES[target.type])
        described = artifact.card or {}
        # DynamicQuantizeLinear takes one range for the whole batch: an image's answer would depend
        # on its neighbours. What is known to be free of it is run in batches.
        independent = described.get("precision") in ("float32", "int8", "mixed")
        self._step = fixed_batch or (BATCH if independent else 1)
        self.input_scale, self.input_zero_point = _quantization(described.get("input"))
        self.output_scale, self.output_zero_point = _quantization(described.get("output"))

    def run(self, batch: np.ndarray) -> np.ndarray:
        shaped = batch.reshape(-1, *self._trailing)
        step = self._step
        call = self.bare()
        parts = [call(shaped[k : k + step]) for k in range(0, len(shaped), step)]
        return np.concatenate(parts) if parts else np.empty((0, self.classes), self.output_dtype)

    def shape_one(self, image: np.ndarray) -> np.ndarray:
        return image.reshape(1, *self._trailing)

    def bare(self) -> Callable[[np.ndarray], np.ndarray]:
        run, name, outputs = self._session.run, self._input_name, self._output_names

        def call(prepared: np.ndarray) -> np.ndarray:
            return run(outputs, {name: prepared})[0]

        return call

    def single(self) -> Callable[[np.ndarray], np.ndarray]:
        run, name, outputs = self._session.run, self._input_name, self._output_names
        shape, dtype = (1, *self._trailing), self.input_dtype

        def call(image: np.ndarray) -> np.ndarray:
            return run(outputs, {name: image.reshape(shape).astype(dtype, copy=False)})[0]

        return call


def open_onnxruntime(artifact: Artifact, package: Any, threads: int) -> OnnxSession:
    return OnnxSession(artifact, package, threads)


def _quantization(described: dict[str, Any] | None) -> tuple[float, int]:
    if not described or described.get("scale") is None:
        return 1.0, 0
    return float(described["scale"]), int(described["zero_point"])
