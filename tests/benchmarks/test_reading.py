"""Reports and profiles read back: the same rows, and a line that says what is wrong with a file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

import written_reports as made
from edgestitch_benchmarks import read_measurements, report
from edgestitch_benchmarks.report import Row
from edgestitch_runtime import measurement
from edgestitch_runtime.agreement import ClassAgreement
from edgestitch_runtime.caveats import QUICK_CAVEAT
from edgestitch_runtime.distance import Distance
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.measurement import Measurement

ROOT = Path(report.__file__).parents[2]  # the editable installation's


def refusal(path: Path) -> EdgestitchError:
    with pytest.raises(EdgestitchError) as caught:
        read_measurements(path)
    error = caught.value
    assert error.exit_code == 2
    assert error.hint
    assert len(error.message) < 400
    assert error.message.isprintable()
    return error


def test_a_report_is_read_back_as_it_was(tmp_path: Path) -> None:
    rows = (
        made.row(),
        made.row(engine="tflite-runtime", threads=2),
        made.row("model.keras", "keras predict", sha256=None, distance=None, details=None),
        made.row(machine="pi4", accuracy=None, n=None),
        made.failed("mlp-float32.onnx", "onnxruntime"),
    )
    written = made.report(*rows, added=(made.added("pi4", cpu="Cortex-A72"),), quick=True)
    read = read_measurements(made.write(tmp_path / "report.json", written))
    assert read.rows == rows
    assert (read.kind, read.quick) == ("report", True)
    assert read.machine == written.machine
    assert read.runs == written.runs
    assert read.added == written.added
    assert read.caveats == written.caveats
    assert (read.command, read.versions) == (written.command, written.versions)
    assert read.machine_line.startswith("Some CPU (x86_64), 2 cores, Debian")


def test_a_profile_is_read_back_with_what_it_measured(tmp_path: Path) -> None:
    row, other = made.row(), made.row(engine="reference", distance=None, against=None)
    content = made.profile(row, other)
    read = read_measurements(made.write(tmp_path / "pi4.json", content))
    assert read.kind == "profile"
    assert read.machine_line == content["machine_line"]
    for one, was in zip(read.rows, (row, other), strict=True):
        assert isinstance(one, Row)
        for name in Measurement.__dataclass_fields__:
            assert getattr(one, name) == getattr(was, name), name
        assert (one.distance, one.against) == (was.distance, was.against)
        assert (one.accuracy, one.details, one.run) == (None, None, None)
    assert not read.quick
    content["command"] += " --quick"
    assert read_measurements(made.write(tmp_path / "quick.json", content)).quick
    told = made.profile(caveats=[QUICK_CAVEAT], command="edgestitch profile 'a")
    assert read_measurements(made.write(tmp_path / "told.json", told)).quick


def test_what_a_page_must_escape_is_carried_as_it_is(tmp_path: Path) -> None:
    hostile = "<script>alert('é')</script> & \"quotes\" %s {x}"
    row = made.failed(f"{hostile}.tflite", "litert", reason=hostile)
    read = read_measurements(made.write(tmp_path / "r.json", made.report(row)))
    assert read.rows == (row,)


def test_what_a_later_version_adds_is_passed_over(tmp_path: Path) -> None:
    content = made.report().to_json()
    content["rows"][0]["joules"] = 1.5
    content["rows"][0]["latency_us"]["p999"] = 9.0
    content["rows"][0]["details"]["more"] = []
    content["runs"][0]["colour"] = "red"
    assert read_measurements(made.write(tmp_path / "r.json", content)).rows == (made.row(),)


def test_what_a_profile_has_no_place_for_is_passed_over(tmp_path: Path) -> None:
    """Nobody checked it: an accuracy that was written by hand, a machine that is none."""
    content = made.profile()
    content["rows"][0] |= {"machine": {}, "accuracy": 1.0, "n": 7, "run": [], "details": {"x": 1}}
    (row,) = read_measurements(made.write(tmp_path / "pi4.json", content)).rows
    assert (row.machine, row.accuracy, row.n, row.run, row.details) == (None,) * 5


def test_long_sentences_are_read_and_an_added_profile_may_have_caveats(tmp_path: Path) -> None:
    long = "word " * 10_000
    row = made.failed(reason=long)
    written = made.report(
        row, command=long, answer=long, caveats=(long,), not_measured=(long,),
        added=(made.added("pi4"),),
    )  # fmt: skip
    content = written.to_json()
    path = tmp_path / "r.json"
    read = read_measurements(made.write(path, content))
    assert (read.rows, read.command, read.caveats) == ((row,), long, (long,))
    content["added"][0]["caveats"] = ["A virtual machine."]
    assert read_measurements(made.write(path, content)).added[0].caveats == ("A virtual machine.",)
    content["added"][0]["caveats"] = [3]
    assert "entry added[0] is" in refusal(made.write(path, content)).message
    assert (
        "rows[0].reason"
        in refusal(made.write(path, made.report(made.failed(reason=3 * long)))).message
    )


def test_no_file_a_folder_and_a_device_are_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.json").message
    assert f"{tmp_path}/report.json" in refusal(tmp_path).hint
    os.mkfifo(tmp_path / "pipe.json")
    assert "pipe" in refusal(tmp_path / "pipe.json").message


def test_what_is_no_whole_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    whole = json.dumps(made.report().to_json()).encode()
    for content in (b"", b" \n\n"):
        path.write_bytes(content)
        assert "is empty" in refusal(path).message
    for length in (1, 2, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert "not whole JSON" in refusal(path).message
    for content in (b"\xff\xfe{\0}\0", b"\x80", b"[" * 100_000, b"9" * 5000, whole + b"}"):
        path.write_bytes(content)
        assert "not whole JSON" in refusal(path).message
    for content in (b"[]", b"3", b'"text"', b"null"):
        path.write_bytes(content)
        assert "no object" in refusal(path).message


def test_a_file_of_a_hundred_megabytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    with path.open("wb") as stream:
        stream.truncate(100_000_000)
    assert "100,000,000 bytes" in refusal(path).message


@pytest.mark.parametrize(
    ("changed", "message", "hint"),
    [
        ({"schema": 1}, "has schema 1", "measure again"),
        ({"schema": 3}, "has schema 3", "update"),
        ({"schema": True}, "neither", "report.json"),
        ({"schema": "2"}, "neither", "report.json"),
        ({"kind": "comparison"}, "neither", "report.json"),
        ({"kind": []}, "neither", "report.json"),
    ],
)
def test_another_schema_and_another_kind_are_refused_by_name(
    tmp_path: Path, changed: dict[str, Any], message: str, hint: str
) -> None:
    error = refusal(made.write(tmp_path / "r.json", made.report().to_json() | changed))
    assert message in error.message
    assert hint in error.hint


def test_other_json_is_refused(tmp_path: Path) -> None:
    old_profile = made.write(tmp_path / "old.json", {"schema": 1, "bare": {}, "classify": {}})
    assert "older edgestitch" in refusal(old_profile).hint
    for content in ({}, {"schema": 2}, {"rows": []}, {"schema": 1, "model": {"sha256": "0" * 64}}):
        assert "neither" in refusal(made.write(tmp_path / "r.json", content)).message


def set_in(content: Any, path: str, value: Any) -> None:
    *parts, last = path.split(".")
    for part in parts:
        content = content[int(part) if part.isdigit() else part]
    content[int(last) if last.isdigit() else last] = value


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("rows", {}, "rows"),
        ("rows.0", None, "rows[0]"),
        ("rows.0.artifact", "", "rows[0].artifact"),
        ("rows.0.artifact", 3, "rows[0].artifact"),
        ("rows.0.artifact", "a\x1b[2Jb", "rows[0].artifact"),
        ("rows.0.engine", "lite\nrt", "rows[0].engine"),
        ("rows.0.engine", "\u202egnp.exe", "rows[0].engine"),
        ("rows.0.engine", "x" * 5000, "rows[0].engine"),
        ("rows.0.sha256", "0" * 63, "rows[0].sha256"),
        ("rows.0.status", "fine", "rows[0].status"),
        ("rows.0.status", "failed", "rows[0].reason"),
        ("rows.0.bytes", -1, "rows[0].bytes"),
        ("rows.0.bytes", 1.5, "rows[0].bytes"),
        ("rows.0.bytes", 10**400, "rows[0].bytes"),
        ("rows.0.bytes", True, "rows[0].bytes"),
        ("rows.0.threads", 0, "rows[0].threads"),
        ("rows.0.latency_us.p50", 0, "rows[0].latency_us"),
        ("rows.0.latency_us.p50", -5.0, "rows[0].latency_us"),
        ("rows.0.latency_us.p50", "5", "rows[0].latency_us"),
        ("rows.0.latency_us.p50", 1e300, "rows[0].latency_us.p50"),
        ("rows.0.latency_us.p90", 1.0, "rows[0].latency_us.p90"),
        ("rows.0.latency_us.quantiles", [1.0], "rows[0].latency_us"),
        ("rows.0.latency_us.block_p50", [], "rows[0].latency_us"),
        ("rows.0.latency_us.block_p50", [1.0] * 1001, "rows[0].latency_us"),
        ("rows.0.latency_us.block_p50.3", 0.0, "rows[0].latency_us"),
        ("rows.0.latency_us.repeat_p50", [6.0, 4.0], "rows[0].latency_us"),
        ("rows.0.bare_latency_us", [], "rows[0].bare_latency_us"),
        ("rows.0.throughput.0.batch", 0, "rows[0].throughput[0].batch"),
        ("rows.0.cold_start_ms", -1, "rows[0].cold_start_ms"),
        ("rows.0.accuracy", 1.1, "rows[0].accuracy"),
        ("rows.0.accuracy", None, "rows[0].n"),
        ("rows.0.n", 0, "rows[0].n"),
        ("rows.0.flips_lost", 31, "rows[0].changed"),
        ("rows.0.drop_interval_pp", [1], "rows[0].drop_interval_pp"),
        ("rows.0.parts", {"weights": "much"}, "rows[0].parts"),
        ("rows.0.parts", {"we\x07ights": 1}, "rows[0].parts"),
        ("rows.0.details.confusion.0.0", -1, "rows[0].details"),
        ("rows.0.distance.flips", None, "rows[0].distance"),
        ("machine", "a laptop", "machine"),
        ("machine.cores", "2", "machine.cores"),
        ("machine.cpu", "\ud800", "machine.cpu"),
        ("machine.isa", [[[[[[[[[[[[[1]]]]]]]]]]]]], "machine.isa"),
        ("versions", ["litert"], "versions"),
        ("runs.0.dataset_sha256", {"x": "y"}, "runs[0].dataset_sha256"),
        ("quick", "no", "quick"),
        ("caveats.0", "two\rlines", "caveats[0]"),
    ],
)
def test_an_entry_that_edgestitch_does_not_write_is_named(
    tmp_path: Path, path: str, value: Any, told: str
) -> None:
    content = made.report().to_json()
    content = json.loads(json.dumps(content))
    set_in(content, path, value)
    target = tmp_path / "r.json"
    target.write_text(json.dumps(content))
    assert f"its entry {told}" in refusal(target).message


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_of_json_is_refused(tmp_path: Path, word: str) -> None:
    path = tmp_path / "r.json"
    text = json.dumps(made.report().to_json())
    path.write_text(text.replace('"p50": 5.0', f'"p50": {word}', 1))
    assert word in refusal(path).message
    path.write_text(text.replace('"p50": 5.0', '"p50": 1e999', 1))
    assert "rows[0].latency_us.p50" in refusal(path).message


def test_every_key_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    for content, kind in ((made.report().to_json(), "report"), (made.profile(), "profile")):
        kept = {"schema", "kind", "rows", "recommended", "targets"}
        for key in content.keys() - kept:
            made.write(path, {k: v for k, v in content.items() if k != key})
            message = refusal(path).message
            assert f"as edgestitch writes a {kind}: its entry {key} is" in message
        for key in content["rows"][0]:
            row = {k: v for k, v in content["rows"][0].items() if k != key}
            made.write(path, content | {"rows": [row]})
            assert f"rows[0].{key} is missing" in refusal(path).message


def test_two_rows_that_are_one_are_refused(tmp_path: Path) -> None:
    rows = (made.row(), made.row(threads=2), made.row(machine="pi4"), made.row(run="other"))
    added = (made.added("pi4"),)
    path = made.write(tmp_path / "r.json", made.report(*rows, added=added))
    assert len(read_measurements(path).rows) == 4
    made.write(path, made.report(*rows, made.row(bytes=7), added=added))
    assert "more than one row of mlp-int8.tflite on litert" in refusal(path).message


def test_the_shapes_know_every_key_that_a_row_is_written_with() -> None:
    from edgestitch_benchmarks.report_shape import SHAPES

    shapes: Any = SHAPES
    assert set(shapes["report"]["rows"][0]) == set(asdict(made.row()))
    told = {"schema", "kind", "recommended", "targets"}
    assert set(shapes["report"]) == set(made.report().to_json()) - told


def places(content: Any, where: str = "") -> Iterator[str]:
    """Every entry of JSON, as the paths that `set_in` takes; of a long list, the first ones."""
    parts = content.items() if isinstance(content, dict) else enumerate(content[:2])
    for key, part in parts:
        yield f"{where}{key}"
        if isinstance(part, dict | list):
            yield from places(part, f"{where}{key}.")


@pytest.mark.parametrize("kind", ["report", "profile"])
def test_whatever_stands_in_the_place_of_an_entry_is_read_or_refused_in_a_line(
    tmp_path: Path, kind: str
) -> None:
    content = made.report().to_json() if kind == "report" else made.profile()
    text = json.dumps(content)
    path = tmp_path / "r.json"
    refused = 0
    for place in places(json.loads(text)):
        for value in (None, True, -1, 10**30, "x", [1, 2], {}, [[]]):
            changed = json.loads(text)
            set_in(changed, place, value)
            path.write_text(json.dumps(changed))
            try:
                read_measurements(path)
            except EdgestitchError as error:
                assert error.hint, place
                refused += 1
    assert refused > 300


def test_every_key_is_documented() -> None:
    """In docs/report.md, in backticks: those of all that is written."""
    words = set(re.findall(r"`(\w+)", (ROOT / "docs" / "report.md").read_text(encoding="utf-8")))
    kinds = [
        report.Report, report.Row, report.Against, report.Bin, report.Flip, report.Details,
        report.TargetRow, report.FlashBytes, report.RamBytes, report.UnderQemu, report.BoardFit,
        report.RunOfReport, report.AddedProfile, report.Recommended, measurement.LatencyUs,
        measurement.ColdStart, measurement.BatchSpeed, Distance, ClassAgreement,
    ]  # fmt: skip
    names = {field.name for kind in kinds for field in fields(kind)} - {"graphs", "pictures"}
    names |= set(made.profile()) | {"schema", "kind"}
    assert names <= words, names - words


def test_rows_of_a_machine_of_which_nothing_is_said_are_refused(tmp_path: Path) -> None:
    """It would be compared as the same machine, or as one that has no name."""
    path = tmp_path / "report.json"
    rows = made.row(), made.row(machine="pi4")
    assert "rows[1].machine" in refusal(made.write(path, made.report(*rows))).message
    twice = made.report(*rows, added=(made.added("pi4"), made.added("pi4", cpu="x")))
    assert "entry added is" in refusal(made.write(path, twice)).message
