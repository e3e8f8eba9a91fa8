"""The plan of a C program's arena as an SVG: time goes down, the bytes go to the right.

As the drawn graph: plain text, no script, no font of its own; white, for print. Each block is a `g`
with the id `block-3`, each step a text with the id `step-3`, counted from 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from xml.sax.saxutils import escape

from .memory_drawing import MemoryPlan, PlannedBlock, Stay, ticks

_LEFT, _ARENA, _RIGHT = 264.0, 470.0, 62.0  # widths of the steps' names, the arena, the bytes
_ROW = 34.0
_TOP = 66.0
_PAGE_MM = (180.0, 262.0)  # what a sheet of A4 prints
_LARGEST_MM = 0.3
# Characters: of a line of what a step does, and the widths of one, in the widest font of the list.
_TITLE_LINE = 50
_NAME_EM, _LINE_EM = 6.8, 4.8
_STYLE = """
text{fill:#111}
.block rect{stroke:#333;stroke-width:1}
.block .held{fill:#dfeaf8}
.block .over{fill:#c6daf1}
.block .scratch{fill:#fcefd6;stroke:#a8761c;stroke-dasharray:3 2}
.name{font-size:10.5px;font-weight:bold}
.line{font-size:7.8px;fill:#333}
.amount{font-size:9.5px;text-anchor:end}
.most{font-weight:bold}
.number{font-size:9px;fill:#555;text-anchor:end}
.tick{font-size:9px;fill:#333;text-anchor:middle}
.grid{stroke:#ddd;stroke-width:0.7}
.free{fill:#fafafa;stroke:#999;stroke-width:0.7}
"""


def memory_svg_of(plan: MemoryPlan, *, title: str) -> str:
    """The drawing, sized to fit a page of A4."""
    height = _ROW * len(plan.steps)
    width = _LEFT + _ARENA + _RIGHT
    told = (
        f"an arena of {plan.arena_bytes:,} bytes of RAM, {len(plan.steps)} "
        f"step{'s' if len(plan.steps) != 1 else ''}, weights of {plan.weight_bytes:,} bytes; "
        "down: time, to the right: bytes"
    )
    parts = [*_head(title, told, width=width, height=_TOP + height + 44)]
    parts.append(
        f'<rect class="free" x="{_LEFT}" y="{_TOP}" width="{_ARENA}" height="{height:.1f}"/>'
    )
    for tick in ticks(plan.arena_bytes, 9) if plan.arena_bytes else ():
        x = _x(plan, tick)
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP - 4}V{_TOP + height:.1f}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{_TOP - 8}">{tick:,}</text>')
    x = _LEFT + _ARENA + _RIGHT - 8
    parts.append(f'<text class="number" x="{x:.1f}" y="{_TOP - 8}">in use</text>')
    parts += _steps(plan)
    for place, block in enumerate(plan.blocks):
        parts += _block(plan, block, place)
    return "\n".join([*parts, *_legend(plan, _TOP + height + 16), "</svg>", ""])


def _head(title: str, told: str, *, width: float, height: float) -> list[str]:
    unit = min(_PAGE_MM[0] / width, _PAGE_MM[1] / height, _LARGEST_MM)
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.1f} {height:.1f}" '
        f'width="{width * unit:.1f}mm" height="{height * unit:.1f}mm" '
        "font-family=\"Helvetica,Arial,'Liberation Sans','DejaVu Sans',sans-serif\">",
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect width="{width:.1f}" height="{height:.1f}" fill="#fff"/>',
        f'<text x="12" y="20" font-size="14" font-weight="bold">{escape(title)}</text>',
        f'<text x="12" y="36" font-size="10">{escape(told)}</text>',
    ]


def _steps(plan: MemoryPlan) -> Iterator[str]:
    most = max(plan.live_bytes)
    for k, (name, does) in enumerate(zip(plan.steps, plan.titles, strict=True)):
        y = _TOP + _ROW * k
        yield f'<path class="grid" d="M8 {y:.1f}H{_LEFT + _ARENA + _RIGHT - 8:.1f}"/>'
        yield f'<text class="number" x="22" y="{y + 13:.1f}">{k + 1}</text>'
        yield (
            f'<text class="name" id="step-{k}" x="28" y="{y + 13:.1f}">{escape(_cut(name, 32))}'
            f"<title>{escape(f'{name}: {does}')}</title></text>"
        )
        for row, line in enumerate(wrap(does, _TITLE_LINE, max_lines=2, placeholder=" …")):
            yield f'<text class="line" x="28" y="{y + 22.5 + 8.6 * row:.1f}">{escape(line)}</text>'
        x = _LEFT + _ARENA + _RIGHT - 8
        bold = " most" if most and plan.live_bytes[k] == most else ""
        yield (
            f'<text class="amount{bold}" x="{x:.1f}" y="{y + 20:.1f}">{plan.live_bytes[k]:,}</text>'
        )


def _block(plan: MemoryPlan, block: PlannedBlock, place: int) -> Iterator[str]:
    left, right = _x(plan, block.offset), _x(plan, block.offset + block.bytes)
    width = max(right - left - 2, 1.5)
    end = block.offset + block.bytes - 1
    where = f"bytes {block.offset:,} to {end:,}, steps {block.first + 1} to {block.last + 1}"
    held = ", ".join(stay.name for stay in block.stays) or f"scratch of {plan.steps[block.first]}"
    yield f'<g class="block" id="block-{place}">'
    yield f"<title>{escape(f'{held}: {where}')}</title>"
    kind = "held" if block.stays else "scratch"
    yield _rect(kind, left + 1, block.first, block.last, width=width)
    for k, stay in enumerate(block.stays):
        if k:
            yield _rect("over", left + 1, stay.first, stay.last, width=width)
    if not block.stays:
        only = Stay(name="scratch", first=block.first, last=block.last, over="")
        yield from _label(plan, block, only, left=left, width=width)
    for stay in block.stays:
        yield from _label(plan, block, stay, left=left, width=width)
    yield "</g>"


def _rect(kind: str, x: float, first: int, last: int, *, width: float) -> str:
    y, height = _TOP + _ROW * first + 1.5, _ROW * (last - first + 1) - 3
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" rx="3"/>'
    )


def _label(
    plan: MemoryPlan, block: PlannedBlock, stay: Stay, *, left: float, width: float
) -> Iterator[str]:
    """The name and the bytes where there is room: in the block, else behind it where it is free."""
    lines = [stay.name, f"over {stay.over}" if stay.over else f"{block.bytes:,} bytes"]
    need = max(_NAME_EM * len(lines[0]), _LINE_EM * len(lines[1])) + 10
    if need > width:
        after = [
            _x(plan, other.offset)
            for other in plan.blocks
            if other.offset >= block.offset + block.bytes
            and other.first <= stay.first <= other.last
        ]
        if min([*after, _LEFT + _ARENA]) - left - width < need:
            most = int((width - 10) / _NAME_EM)
            fits = _LINE_EM * len(lines[1]) + 10 <= width
            lines = [_cut(lines[0], most) if most > 5 else "", lines[1] if fits else ""]
        else:
            left += width
    y = _TOP + _ROW * stay.first
    for kind, line, below in (("name", lines[0], 15), ("line", lines[1], 25.5)):
        if line:
            place = f'x="{left + 7:.1f}" y="{y + below:.1f}"'
            yield f'<text class="{kind}" {place}>{escape(line)}</text>'


def _legend(plan: MemoryPlan, y: float) -> Iterator[str]:
    x = _LEFT
    for kind, told in (
        ("held", "what a layer gave, until it was last read"),
        ("over", "written over the one before, in place"),
        ("scratch", "scratch, during its step"),
    ):
        yield (
            f'<g class="block"><rect class="{kind}" x="{x:.1f}" y="{y - 8:.1f}" width="14" '
            'height="10" rx="2"/></g>'
        )
        yield f'<text class="line" x="{x + 19:.1f}" y="{y:.1f}">{told}</text>'
        x += 4.3 * len(told) + 34
    if plan.scores:
        told = f"in the caller's scores: {', '.join(plan.scores)}"
        yield f'<text class="line" x="{_LEFT}" y="{y + 16:.1f}">{escape(_cut(told, 110))}</text>'


def _x(plan: MemoryPlan, place: int) -> float:
    return _LEFT + _ARENA * place / max(plan.arena_bytes, 1)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
