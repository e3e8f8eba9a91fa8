"""Rows of the engine native, and what is said of them beside litert."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edgestitch_benchmarks.against_litert import against_litert
from edgestitch_benchmarks.plans import plan_rows
from edgestitch_benchmarks.report import Report, Row
from edgestitch_benchmarks.table import as_text
from edgestitch_benchmarks.writer import as_html, as_markdown
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.measurement import LatencyUs
from edgestitch_runtime.run_folder import read_run

LITERT = 4  # the report's row of mlp-int8.tflite on litert


def scaled(told: LatencyUs, ratio: float) -> LatencyUs:
    """The latency `ratio` times as long, in every block."""
    blocks = tuple(ratio * p50 for p50 in told.block_p50)
    return replace(told, p50=told.p50 * ratio, block_p50=blocks)


def with_native(report: Report, ratio: float, *, artifact: str = "mlp-int8-x86_64-linux.so") -> Row:
    """A native row whose bare blocks are `ratio` times those of litert, all else the other way."""
    litert = report.rows[LITERT]
    assert litert.engine == "litert" and litert.bare_latency_us and litert.latency_us
    bare, whole = litert.bare_latency_us, litert.latency_us
    return replace(
        litert,
        artifact=artifact,
        format="native",
        engine="native",
        latency_us=replace(whole, block_p50=tuple(p / ratio for p in whole.block_p50)),
        bare_latency_us=replace(
            bare, p50=bare.p50 / ratio, block_p50=tuple(p * ratio for p in bare.block_p50)
        ),
    )


@pytest.mark.parametrize(
    ("ratio", "line"),
    [
        (1.3, "native takes 1.3 times [1.3, 1.3] as long as litert for mlp-int8 (bare call)"),
        (17.2, "native takes 17 times [17, 18] as long as litert for mlp-int8 (bare call)"),
        (0.5, "litert takes 2.0 times [1.9, 2.1] as long as native for mlp-int8 (bare call)"),
        (
            1.01,
            "native or litert, which is faster for mlp-int8: cannot tell [0.98, 1.04] (bare call)",
        ),
        (
            0.99,
            "native or litert, which is faster for mlp-int8: cannot tell [0.96, 1.02] (bare call)",
        ),
    ],
)
def test_the_ratio_of_the_bare_calls_is_told_whoever_wins(
    report: Report, ratio: float, line: str
) -> None:
    other = replace(report, rows=(*report.rows, with_native(report, ratio)))
    assert against_litert(other) == [line]
    for text in (as_text(other, width=100), as_markdown(other), as_html(other)):
        assert line in text and text.index(line) > text.index("x86_64-linux.so")


def test_nothing_is_told_without_both_rows_of_one_model(report: Report) -> None:
    native = with_native(report, 2.0)
    assert against_litert(report) == []
    assert against_litert(replace(report, rows=(native,))) == []
    failed = replace(native, status="failed", bare_latency_us=None)
    assert against_litert(replace(report, rows=(*report.rows, failed))) == []
    stranger = with_native(report, 2.0, artifact="other-int8-x86_64-linux.so")
    assert against_litert(replace(report, rows=(*report.rows, stranger))) == []


def test_a_native_row_is_compared_with_its_own_model_among_names_that_begin_alike(
    report: Report,
) -> None:
    litert = report.rows[LITERT]
    assert litert.bare_latency_us is not None
    slow = scaled(litert.bare_latency_us, 1e5)
    alike = replace(litert, artifact="mlp.tflite", bare_latency_us=slow)
    other = replace(report, rows=(alike, *report.rows, with_native(report, 2.0), alike))
    assert against_litert(other) == [
        "native takes 2.0 times [1.9, 2.1] as long as litert for mlp-int8 (bare call)"
    ]


def test_a_library_that_cannot_be_read_keeps_its_row_and_c_has_none(
    mini_run: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(mini_run, tmp_path / "mlp"))
    export = folder / "export"
    for name in ("mlp-int8-x86_64-linux.so", "mlp-int8.c", "mlp-int8.h", "mlp-int8-check.json"):
        (export / name).write_bytes(b"\x7fELF or not")
    plans = plan_rows(read_run(folder), engine_pythons={})
    (row,) = [p for p in plans if p.engine == "native"]
    assert row.path.name == "mlp-int8-x86_64-linux.so" and plans[-1] == row  # tflite, onnx, native
    assert row.status == "failed" and row.command is None and "hint: " in (row.reason or "")
    assert {p.path.suffix for p in plans} == {".keras", ".tflite", ".onnx", ".so"}


def test_a_run_of_c_alone_has_the_rows_of_its_float_model_once_it_was_checked(
    mini_run: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(mini_run, tmp_path / "mlp"))
    shutil.rmtree(folder / "export")
    (folder / "export").mkdir()
    (folder / "export" / "mlp-int8.c").write_text("", "utf-8")
    with pytest.raises(EdgestitchError, match="no exported artifact"):
        plan_rows(read_run(folder), engine_pythons={})
    (folder / "export" / "mlp-int8-check.json").write_text("[]", "utf-8")
    plans = plan_rows(read_run(folder), engine_pythons={})
    assert [p.engine for p in plans] == ["keras predict", "keras call", "keras function"]
