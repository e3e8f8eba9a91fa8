"""What the steps of all layers with weights share: their scaling, their constants, their clamp."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgestitch_runtime.fixed_point import multipliers_of
from edgestitch_runtime.graph import Node
from edgestitch_runtime.kernels_linear import finished, rows_of
from edgestitch_runtime.operator_fields import (
    Unsupported,
    Window,
    clamp_of,
    factors_of,
    operand,
    zero_point_of,
)

from .c_scaling import line_of, long_line_of, steps_of, wide_line_of
from .c_step import Constant, Places, Step, Struct, called

_LONG = 64  # `up` of a line in 64 bits whose numbers have as many
_MOST_SUM = 1 << 30
_MOST_OF_LANES = 1 << 23  # on Arm's DSP path a sum of lanes is shifted up by 8 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How a layer's sums become codes: a kind of c_kernels/scaling.c with its numbers."""

    kind: str
    up: int
    down: int
    records: np.ndarray
    width: int


def fits_lanes(node: Node) -> bool:
    """Whether lanes hold every sum of a layer with weights."""
    return int(finished(node)[0].most.max()) < _MOST_OF_LANES


def scaling_for(node: Node, *, lanes: bool, most_up: int = 31) -> Scaling:
    """The scaling of `node`. `lanes`: its sums may be shifted by 8 bits, and vectors of 32 bits.
    `most_up` is the most that sums are shifted up.

    Raises Unsupported where none is equal to the reference.
    """
    sums, finish = finished(node)
    factors = np.broadcast_to(factors_of(node), sums.most.shape)
    most = int((sums.most + np.abs(sums.offsets)).max())
    if most >= _MOST_SUM or (lanes and not fits_lanes(node)):
        raise Unsupported(f"sums up to {most:,}, more than its kernel holds")
    steps = steps_of(finish, sums.most, clamp_of(node))
    line = line_of(steps, factors, most_up)
    if line is not None:
        return Scaling(kind="line", up=line.up, down=line.down, records=line.records(), width=7)
    if node.operator == "FULLY_CONNECTED":
        wide = wide_line_of(steps, factors)
        if wide is not None:
            both = np.stack([wide.multipliers, wide.offsets], axis=1)
            records = both.astype("<i4").ravel().view(np.uint8)
            return Scaling(kind="wide", up=wide.up, down=wide.down, records=records, width=8)
        wide = long_line_of(steps, factors)
        if wide is None:
            raise Unsupported("a scale that no 32-bit multiplier and shift hold, and none of 64")
        both = np.stack([wide.multipliers, wide.offsets], axis=1)
        records = both.astype("<i8").ravel().view(np.uint8)
        return Scaling(kind="wide", up=_LONG, down=wide.down, records=records, width=16)
    mantissas, shifts = multipliers_of(factors)
    kinds = np.dtype([("bias", "<i4"), ("mantissa", "<i4"), ("left", "u1"), ("right", "u1")])
    records = np.zeros(len(mantissas), kinds)
    records["bias"], records["mantissa"] = sums.offsets, mantissas
    records["left"], records["right"] = np.maximum(shifts, 0), np.maximum(-shifts, 0)
    return Scaling(kind="twice", up=0, down=0, records=records.view(np.uint8), width=10)


def scalings_struct(node: Node, scaling: Scaling, before: str = "") -> Struct:
    return Struct(
        suffix=f"{before}scalings",
        type="scalings_t",
        values=(f"@{before}records", scaling.kind.upper(), scaling.up, scaling.down,
                zero_point_of(node.output)),
    )  # fmt: skip


def layer_step(
    node: Node,
    name: str,
    title: str,
    scaling: Scaling,
    *,
    call: Callable[[Places], str],
    kernels: Sequence[str],
    structs: Sequence[Struct] = (),
    over: tuple[int, ...] = (),
    scratch_bytes: int = 0,
    before: str = "",
    values: np.ndarray | None = None,
) -> Step:
    rows = rows_of(node)
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    return Step(
        name=name,
        title=title + _activation(node),
        inputs=(operand(node, 0).index,),
        output=node.output.index,
        output_bytes=math.prod(node.output.shape),
        call=call,
        kernels=tuple(kernels),
        constants=(
            Constant(
                suffix=f"{before}weights",
                values=_padded(rows) if values is None else values,
                comment=f"{rows.shape[1]} for each of {rows.shape[0]} outputs",
            ),
            Constant(
                suffix=f"{before}records",
                values=scaling.records,
                comment=f"{scaling.width} bytes a channel: see {scaling.kind}_of",
                width=scaling.width,
            ),
        ),
        structs=tuple(structs),
        over=over,
        scratch_bytes=scratch_bytes,
        weight_bytes=rows.size + (0 if bias is None else 4 * len(rows)),
        scaling_kinds=(scaling.kind,),
        variants=("long",) if scaling.up == _LONG else (),
    )


def _padded(rows: np.ndarray) -> np.ndarray:
    """The weights row by row; zeros behind the last, since vectors of 16 are read whole."""
    return np.concatenate([rows.ravel(), np.zeros(-rows.shape[1] % 16, np.int8)])


def check_sizes(window: Window, *sizes: int) -> None:
    """Raises Unsupported for sizes that the fields of a kernel's struct, of 8 and 16 bits, cannot
    hold.
    """
    small = (*window.before, *window.size, *window.stride, *window.dilation)
    if max(small) >= 1 << 8 or max((*sizes, *window.out)) >= 1 << 15:
        raise Unsupported(f"a window of {window.size} over {sizes}, larger than its kernel holds")


def source_text(node: Node, at: Places) -> tuple[str, str]:
    """Where the first input lies, as const uint8_t *, and the flip that makes codes of it."""
    index = operand(node, 0).index
    where = at.of(index)
    return (where, "0x80") if at.pixels(index) else (f"(const uint8_t *)({where})", "0")


def clamp_kernel(node: Node) -> tuple[str, ...]:
    return () if clamp_of(node) == (-128, 127) else ("clamp",)


def clamp_call(node: Node, at: Places) -> str:
    low, high = clamp_of(node)
    if (low, high) == (-128, 127):
        return ""
    count = math.prod(node.output.shape)
    return "\n" + called("clamp", at.of(node.output.index), count, low, high)


def _activation(node: Node) -> str:
    low, high = clamp_of(node)
    if low == zero_point_of(node.output):
        return ", ReLU" if high == 127 else ", ReLU up to a limit"
    return "" if (low, high) == (-128, 127) else f", held within {low} and {high}"
