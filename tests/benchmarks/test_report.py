"""The same report as JSON, Markdown, HTML and terminal text."""

from __future__ import annotations

import errno
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from edgestitch_benchmarks import pictures
from edgestitch_benchmarks.report import Report
from edgestitch_benchmarks.table import COLUMNS, as_text, microseconds, p_value
from edgestitch_benchmarks.writer import as_html, as_json, as_markdown, write_report
from edgestitch_runtime import writing
from edgestitch_runtime.distance import Distance
from edgestitch_runtime.errors import EdgestitchError

DESIGN_ROW = {
    "artifact", "sha256", "format", "precision", "engine", "status", "reason", "bytes",
    "accuracy", "n", "drop_pp", "drop_interval_pp", "flips_lost", "flips_won", "mcnemar_p",
    "latency_us", "images_per_s", "cold_start_ms", "peak_rss_mb",
}  # fmt: skip
MORE_IN_ROW = {
    "engine_version", "python_version", "numpy_version", "changed", "bare_latency_us", "distance",
}  # fmt: skip
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """What a test asks of a page: tags in balance, the table's cells, attributes, text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.table: list[list[str]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.table.append([])
        if tag in ("td", "th"):
            self.table[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.table[-1][-1] += data


def test_json_has_the_keys_that_design_names_and_the_few_more_that_are_listed(
    report: Report,
) -> None:
    told = json.loads(as_json(report))
    assert list(told)[:1] == ["schema"]
    assert set(told) == {
        "schema", "run", "machine", "versions", "command", "quick", "timed", "rows", "targets",
    }  # fmt: skip
    for row in told["rows"]:
        assert set(row) == DESIGN_ROW | MORE_IN_ROW
        if row["latency_us"] is not None:
            assert set(row["latency_us"]) == {"p50", "p90", "p99", "runs"}
    assert told["run"]["title"] == report.run.title


def test_markdown_and_html_have_the_same_cells_as_json(report: Report) -> None:
    markdown = [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in as_markdown(report).splitlines()
        if line.startswith("| ")
    ]
    table = markdown[: len(report.rows) + 2]
    page = Page(as_html(report)).table
    assert [table[0], *table[2:]] == page
    headings = table[0]
    for cells, row in zip(page[1:], json.loads(as_json(report))["rows"], strict=True):
        told = dict(zip(headings, cells, strict=True))
        assert told["artifact"] == row["artifact"] and told["engine"] == row["engine"]
        if row["status"] != "ok":
            assert told["accuracy %"] == row["status"]
            continue
        assert float(told["accuracy %"]) == round(100 * row["accuracy"], 2)
        assert float(told["kB"].replace(",", "")) == round(row["bytes"] / 1000, 1)
        p50 = row["latency_us"]["p50"]
        assert float(told["p50 us"].replace(",", "")) == pytest.approx(p50, rel=0.005)
        if row["drop_pp"] is not None:
            low, high = row["drop_interval_pp"]
            assert told["drop pp [95 %]"] == f"{row['drop_pp']:.2f} [{low:.2f}, {high:.2f}]"
            assert told["lost/won"] == f"{row['flips_lost']}/{row['flips_won']}"
        far = row["distance"]
        assert told["distance (equal/step/flips)"] == ("-" if far is None else "9,871/2/3")
    assert sum("9,871/2/3" in cells for cells in page[1:]) == 1


def test_the_page_is_well_formed_and_asks_the_network_for_nothing(report: Report) -> None:
    html = as_html(report)
    page = Page(html)
    assert page.open == []
    assert not re.search(r"https?:|//[a-z]|url\((?!#)|@import", html)
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "img", "iframe")
        assert (attributes.get("href") or "#").startswith("#")
        assert "src" not in attributes


def test_the_page_refers_only_to_ids_it_has_and_each_id_is_there_once(report: Report) -> None:
    html = as_html(report)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    referred = set(re.findall(r'href="#([^"]+)"', html)) | set(re.findall(r"url\(#([^)]+)\)", html))
    assert referred <= set(ids)


def test_every_colour_of_the_pictures_is_a_variable_that_both_themes_define(
    report: Report,
) -> None:
    html = as_html(report)
    light, dark = re.findall(r":root \{(.*?)\}", html, flags=re.DOTALL)
    used = set(re.findall(r"var\((--[a-z0-9-]+)\)", html))
    assert used <= set(re.findall(r"(--[a-z0-9-]+):", light))
    assert set(re.findall(r"(--[a-z0-9-]+):", light)) == set(re.findall(r"(--[a-z0-9-]+):", dark))
    drawn = "".join(re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL))
    assert drawn and not re.search(r"#[0-9a-f]{6}\b", drawn)


def test_words_from_outside_are_escaped(report: Report) -> None:
    html = as_html(replace(report, command="bench '<script>x</script>'"))
    assert "<script>" not in html and "<b>operator</b>" not in html
    assert "<b>operator</b> too new | sorry" in Page(html).text


def test_the_title_with_its_words_about_a_sample_stands_everywhere(report: Report) -> None:
    for text in (as_markdown(report), Page(as_html(report)).text, as_text(report, width=200)):
        assert report.run.title in text and "quick" in text


def test_every_form_names_machine_versions_command_hashes_and_reasons(report: Report) -> None:
    for text in (as_markdown(report), Page(as_html(report)).text):
        for wanted in (report.machine_line, report.command, "2.3.0", *report.timed):
            assert wanted in text
        for row in report.rows:
            assert (row.sha256 or "") in text and (row.reason or "") in text


def test_what_is_timed_stands_above_the_table(report: Report) -> None:
    text = as_text(report, width=100)
    assert text.index("What is not timed.") < text.index("float32.tflite")


@pytest.mark.parametrize("width", [300, 100, 60, 40, 20])
def test_text_fits_its_terminal_and_loses_no_number(report: Report, width: int) -> None:
    text = as_text(report, width=width)
    if width >= 40:
        assert max(map(len, text.splitlines())) <= width
    shown = text.replace("\n", " ")
    for row in report.rows:
        for column in COLUMNS[2:]:
            assert column.cell(row) in shown


def test_a_hundred_columns_hold_the_table(report: Report) -> None:
    lines = as_text(report, width=100).splitlines()
    assert sum(line.startswith("int8.tflite") for line in lines) == 4  # two rows in two tables


def test_a_hundred_columns_hold_wide_values_too(report: Report) -> None:
    wide = replace(
        report.rows[4],
        drop_pp=-10.22,
        drop_interval_pp=(-10.51, -10.11),
        distance=Distance(n=10_000, rows_equal=2131, largest_step=126, flips=1132),
    )
    lines = as_text(replace(report, rows=(*report.rows, wide)), width=100).splitlines()
    assert sum(line.startswith("int8.tflite") for line in lines) == 9  # three rows in three tables


def test_microseconds_keep_three_digits() -> None:
    assert [microseconds(v) for v in (3.9164, 13.52, 97.96, 1234.5, 97201.5)] == [
        "3.92",
        "13.5",
        "98.0",
        "1,234",
        "97,202",
    ]


def test_the_same_report_gives_the_same_bytes(report: Report) -> None:
    assert as_html(report) == as_html(report)


def test_no_name_in_the_picture_covers_another(report: Report) -> None:
    drawn = pictures.accuracy_against_latency(report)
    assert drawn is not None
    boxes = []
    for style, x, y, text in re.findall(
        r'<text style="([^"]*)" x="([\d.-]+)" y="([\d.-]+)"[^>]*>([^<]*)</text>', drawn
    ):
        if not re.search(r"litert|runtime|keras", text):
            continue
        width = 0.6 * 8 * len(text)
        left = float(x) - (width if "end" in style else 0)
        boxes.append((left, float(y), left + width, float(y) + 8))
    assert len(boxes) == 7
    for k, (left, top, right, bottom) in enumerate(boxes):
        for other_left, other_top, other_right, other_bottom in boxes[:k]:
            apart = right <= other_left or other_right <= left
            assert apart or bottom <= other_top or other_bottom <= top
    page_width = float(re.findall(r'viewBox="0 0 ([\d.]+)', drawn)[0])
    assert all(left >= 0 and right <= page_width for left, _, right, _ in boxes)


def test_a_report_without_a_measured_row_still_has_its_page(report: Report) -> None:
    broken = replace(report, rows=report.rows[-1:])
    assert Page(as_html(broken)).open == []


def test_a_second_report_is_refused_unless_overwriting(report: Report, tmp_path: Path) -> None:
    written = write_report(report, tmp_path / "bench")
    assert [path.name for path in written] == ["report.json", "report.md", "report.html"]
    write_report(report, tmp_path / "bench")  # the same bytes: unchanged
    other = replace(report, command="another")
    with pytest.raises(EdgestitchError, match="exists"):
        write_report(other, tmp_path / "bench")
    assert json.loads(written[0].read_text("utf-8"))["command"] == report.command
    write_report(other, tmp_path / "bench", overwrite=True)
    assert json.loads(written[0].read_text("utf-8"))["command"] == "another"


def test_a_full_disk_leaves_nothing_half_written(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing.os, "fsync", full)
    with pytest.raises(EdgestitchError, match="no space"):
        write_report(report, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_p_value_too_small_for_digits_is_not_called_zero() -> None:
    assert [p_value(p) for p in (1.0, 0.0807, 3.1e-7, 4e-200, 0.0)] == [
        "1",
        "0.0807",
        "3.1e-07",
        "< 1e-12",
        "< 1e-12",
    ]


def test_a_file_that_could_not_be_read_has_a_row_without_size_and_hash(report: Report) -> None:
    last = replace(report.rows[-1], artifact="x.tflite", bytes=None, sha256=None)
    other = replace(report, rows=(*report.rows[:-1], last))
    told = json.loads(as_json(other))["rows"][-1]
    assert told["bytes"] is None and told["sha256"] is None
    page = Page(as_html(other))
    assert page.open == [] and page.table[-1][:3] == ["x.tflite", "onnxruntime", "-"]
    assert "x.tflite" in as_markdown(other) and "x.tflite" in as_text(other, width=100)
