"""report.html as text: what stands in it, that it is well formed, small, and asks for nothing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from edgestitch_benchmarks import page
from edgestitch_benchmarks.draw_front import front_of
from edgestitch_benchmarks.draw_strips import draw_cold_start
from edgestitch_benchmarks.page import MOST_BYTES, as_html, full_names
from edgestitch_benchmarks.report import Report
from made_reports import HOSTILE, hostile, made_report, of_two_runs, without_numbers

VOID = {"meta", "br", "hr", "img", "link", "input"}
RAW = {"script", "style"}


class Page(HTMLParser):
    """What a test asks of a page: tags in balance, attributes, tables by id, text, scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.headings: list[int] = []
        self.text, self.scripts = "", []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "script":
            self.scripts.append("")
        if tag == "table":
            self.rows: list[list[str]] = []
            self.tables[given.get("id") or f"{len(self.tables)}"] = self.rows
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.open and self.open[-1] != "style":
            self.text += data
            if {"td", "th"} & set(self.open):
                self.rows[-1][-1] += data.strip()


@pytest.fixture(scope="module")
def report(mini_run: Path, mini_test: tuple[np.ndarray, np.ndarray]) -> Report:
    return made_report(mini_run, *mini_test)


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return as_html(report)


def test_the_page_is_well_formed_and_loads_nothing_from_anywhere(html: str) -> None:
    told = Page(html)
    assert told.open == []
    for tag, attributes in told.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/"))
    style = "".join(re.findall("<style>(.*?)</style>", html, flags=re.DOTALL))
    assert style and not re.search(r"url\(|@import", style)
    assert "default-src 'none'" in html


def test_the_page_is_at_most_three_megabytes_and_its_library_is_there_once(html: str) -> None:
    assert len(html.encode()) < MOST_BYTES == 3_000_000
    assert sum(len(script) > 500_000 for script in Page(html).scripts) == 1


def test_the_page_begins_with_the_answer_and_then_the_caveats(report: Report, html: str) -> None:
    text = " ".join(Page(html).text.split())
    places = [text.index(words) for words in (report.answer, *report.caveats, "Worth taking")]
    assert places == sorted(places)
    for one in report.recommended:
        assert one.row in text and one.reason in text


def test_headings_are_in_order_and_ids_are_unique_and_there(html: str) -> None:
    told = Page(html)
    assert told.headings[0] == 1 and told.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(told.headings, told.headings[1:], strict=False))
    ids = [given["id"] for _, given in told.tags if given.get("id")]
    assert len(ids) == len(set(ids))
    referred = {
        value.removeprefix("#")
        for _, given in told.tags
        for name in ("href", "aria-labelledby", "for")
        if (value := given.get(name)) and not value.startswith("data:")
    }
    assert referred <= set(ids)


def test_every_figure_is_an_image_in_words_that_names_a_table_with_its_numbers(html: str) -> None:
    told = Page(html)
    figures = [given for _, given in told.tags if given.get("class") == "drawn needs-script"]
    assert [given["id"] for given in figures] == [
        "front", "latency", "cold-start", "sizes", "throughput", "reliability",
    ]  # fmt: skip
    captions = {
        "Every row",
        "Latency of the whole call, in us",
        "From start to first answer, in ms",
        "Bytes of each file by part, in kB",
        "Images a second",
        "The numbers of the reliability curves",
    }
    for given in figures:
        assert given["role"] == "img"
        (named,) = re.findall("“(.*)”", given["aria-label"] or "")
        captions.remove(named)
        assert named in told.text
    assert not captions


