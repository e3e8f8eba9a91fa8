"""A small int8 network in the making: its operators, and its tensors with the reals they stand for.

Part of `random_networks`. Every operator is first computed on reals, by LiteRT's float kernels, so
that scales are chosen for what is really there; then those reals are quantized as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tflite_builder import Op, Spec, build, reference_rows

Pick = Callable[[int, int], int]  # a whole number from the first to the second, both included
Quantized = tuple[float, int]  # scale, zero point
LEFT_OUT = -1  # the index of an optional input that is not there
ENDS = (-128, 127, 0)


class Draft:
    """Grows by an operator at a time; `reals` are (n, ...) for n images, or a constant's."""

    def __init__(self, pick: Pick) -> None:
        self.pick = pick
        self.rng = np.random.default_rng(pick(0, (1 << 32) - 1))
        self.powers_of_two = pick(0, 2) == 0  # all scales, so that halves are met everywhere
        self.operators: list[Op] = []
        self.tensors: list[Spec] = []
        self.reals: list[np.ndarray] = []

    @property
    def depth(self) -> int:
        """How many operators there are, without those that only compute a shape."""
        return sum(self.tensors[op.outputs[0]].dtype == "int8" for op in self.operators)

    def one_of(self, *choices: Any) -> Any:
        return choices[self.pick(0, len(choices) - 1)]

    def shape(self, k: int) -> tuple[int, ...]:
        """That of tensor `k` for one image, with a leading 1."""
        return (1, *self.reals[k].shape[1:])

    def quantized(self, k: int) -> Quantized:
        """How the computed tensor `k` is quantized."""
        return self.tensors[k].scales, self.tensors[k].zero_points  # pyright: ignore

    def scale_near(self, real: float) -> float:
        if self.powers_of_two:
            return 2.0 ** round(math.log2(real))
        return float(np.float32(real))

    def fitted(self, reals: np.ndarray) -> Quantized:
        """A quantization for `reals`: somewhat tight or loose, its zero point anywhere useful."""
        low, high = min(0.0, float(reals.min())), max(0.0, float(reals.max()))
        span = (high - low or 1.0) * math.exp(self.rng.uniform(0, 0.1))  # no end is a half always
        scale = self.scale_near(span / 255 * self.one_of(1.0, 0.7, 1.3, 3.0, 12.0))
        fitting = int(np.clip(round(-128 - low / scale), -128, 127))
        zero_point = self.one_of(fitting, fitting, *ENDS, self.pick(-128, 127))
        steps = reals / scale + zero_point
        inside = ((steps > -128.5) & (steps < 127.5)).mean()
        return scale, zero_point if inside > 0.6 else fitting

    def constant(
        self,
        data: np.ndarray,
        scales: float | np.ndarray | tuple[()] = (),
        zero_point: int = 0,
        axis: int = 0,
    ) -> int:
        """A constant of the network: int8 or int32 codes with their scales, or plain numbers."""
        self.tensors.append(Spec(data=data, scales=scales, zero_points=zero_point, axis=axis))
        factors = np.atleast_1d(np.asarray(scales, np.float32))
        if not len(factors):
            self.reals.append(data)
            return len(self.reals) - 1
        along = [1] * data.ndim
        if len(factors) > 1:
            along[axis] = -1
        reals = (data.astype(np.float32) - zero_point) * factors.reshape(along)
        self.reals.append(reals.astype(np.float32))
        return len(self.reals) - 1

    def computed(self, reals: np.ndarray, quantized: Quantized) -> int:
        """An int8 tensor that holds `reals` as well as it can."""
        scale, zero_point = quantized
        codes = np.clip(np.rint(reals / scale) + zero_point, -128, 127)
        shape = (1, *reals.shape[1:])
        return self.plain(
            ((codes - zero_point) * scale).astype(np.float32),
            Spec(shape=shape, scales=scale, zero_points=zero_point),
        )

    def plain(self, reals: np.ndarray, spec: Spec) -> int:
        """A computed tensor of any kind."""
        self.tensors.append(spec)
        self.reals.append(reals)
        return len(self.reals) - 1

    def emit(
        self,
        name: str,
        inputs: Sequence[int],
        output: int,
        options: str = "",
        fields: Mapping[str, Any] | None = None,
        version: int = 1,
    ) -> int:
        """Adds an operator between tensors that are there; gives `output`."""
        self.operators.append(
            Op(
                name=name,
                inputs=tuple(inputs),
                outputs=(output,),
                options=options,
                fields=fields or {},
                version=version,
            )
        )
        return output

    def run(
        self,
        name: str,
        inputs: Sequence[int],
        options: str = "",
        fields: Mapping[str, Any] | None = None,
        *,
        quantized: Callable[[np.ndarray], Quantized] | Quantized | None = None,
        version: int = 1,
    ) -> int:
        """Adds an operator and gives its output: int8, `quantized` as said or to fit its reals."""
        reals = self._answer(name, inputs, options, fields or {})
        if quantized is None:
            quantized = self.fitted
        chosen = quantized(reals) if callable(quantized) else quantized
        return self.emit(name, inputs, self.computed(reals, chosen), options, fields, version)

    def _answer(
        self, name: str, inputs: Sequence[int], options: str, fields: Mapping[str, Any]
    ) -> np.ndarray:
        """What LiteRT's float kernel gives, (n, ...) float32."""
        places = {k: place for place, k in enumerate(dict.fromkeys(inputs)) if k != LEFT_OUT}
        given = [k for k in places if self.tensors[k].data is None]
        specs = [
            Spec(shape=self.reals[k].shape, dtype="float32")
            if k in given
            else Spec(data=self.reals[k])
            for k in places
        ]
        operator = Op(
            name=name,
            inputs=[places.get(k, LEFT_OUT) for k in inputs],
            outputs=[len(specs)],
            options=options,
            fields=fields,
        )
        output = Spec(shape=(1,), dtype="float32")
        content = build([operator], [*specs, output], inputs=[places[k] for k in given])
        return reference_rows(content, *(self.reals[k] for k in given))
