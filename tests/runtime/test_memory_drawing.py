"""The plan of an arena as text and as SVG: read back from the drawing, against the plan itself."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_runtime import EdgestitchError
from edgestitch_runtime.memory_drawing import memory_plan, plan_as_text, ticks
from edgestitch_runtime.memory_svg import memory_svg_of

SVG = "{http://www.w3.org/2000/svg}"
WIDTHS = (60, 61, 79, 100, 160)
FREE, TAKEN = " ", "[=-.] "


def told(arena_bytes: int, steps: list[str], *blocks: tuple[int, int, int, int, Any]) -> Any:
    """The card's entry; a block is (offset, bytes, first, last, holds)."""
    keys = ("offset", "bytes", "first", "last", "holds")
    return {
        "arena_bytes": arena_bytes,
        "weight_bytes": 1234,
        "steps": steps,
        "titles": [f"what {name} does" for name in steps],
        "blocks": [dict(zip(keys, block, strict=True)) for block in blocks],
        "scores": [steps[-1]],
    }


SMALL = told(
    4000,
    ["stem", "shrink", "sum_of_both", "average", "identity"],
    (0, 2000, 0, 2, ["stem", "sum_of_both"]),
    (2000, 1000, 1, 2, ["shrink"]),
    (3000, 1000, 1, 1, "scratch"),
    (2000, 4, 3, 4, ["average"]),
)


