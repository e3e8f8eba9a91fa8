"""The drawn graph, parsed as XML, against the schema's own reader."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from branched_model import converted
from edgestitch_runtime import EdgestitchError, inspect_artifact
from edgestitch_runtime.cli import main
from edgestitch_runtime.graph_lanes import Box, Edge
from edgestitch_runtime.graph_layout import layout_of
from tflite_builder import Op, Spec, build

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def branched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drawn") / "branched.tflite"
    path.write_bytes(converted("float32"))
    return path


def drawn(path: Path) -> Any:
    return ElementTree.fromstring(inspect_artifact(path).svg())


def boxes_in(root: Any) -> dict[str, tuple[float, float, float, float]]:
    """Of each box by its id: left, top, right, bottom."""
    found = {}
    for group in root.iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        x, y, w, h = (float(rect.get(k)) for k in ("x", "y", "width", "height"))
        found[group.get("id")] = (x, y, x + w, y + h)
    return found


def expected_edges(path: Path) -> set[tuple[str, str, str]]:
    model: Any = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph = model.subgraphs[0]
    giver = {int(k): f"input-{place}" for place, k in enumerate(graph.inputs)}
    for place, op in enumerate(graph.operators):
        giver |= {int(k): f"operator-{place}" for k in op.outputs}
    found = {
        (giver[int(k)], f"operator-{place}", str(k))
        for place, op in enumerate(graph.operators)
        for k in op.inputs
        if int(k) in giver
    }
    return found | {
        (giver[int(k)], f"output-{place}", str(k)) for place, k in enumerate(graph.outputs)
    }


@pytest.mark.parametrize("which", ["branched", "float16", "int8"])
def test_every_operator_is_drawn_once_and_every_edge_with_its_tensor(
    which: str, branched: Path, mini_run: Path
) -> None:
    path = branched if which == "branched" else mini_run / "export" / f"mlp-{which}.tflite"
    facts = inspect_artifact(path).facts
    assert facts is not None
    root = drawn(path)
    groups = [g for g in root.iter(f"{SVG}g") if g.get("class") == "operator"]
    assert [(g.get("id"), g.get("data-operator")) for g in groups] == [
        (f"operator-{layer.index}", layer.operator) for layer in facts.layers
    ]
    paths = [p for p in root.iter(f"{SVG}path") if p.get("class") == "edge"]
    edges = [(p.get("data-from"), p.get("data-to"), p.get("data-tensor")) for p in paths]
    assert len(edges) == len(set(edges))
    assert set(edges) == expected_edges(path)


def test_edges_carry_shapes_and_dtypes_and_boxes_their_parameters(branched: Path) -> None:
    root = drawn(branched)
    labels = [t.text for t in root.iter(f"{SVG}text") if t.get("class") == "tensor"]
    model: Any = schema.ModelT.InitFromPackedBuf(branched.read_bytes(), 0)
    tensors = model.subgraphs[0].tensors
    dtypes = {schema.TensorType.FLOAT32: "float32", schema.TensorType.INT32: "int32"}
    expected = []
    for _, _, k in expected_edges(branched):
        shape = [1] if tensors[int(k)].shape is None else tensors[int(k)].shape
        expected.append(f"{'×'.join(map(str, shape)) or '1'} {dtypes[tensors[int(k)].type]}")
    assert sorted(labels) == sorted(expected)
    lines = [t.text for t in root.iter(f"{SVG}text") if t.get("class") == "line"]
    assert "3×3, valid, relu" in lines and "80 parameters, 5,760 MACs" in lines
    assert {"stem_1", "two_b_1", "scores_1"} <= set(lines)


def test_branches_stand_side_by_side_and_boxes_apart(branched: Path) -> None:
    root = drawn(branched)
    boxes = boxes_in(root)
    for name, one in boxes.items():
        for other, two in boxes.items():
            apart = one[2] <= two[0] or two[2] <= one[0] or one[3] <= two[1] or two[3] <= one[1]
            assert name == other or apart, (name, other)
    facts = inspect_artifact(branched).facts
    assert facts is not None
    heads = [f"operator-{x.index}" for x in facts.layers if x.layer in ("one_1", "two_a_1")]
    assert len({boxes[head][1] for head in heads}) == 1  # one row
    assert len({boxes[head][0] for head in heads}) == 2  # two lanes


def test_the_drawing_stands_alone_on_white_and_fits_a_page(branched: Path) -> None:
    text = inspect_artifact(branched).svg()
    assert text == inspect_artifact(branched).svg()
    root = ElementTree.fromstring(text)
    for word in ("http:", "https:", "href", "@import", "url(", "<script", "<image"):
        allowed = {"http:": 1, "url(": text.count("url(#tip)")}.get(word, 0)
        assert text.count(word) == allowed, word
    ground = root.find(f"{SVG}rect")
    assert ground is not None and ground.get("fill") == "#fff"
    sides = sorted(float(str(root.get(k)).removesuffix("mm")) for k in ("width", "height"))
    assert sides[0] <= 190.1 and sides[1] <= 277.1


def test_svg_writes_the_file_whole_and_replaces_another_only_with_force(
    branched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "drawings" / "graph.svg"
    words = ["inspect", str(branched), "--svg", str(target)]
    assert main(words) == 0
    assert "written" in capsys.readouterr().err
    assert target.read_text(encoding="utf-8") == inspect_artifact(branched).svg()
    assert main(words) == 0
    assert "unchanged" in capsys.readouterr().err
    target.write_text("mine")
    assert main(words) == 2
    assert "hint: --force" in capsys.readouterr().err
    assert target.read_text() == "mine"
    assert main([*words, "--force"]) == 0
    assert "mine" not in target.read_text(encoding="utf-8")
    assert [p.name for p in target.parent.iterdir()] == ["graph.svg"]


def test_names_from_a_file_cannot_break_the_drawing(tmp_path: Path) -> None:
    nasty = "<&\x1b[31m\"'\u2028;" + "x" * 300
    content = build(
        [Op(name="RELU", inputs=(0,), outputs=(1,))],
        [
            Spec(shape=(1, 4, 6), dtype="float32", name=nasty),
            Spec(shape=(1, 4, 6), dtype="float32", name=nasty),
        ],
    )
    path = tmp_path / "nasty.tflite"
    path.write_bytes(content)
    root = drawn(path)
    assert len(boxes_in(root)) == 3
    texts = "".join(t.text or "" for t in root.iter(f"{SVG}text"))
    assert "\x1b" not in texts and "<&" in texts


def test_too_large_a_graph_is_refused(tmp_path: Path) -> None:
    tensors = [Spec(shape=(1, 2), dtype="float32") for _ in range(1001)]
    path = tmp_path / "long.tflite"
    path.write_bytes(
        build([Op(name="RELU", inputs=(k,), outputs=(k + 1,)) for k in range(1000)], tensors)
    )
    found = inspect_artifact(path)
    assert found.facts is not None and len(found.facts.layers) == 1000
    with pytest.raises(EdgestitchError, match="1,000 operators"):
        found.svg()


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Box], list[Edge]]:
    """Any graph whose edges lead to later boxes, some of them from constants."""
    count = draw(st.integers(2, 40))
    generator = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    reach = int(generator.choice([1, 2, 5, 20]))
    constant = [k > 0 and generator.random() < 0.15 for k in range(count)]
    edges = []
    for k in range(1, count):
        before = [j for j in range(max(0, k - reach), k) if constant[j] or not constant[k]]
        chosen = generator.permutation(before)[: int(generator.choice([1, 1, 1, 2, 3]))]
        edges += [Edge(source=int(j), target=k, tensor=int(j)) for j in chosen]
    for edge in edges:  # what hangs on anything else than constants is no constant
        constant[edge.target] &= constant[edge.source]
    heights = generator.choice([34.0, 46.0, 59.0], count)
    boxes = [
        Box(width=212.0, height=float(h), constant=bool(c))
        for h, c in zip(heights, constant, strict=True)
    ]
    return boxes, edges


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_in_any_graph_no_box_covers_another_and_no_edge_passes_through_one(
    graph: tuple[list[Box], list[Edge]],
) -> None:
    boxes, edges = graph
    found = layout_of(boxes, edges, header=46)
    rects = [
        (x, y, x + box.width, y + box.height)
        for (x, y), box in zip(found.corners, boxes, strict=True)
    ]

    def meet(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
        return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]

    for k, one in enumerate(rects):
        assert one[0] >= 0 and one[2] <= found.width and one[3] <= found.height
        assert not any(meet(one, other) for other in rects[:k])
    for edge, route in zip(edges, found.routes, strict=True):
        assert rects[edge.source][1] <= route.corners[0][1] <= rects[edge.source][3]
        assert rects[edge.target][1] <= route.corners[-1][1] <= rects[edge.target][3]
        for a, b in zip(route.corners, route.corners[1:], strict=False):
            line = (min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1]))
            thick = (line[0] - 0.1, line[1] - 0.1, line[2] + 0.1, line[3] + 0.1)
            inner = [(r[0] + 1, r[1] + 1, r[2] - 1, r[3] - 1) for r in rects]
            assert not any(meet(thick, r) for r in inner), (edge, re.sub(" ", "", str(line)))
