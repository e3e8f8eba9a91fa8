"""The same report as JSON, Markdown and terminal text; its files are whole or not there."""

from __future__ import annotations

import errno
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgestitch_benchmarks.columns import microseconds, p_value, verdict
from edgestitch_benchmarks.report import Against, Report, Row
from edgestitch_benchmarks.table import TEXT_COLUMNS, as_text
from edgestitch_benchmarks.writer import as_html, as_json, as_markdown, write_report
from edgestitch_runtime import writing
from edgestitch_runtime.distance import Distance
from edgestitch_runtime.errors import EdgestitchError
from made_reports import HOSTILE, hostile, made_report, of_two_runs

DESIGN_ROW = {
    "artifact", "sha256", "format", "precision", "engine", "status", "reason", "bytes",
    "accuracy", "n", "drop_pp", "drop_interval_pp", "flips_lost", "flips_won", "mcnemar_p",
    "latency_us", "images_per_s", "cold_start_ms", "peak_rss_mb",
}  # fmt: skip
MORE_IN_ROW = {
    "run", "machine", "threads", "engine_version", "python_version", "numpy_version", "selftest",
    "bare_latency_us", "throughput", "cold_start", "memory_mb", "changed", "distance", "against",
    "parts", "details",
}  # fmt: skip
LATENCY = {"p50", "p90", "p99", "mean", "runs", "quantiles", "block_p50", "repeat_p50"}


@pytest.fixture(scope="module")
def report(mini_run: Path, mini_test: tuple[np.ndarray, np.ndarray]) -> Report:
    return made_report(mini_run, *mini_test, quick=True)


@pytest.fixture
def small(report: Report) -> Report:
    """Little to draw: for what writes its files again and again."""
    row = replace(report.rows[-1], parts=None)
    return replace(report, rows=(row,), graphs={}, pictures={}, targets=())


