"""Files of two depthwise convolutions in a row, which generated C may compute as one step.

Found like tflite_builder.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from tflite_builder import Op, Spec, build


def two_planes(rng: np.random.Generator) -> tuple[bytes, np.ndarray]:
    """A file, and images (n, ...) int8."""
    shape = [1, *(int(n) for n in rng.integers(4, 11, 2)), int(rng.choice([1, 1, 3]))]
    tensors = [Spec(shape=shape, scales=0.5, zero_points=int(rng.choice([-128, 3])))]
    operators = []
    for _ in range(2):
        source = tensors[-1]
        size = [3, 3] if rng.random() < 0.7 else [int(n) for n in rng.integers(1, 5, 2)]
        stride = [int(n) for n in rng.choice([1, 1, 2], 2)]
        valid = int(rng.random() < 0.3 and all(source.shape[k + 1] >= size[k] for k in (0, 1)))
        times = int(rng.choice([1, 1, 2]))
        room = [source.shape[k + 1] - (size[k] - 1) * valid for k in (0, 1)]
        channels = source.shape[3] * times
        out = [1, *(-(-n // s) for n, s in zip(room, stride, strict=True)), channels]
        weights = rng.integers(-128, 128, (1, *size, channels)).astype(np.int8)
        scales = np.exp(rng.uniform(-5, -4, channels))
        factor = 0.5 * 0.01 * math.sqrt(math.prod(size)) * 75 * 75 / 60  # spreads the codes
        activation = int(rng.choice([0, 0, 0, 1, 3]))
        spread = Spec(shape=out, scales=factor, zero_points=int(rng.choice([-128, -20, 0])))
        first = len(tensors)
        operators.append(
            Op(
                name="DEPTHWISE_CONV_2D",
                inputs=[first - 1, first, first + 1],
                outputs=[first + 2],
                options="DepthwiseConv2DOptions",
                fields={
                    "padding": valid,
                    "strideH": stride[0],
                    "strideW": stride[1],
                    "dilationHFactor": 1,
                    "dilationWFactor": 1,
                    "depthMultiplier": times,
                    "fusedActivationFunction": activation,
                },
            )
        )
        source_scale = float(np.asarray(source.scales))
        bias = rng.integers(-3000, 3000, channels).astype(np.int32)
        tensors += [
            Spec(data=weights, scales=scales, axis=3),
            Spec(data=bias, scales=source_scale * scales),
            replace(spread, scales=factor * source_scale / 0.5),
        ]
    both = tensors[3], tensors[6]
    if list(both[0].shape) == list(both[1].shape) and rng.random() < 0.7:
        add = Op(name="ADD", inputs=[3, 6], outputs=[7], options="AddOptions")
        operators.append(add)
        tensors.append(Spec(shape=both[0].shape, scales=both[1].scales, zero_points=-5))
    elif rng.random() < 0.6:
        depth, outputs = tensors[6].shape[3], int(rng.integers(1, 10))
        scales = np.exp(rng.uniform(-5, -4, outputs))
        source_scale = float(np.asarray(tensors[6].scales))
        factor = source_scale * 0.01 * math.sqrt(depth) * 75 * 75 / 60
        fields = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
        operators.append(
            Op(name="CONV_2D", inputs=[6, 7, 8], outputs=[9], options="Conv2DOptions",
               fields=fields)
        )  # fmt: skip
        tensors += [
            Spec(data=rng.integers(-128, 128, (outputs, 1, 1, depth)).astype(np.int8),
                 scales=scales),
            Spec(data=np.arange(outputs, dtype=np.int32), scales=source_scale * scales),
            Spec(shape=[*tensors[6].shape[:3], outputs], scales=factor, zero_points=9),
        ]  # fmt: skip
    images = rng.integers(-128, 128, (3, *shape[1:])).astype(np.int8)
    return build(operators, tensors), images
