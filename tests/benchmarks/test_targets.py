"""The rows on microcontrollers: what --check left, in every form of the report, or why not.

Above 300 lines for the table of damages: every key of a check is one that a row relies on.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgestitch_benchmarks.page_tables import table_of
from edgestitch_benchmarks.report import Report, TargetRow
from edgestitch_benchmarks.table import as_text
from edgestitch_benchmarks.target_checks import MAX_CHECK_BYTES, MAX_TARGETS, read_targets
from edgestitch_benchmarks.target_table import columns_of
from edgestitch_benchmarks.writer import as_html, as_json, as_markdown
from edgestitch_runtime.cli import main
from edgestitch_runtime.run_folder import read_run

ENTRY: dict[str, Any] = {
    "source": "mlp-int8.c",
    "sha256": "",
    "target": "cortex-m4",
    "core": "cortex-m4",
    "about": "ARMv7E-M",
    "compiler": "some-gcc 12.2.1",
    "options": ["-mcpu=cortex-m4", "-O2"],
    "calls": ["memset"],
    "flash": {"code": 1372, "weights": 102_184, "constants": 584, "library": 61},
    "ram": {"arena": 128, "static": 3, "stack": 208, "stack_unsure": ""},
    "ran": {
        "machine": "mps2-an386",
        "qemu": "7.2.22",
        "golden": 40,
        "golden_differing": 0,
        "images": 60,
        "instructions_mean": 156_427.6,
        "instructions_most": 156_506,
        "instructions_within": 0,
    },
    "reason": "",
    "board": None,
}
BOARD = {"title": "Some Board", "flash_left": 420_148, "ram_left": 130_736, "fits": True}
NOT_RUN = {"ran": None, "reason": "no QEMU here", "target": "riscv32", "core": "riscv32"}


@pytest.fixture(scope="session")
def exported_c(mini_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mlp-int8.c and .h of the mini run, in a folder with its .tflite. Read only."""
    folder = tmp_path_factory.mktemp("c")
    shutil.copy(mini_run / "export" / "mlp-int8.tflite", folder)
    assert main(["export", str(folder / "mlp-int8.tflite"), "--format", "c"]) == 0
    return folder / "mlp-int8.c"


@pytest.fixture
def c_run(mini_run: Path, exported_c: Path, tmp_path: Path) -> Path:
    """A run whose one artifact is C, not checked yet."""
    folder = tmp_path / "mlp"
    (folder / "export").mkdir(parents=True)
    for name in ("run.json", "model.keras"):
        shutil.copy(mini_run / name, folder)
    shutil.copy(exported_c, folder / "export")
    return folder


def entry(run: Path, **changes: Any) -> dict[str, Any]:
    """A check of the run's C; a dict among the changes is merged into the one it changes."""
    source = run / "export" / "mlp-int8.c"
    made = json.loads(json.dumps(ENTRY))
    made["sha256"] = hashlib.sha256(source.read_bytes()).hexdigest()
    for key, change in changes.items():
        old = made[key]
        made[key] = old | change if isinstance(change, dict) and old else change
    return made


def checked(run: Path, *entries: Any) -> list[TargetRow]:
    """The rows that these entries of a check give."""
    path = run / "export" / "mlp-int8-check.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    return read_targets(read_run(run))


def forms(report: Report) -> list[str]:
    return [as_text(report, width=100), as_markdown(report), as_html(report), as_json(report)]