def cells_of(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def tables_of(markdown: str) -> list[list[dict[str, str]]]:
    """The rows of each table by their headings."""
    tables, last = [], ""
    for line in markdown.splitlines():
        if line.startswith("| "):
            if not last.startswith("|"):
                tables.append([])
            tables[-1].append(cells_of(line))
        last = line
    return [
        [dict(zip(table[0], row, strict=True)) for row in table[2:]] for table in tables if table
    ]


def test_json_has_the_keys_that_design_names_and_the_few_more_that_are_listed(
    report: Report,
) -> None:
    told = json.loads(as_json(report))
    assert list(told)[:2] == ["schema", "kind"] and (told["schema"], told["kind"]) == (2, "report")
    assert set(told) == {
        "schema", "kind", "run", "runs", "labels", "machine", "versions", "command", "quick",
        "caveats", "not_measured", "timed", "answer", "recommended", "rows", "targets", "added",
    }  # fmt: skip
    for row in told["rows"]:
        assert set(row) == DESIGN_ROW | MORE_IN_ROW
        if row["latency_us"] is not None:
            assert set(row["latency_us"]) == LATENCY
    assert told["run"]["title"] == report.run.title and told["answer"] == report.answer


def test_markdown_has_the_same_numbers_as_json(report: Report) -> None:
    deciding, other = tables_of(as_markdown(report))[:2]
    rows = json.loads(as_json(report))["rows"]
    for told, more, row in zip(deciding, other, rows, strict=True):
        assert told["artifact"] == more["artifact"] == row["artifact"]
        assert told["engine"] == more["engine"] == row["engine"]
        if row["status"] != "ok":
            assert told["accuracy %"] == row["status"] and more["runs"] == "-"
            continue
        assert float(told["accuracy %"]) == round(100 * row["accuracy"], 2)
        assert float(told["kB"].replace(",", "")) == round(row["bytes"] / 1000, 1)
        p50 = row["latency_us"]["p50"]
        assert float(told["p50 us"].replace(",", "")) == pytest.approx(p50, rel=0.005)
        if row["drop_pp"] is not None:
            low, high = row["drop_interval_pp"]
            assert told["drop pp [95 %]"] == f"{row['drop_pp']:.2f} [{low:.2f}, {high:.2f}]"
            assert more["lost/won"] == f"{row['flips_lost']}/{row['flips_won']}"
        far = row["distance"]
        assert more["distance (equal/step/flips)"] == ("-" if far is None else "987/2/3")
        against = row["against"]
        if against:
            words = told["against float32 [95 %]"]
            slow = against["verdict"] == "slower"
            assert words.endswith(f"] {against['verdict']}")
            assert f" x as {'slow' if slow else 'fast'} [" in words
            ratio = against["value"] if slow else 1 / against["value"]
            assert float(words.split()[0].replace(",", "")) == pytest.approx(ratio, rel=0.01)
        assert more["self-test"] == (row["selftest"] or "-")
    assert sum(more["distance (equal/step/flips)"] == "987/2/3" for more in other) == 1


def test_a_pull_request_gets_tables_that_it_can_show(report: Report) -> None:
    first, second = tables_of(as_markdown(report))[:2]
    assert len(first[0]) <= 8 and len(second[0]) <= 16


def test_every_form_begins_with_the_answer_and_has_caveats_and_recommendations(
    report: Report,
) -> None:
    assert as_text(report, width=300).startswith(report.answer)
    for text in (as_markdown(report), as_text(report, width=10_000)):
        assert text.index(report.answer) < text.index("mlp-int8.tflite on litert")
        for one in report.recommended:
            assert f"{one.kind}: {one.row} ({one.reason})" in text
        for caveat in report.caveats:
            assert caveat in text
    told = as_text(report, width=100).rstrip().splitlines()
    assert told[-1] == f"caveat: {report.caveats[-1]}"


def test_the_title_with_its_words_about_a_sample_stands_everywhere(report: Report) -> None:
    for text in (as_markdown(report), as_html(report), as_text(report, width=200)):
        assert report.run.title in text and "quick" in text


def test_every_form_names_machine_versions_command_hashes_and_reasons(report: Report) -> None:
    markdown = as_markdown(report)
    for wanted in (report.machine_line, report.command, "2.3.0", *report.timed, "Energy and heat"):
        assert wanted in markdown
    for row in report.rows:
        assert (row.sha256 or "") in markdown
    assert "\\<b>bad\\</b> operator \\| sorry" in markdown
    assert "<b>bad</b> operator | sorry" in as_text(report, width=200)


def test_hostile_text_stays_text_in_markdown(report: Report) -> None:
    markdown = as_markdown(hostile(report))
    assert not re.search(r"(?<!\\)<", markdown)
    for table in tables_of(markdown)[:2]:
        assert table[2]["artifact"].replace("\\", "") == f"{HOSTILE}mlp-float32.tflite"


def test_what_is_timed_stands_above_the_table(report: Report) -> None:
    text = as_text(report, width=100)
    assert text.index("What is not timed.") < text.index("float32.tflite  litert")


@pytest.mark.parametrize("width", [300, 200, 120, 100, 80, 60, 40, 20])
def test_text_fits_its_terminal_and_loses_no_number(report: Report, width: int) -> None:
    text = as_text(report, width=width)
    if width >= 40:
        assert max(map(len, text.splitlines())) <= width
    shown = " ".join(text.split())
    for row in report.rows:
        for column in TEXT_COLUMNS[2:]:
            assert " ".join(column.cell(row).split()) in shown


def test_a_hundred_columns_hold_the_table(report: Report) -> None:
    lines = as_text(report, width=100).splitlines()
    assert sum(line.startswith("int8.tflite") for line in lines) == 6  # two rows in three tables


def test_a_hundred_columns_hold_wide_values_too(report: Report) -> None:
    wide = replace(
        report.rows[5],
        drop_pp=-10.22,
        drop_interval_pp=(-10.51, -10.11),
        distance=Distance(n=10_000, rows_equal=2131, largest_step=126, flips=1132),
    )
    lines = as_text(replace(report, rows=(*report.rows, wide)), width=100).splitlines()
    assert sum(line.startswith("int8.tflite") for line in lines) == 9  # three rows in three tables


def test_rows_of_other_machines_and_of_several_runs_say_so(report: Report) -> None:
    device = replace(report.rows[5], machine="pi4")
    text = as_text(replace(report, rows=(*report.rows, device)), width=200)
    assert "litert on pi4" in text
    both = of_two_runs(report)
    assert "dscnn/mlp-int8.tflite" in as_text(both, width=200)
    assert {row["run"] for row in tables_of(as_markdown(both))[0]} == {"mlp", "dscnn"}


def test_microseconds_keep_three_digits() -> None:
    assert [microseconds(v) for v in (3.9164, 13.52, 97.96, 1234.5, 97201.5)] == [
        "3.92",
        "13.5",
        "98.0",
        "1,234",
        "97,202",
    ]


def test_a_ratio_of_latencies_is_told_as_times_as_fast_or_as_slow() -> None:
    against = Against(row="x", value=0.7, low=0.676, high=0.724, verdict="faster")
    assert verdict(against) == "1.43 x as fast [1.38, 1.48] faster"
    slow = replace(against, value=2000.0, low=1000.0, high=4000.0, verdict="slower")
    assert verdict(slow) == "2,000 x as slow [1,000, 4,000] slower"
    neither = replace(against, value=1.01, low=0.98, high=1.04, verdict="cannot tell")
    assert verdict(neither) == "0.99 x as fast [0.96, 1.02] cannot tell"
    assert verdict(None) == verdict(replace(against, low=0.0)) == "-"


def test_a_second_report_is_refused_unless_overwriting(small: Report, tmp_path: Path) -> None:
    written = write_report(small, tmp_path / "bench")
    assert [path.name for path in written] == ["report.json", "report.md", "report.html"]
    write_report(small, tmp_path / "bench")  # the same bytes: unchanged
    other = replace(small, command="another")
    with pytest.raises(EdgestitchError, match="exists"):
        write_report(other, tmp_path / "bench")
    assert json.loads(written[0].read_text("utf-8"))["command"] == small.command
    write_report(other, tmp_path / "bench", overwrite=True)
    assert json.loads(written[0].read_text("utf-8"))["command"] == "another"


def test_a_full_disk_leaves_nothing_half_written(
    small: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing.os, "fsync", full)
    with pytest.raises(EdgestitchError, match="no space"):
        write_report(small, tmp_path)
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
    last: Row = replace(report.rows[-1], artifact="x.tflite", bytes=None, sha256=None, parts=None)
    other = replace(report, rows=(*report.rows[:-1], last))
    told = json.loads(as_json(other))["rows"][-1]
    assert told["bytes"] is None and told["sha256"] is None
    row = tables_of(as_markdown(other))[0][-1]
    assert (row["artifact"], row["kB"], row["accuracy %"]) == ("x.tflite", "-", "failed")
    assert "x.tflite" in as_html(other) and "x.tflite" in as_text(other, width=100)
