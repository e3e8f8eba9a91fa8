"""What one layer of a model computes, and how the layers of a file hang together."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from edgestitch_runtime.errors import EdgestitchError

WEIGHTED = (
    "CONV", "DEPTHWISE_CONV", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL", "GEMM", "MATMUL",
    "QLINEARCONV", "QLINEARMATMUL", "QGEMM",
)  # fmt: skip
QUANTIZING = ("QuantizeLinear", "DequantizeLinear")
Key = int | str  # a tensor: its index in a .tflite, its name in ONNX


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerOutput:
    """One layer's output. `values` are (n, elements) float32, `shape` is that of one image.

    `inputs` are positions of the outputs that it is computed from, all of them earlier ones;
    `weighted` says whether weights are used on the way from them.
    """

    name: str
    weighted: bool
    shape: tuple[int, ...]
    values: np.ndarray
    inputs: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    name: str
    operator: str
    takes: tuple[Key, ...]
    gives: tuple[Key, ...]

    @property
    def weighted(self) -> bool:
        return self.operator.upper().startswith(WEIGHTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A tensor that is looked at. `inputs` are positions among the watched."""

    key: Key
    name: str
    weighted: bool
    inputs: tuple[int, ...]


def linked(steps: Iterable[Step], sources: Iterable[Key], usable: Collection[Key]) -> list[Watched]:
    """The usable tensors that hang on `sources`, each with what it is computed from."""
    watched: list[Watched] = []
    # Of each tensor: the steps since the last watched ones, and the positions of those.
    origin: dict[Key, tuple[list[Step], list[int]]] = {key: ([], []) for key in sources}
    for step in steps:
        known = [origin[key] for key in step.takes if key in origin]
        if not known:  # computed from constants alone, as weights that are unpacked
            continue
        chain = list(dict.fromkeys([s for steps_before, _ in known for s in steps_before] + [step]))
        inputs = sorted({k for _, positions in known for k in positions})
        for key in step.gives:
            if key not in usable:
                origin[key] = (chain, inputs)
                continue
            weighted = [s.name for s in chain if s.weighted]
            plain = [s.name for s in chain if s.operator not in QUANTIZING]
            origin[key] = ([], [len(watched)])
            watched.append(
                Watched(
                    key=key,
                    name=weighted[0] if weighted else (plain or [step.name])[-1],
                    weighted=bool(weighted),
                    inputs=tuple(inputs),
                )
            )
    return watched


def check_finite(outputs: Iterable[LayerOutput], name: str) -> None:
    """Raises EdgestitchError when a layer's output is not finite."""
    for output in outputs:
        if not np.isfinite(output.values).all():
            raise EdgestitchError(
                f"layer {output.name} of {name} gives values that are not finite",
                hint="train the model again at a lower rate, or export it again",
            )