def test_what_a_real_check_found_is_what_the_row_holds(c_run: Path, exported_c: Path) -> None:
    if not (shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm")):
        pytest.skip("arm-none-eabi-gcc or qemu-system-arm is not installed")
    folder = c_run / "export"
    shutil.copy(exported_c.with_name("mlp-int8.tflite"), folder)
    shutil.copy(exported_c.with_suffix(".h"), folder)
    asked = ["--format", "c", "--check", "cortex-m4", "--check", "microbit-v2"]
    assert main(["export", str(folder / "mlp-int8.tflite"), *asked]) == 0
    told = json.loads((folder / "mlp-int8-check.json").read_text("utf-8"))
    rows = read_targets(read_run(c_run))
    assert [(r.target, r.core, r.status) for r in rows] == [
        ("cortex-m4", "cortex-m4", "ok"),
        ("microbit-v2", "cortex-m4", "ok"),
    ]
    for row, found in zip(rows, told, strict=True):
        assert row.flash and row.ram and row.qemu
        assert row.flash.total == found["flash"]["total"] > row.flash.weights
        assert row.ram.total == found["ram"]["total"] > 0
        assert row.qemu.instructions_mean == found["ran"]["instructions_mean"]
        assert row.qemu.golden_answered == row.qemu.golden == found["ran"]["golden"] > 0
        assert row.flags == tuple(found["options"]) and row.sha256 == found["sha256"]
    assert rows[0].board is None and rows[1].board and rows[1].board.fits


def test_json_has_the_names_of_the_dataclasses_and_every_number(
    c_run: Path, report: Report
) -> None:
    rows = checked(c_run, entry(c_run, target="some-board", board=BOARD), entry(c_run, **NOT_RUN))
    told = json.loads(as_json(replace(report, targets=tuple(rows))))["targets"]
    digest = hashlib.sha256((c_run / "export" / "mlp-int8.c").read_bytes()).hexdigest()
    assert told[0] == {
        "artifact": "mlp-int8.c",
        "sha256": digest,
        "target": "some-board",
        "core": "cortex-m4",
        "status": "ok",
        "reason": None,
        "about": "ARMv7E-M",
        "compiler": "some-gcc 12.2.1",
        "flags": ["-mcpu=cortex-m4", "-O2"],
        "calls": ["memset"],
        "flash": {
            "code": 1372, "weights": 102_184, "constants": 584, "library": 61, "total": 104_201,
        },
        "ram": {"arena": 128, "static": 3, "stack": 208, "stack_unsure": None, "total": 339},
        "qemu": {
            "machine": "mps2-an386", "qemu": "7.2.22", "golden": 40, "golden_answered": 40,
            "images": 60, "instructions_mean": 156_427.6, "instructions_most": 156_506,
            "instructions_within": 0,
        },
        "board": BOARD,
    }  # fmt: skip
    assert told[1]["qemu"] is None and told[1]["reason"] == "no QEMU here"
    assert told[1]["flash"]["total"] == 104_201


def test_every_form_shows_every_number_and_speaks_of_instructions_alone(
    c_run: Path, report: Report
) -> None:
    rows = checked(c_run, entry(c_run, target="some-board", board=BOARD), entry(c_run, **NOT_RUN))
    for text in forms(replace(report, targets=tuple(rows)))[:3]:
        part = text[text.index("On microcontrollers") :]
        for wanted in (
            "some-board (cortex-m4)", "104,201", "1,372", "102,184", "584", "61", "339", "128",
            "208", "40 of 40", "156,428", "156,506", "60", "fits", "420,148", "130,736",
            "some-gcc 12.2.1", "-mcpu=cortex-m4", "instructions under QEMU", "no QEMU here",
        ):  # fmt: skip
            assert wanted in " ".join(part.split()), wanted
        shown = re.sub(r"<[^>]*>", " ", re.sub(r"(?s)<script.*?</script>", " ", part))
        assert not re.search(r"cycle|millisecond", shown) and "does not fit" not in shown


@pytest.mark.parametrize("width", [300, 100, 60, 40])
def test_the_table_fits_its_terminal(c_run: Path, report: Report, width: int) -> None:
    rows = checked(c_run, entry(c_run, target="some-board", board=BOARD), entry(c_run, **NOT_RUN))
    text = as_text(replace(report, targets=tuple(rows)), width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "156,506" in text and "104,201" in text and "102,184" in text


def test_a_run_without_checks_has_neither_table_nor_heading(c_run: Path, report: Report) -> None:
    assert read_targets(read_run(c_run)) == []
    for text in forms(report):
        assert "microcontroller" not in text
    assert json.loads(as_json(report))["targets"] == []


@pytest.mark.parametrize(("gone", "says"), [(False, "file changed"), (True, "taken away")])
def test_a_check_of_a_file_that_is_another_now_gives_no_numbers(
    c_run: Path, gone: bool, says: str
) -> None:
    entries = entry(c_run), entry(c_run, target="cortex-m55", core="cortex-m55")
    source = c_run / "export" / "mlp-int8.c"
    if gone:
        source.unlink()
    else:
        source.write_bytes(source.read_bytes() + b"\n")
    rows = checked(c_run, *entries)
    assert [(r.target, r.status) for r in rows] == [("cortex-m4", "stale"), ("cortex-m55", "stale")]
    for row in rows:
        assert row.flash is None and row.ram is None and row.qemu is None and row.board is None
        assert row.reason and says in row.reason and row.reason.startswith("checked before")
        assert f"export {c_run} --format c --int8 --check cortex-m4 --check cortex-m55)" in (
            row.reason
        )
    now = None if gone else hashlib.sha256(source.read_bytes()).hexdigest()
    assert {r.sha256 for r in rows} == {now}


def test_rows_that_are_stale_say_so_in_every_form(c_run: Path, report: Report) -> None:
    rows = checked(c_run, entry(c_run, sha256="0" * 64))
    *shown, as_data = forms(replace(report, targets=tuple(rows)))
    assert '"status": "stale"' in as_data and all("cortex-m4: stale" in text for text in shown)
    for text in (*shown, as_data):
        told = " ".join(text.split())
        assert "checked before the file changed" in told
        assert "102,184" not in told and "102184" not in told


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"{}",
        b"[]",
        b"null",
        b"[" * 100_000,
        b"\xff\xfe",
        b"[1" + b"0" * 5000 + b"]",
        json.dumps([ENTRY | {"sha256": "0" * 64}]).encode() + b" " * MAX_CHECK_BYTES,
        json.dumps([ENTRY] * (MAX_TARGETS + 1)).encode(),
    ],
    ids=["empty", "cut", "object", "none", "null", "deep", "bytes", "digits", "huge", "many"],
)
def test_a_damaged_file_is_one_row_with_its_reason(c_run: Path, content: bytes) -> None:
    (c_run / "export" / "mlp-int8-check.json").write_bytes(content)
    (row,) = read_targets(read_run(c_run))
    assert row.status == "failed" and row.target is None and row.artifact == "mlp-int8.c"
    assert (row.reason or "").startswith("mlp-int8-check.json cannot be read as a check: it")
    assert "hint: edgestitch export" in (row.reason or "")


