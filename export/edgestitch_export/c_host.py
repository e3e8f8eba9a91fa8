"""The steps of layers with weights in C for computers: more memory, for what compilers vectorize.

For the engine `native` alone. A layer whose size, weights or scales these kernels do not take has
none here, and is computed as on a microcontroller. It has over 300 lines: three kernels, and their
scalings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgestitch_runtime.fixed_point import multipliers_of
from edgestitch_runtime.graph import Node
from edgestitch_runtime.kernels_linear import finished, rows_of
from edgestitch_runtime.operator_fields import (
    clamp_of,
    factors_of,
    operand,
    window_of,
    zero_point_of,
)

from .c_layer import source_text
from .c_loops import size_text
from .c_scaling import Steps, offsets_between, steps_of, wide_line_of
from .c_step import Constant, Places, Step, Struct, called

_MOST_SUM = 1 << 30
_MOST_UP = 30
_COARSER = 8  # values of `down` tried
_TRIED = 64  # multipliers to either side of the nearest
_MOST_PAIR = 255  # of magnitudes of two weights: then 128 of them fit 16 bits
_CHANNELS = 16  # that become codes together
_BLOCK = 8  # outputs of the pointwise kernel
_PIXELS = 8  # of the pointwise kernel, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLine:
    """The numbers of c_kernels/host_line.c: (channels,) int32, and those of the whole layer.

    `kind` is line, wide or twice; `ups` and `downs` are there for twice alone.
    """

    kind: str
    multipliers: np.ndarray
    offsets: np.ndarray
    up: int = 0
    down: int = 0
    ups: np.ndarray | None = None
    downs: np.ndarray | None = None


def host_line_of(steps: Steps, factors: np.ndarray) -> HostLine | None:
    """A line with one `down`, whose codes held within the clamp are those of `steps`; else None.

    `factors` are what a sum is scaled by, (channels,) float64.
    """
    factors = np.broadcast_to(factors, steps.most.shape)
    top = float(factors.max())
    if top <= 0:
        return None
    up = min(_MOST_UP, 31 - int(steps.most.max()).bit_length())
    # The multiplier, factor * 2**(32 + down - up), has 31 bits; the codes and offsets as many.
    finest = min(up - 2 - math.floor(math.log2(top)), 21)
    for down in range(finest, max(finest - _COARSER, -1), -1):
        line = _with_shifts(steps, factors, up, down)
        if line is not None:
            return line
    return None


def _with_shifts(steps: Steps, factors: np.ndarray, up: int, down: int) -> HostLine | None:
    nearest = np.rint(np.ldexp(factors, 32 + down - up)).astype(np.int64)
    multipliers, offsets = np.zeros_like(nearest), np.zeros_like(nearest)
    left = np.ones(len(nearest), bool)
    for by in sorted(range(-_TRIED, _TRIED + 1), key=abs):
        tried = np.clip(nearest + by, 0, (1 << 31) - 1)
        # The kernel loses the low 32 bits of the product of the shifted sum.
        low, high = offsets_between(steps, tried, 32 - up, down)
        low, high = np.maximum(low, 1 - _MOST_SUM), np.minimum(high, _MOST_SUM - 1)
        fits = left & (low <= high)
        multipliers[fits], offsets[fits] = tried[fits], (low + high)[fits] >> 1
        left &= ~fits
        if not left.any():
            return HostLine(
                kind="line",
                up=up,
                down=down,
                multipliers=multipliers.astype(np.int32),
                offsets=offsets.astype(np.int32),
            )
    return None


def host_step(node: Node, name: str) -> Step | None:
    """The step of `node` for a computer, None where there is none.

    Raises Unsupported as the steps for microcontrollers do.
    """
    make = _STEPS.get(node.operator)
    if make is None:
        return None
    line = _line(node)
    return None if line is None else make(node, name, line)


def _line(node: Node) -> HostLine | None:
    sums, finish = finished(node)
    factors = np.broadcast_to(factors_of(node), sums.most.shape)
    if int((sums.most + np.abs(sums.offsets)).max()) >= _MOST_SUM:
        return None
    steps = steps_of(finish, sums.most, clamp_of(node))
    line = host_line_of(steps, factors)
    if line is not None:
        return line
    if node.operator == "FULLY_CONNECTED":
        wide = wide_line_of(steps, factors)
        if wide is None:
            return None
        return HostLine(
            kind="wide",
            multipliers=wide.multipliers.astype(np.int32),
            offsets=wide.offsets.astype(np.int32),
            up=wide.up,
            down=wide.down,
        )
    mantissas, shifts = multipliers_of(factors)
    return HostLine(
        kind="twice",
        multipliers=mantissas.astype(np.int32),
        offsets=sums.offsets.astype(np.int32),
        ups=np.maximum(shifts, 0).astype(np.int32),
        downs=np.maximum(-shifts, 0).astype(np.int32),
    )


def _dense(node: Node, name: str, line: HostLine) -> Step | None:
    weights, source = rows_of(node), operand(node, 0)
    outputs, inputs = weights.shape
    if math.prod(source.shape) != inputs:
        return None
    rows, length = _up(outputs, 4), _up(inputs, 16)
    padded = np.zeros((rows, length), np.int8)
    padded[:outputs, :inputs] = weights

    def call(at: Places) -> str:
        where, flip = source_text(node, at)
        return called(
            "host_dense", where, inputs, flip, length, at.constant("weights"), rows, outputs,
            f"&{at.constant('line')}", _int16(at), _int32(at, 2 * length), at.of(node.output.index),
        )  # fmt: skip

    title = f"dense, {inputs} to {outputs}"
    return _made(
        node, name, title, line, call, "host_dense", padded, 2 * length + 4 * _up(rows, _CHANNELS)
    )


def _conv(node: Node, name: str, line: HostLine) -> Step | None:
    weights, source = operand(node, 1), operand(node, 0)
    outputs, height, width, depth = weights.shape
    if depth == 1 and source.shape[-1] == 1:
        return _window(node, name, line, "host_stem3")
    window = window_of(node, (height, width))
    usual = (height, width) == (1, 1) and window.stride == (1, 1) and depth == source.shape[-1]
    if not usual:
        return None
    inputs, there = _up(depth, 4), _up(outputs, _BLOCK)
    rows = np.zeros((there, inputs), np.int16)
    rows[:outputs, :depth] = rows_of(node)
    # The kernel adds the first of two inputs to the first of the next two, likewise the second.
    fours = np.abs(rows.astype(np.int32)).reshape(there, -1, 2, 2)
    if int(fours.sum(axis=2).max()) > _MOST_PAIR:
        return None
    blocks = rows.reshape(there // _BLOCK, _BLOCK, inputs // 2, 2).swapaxes(1, 2)
    pixels, codes = math.prod(window.out), 2 * _PIXELS * inputs

    def call(at: Places) -> str:
        return called(
            "host_pointwise", at.of(source.index), pixels, depth, inputs, at.constant("weights"),
            there, outputs, f"&{at.constant('line')}", _int16(at), _int32(at, codes),
            at.of(node.output.index),
        )  # fmt: skip

    title = f"convolution 1x1, {size_text(source.shape)} to {size_text(node.output.shape)}"
    scratch = codes + 4 * _PIXELS * _up(there, _CHANNELS)
    return _made(node, name, title, line, call, "host_pointwise", blocks, scratch)


def _depthwise(node: Node, name: str, line: HostLine) -> Step | None:
    return _window(node, name, line, "host_depthwise3")


def _window(node: Node, name: str, line: HostLine, kernel: str) -> Step | None:
    source, shape = operand(node, 0), node.output.shape
    size = operand(node, 1).shape[1:3]
    window = window_of(node, (size[0], size[1]))
    if (window.size, window.dilation) != ((3, 3), (1, 1)):
        return None
    stem = kernel == "host_stem3"
    if not stem and shape[-1] != source.shape[-1]:
        return None
    taps = np.zeros((9, _up(shape[-1], 16)), np.int16)
    taps[:, : shape[-1]] = rows_of(node).T
    pairs = np.abs(taps[:8].astype(np.int32)).reshape(4, 2, -1).sum(axis=1)
    if int(pairs.max()) > _MOST_PAIR:
        return None
    sides = zip(source.shape[1:3], window.before, window.after, strict=True)
    full = [n + a + b for n, a, b in sides]
    channels = 1 if stem else taps.shape[1]
    # Of 16 channels the first of each eight side by side: the kernel parts even and odd lanes.
    laid = taps.reshape(9, -1, 2, 8).swapaxes(2, 3)
    struct = Struct(
        suffix="window",
        type="host_window_t",
        values=(*source.shape[1:], *full, channels, *window.before, *window.out, *window.stride,
                zero_point_of(source)),
    )  # fmt: skip
    tile = _up(2 * math.prod(full) * channels, 4)
    counts = (taps.shape[1], shape[-1]) if stem else ()

    def call(at: Places) -> str:
        where, flip = source_text(node, at)
        return called(
            kernel, where, flip, f"&{at.constant('window')}", *counts,
            at.constant("weights"), f"&{at.constant('line')}", _int16(at), _int32(at, tile),
            at.of(node.output.index),
        )  # fmt: skip

    kind = "convolution" if stem else "depthwise convolution"
    title = f"{kind} 3x3, {size_text(source.shape)} to {size_text(shape)}"
    scratch = tile + 4 * taps.shape[1]
    return _made(node, name, title, line, call, kernel, laid, scratch, (struct,))


def _made(
    node: Node,
    name: str,
    title: str,
    line: HostLine,
    call: Callable[[Places], str],
    kernel: str,
    weights: np.ndarray,
    scratch_bytes: int,
    structs: Sequence[Struct] = (),
) -> Step:
    rows, (low, high) = rows_of(node), clamp_of(node)
    biased = len(node.inputs) > 2 and node.inputs[2] is not None
    numbers = (line.multipliers, line.offsets, line.ups, line.downs)
    arrays = [
        Constant(suffix=suffix, values=_sixteens(values), comment="")
        for suffix, values in zip(("multipliers", "offsets", "ups", "downs"), numbers, strict=True)
        if values is not None
    ]
    places = ("@ups", "@downs") if line.downs is not None else (0, 0)
    numbers = (
        "@multipliers", "@offsets", *places, f"HOST_{line.kind.upper()}", line.up, line.down,
        zero_point_of(node.output), low, high,
    )  # fmt: skip
    return Step(
        name=name,
        title=title,
        inputs=(operand(node, 0).index,),
        output=node.output.index,
        output_bytes=math.prod(node.output.shape),
        call=call,
        kernels=(kernel,),
        constants=(
            Constant(suffix="weights", values=weights, comment=""),
            *arrays,
        ),
        structs=(Struct(suffix="line", type="host_line_t", values=numbers), *structs),
        scratch_bytes=scratch_bytes,
        weight_bytes=rows.size + (4 * len(rows) if biased else 0),
    )


def _int16(at: Places) -> str:
    return f"(int16_t *)(void *)({at.scratch})"


def _int32(at: Places, behind: int) -> str:
    return f"(int32_t *)(void *)({at.scratch} + {behind})"


def _sixteens(values: np.ndarray) -> np.ndarray:
    """Zeros behind `values` up to a whole number of 16."""
    return np.pad(values, (0, -len(values) % _CHANNELS))


def _up(count: int, by: int) -> int:
    return -(-count // by) * by


_STEPS: dict[str, Callable[[Node, str, HostLine], Step | None]] = {
    "FULLY_CONNECTED": _dense,
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
}
