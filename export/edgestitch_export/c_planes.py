"""The steps of convolutions that see one channel at a time, as planes: alone, or two in one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgestitch_runtime.graph import Node
from edgestitch_runtime.operator_fields import (
    Unsupported,
    Window,
    clamp_of,
    operand,
    window_of,
    zero_point_of,
)

from .c_layer import (
    Scaling,
    check_sizes,
    clamp_call,
    clamp_kernel,
    layer_step,
    scaling_for,
    scalings_struct,
    source_text,
)
from .c_loops import size_text
from .c_step import Places, Step, Struct, called

_LANE_BYTES = 2  # the most that a lane takes, on Arm's DSP path
_MOST_UP = 16  # on the DSP path the weights are shifted by 8 less, within 16 bits
_MOST_CHANNELS = (1 << 16) // 7 - 1  # Arm's vectors gather eight columns by 16-bit offsets
_READ_OVER = 16  # bytes that Arm's vectors may read behind what they need


def sees_one_channel(node: Node) -> bool:
    """Whether each output channel is a convolution of one input channel: planes."""
    if node.operator == "DEPTHWISE_CONV_2D":
        return True
    return node.operator == "CONV_2D" and operand(node, 1).shape[-1] == 1


def depthwise(node: Node, name: str) -> Step:
    """DEPTHWISE_CONV_2D, and CONV_2D where a group has one channel."""
    plane, scaling = _Plane.of(node), scaling_for(node, lanes=True, most_up=_MOST_UP)
    source = operand(node, 0)

    def call(at: Places) -> str:
        where, flip = source_text(node, at)
        return called(
            "depthwise", where, source.shape[-1], plane.each, flip, f"&{at.constant('plane')}",
            f"(lane_t *)({at.scratch})", 0, 0, at.of(node.output.index),
        ) + clamp_call(node, at)  # fmt: skip

    return layer_step(
        node,
        name,
        plane.title(node),
        scaling,
        call=call,
        kernels=("depthwise", plane.slide, *clamp_kernel(node)),
        structs=(plane.struct(node, scaling),),
        over=(source.index,) if plane.each == 1 and plane.shrinks else (),
        scratch_bytes=plane.bytes,
    )


def pair_of_planes(node: Node, after: Node, name: str, name_after: str) -> Step | None:
    """One step for `node` and `after`, where both go channel by channel; else None."""
    if not sees_one_channel(node) or after.operator != "DEPTHWISE_CONV_2D":
        return None
    if operand(after, 0).index != node.output.index:
        return None
    if after.output.shape[-1] != node.output.shape[-1] or clamp_of(node) != (-128, 127):
        return None
    first, second = _Plane.of(node), _Plane.of(after)
    scalings = (
        scaling_for(node, lanes=True, most_up=_MOST_UP),
        scaling_for(after, lanes=True, most_up=_MOST_UP),
    )
    source = operand(node, 0)

    def call(at: Places) -> str:
        where, flip = source_text(node, at)
        tile, next_tile = f"(lane_t *)({at.scratch})", f"(lane_t *)({at.scratch} + {first.bytes})"
        return called(
            "depthwise", where, source.shape[-1], first.each, flip, f"&{at.constant('plane')}",
            tile, f"&{at.constant('next_plane')}", next_tile, at.of(after.output.index),
        ) + clamp_call(after, at)  # fmt: skip

    parts = [
        layer_step(node, name, first.title(node), scalings[0], call=call, kernels=()),
        layer_step(
            after, name, second.title(after), scalings[1], call=call, kernels=(), before="next_"
        ),
    ]
    return Step(
        name=name,
        title=f"{parts[0].title};\nthen {name_after}: {parts[1].title}",
        inputs=(source.index,),
        output=after.output.index,
        output_bytes=math.prod(after.output.shape),
        call=call,
        kernels=("depthwise", first.slide, second.slide, *clamp_kernel(after)),
        constants=(*parts[0].constants, *parts[1].constants),
        structs=(
            first.struct(node, scalings[0]),
            second.struct(after, scalings[1], before="next_"),
        ),
        over=(source.index,) if first.each == 1 else (),
        scratch_bytes=first.bytes + second.bytes,
        weight_bytes=sum(part.weight_bytes for part in parts),
        scaling_kinds=tuple(scaling.kind for scaling in scalings),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plane:
    """A window over one channel: `each` output channels a channel of the input."""

    window: Window
    size: tuple[int, int]
    each: int
    zero: int

    @staticmethod
    def of(node: Node) -> _Plane:
        source, weights = operand(node, 0), operand(node, 1)
        window = window_of(node, (weights.shape[1], weights.shape[2]))
        check_sizes(window, *source.shape[1:3], sum(source.shape[1:3]) + sum(window.after))
        if source.shape[-1] > _MOST_CHANNELS:
            raise Unsupported(f"{source.shape[-1]:,} channels, more than its kernel holds")
        return _Plane(
            window=window,
            size=(source.shape[1], source.shape[2]),
            each=node.output.shape[-1] // source.shape[-1],
            zero=zero_point_of(source),
        )

    @property
    def full(self) -> tuple[int, int]:
        sides = zip(self.size, self.window.before, self.window.after, strict=True)
        height, width = (n + a + b for n, a, b in sides)
        return height, width

    @property
    def bytes(self) -> int:
        return -(-(math.prod(self.full) * _LANE_BYTES + _READ_OVER) // 4) * 4

    @property
    def shrinks(self) -> bool:
        return math.prod(self.window.out) <= math.prod(self.size)

    @property
    def slide(self) -> str:
        window = self.window
        usual = (window.size, window.dilation) == ((3, 3), (1, 1)) and max(window.stride) <= 2
        return "slide3" if usual else "slide"

    def struct(self, node: Node, scaling: Scaling, before: str = "") -> Struct:
        window = self.window
        scalings = ", ".join(map(str, scalings_struct(node, scaling, before).values))
        return Struct(
            suffix=f"{before}plane",
            type="plane_t",
            values=(f"@{before}weights", f"{{{scalings}}}", self.slide,
                    *self.size, *self.full, *window.out, *window.before, *window.size,
                    *window.stride, *window.dilation, self.zero),
        )  # fmt: skip

    def title(self, node: Node) -> str:
        kind = "depthwise convolution" if node.operator == "DEPTHWISE_CONV_2D" else "convolution"
        height, width = self.window.size
        before, after = size_text(operand(node, 0).shape), size_text(node.output.shape)
        return f"{kind} {height}x{width}, {before} to {after}"