DAMAGES: dict[str, Any] = {
    "source": ["../mlp-int8.c", "other.c", None],
    "sha256": ["", "f" * 63, 1],
    "target": ["", "\x1b[2J", "a" * 2000, 3, "\ud800"],
    "compiler": [None, "gcc\nrm"],
    "options": ["-O2", [1], ["\x07"]],
    "flash": [None, [], {"code": -1}, {"code": 10**400}, {"weights": 1.5}, {"library": "0"}],
    "ram": [{"arena": True}, {"stack": float("nan")}],
    "ran": [
        {"golden_differing": 41},
        {"images": 0},
        {"instructions_mean": float("inf")},
        {"instructions_mean": 10**400},
        None,  # without a reason
    ],
    "board": [{}, BOARD | {"fits": False}, BOARD | {"flash_left": -1}, BOARD | {"ram_left": 1e400}],
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in DAMAGES.items() for value in values]
)
def test_a_damaged_entry_loses_its_own_row_alone(
    c_run: Path, report: Report, key: str, value: Any
) -> None:
    broken = entry(c_run, **{key: value})
    bad, good = checked(c_run, broken, entry(c_run))
    assert bad.status == "failed" and bad.flash is None
    assert f"[0].{key}" in (bad.reason or "")
    assert good.status == "ok" and good.flash and good.flash.total == 104_201
    other = replace(report, targets=(bad, good))
    (as_text(other, width=100) + as_json(other)).encode()


def test_what_is_no_entry_or_no_file_is_a_row_with_its_reason(c_run: Path) -> None:
    rows = checked(c_run, 7, "x", None, entry(c_run))
    assert [r.status for r in rows] == ["failed"] * 3 + ["ok"]
    folder = c_run / "export"
    (folder / "a-check.json").mkdir()
    (folder / "b-check.json").symlink_to("nowhere")
    os.mkfifo(folder / "c-check.json")
    rows = read_targets(read_run(c_run))
    assert [r.artifact for r in rows[:3]] == ["a.c", "b.c", "c.c"]
    assert all(r.status == "failed" and r.reason for r in rows[:3])