def test_the_table_has_the_numbers_of_the_report(report: Report, html: str) -> None:
    headings, *rows = Page(html).tables["every-row"]
    for cells, row in zip(rows, report.rows, strict=True):
        told = dict(zip(headings, cells, strict=True))
        assert (told["artifact"], told["engine"]) == (row.artifact, row.engine)
        assert told["sha256"] == (row.sha256 or "")[:10]
        if row.latency_us is None or row.accuracy is None:
            assert told["accuracy % [95 %]"] == "failed" and told["p50 us"] == "-"
            continue
        assert float(told["p50 us"].replace(",", "")) == pytest.approx(
            row.latency_us.p50, rel=0.005
        )
        assert told["accuracy % [95 %]"].startswith(f"{100 * row.accuracy:.2f} [")
        assert told["self-test"] == (row.selftest or "-")
        assert float(told["images/s, 256 a call"].replace(",", "")) == pytest.approx(
            256**0.2 * 1e6 / row.latency_us.p50, abs=0.5
        )
    by_engine = {(cells[0], cells[1]): cells for cells in rows}
    verdict = by_engine["mlp-int8.tflite", "litert"][headings.index("against float32 [95 %]")]
    assert re.fullmatch(r"2\.00 x as fast \[1\.9\d, 2\.0\d\] faster", verdict)


def test_whole_hashes_stand_in_the_page(report: Report, html: str) -> None:
    told = Page(html)
    titles = {given.get("title") for _, given in told.tags}
    for row in report.rows:
        assert row.sha256 in titles and (row.sha256 or "?") in told.text


def test_confusion_matrices_are_those_that_numpy_counts(
    report: Report, html: str, mini_test: tuple[np.ndarray, np.ndarray]
) -> None:
    """Of the artifact, whose rows are the true classes; the difference has what float has not."""
    labels = mini_test[1]
    row = next(r for r in report.rows if r.name == "mlp-int8.tflite on litert")
    assert row.details is not None
    block = re.findall('data-choice="[^"]*" open>(.*?)</details>', html, flags=re.DOTALL)[0]
    tables = list(Page(f"<main>{block}</main>").tables.values())
    numbers = [np.array([[int(c) for c in r[1:]] for r in table[1:]]) for table in tables]
    of_float, own, difference = numbers
    assert own.sum(axis=1).tolist() == np.bincount(labels, minlength=10).tolist()
    assert own.trace() == round((row.accuracy or 0) * 1000)
    assert (own - of_float == difference).all() and (own == row.details.confusion).all()
    net = difference.clip(min=0).sum()
    assert net > 1 and f"Counts differ by {net} images net." in html


def test_flips_are_pictured_once_each_with_both_answers(report: Report, html: str) -> None:
    row = next(r for r in report.rows if r.name == "mlp-int8.tflite on litert")
    assert row.details is not None and row.details.flips
    flip = row.details.flips[0]
    text = " ".join(Page(html).text.split())
    assert f"float: class {flip.float_answer}, {100 * flip.float_probability:.1f} %" in text
    assert f"artifact: class {flip.answer}, {100 * flip.probability:.1f} %" in text
    assert f"{row.flips_lost} lost" in text and f"{row.flips_won} won" in text
    shown = {f.image for r in report.rows if r.details for f in r.details.flips}
    symbols = re.findall('<symbol id="image-(\\d+)"', html)
    assert sorted(map(int, symbols)) == sorted(shown)


def test_the_front_is_what_no_row_beats_in_both(report: Report) -> None:
    rows = [(r.latency_us.p50, r.accuracy) for r in report.rows if r.latency_us and r.accuracy]
    expected = {
        (p50, accuracy)
        for p50, accuracy in rows
        if not any(p <= p50 and a >= accuracy and (p, a) != (p50, accuracy) for p, a in rows)
    }
    best = max(
        report.rows, key=lambda r: (r.accuracy or 0, -r.latency_us.p50 if r.latency_us else 0)
    )
    beaten = replace(best, engine="broken", selftest="differs", accuracy=1.0)
    found = front_of([*report.rows, beaten])
    assert {(r.latency_us.p50, r.accuracy) for r in found if r.latency_us} == expected


def test_the_same_report_gives_the_same_bytes(report: Report, html: str) -> None:
    as_html(of_two_runs(report))  # draws figures in between
    assert as_html(report) == html


