"""In which row and lane each box of a drawn graph stands, before it has a place on a page.

Rows go by the longest way from an input. The longest way of all is lane 0; what branches off stands
beside it, shortcuts go to the right, what makes constants to the left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """What is to be placed: its size, and whether it hangs on constants alone."""

    width: float
    height: float
    constant: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """From one box to a later one, by their positions; edges of one `tensor` may share a start."""

    source: int
    target: int
    tensor: int


def rows_of(boxes: Sequence[Box], edges: Sequence[Edge]) -> list[int]:
    """The row of each box: one below the lowest that it hangs on; constants just above a use."""
    ranks = [0] * len(boxes)
    for edge in sorted(edges, key=lambda e: (e.target, e.source)):
        if not boxes[edge.source].constant:
            ranks[edge.target] = max(ranks[edge.target], ranks[edge.source] + 1)
    known: set[int] = set()
    for edge in sorted(edges, key=lambda e: (-e.source, e.target)):
        if boxes[edge.source].constant:
            above = ranks[edge.target] - 1
            first = edge.source not in known
            ranks[edge.source] = above if first else min(ranks[edge.source], above)
            known.add(edge.source)
    lowest = min(ranks)
    return [rank - lowest for rank in ranks]


def movable_of(boxes: Sequence[Box], edges: Sequence[Edge], ranks: Sequence[int]) -> frozenset[int]:
    """The boxes of constants that go along when the row of their use begins a column."""
    kept = {e.target for e in edges}
    kept |= {e.source for e in edges if ranks[e.target] != ranks[e.source] + 1}
    kept |= set(range(len(boxes))) - {e.source for e in edges}
    return frozenset(k for k, box in enumerate(boxes) if box.constant and k not in kept)


def cuts_of(edges: Sequence[Edge], ranks: Sequence[int], movable: frozenset[int]) -> set[int]:
    """The rows below which a single edge goes on, besides those of movable boxes.

    Two rows at least are left for the last column.
    """
    changes = [0] * (max(ranks) + 2)
    for edge in edges:
        if edge.source not in movable:
            changes[ranks[edge.source]] += 1
            changes[ranks[edge.target]] -= 1
    cuts, crossing = set(), 0
    for row in range(max(ranks) - 1):
        crossing += changes[row]
        if crossing == 1:
            cuts.add(row)
    return cuts


def lanes_of(
    boxes: Sequence[Box], edges: Sequence[Edge], ranks: Sequence[int]
) -> tuple[list[int], dict[Edge, int]]:
    """The lane of each box, and of each edge that is longer than one row.

    Each row of a lane has an upper and a lower half: a shortcut that ends at a box and one that
    begins there share a lane.
    """
    into: dict[int, list[Edge]] = {}
    out: dict[int, list[Edge]] = {}
    for edge in edges:
        into.setdefault(edge.target, []).append(edge)
        out.setdefault(edge.source, []).append(edge)
    taken: set[tuple[int, int]] = set()

    def free(lane: int, halves: range) -> bool:
        return all((lane, half) not in taken for half in halves)

    def nearest(halves: range, step: int, first: int) -> int:
        lane = first
        while not free(lane, halves):
            lane += step
        return lane

    lanes: dict[int, int] = {}
    for box in _main_way(boxes, into, ranks):
        lanes[box] = 0
        taken |= {(0, 2 * ranks[box]), (0, 2 * ranks[box] + 1)}
    for start in sorted(range(len(boxes)), key=lambda k: (ranks[k], k)):
        if start in lanes:
            continue
        chain = [start]
        while True:
            onward = [e.target for e in out.get(chain[-1], []) if e.target not in lanes]
            onward = [k for k in onward if boxes[k].constant == boxes[start].constant]
            if not onward:
                break
            chain.append(min(onward, key=lambda k: (ranks[k], k)))
        last = max((ranks[e.target] for e in out.get(chain[-1], [])), default=0) - 1
        halves = range(2 * ranks[start], 2 * max(last, ranks[chain[-1]]) + 2)
        step = -1 if boxes[start].constant else 1
        lane = nearest(halves, step, step)
        lanes |= dict.fromkeys(chain, lane)
        # Only where boxes are: the edges between and behind them are placed below.
        taken |= {(lane, half) for k in chain for half in (2 * ranks[k], 2 * ranks[k] + 1)}
    sides = {}
    for edge in sorted(edges, key=lambda e: (ranks[e.target] - ranks[e.source], e.source)):
        above, below = ranks[edge.source], ranks[edge.target]
        if below - above < 2:
            continue
        between, side = range(2 * above + 2, 2 * below), range(2 * above + 1, 2 * below + 1)
        own = [k for k in (lanes[edge.source], lanes[edge.target]) if free(k, between)]
        step = -1 if boxes[edge.source].constant else 1
        lane = own[0] if own else nearest(side, step, step)
        sides[edge] = lane
        taken |= {(lane, half) for half in (between if own else side)}
    return [lanes[k] for k in range(len(boxes))], sides


def _main_way(boxes: Sequence[Box], into: dict[int, list[Edge]], ranks: Sequence[int]) -> list[int]:
    """The longest way to the lowest box, backwards."""
    place = max(
        (k for k, box in enumerate(boxes) if not box.constant),
        key=lambda k: (ranks[k], -k),
        default=len(boxes) - 1,
    )
    way = [place]
    while True:
        before = [e.source for e in into.get(place, []) if not boxes[e.source].constant]
        if not before:
            return way
        place = max(before, key=lambda k: (ranks[k], k))
        way.append(place)


def columns_of(heights: Sequence[float], cuts: set[int], limit: float) -> list[range]:
    """Rows in columns of at most `limit`, where a cut allows it."""
    columns, start, possible, height = [], 0, None, 0.0
    for row, more in enumerate(heights):
        if height + more > limit and possible is not None:
            columns.append(range(start, possible + 1))
            start = possible + 1
            height = sum(heights[start:row])
            possible = None
        height += more
        if row in cuts:
            possible = row
    return [*columns, range(start, len(heights))]