def random_plan(seed: int) -> Any:
    """Blocks that do not overlap, in an arena of up to a hundred thousand bytes."""
    rng = np.random.default_rng(seed)
    steps = [f"layer_{k}" for k in range(int(rng.integers(1, 25)))]
    arena = int(rng.integers(4, 100_000))
    blocks: list[tuple[int, int, int, int, Any]] = []
    for _ in range(60):
        first = int(rng.integers(len(steps)))
        last = min(len(steps) - 1, first + int(rng.integers(4)))
        offset = int(rng.integers(arena))
        size = int(min(arena - offset, rng.integers(1, max(2, arena // 2))))
        if all(b[3] < first or last < b[2] or offset + size <= b[0] or b[0] + b[1] <= offset
               for b in blocks):  # fmt: skip
            written = sorted({first, int(rng.integers(first, last + 1))})
            holds = [steps[k] for k in written] if rng.random() < 0.7 else "scratch"
            blocks.append((offset, size, first, last, holds))
    return told(arena, steps, *blocks)


def test_the_drawing_of_a_small_plan() -> None:
    drawn = plan_as_text(memory_plan("x.c", SMALL), width=60)
    assert drawn == [
        "                |0                |2,000               bytes",
        "1. stem         [===== stem =====]                     2,000",
        "2. shrink       [----- stem -----][== 2 ==][........]  4,000",
        "3. sum_of_both  [= sum_of_both ==][-- 2 --]            3,000",
        "4. average                        =                        4",
        "5. identity                       -                        4",
        "[= written =] [- kept -] [. scratch .]; a number: its step",
    ]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_bar_covers_the_bytes_of_its_block_and_what_is_free_stays_blank(width: int) -> None:
    for seed in range(40):
        entry = random_plan(seed)
        lines = plan_as_text(memory_plan("x.c", entry), width=width)
        assert max(map(len, lines)) <= width and len(lines) == len(entry["steps"]) + 2
        start = lines[0].index("|0")
        right = max(len("bytes"), *(len(line.split()[-1]) for line in lines[1:-1]))
        room = len(lines[0]) - right - 2 - start
        for k, line in enumerate(lines[1:-1]):
            live = [b for b in entry["blocks"] if b["first"] <= k <= b["last"]]
            assert int(line.split()[-1].replace(",", "")) == sum(b["bytes"] for b in live)
            bars = line[start : start + room]
            column = entry["arena_bytes"] / room
            for place, mark in enumerate(bars):
                middle = (place + 0.5) * column
                near = [b for b in live if b["offset"] - column <= middle
                        <= b["offset"] + b["bytes"] + column]  # fmt: skip
                inside = [b for b in live if b["offset"] + column <= middle
                          <= b["offset"] + b["bytes"] - column]  # fmt: skip
                assert near or mark == " ", line
                if inside and mark in "=-.":
                    (block,) = inside
                    assert mark == expected_mark(entry, block, k), line
            assert len(re.findall(r"\[|(?<![=\-.\] ])[=\-.]", bars)) <= 2 * len(live)


def expected_mark(entry: Any, block: Any, step: int) -> str:
    if block["holds"] == "scratch":
        return "."
    return "=" if entry["steps"][step] in block["holds"] else "-"


def test_a_name_stands_in_its_bar_and_where_it_does_not_fit_its_step_does() -> None:
    wide = plan_as_text(memory_plan("x.c", SMALL), width=100)
    assert "= sum_of_both over stem =" in wide[3]
    assert "- shrink -" in wide[3]
    entry = told(4000, ["with_quite_a_long_name", "b"], (0, 800, 0, 1, ["with_quite_a_long_name"]))
    narrow = plan_as_text(memory_plan("x.c", entry), width=60)
    assert "= 1 =" in narrow[1] and "- 1 -" in narrow[2]


def test_a_block_of_a_byte_is_seen_beside_large_ones() -> None:
    entry = told(100_000, ["a", "b"], (0, 50_000, 0, 0, ["a"]), (50_000, 1, 0, 1, ["a"]),
                 (50_001, 49_999, 0, 0, "scratch"))  # fmt: skip
    lines = plan_as_text(memory_plan("x.c", entry), width=60)
    assert lines[1].count("=") > 10
    assert lines[2].replace("-", "", 1).count("-") == 0 and "-" in lines[2]
    assert lines[1][lines[2].index("-")] == "="


def test_an_arena_of_nothing_is_drawn_too() -> None:
    plan = memory_plan("x.c", told(0, ["only"]))
    assert plan_as_text(plan, width=60)[1].split() == ["1.", "only", "0"]
    assert "only" in memory_svg_of(plan, title="x.c")


@pytest.mark.parametrize("most", [0, 1, 7, 132, 7656, 10_000, 25_616, 10**19])
def test_ticks_are_round_and_few(most: int) -> None:
    found = ticks(most, 6)
    assert found[0] == 0 and found[-1] <= most and len(found) <= 6
    steps = {b - a for a, b in pairwise(found)}
    assert len(steps) <= 1 and all(re.fullmatch("[125]0*", str(step)) for step in steps)
    assert len(found) >= min(most + 1, 2)


def boxes(root: Any) -> dict[int, tuple[float, float, float, float]]:
    """Of each block: left, top, right, bottom."""
    found = {}
    for group in root.iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        if str(group.get("id")).startswith("block-"):
            x, y, w, h = (float(rect.get(k)) for k in ("x", "y", "width", "height"))
            found[int(group.get("id")[6:])] = (x, y, x + w, y + h)
    return found


@pytest.mark.parametrize("seed", range(8))
def test_a_rectangle_stands_for_the_bytes_and_the_steps_of_its_block(seed: int) -> None:
    entry = random_plan(seed)
    root: Any = ElementTree.fromstring(memory_svg_of(memory_plan("x.c", entry), title="x.c"))
    drawn = boxes(root)
    (arena,) = (one for one in root.iter(f"{SVG}rect") if one.get("class") == "free")
    left, top, wide, high = (float(arena.get(k)) for k in ("x", "y", "width", "height"))
    assert len(drawn) == len(entry["blocks"])
    for k, block in enumerate(entry["blocks"]):
        x0, y0, x1, y1 = drawn[k]
        unit, row = wide / entry["arena_bytes"], high / len(entry["steps"])
        assert x0 == pytest.approx(left + block["offset"] * unit, abs=1.2)
        assert x1 == pytest.approx(left + (block["offset"] + block["bytes"]) * unit, abs=2.7)
        assert y0 == pytest.approx(top + block["first"] * row, abs=2)
        assert y1 == pytest.approx(top + (block["last"] + 1) * row, abs=2)
    _, _, width, height = map(float, root.get("viewBox").split())
    for text in root.iter(f"{SVG}text"):
        assert 0 <= float(text.get("x")) <= width and 0 <= float(text.get("y")) <= height
    assert float(root.get("width")[:-2]) <= 190 and float(root.get("height")[:-2]) <= 270


def test_a_label_behind_its_block_runs_into_no_other() -> None:
    outside = 0
    for seed in range(30):
        plan = memory_plan("x.c", random_plan(seed))
        root: Any = ElementTree.fromstring(memory_svg_of(plan, title="x.c"))
        drawn = boxes(root)
        for group in root.iter(f"{SVG}g"):
            name = str(group.get("id"))
            for text in group.iter(f"{SVG}text") if name.startswith("block-") else ():
                start, y = float(text.get("x")), float(text.get("y"))
                end = start + 5 * len(text.text)
                outside += start > drawn[int(name[6:])][2]
                for k, (x0, y0, x1, y1) in drawn.items():
                    if f"block-{k}" != name and y0 < y < y1:
                        assert end < x0 or x1 < start, f"{seed}: {text.text} over block {k}"
    assert outside > 20, "labels do stand outside"


def test_the_drawing_names_layers_bytes_and_what_is_written_in_place() -> None:
    root: Any = ElementTree.fromstring(memory_svg_of(memory_plan("x.c", SMALL), title="x.c"))
    group = next(one for one in root.iter(f"{SVG}g") if one.get("id") == "block-0")
    texts = [text.text for text in group.iter(f"{SVG}text")]
    assert texts == ["stem", "2,000 bytes", "sum_of_both", "over stem"]
    assert group.find(f"{SVG}title").text == "stem, sum_of_both: bytes 0 to 1,999, steps 1 to 3"
    stays = [float(rect.get("y")) for rect in group.iter(f"{SVG}rect")]
    steps = {t.get("id"): float(t.get("y")) for t in root.iter(f"{SVG}text") if t.get("id")}
    assert steps["step-1"] < stays[1] < steps["step-2"]
    everything = [text.text for text in root.iter(f"{SVG}text")]
    assert "what average does" in everything and "4,000" in everything
    assert any("scores: identity" in str(text) for text in everything)


def test_odd_names_are_safe_in_both_drawings() -> None:
    entry = told(64, ["<a>&\"'\x1b[31m\n"], (0, 64, 0, 0, ["<a>&\"'\x1b[31m\n"]))
    plan = memory_plan("x.c", entry)
    root: Any = ElementTree.fromstring(memory_svg_of(plan, title='<b>&"'))
    assert "<a>&\"'?[31m?" in [text.text for text in root.iter(f"{SVG}text")]
    assert all(line.isprintable() for line in plan_as_text(plan, width=80))


def test_a_plan_too_large_to_draw_is_refused() -> None:
    many = told(4, [f"layer_{k}" for k in range(1001)])
    with pytest.raises(EdgestitchError, match="1,001 steps"):
        memory_plan("x.c", many)
    blocks = [(0, 4, 0, 0, "scratch")] * 5001
    with pytest.raises(EdgestitchError, match="5,001 blocks"):
        memory_plan("x.c", told(4, ["a"], *blocks))


def test_the_same_plan_gives_the_same_drawing(tmp_path: Path) -> None:
    entry = random_plan(3)
    drawings = {memory_svg_of(memory_plan("x.c", entry), title="x.c") for _ in range(2)}
    assert len(drawings) == 1
