"""Where the boxes of a graph stand on a page, and the way of each edge.

Rows and lanes come from `graph_lanes`. A long graph is broken into columns where a single edge
crosses, as text is, so that it fills a page of A4: the best of several breaks is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .graph_lanes import Box, Edge, columns_of, cuts_of, lanes_of, movable_of, rows_of

GAP = 30.0  # between rows: an edge and its label
LANE_GAP = 16.0
EDGE_LANE = 24.0  # a lane without boxes: a line, with its label along it
COLUMN_GAP = 44.0
PORT = 26.0  # between edges that enter a box from above
PAGES_MM = ((190.0, 277.0), (277.0, 190.0))  # A4 without margins of 10 mm, both ways
LARGEST_MM = 25.4 / 96  # of one unit: CSS's pixel; a small graph is not blown up
MOST_COLUMNS = 8
_SLACKS = (1.0, 1.05, 1.12, 1.2)  # how much higher than the mean a column may be

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The corners of an edge, and where its label stands: it begins there ("start"), ends there
    ("end"), or is turned and has its middle there ("upright").
    """

    corners: tuple[Point, ...]
    label: Point
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Of each box the left upper corner, of each edge its route, and the size of the whole."""

    corners: tuple[Point, ...]
    routes: tuple[Route, ...]
    width: float
    height: float
    unit_mm: float


def layout_of(boxes: Sequence[Box], edges: Sequence[Edge], *, header: float) -> Layout:
    """Places `boxes`, which stand in the order of execution; every edge leads to a later one.

    `header` is the height that is kept free above.
    """
    ranks = rows_of(boxes, edges)
    lanes, sides = lanes_of(boxes, edges, ranks)
    heights = [GAP] * (max(ranks) + 1)
    for box, row in zip(boxes, ranks, strict=True):
        heights[row] = max(heights[row], box.height + GAP)
    movable = movable_of(boxes, edges, ranks)
    cuts = cuts_of(edges, ranks, movable)
    plan = _Plan(
        boxes=boxes, edges=edges, ranks=ranks, lanes=lanes, sides=sides, heights=heights,
        movable=movable, header=header,
    )  # fmt: skip
    best: Layout | None = None
    tried = set()
    for columns in range(1, MOST_COLUMNS + 1):
        for slack in _SLACKS:
            rows = columns_of(heights, cuts, slack * sum(heights) / columns)
            if tuple(rows) in tried:
                continue
            tried.add(tuple(rows))
            found = _Placing(plan, rows).layout()
            if best is None or found.unit_mm > best.unit_mm:
                best = found
    assert best is not None
    return best


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Rows and lanes of all boxes, before columns are made of them."""

    boxes: Sequence[Box]
    edges: Sequence[Edge]
    ranks: Sequence[int]
    lanes: Sequence[int]
    sides: dict[Edge, int]
    heights: Sequence[float]
    movable: frozenset[int]
    header: float

    def beside(self, edge: Edge) -> bool:
        """Whether an edge goes in a lane of its own, from side to side."""
        own = (self.lanes[edge.source], self.lanes[edge.target])
        return edge in self.sides and self.sides[edge] not in own

    def from_lane(self, edge: Edge) -> int:
        """The lane in which an edge comes to the box that it enters from above."""
        return self.sides.get(edge, self.lanes[edge.source])