def test_hostile_text_is_text_everywhere(report: Report) -> None:
    html = as_html(hostile(report))
    told = Page(html)
    assert told.open == []
    assert {tag for tag, _ in told.tags if tag == "script"} == {"script"}
    assert len(told.scripts) == len(Page(as_html(report)).scripts)
    assert "<script>" not in html and "onerror" not in {name for _, g in told.tags for name in g}
    assert HOSTILE in told.text
    for given in (g for t, g in told.tags if t == "script" and g.get("type")):
        assert given["type"] == "application/json"
    data = [script for script in told.scripts if script.startswith("{")]
    assert len(data) == 7 and all(isinstance(json.loads(script), dict) for script in data)


@pytest.mark.parametrize("kept", ["float", "nothing", "no details"])
def test_a_report_of_little_still_has_its_page(report: Report, kept: str) -> None:
    rows = {
        "float": report.rows[:1],
        "nothing": tuple(without_numbers(row, reason="it broke") for row in report.rows),
        "no details": tuple(replace(row, details=None, parts=None) for row in report.rows),
    }[kept]
    bare = replace(
        report, rows=rows, targets=(), graphs={}, pictures={}, caveats=(), recommended=()
    )
    told = Page(as_html(bare))
    assert told.open == [] and "every-row" in told.tables
    assert ("it broke" in told.text) == (kept == "nothing")
    drawn = {given["id"] for _, given in told.tags if given.get("role") == "img" and "id" in given}
    assert ("front" in drawn) == (kept != "nothing")


def test_keras_is_said_to_be_in_the_table_alone_where_it_is(report: Report) -> None:
    said = "has its numbers in the table"
    cold = draw_cold_start(report.rows, full_names(report))
    assert cold is not None and said in cold.caption
    rows = [replace(r, cold_start=None) if r.format == "keras" else r for r in report.rows]
    cold = draw_cold_start(rows, full_names(report))
    assert cold is not None and said not in cold.caption


def test_several_runs_are_named_and_can_be_filtered(report: Report) -> None:
    both = of_two_runs(report)
    html = as_html(both)
    told = Page(html)
    assert len(full_names(both)) == len(set(full_names(both)))
    runs = [given["data-run"] for _, given in told.tags if "data-run" in given]
    assert runs == ["mlp"] * len(report.rows) + ["dscnn"] * len(report.rows)
    headings, *rows = told.tables["every-row"]
    assert [cells[headings.index("run")] for cells in rows] == runs
    assert {"mlp: mlp-int8.tflite", "dscnn: mlp-int8.tflite"}.isdisjoint(told.text)
    assert "dscnn/mlp-int8.tflite on litert" in told.text


def test_a_name_that_does_not_say_its_run_gets_it(report: Report) -> None:
    rows = tuple(replace(row, run=run) for run in ("mlp", "other") for row in report.rows[2:3])
    two = replace(report, rows=rows, runs=(report.run, replace(report.run, name="other")))
    assert full_names(two) == [
        "mlp-float32.tflite on litert",
        "other: mlp-float32.tflite on litert",
    ]


def test_a_page_too_large_leaves_answers_out_and_says_so(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = len(as_html(report).encode())
    monkeypatch.setattr(page, "MOST_BYTES", whole - 1)
    told = Page(as_html(report))
    assert "Left out, since the page would be larger than" in told.text and told.open == []
    assert "every-row" in told.tables


def test_many_classes_have_a_list_of_mistakes(report: Report) -> None:
    row = report.rows[5]
    assert row.details is not None
    side = 40
    counts = [[0] * side for _ in range(side)]
    counts[3][7], counts[5][5] = 21, 400
    details = replace(row.details, confusion=tuple(map(tuple, counts)), classes=(), flips=())
    rows = (*report.rows[2:5], replace(row, details=details))
    labels = tuple(f"letter {k}" for k in range(side))
    told = Page(as_html(replace(report, labels=labels, rows=rows[-1:], pictures={})))
    (key,) = (key for key in told.tables if key.startswith("mistakes-"))
    assert told.tables[key][1:] == [["letter 3", "letter 7", "-", "21", "-"]]
