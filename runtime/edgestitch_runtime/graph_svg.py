"""A file's graph as an SVG: operators as boxes, tensors with shape and dtype on the edges.

Plain text, no script and no font of its own; white, for print. Each box is a `g` with the id
`operator-3`, `input-0` or `output-0`, each edge a `path` with the ids it leads from and to.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from .errors import EdgestitchError
from .file_facts import FileFacts, Layer
from .file_graph import FileGraph, FileTensor, activations_of
from .graph_lanes import Box, Edge
from .graph_layout import Layout, Point, layout_of

MOST_BOXES = 1000
_WIDTH = 212.0
_LINE = 12.5
_ROUND = 6.0
_HEADER = 46.0
_FILLS = {
    "#dfeaf8": ("conv", "matmul"),
    "#e9e2f5": ("fully_connected", "gemm"),
    "#fcefd6": ("add", "sub", "mul", "div", "concat"),
    "#dff2e6": ("pool", "mean", "reduce", "sum"),
    "#fae3e6": ("softmax", "relu", "logistic", "tanh", "sigmoid", "swish", "clip", "elu"),
}
_STYLE = """
text{fill:#111}
.operator rect,.end rect{stroke:#333;stroke-width:1}
.name{font-size:11.5px;font-weight:bold}
.line{font-size:9.5px;fill:#333}
.number{font-size:9px;fill:#555;text-anchor:end}
.edge{fill:none;stroke:#333;stroke-width:1.2}
.tensor{font-size:9px;fill:#1d3557;paint-order:stroke;stroke:#fff;stroke-width:3px}
"""


def svg_of(graph: FileGraph, facts: FileFacts, *, title: str) -> str:
    """The drawing, sized to fit a page of A4. Raises EdgestitchError for too large a graph."""
    ends = [("input", k) for k in graph.inputs], [("output", k) for k in graph.outputs]
    if not graph.operators or len(graph.operators) + len(ends[0]) + len(ends[1]) > MOST_BOXES:
        raise EdgestitchError(
            f"{title} has {len(graph.operators):,} operators, which cannot be drawn",
            hint=f"from 1 to {MOST_BOXES:,} boxes fit a drawing; --layers lists them",
        )
    boxes, bodies, ids = [], [], []
    activations = activations_of(graph)
    for kind, tensors in (("input", graph.inputs), ("operator", ()), ("output", graph.outputs)):
        for place, layer in enumerate(facts.layers if kind == "operator" else ()):
            operator = graph.operators[place]
            lines = _lines(layer)
            constant = activations.isdisjoint(operator.inputs)
            boxes.append(Box(width=_WIDTH, height=_height(lines), constant=constant))
            bodies.append((lines, _fill(layer.operator), f"#{layer.index}", "operator"))
            ids.append(f"operator-{layer.index}")
        for place, index in enumerate(tensors):
            lines = _end_lines(kind, graph.tensors[index])
            boxes.append(Box(width=_WIDTH, height=_height(lines), constant=False))
            bodies.append((lines, "#ffffff", "", "end"))
            ids.append(f"{kind}-{place}")
    edges = _edges(graph)
    found = layout_of(boxes, edges, header=_HEADER)
    parts = [*_head(found, title, facts)]
    for edge, route in zip(edges, found.routes, strict=True):
        tensor = graph.tensors[edge.tensor]
        parts.append(
            f'<path class="edge" data-tensor="{edge.tensor}" data-from="{ids[edge.source]}" '
            f'data-to="{ids[edge.target]}" d="{_path(route.corners)}" marker-end="url(#tip)"/>'
        )
        parts.append(_edge_label(route.label, _described(tensor), anchor=route.anchor))
    for corner, box, (lines, fill, number, kind), name in zip(
        found.corners, boxes, bodies, ids, strict=True
    ):
        parts += _box(corner, box, lines, fill=fill, number=number, kind=kind, name=name)
    return "\n".join([*parts, "</svg>", ""])


def _edges(graph: FileGraph) -> list[Edge]:
    """From the box that gives a tensor to each that takes it; once, where it takes it twice."""
    first = len(graph.inputs)
    giver = {k: place for place, k in enumerate(graph.inputs)}
    edges = []
    for place, operator in enumerate(graph.operators):
        for k in dict.fromkeys(operator.inputs):
            if k in giver:  # no constant, and computed before
                edges.append(Edge(source=giver[k], target=first + place, tensor=k))
        giver |= dict.fromkeys(operator.outputs, first + place)
    behind = first + len(graph.operators)
    for place, k in enumerate(graph.outputs):
        if k in giver:
            edges.append(Edge(source=giver[k], target=behind + place, tensor=k))
    return edges


def _lines(layer: Layer) -> list[str]:
    counts = []
    if layer.parameters:
        counts.append(f"{layer.parameters:,} parameters")
    if layer.macs:
        counts.append(f"{layer.macs:,} MACs")
    return [layer.operator, *filter(None, (layer.layer, layer.options, ", ".join(counts)))]


def _end_lines(kind: str, tensor: FileTensor) -> list[str]:
    lines = [kind, tensor.name, _described(tensor)]
    if tensor.scale is not None:
        lines.append(f"scale {tensor.scale:.6g}, zero point {tensor.zero_point}")
    return [line for line in lines if line]


def _described(tensor: FileTensor) -> str:
    shape = "shape unknown" if tensor.shape is None else "×".join(map(str, tensor.shape)) or "1"
    return f"{shape} {tensor.dtype}"


def _height(lines: Sequence[str]) -> float:
    return 9.0 + _LINE * len(lines)


def _fill(operator: str) -> str:
    name = operator.lower()
    return next(
        (fill for fill, words in _FILLS.items() if any(word in name for word in words)), "#f2f2f2"
    )


def _head(found: Layout, title: str, facts: FileFacts) -> list[str]:
    count = len(facts.layers)
    told = (
        f"{facts.precision}, {count} operator{'s' if count != 1 else ''}, "
        f"{facts.parameters:,} parameters, {facts.macs:,} MACs, "
        f"at most {facts.live_peak.bytes:,} bytes of activations at once"
    )
    width = max(found.width, 7.0 * len(title) + 24, 5.1 * len(told) + 24)
    size = f'width="{width * found.unit_mm:.1f}mm" height="{found.height * found.unit_mm:.1f}mm"'
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.1f} {found.height:.1f}" '
        f"{size} font-family=\"Helvetica,Arial,'Liberation Sans','DejaVu Sans',sans-serif\">",
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0.8L8 4L0 7.2z" fill="#333"/></marker></defs>',
        f'<rect width="{width:.1f}" height="{found.height:.1f}" fill="#fff"/>',
        f'<text x="12" y="20" font-size="14" font-weight="bold">{escape(title)}</text>',
        f'<text x="12" y="36" font-size="10">{escape(told)}</text>',
    ]


def _box(
    corner: Point, box: Box, lines: Sequence[str], *, fill: str, number: str, kind: str, name: str
) -> list[str]:
    x, y = corner
    radius = 12 if kind == "end" else 3
    data = f" data-operator={quoteattr(lines[0])}" if kind == "operator" else ""
    parts = [
        f'<g class="{kind}" id="{name}"{data}>',
        f"<title>{escape(', '.join(lines))}</title>",
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" '
        f'rx="{radius}" fill="{fill}"/>',
    ]
    for k, line in enumerate(lines):
        style, em = ("name", 8.1) if k == 0 else ("line", 5.3)
        room = box.width - 16 - (26 if k == 0 else 0)
        parts.append(
            f'<text class="{style}" x="{x + 8:.1f}" y="{y + 14 + _LINE * k:.1f}">'
            f"{escape(_cut(line, int(room / em)))}</text>"
        )
    if number:
        parts.append(
            f'<text class="number" x="{x + box.width - 7:.1f}" y="{y + 14:.1f}">{number}</text>'
        )
    return [*parts, "</g>"]


def _edge_label(place: Point, text: str, *, anchor: str) -> str:
    x, y = place
    if anchor == "upright":
        turned = f'text-anchor="middle" transform="translate({x + 10:.1f} {y:.1f}) rotate(-90)"'
        return f'<text class="tensor" {turned}>{escape(text)}</text>'
    side = ' text-anchor="end"' if anchor == "end" else ""
    return f'<text class="tensor" x="{x:.1f}" y="{y:.1f}"{side}>{escape(text)}</text>'


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _path(corners: Sequence[Point]) -> str:
    """The way through `corners`, rounded at each."""
    words = [f"M{corners[0][0]:.1f} {corners[0][1]:.1f}"]
    for before, at, after in zip(corners, corners[1:], corners[2:], strict=False):
        near, far = _towards(at, before), _towards(at, after)
        words.append(
            f"L{near[0]:.1f} {near[1]:.1f}Q{at[0]:.1f} {at[1]:.1f} {far[0]:.1f} {far[1]:.1f}"
        )
    return "".join([*words, f"L{corners[-1][0]:.1f} {corners[-1][1]:.1f}"])


def _towards(start: Point, end: Point) -> Point:
    """A little way from `start` to `end`, along an axis: at most half of it."""
    x, y = end[0] - start[0], end[1] - start[1]
    length = abs(x) + abs(y)
    share = min(_ROUND, length / 2) / length if length else 0.0
    return start[0] + x * share, start[1] + y * share
