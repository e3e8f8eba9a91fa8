"""The C of loops around a call, where it goes along several axes of its tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .c_step import called

_COUNTERS = "ijklmnuv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """So many steps, and how far one goes in each of several tensors: 0 where it stands still."""

    count: int
    steps: tuple[int, ...]


def strides(shape: Sequence[int]) -> list[int]:
    """How far apart the elements along each axis lie, the last axis being the closest."""
    return [math.prod(shape[k + 1 :]) for k in range(len(shape))]


def merged(axes: Sequence[Axis]) -> list[Axis]:
    """The same elements in the same order along as few axes as it takes, of more than one step."""
    kept: list[Axis] = []
    for axis in axes:
        if axis.count == 1:
            continue
        if kept and kept[-1].steps == tuple(axis.count * step for step in axis.steps):
            kept[-1] = Axis(count=kept[-1].count * axis.count, steps=axis.steps)
        else:
            kept.append(axis)
    return kept


def looped(axes: Sequence[Axis], places: Sequence[str], body: Callable[[list[str]], str]) -> str:
    """`body` of the places, C expressions of pointers, in a loop along each axis.

    The first axis is the outermost loop.
    """
    found = list(places)
    for counter, axis in zip(_COUNTERS, axes, strict=False):
        found = [_along(p, counter, step) for p, step in zip(found, axis.steps, strict=True)]
    text = body(found)
    for counter, axis in reversed([*zip(_COUNTERS, axes, strict=False)]):
        inside = "\n".join(f"  {line}" for line in text.splitlines())
        head = f"for (int32_t {counter} = 0; {counter} < {axis.count}; {counter}++) {{"
        text = f"{head}\n{inside}\n}}"
    return text


def copied(source: str, target: str, axes: Sequence[Axis]) -> str:
    """The C that copies the elements along `axes`, from a first place to a second, apart from it.

    It calls the functions of `copy_kernels`.
    """
    left, row, length = _rows(axes)

    def body(places: list[str]) -> str:
        if row.count == 1:
            return called("memcpy", places[1], places[0], length)
        return called(
            "copy_rows", places[0], row.steps[0], places[1], row.steps[1], row.count, length
        )

    return looped(left, (source, target), body)


def copy_kernels(axes: Sequence[Axis]) -> tuple[str, ...]:
    """The kernels that `copied` takes for `axes`."""
    return () if _rows(axes)[1].count == 1 else ("copy_rows",)


def behind(place: str, count: int) -> str:
    return f"{place} + {count}" if count else place


def size_text(shape: Sequence[int]) -> str:
    """A shape without its leading 1, as 14x14x40."""
    return "x".join(str(n) for n in shape[1:]) or "1"


def _rows(axes: Sequence[Axis]) -> tuple[list[Axis], Axis, int]:
    """The axes around a block of rows, that along which the rows are, and the length of a row."""
    left, length = list(axes), 1
    if left and left[-1].steps == (1, 1):
        length = left.pop().count
    row = left.pop() if left else Axis(count=1, steps=(0, 0))
    return left, row, length


def _along(place: str, counter: str, step: int) -> str:
    if step == 0:
        return place
    return f"{place} + {counter}" if step == 1 else f"{place} + {step} * {counter}"