@pytest.mark.parametrize("foreign", ["another run's", "not ours"])
def test_c_that_is_not_this_runs_is_not_shown_as_its_own(c_run: Path, foreign: str) -> None:
    if foreign == "not ours":
        (c_run / "export" / "mlp-int8.c").write_text("int main(void) { return 0; }\n", "utf-8")
        says = "card"
    else:
        record = json.loads((c_run / "run.json").read_text("utf-8"))
        record["model"]["sha256"] = "0" * 64
        (c_run / "run.json").write_text(json.dumps(record), "utf-8")
        says = "another source model"
    (row,) = checked(c_run, entry(c_run))
    assert row.status == "failed" and row.flash is None and says in (row.reason or "")


def wrong_answers(made: dict[str, Any]) -> None:
    made["ran"]["golden_differing"] = 2


def small_board(made: dict[str, Any]) -> None:
    made["board"] = BOARD | {"fits": False, "flash_left": -38_984}


def unsure_stack(made: dict[str, Any]) -> None:
    made["ram"]["stack_unsure"] = "a call through a pointer"


def inexact_count(made: dict[str, Any]) -> None:
    made["ran"]["instructions_within"] = 40


def not_linked(made: dict[str, Any]) -> None:
    made["flash"]["library"] = None


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (wrong_answers, ["38 of 40", "2 of 40 golden vectors answered wrongly"]),
        (small_board, ["does not fit", "Some Board: 38,984 bytes of flash too little"]),
        (unsure_stack, ["the stack is at least so much: a call through a pointer"]),
        (inexact_count, ["each count is within 40 instructions"]),
        (not_linked, ["flash is without memset of a library", "104,140"]),
    ],
)
def test_what_is_wrong_or_not_sure_stands_beneath_the_table(
    c_run: Path, report: Report, change: Callable[[dict[str, Any]], None], wanted: list[str]
) -> None:
    made = entry(c_run)
    change(made)
    other = replace(report, targets=tuple(checked(c_run, made)))
    for text in forms(other)[:3]:
        told = " ".join(text.split())
        assert all(words in told for words in wanted)
    if change is small_board:
        cells = [cell.strip() for cell in as_markdown(other).split("|")]
        assert "does not fit" in cells and "fits" not in cells


def test_what_a_linker_said_is_one_line_of_bounded_length(c_run: Path, report: Report) -> None:
    said = "ld: region\n`CODE'\x1b[2J \ud800 overflowed " + "x" * 5000
    (row,) = checked(c_run, entry(c_run, ran=None, reason=said))
    assert row.status == "ok" and row.reason and row.reason.isprintable()
    assert row.reason.startswith("ld: region `CODE'?[2J ? overflowed x") and len(row.reason) == 1000
    for text in forms(replace(report, targets=(row,))):
        text.encode()


def test_words_from_a_check_are_escaped(c_run: Path, report: Report) -> None:
    changes = {"compiler": "<script>gcc|</script>", "target": "a|b", "core": "a|b"}
    rows = checked(c_run, entry(c_run, **changes))
    other = replace(report, targets=tuple(rows))
    assert "<script>" not in as_html(other)
    assert "a\\|b" in as_markdown(other)


def test_every_number_of_the_table_can_be_sorted_by(c_run: Path, report: Report) -> None:
    rows = checked(c_run, entry(c_run), entry(c_run, **NOT_RUN))
    columns = columns_of(replace(report, targets=tuple(rows)))
    table = table_of("targets", "C files", columns, rows)
    numbers = [
        (cell.text, cell.value)
        for cells in table.rows
        for heading, cell in zip(table.headings, cells, strict=True)
        if heading.number
    ]
    assert all((value is None) == (text == "-") for text, value in numbers)
    assert ("104,201", 104_201) in numbers  # flash
    assert ("156,428", 156_427.6) in numbers and ("40 of 40", 40) in numbers
