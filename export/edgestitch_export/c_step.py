"""The generated C, before it is text: one step a call, with the constants and kernels it needs.

A step reads and writes tensors of the integer graph by their index; where these lie is decided
afterwards, by the memory plan, which is why a call is a function of the places.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

PIXELS = -1  # stands for the caller's pixels, uint8, where a step reads the image itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """A `static const` array: `values` of int8, uint8, int16, uint16, int32 or int64, flattened.

    `suffix` follows the layer's name in its identifier, `comment` stands behind the opening brace.
    `width` is how many values belong on one row of text, where that says something.
    """

    suffix: str
    values: np.ndarray
    comment: str
    width: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Struct:
    """A `static const` struct of a C type that a kernel's file defines.

    In a value, "@suffix" stands for the step's Constant of that suffix.
    """

    suffix: str
    type: str
    values: tuple[int | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What a call is written with: C expressions, each a pointer to int8_t or named otherwise.

    `of(index)` is where a tensor lies (PIXELS: `pixels`, const uint8_t *), `scratch` is int8_t * of
    `scratch_bytes`, aligned to 4, and `constant(suffix)` the identifier of a Constant or Struct.
    """

    of: Callable[[int], str]
    pixels: Callable[[int], bool]  # whether a tensor is the caller's pixels
    scratch: str
    constant: Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call. `title` says what it computes, with sizes: it stands in front of the call.

    `over` are the inputs whose bytes may be those of the output (in place): nothing of them is read
    after the output's byte at that place is written. `kernels` are files of c_kernels without their
    suffix. `scratch_bytes` are free again after the step.
    """

    name: str  # of the layer, a C identifier: conv2d_1
    title: str
    inputs: tuple[int, ...]
    output: int
    output_bytes: int
    call: Callable[[Places], str]
    kernels: tuple[str, ...]
    constants: tuple[Constant, ...] = ()
    structs: tuple[Struct, ...] = ()
    over: tuple[int, ...] = ()
    scratch_bytes: int = 0
    weight_bytes: int = 0  # int8 weights and int32 biases of the model, of which the step is made
    scaling_kinds: tuple[str, ...] = ()  # of c_kernels/scaling.c
    variants: tuple[str, ...] = ()  # of kernels: what only some programs need of them


def called(function: str, *arguments: int | str) -> str:
    """A C call, at most 96 columns wide."""
    lines, line = [], f"{function}("
    indent = " " * len(line)
    for k, argument in enumerate(arguments):
        text = f"{argument}" + (");" if k + 1 == len(arguments) else ",")
        if len(line) + len(text) > 94 and line.strip():
            lines.append(line.rstrip())
            line = indent
        line += text + " "
    return "\n".join([*lines, line.rstrip()])
