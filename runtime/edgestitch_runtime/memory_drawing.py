"""The plan of a C program's arena, out of its card, and its drawing as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .errors import EdgestitchError
from .file_graph import printable

MOST_STEPS, MOST_BLOCKS = 1000, 5000
LEAST_WIDTH, MOST_WIDTH = 60, 160
_GUTTER = 3.6  # the part of a line that step names have at most: one of these
_LEGEND = "[= written =] [- kept -] [. scratch .]; a number: its step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """What lies in a block from step `first` to step `last`, counted from 0.

    `over` says what was there before, whose bytes the step takes while it writes (in place).
    """

    name: str
    first: int
    last: int
    over: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBlock:
    """Bytes of the arena that are taken from step `first` to step `last`; no stays: scratch."""

    offset: int
    bytes: int
    first: int
    last: int
    stays: tuple[Stay, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """`steps` by name, `titles` what each does, `live_bytes` what each needs at once.

    `scores` are the layers whose output lies in the caller's array.
    """

    arena_bytes: int
    weight_bytes: int
    steps: tuple[str, ...]
    titles: tuple[str, ...]
    blocks: tuple[PlannedBlock, ...]
    scores: tuple[str, ...]
    live_bytes: tuple[int, ...]


def memory_plan(name: str, told: dict[str, Any]) -> MemoryPlan:
    """The plan that the card of the file `name` tells in its entry "memory", which was checked.

    Raises EdgestitchError for one too large to be drawn.
    """
    if len(told["steps"]) > MOST_STEPS or len(told["blocks"]) > MOST_BLOCKS:
        raise EdgestitchError(
            f"{name}: a plan of {len(told['steps']):,} steps with {len(told['blocks']):,} blocks "
            "cannot be drawn",
            hint=f"{MOST_STEPS:,} steps with {MOST_BLOCKS:,} blocks fit a drawing",
        )
    steps = tuple(printable(one) for one in told["steps"])
    blocks = tuple(_block(one, steps) for one in told["blocks"])
    live = [0] * len(steps)
    for block in blocks:
        for k in range(block.first, block.last + 1):
            live[k] += block.bytes
    return MemoryPlan(
        arena_bytes=told["arena_bytes"],
        weight_bytes=told["weight_bytes"],
        steps=steps,
        titles=tuple(printable(one, 200) for one in told["titles"]),
        blocks=blocks,
        scores=tuple(printable(one) for one in told["scores"]),
        live_bytes=tuple(live),
    )


def _block(told: dict[str, Any], steps: tuple[str, ...]) -> PlannedBlock:
    first, last = told["first"], told["last"]
    held = () if told["holds"] == "scratch" else tuple(printable(one) for one in told["holds"])
    written: list[int] = []
    for name in held:
        least = written[-1] + 1 if written else first
        written.append(next((k for k in range(least, last + 1) if steps[k] == name), least))
    ends = [*(k - 1 for k in written[1:]), last]
    stays = zip(held, written, ends, ("", *held), strict=False)
    return PlannedBlock(
        offset=told["offset"],
        bytes=told["bytes"],
        first=first,
        last=last,
        stays=tuple(Stay(name=n, first=a, last=b, over=over) for n, a, b, over in stays),
    )


def ticks(most: int, count: int) -> list[int]:
    """At most `count` round numbers from 0 up to `most`."""
    step, power = 1, 1
    while most // step >= count:
        power *= 10 if step == 5 * power else 1
        step = {1: 2, 2: 5, 5: 10}.get(step // power, 1) * power
    return list(range(0, most + 1, step))


def plan_as_text(plan: MemoryPlan, *, width: int) -> list[str]:
    """The drawing in lines of at most `width` columns, 60 to 160: a line is a step."""
    arena = max(plan.arena_bytes, 1)
    width = min(max(width, LEAST_WIDTH), MOST_WIDTH)
    most = len(str(len(plan.steps)))
    names = [f"{k:>{most}}. {name}" for k, name in enumerate(plan.steps, 1)]
    gutter = min(max(map(len, names)), int(width / _GUTTER))
    told = [f"{count:,}" for count in plan.live_bytes]
    right = max(map(len, [*told, "bytes"]))
    room = width - gutter - right - 4
    lines = [f"{_axis(arena, room, gutter + 2)}{'bytes':>{right + 2}}"]
    for k, name in enumerate(names):
        live = [one for one in plan.blocks if one.first <= k <= one.last]
        bars = _bars(live, k, arena, room)
        label = name if len(name) <= gutter else f"{name[: gutter - 2]}.."
        lines.append(f"{label:<{gutter}}  {bars}  {told[k]:>{right}}")
    return [*lines, f"{'':<{gutter}}  {_LEGEND}" if gutter + 2 + len(_LEGEND) <= width else _LEGEND]


def _axis(arena_bytes: int, room: int, before: int) -> str:
    line = " " * before
    for tick in ticks(arena_bytes, max(2, room // 10)):
        place = before + tick * room // arena_bytes
        text = f"|{tick:,}"
        if place >= len(line.rstrip()) + (tick > 0) and place + len(text) <= before + room:
            line = f"{line[:place]:<{place}}{text}"
    return f"{line:<{before + room}}"


def _bars(blocks: list[PlannedBlock], step: int, arena_bytes: int, room: int) -> str:
    line = [" "] * room
    for block in sorted(blocks, key=lambda one: -one.bytes):  # the small ones are not hidden
        start = min(block.offset * room // arena_bytes, room - 1)
        end = max(start + 1, (block.offset + block.bytes) * room // arena_bytes)
        line[start:end] = _bar(block, step, end - start)
    return "".join(line)


def _bar(block: PlannedBlock, step: int, columns: int) -> str:
    held = next((one for one in block.stays if one.first <= step <= one.last), None)
    fill, names = ".", ["scratch"]
    if held is not None:
        fill = "=" if held.first == step else "-"
        names = [held.name, str(held.first + 1)]
        if held.over and fill == "=":
            names.insert(0, f"{held.name} over {held.over}")
    if columns < 3:
        return fill * columns
    text = next((f" {one} " for one in names if len(one) + 6 <= columns), "")
    return f"[{text.center(columns - 2, fill)}]"