class _Placing:
    """One try: the rows of a plan in given columns."""

    def __init__(self, plan: _Plan, columns: Sequence[range]) -> None:
        self._plan = plan
        self._column_of_row = {row: k for k, rows in enumerate(columns) for row in rows}
        self._columns = [self._column(k) for k in range(len(plan.boxes))]
        self._row_tops: dict[int, float] = {}
        self._lead_tops: dict[int, float] = {}
        for k, rows in enumerate(columns):
            y = plan.header + GAP * 0.6
            led = [b for b in plan.movable if plan.ranks[b] == rows[0] - 1]
            self._lead_tops[k] = y
            y += max((plan.boxes[b].height + GAP for b in led), default=0.0)
            for row in rows:
                self._row_tops[row] = y
                y += plan.heights[row]
        last = [rows[-1] for rows in columns]
        self._bottoms = [self._row_tops[r] + plan.heights[r] - GAP * 0.4 for r in last]
        self._centres, self._ends = self._lane_centres(len(columns))
        self._filled = {(self._columns[k], self._top(k), lane) for k, lane in enumerate(plan.lanes)}
        self._giving: dict[int, set[int]] = {}
        self._entering: dict[int, list[Edge]] = {}
        for edge in plan.edges:
            if not plan.beside(edge):
                self._giving.setdefault(edge.source, set()).add(edge.target)
                self._entering.setdefault(edge.target, []).append(edge)
        self._ports = self._ports_above()
        self._tracks = self._horizontal_tracks()

    def layout(self) -> Layout:
        boxes = self._plan.boxes
        width, height = self._ends[-1] + 10, max(self._bottoms) + 12
        unit = max(min(w / width, h / height) for w, h in PAGES_MM)
        return Layout(
            corners=tuple(
                (self._centre(k) - box.width / 2, self._top(k)) for k, box in enumerate(boxes)
            ),
            routes=tuple(self._route(edge) for edge in self._plan.edges),
            width=width,
            height=height,
            unit_mm=min(unit, LARGEST_MM),
        )

    def _column(self, box: int) -> int:
        """A box of constants stands with its use, where that begins a column."""
        row = self._plan.ranks[box]
        return self._column_of_row[row + 1 if box in self._plan.movable else row]

    def _top(self, box: int) -> float:
        row = self._plan.ranks[box]
        leads = self._columns[box] != self._column_of_row[row]
        return self._lead_tops[self._columns[box]] if leads else self._row_tops[row]

    def _lane_centres(self, columns: int) -> tuple[dict[tuple[int, int], float], list[float]]:
        """Of each (column, lane) the middle, and of each column where it ends."""
        plan = self._plan
        widths: dict[tuple[int, int], float] = {}
        for k, box in enumerate(plan.boxes):
            key = (self._columns[k], plan.lanes[k])
            widths[key] = max(widths.get(key, 0.0), box.width)
        for edge, lane in plan.sides.items():
            for row in range(plan.ranks[edge.source], plan.ranks[edge.target] + 1):
                widths.setdefault((self._column_of_row[row], lane), EDGE_LANE)
        lanes: list[list[int]] = [[] for _ in range(columns)]
        for column, lane in sorted(widths):
            lanes[column].append(lane)
        centres, ends, x = {}, [], 10.0
        for column in range(columns):
            for lane in lanes[column]:
                width = widths[column, lane]
                centres[column, lane] = x + width / 2
                x += width + LANE_GAP
            ends.append(x - LANE_GAP)
            x += COLUMN_GAP - LANE_GAP
        return centres, ends

    def _centre(self, box: int) -> float:
        return self._centres[self._columns[box], self._plan.lanes[box]]

    def _bottom(self, box: int) -> float:
        return self._top(box) + self._plan.boxes[box].height

    def _ports_above(self) -> dict[Edge, float]:
        """How far from its box's middle each edge enters from above: in the order of the lanes."""
        found = {}
        for target, entering in self._entering.items():
            own = self._plan.lanes[target]
            straight = [e for e in entering if self._plan.from_lane(e) == own]
            left = [e for e in entering if self._plan.from_lane(e) < own]
            right = [e for e in entering if self._plan.from_lane(e) > own]
            half = self._plan.boxes[target].width / 2 - 8
            apart = min(PORT, half / (max(len(left), len(right), 1) + len(straight)))
            for k, edge in enumerate(straight):
                found[edge] = apart * (k - (len(straight) - 1) / 2)
            for side, there in ((-1, left), (1, right)):
                there.sort(key=lambda e: abs(self._plan.from_lane(e) - own))
                for k, edge in enumerate(there):
                    place = k + (len(straight) + 1) / 2
                    found[edge] = 0.0 if len(entering) == 1 else side * apart * place
        return found

    def _horizontal_tracks(self) -> dict[Edge, float]:
        """For an edge that changes its lane between two rows: at which share of the gap.

        What comes from near turns above what comes from far, so that the two do not cross.
        """
        plan = self._plan
        gaps: dict[int, list[Edge]] = {}
        for edge in plan.edges:
            if not plan.beside(edge) and plan.lanes[edge.source] != plan.lanes[edge.target]:
                early = plan.sides.get(edge) == plan.lanes[edge.target]
                row = plan.ranks[edge.source] if early else plan.ranks[edge.target] - 1
                gaps.setdefault(row, []).append(edge)
        found = {}
        for there in gaps.values():
            ways = {(e.source, e.tensor): 0 for e in there}
            for e in there:
                reach = abs(plan.lanes[e.source] - plan.lanes[e.target])
                ways[e.source, e.tensor] = max(ways[e.source, e.tensor], reach)
            starts = sorted(ways, key=lambda way: (ways[way], way))
            for e in there:
                place = starts.index((e.source, e.tensor)) + 1
                found[e] = place / (len(starts) + 1) * 0.6
        return found

    def _route(self, edge: Edge) -> Route:
        if self._plan.beside(edge):
            return self._side_route(edge)
        start = (self._centre(edge.source), self._bottom(edge.source))
        x = self._centre(edge.target) + self._ports[edge]
        end = (x, self._top(edge.target))
        columns = self._columns[edge.source], self._columns[edge.target]
        if columns[0] != columns[1]:
            low, gutter = self._bottoms[columns[0]], self._ends[columns[0]] + COLUMN_GAP / 2
            high = self._lead_tops[columns[1]] - GAP * 0.6
            corners = (start, (start[0], low), (gutter, low), (gutter, high), (x, high), end)
            return Route(corners=corners, label=(x + 5, high + 13), anchor="start")
        others = [self._ports[e] for e in self._entering[edge.target] if e is not edge]
        if start[0] == x:
            right = any(port > self._ports[edge] for port in others)
            middle = (start[1] + end[1]) / 2 + 3
            if right and not any(port < self._ports[edge] for port in others):
                return Route(corners=(start, end), label=(x - 5, middle), anchor="end")
            return Route(corners=(start, end), label=(x + 5, middle), anchor="start")
        if start[0] == self._centre(edge.target):  # one of several that go straight down
            middle = (start[1] + end[1]) / 2 - 4
            corners = (start, (start[0], middle), (x, middle), end)
            side, anchor = (5, "start") if x > start[0] else (-5, "end")
            return Route(corners=corners, label=(x + side, end[1] - 5), anchor=anchor)
        rows = self._plan.ranks[edge.source], self._plan.ranks[edge.target]
        early = self._plan.sides.get(edge) == self._plan.lanes[edge.target]
        beyond = rows[0] + 1 if early else rows[1]
        y = self._row_tops[beyond] - GAP * (1 - self._tracks.get(edge, 0.4))
        corners = (start, (start[0], y), (x, y), end)
        if len(self._giving[edge.source]) > 1 or not others:
            return Route(corners=corners, label=(x + 5, end[1] - 5), anchor="start")
        # Where edges meet, the labels stand where they come from, away from their turn.
        side, anchor = (-5, "end") if x > start[0] else (5, "start")
        return Route(corners=corners, label=(start[0] + side, start[1] + 9), anchor=anchor)

    def _side_route(self, edge: Edge) -> Route:
        """Along a lane: out of the side of a box, into the side of another, as far as it is free.

        Where a box stands in the way, it leaves below its box, or enters from above.
        """
        boxes = self._plan.boxes
        lane = self._plan.sides[edge]
        x = self._centres[self._columns[edge.source], lane]
        first, last = self._centre(edge.source), self._centre(edge.target)
        out, into = (1 if x > middle else -1 for middle in (first, last))
        if self._free(edge.source, lane):
            leaving = self._top(edge.source) + boxes[edge.source].height * 0.7
            start: tuple[Point, ...] = ((first + out * boxes[edge.source].width / 2, leaving),)
        else:
            leaving = self._row_tops[self._plan.ranks[edge.source] + 1] - GAP * 0.3
            start = ((first, self._bottom(edge.source)), (first, leaving))
        if self._free(edge.target, lane):
            entering = self._top(edge.target) + boxes[edge.target].height * 0.3
            end: tuple[Point, ...] = ((last + into * boxes[edge.target].width / 2, entering),)
        else:
            entering = self._top(edge.target) - GAP * 0.27
            port = last + into * boxes[edge.target].width * 0.4
            end = ((port, entering), (port, self._top(edge.target)))
        return Route(
            corners=(*start, (x, leaving), (x, entering), *end),
            label=(x, (leaving + entering) / 2),
            anchor="upright",
        )

    def _free(self, box: int, lane: int) -> bool:
        """Whether no box stands between this one and a lane."""
        own = self._plan.lanes[box]
        between = range(min(own, lane) + 1, max(own, lane))
        key = self._columns[box], self._top(box)
        return not any((*key, other) in self._filled for other in between)
