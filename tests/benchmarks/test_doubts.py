"""What a report says of its own worth: each sentence where it is true, and only there."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgestitch_benchmarks.doubts import not_measured, own_caveats
from edgestitch_benchmarks.python_versions import versions_of
from edgestitch_benchmarks.report import Report, Row, TargetRow, UnderQemu
from edgestitch_benchmarks.sittings import Sitting, caveats_of, sittings_of
from edgestitch_runtime.machine import describe
from edgestitch_runtime.other_load import OtherLoad
from edgestitch_runtime.rounds import Effort, Subject

Make = Callable[..., Subject]


def caveats(rows: tuple[Row, ...], *, name: str = "own", n: int = 10_000, sittings: int = 1) -> str:
    return " ".join(own_caveats(rows, dataset=name, n=n, sittings=sittings))


def with_blocks(row: Row, *blocks: float, machine: str | None = None) -> Row:
    assert row.latency_us is not None
    return replace(row, machine=machine, latency_us=replace(row.latency_us, block_p50=blocks))


def test_a_sample_and_a_small_data_set_are_said_to_be_that(report: Report) -> None:
    assert caveats(report.rows) == ""
    assert "Mini data set" in caveats(report.rows, name="fashion-mnist-mini", n=1000)
    assert "accuracy is that of 143 test images" in caveats(report.rows, n=143)


def test_a_measurement_of_several_sittings_says_so(report: Report) -> None:
    assert "Measured in 3 sittings" in caveats(report.rows, sittings=3)


def test_of_several_sittings_the_worst_is_told() -> None:
    quiet = Sitting(
        machine=replace(describe(), governor="performance", boost=False, virtual=False),
        temperature_c=50.0,
        load=OtherLoad(other=0.01, stolen=None, seconds=3.0),
    )
    loaded = OtherLoad(other=0.7, stolen=0.2, seconds=1.0)
    busy = replace(
        quiet,
        machine=replace(quiet.machine, governor="powersave"),
        temperature_c=91.0,
        load=loaded,
    )
    assert caveats_of([quiet], quick=False) == ()
    for sittings in ([quiet, busy], [busy, quiet]):
        kept = json.loads(json.dumps([one.to_json() for one in sittings]))
        told = caveats_of(sittings_of([*kept, {"machine": {}}, {}]), quick=False)
        for words in ("70 % of a core", "20.0 % of a core", "91 C", "governor powersave"):
            assert sum(words in sentence for sentence in told) == 1
        assert len(told) == 4


@pytest.mark.parametrize(
    ("factor", "said"), [(1.08, False), (0.93, False), (1.12, True), (0.88, True)]
)
def test_a_machine_that_changed_its_speed_for_most_rows_is_told(
    report: Report, factor: float, said: bool
) -> None:
    row = report.rows[0]
    still = with_blocks(row, *[5.0] * 8)
    moved = with_blocks(row, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0 * factor, 5.0 * factor)
    told = caveats((moved, moved, still))
    assert ("changed its speed: 2 of 3 rows" in told) == said
    assert "changed its speed" not in caveats((moved, still))  # half are not most
    elsewhere = replace(moved, machine="pi4")
    assert "changed its speed" not in caveats((elsewhere, elsewhere, still))


def test_what_was_not_measured_depends_on_what_was(report: Report) -> None:
    told = " ".join(not_measured(report.rows, (), (), Effort(threads=1)))
    assert "`" not in told
    for words in ("energy", "on 1 thread.", "Other machines", "no C file", "Compiled C"):
        assert words in told
    assert "Rows that failed: mlp-float32.onnx on onnxruntime." in told
    assert "not installed" not in told
    target = TargetRow(artifact="a.c", sha256=None, target="cortex-m4", core=None, status="ok")
    qemu = UnderQemu(
        machine="m", qemu="7", golden=1, golden_answered=1, images=1,
        instructions_mean=1.0, instructions_most=1, instructions_within=0,
    )  # fmt: skip
    emulated = " ".join(
        not_measured(report.rows, (replace(target, qemu=qemu),), (), Effort(threads=2))
    )
    assert "an emulator counted instructions" in emulated and "on 2 threads." in emulated
    assert "no C file" not in emulated
    not_run = " ".join(not_measured(report.rows, (target,), (), Effort()))
    assert "nothing ran there" in not_run
    native = replace(report.rows[4], format="native")
    absent = replace(report.rows[4], status="absent")
    told = " ".join(not_measured((*report.rows, native, absent), (), (), Effort()))
    assert "Compiled C" not in told
    assert "Rows that are not installed here: mlp-int8.tflite on litert." in told
    many = [replace(absent, artifact=f"{k}.tflite") for k in range(13)]
    told = " ".join(not_measured(many, (), (), Effort()))
    assert "9.tflite on litert and 3 more." in told and "10.tflite" not in told


def test_versions_are_those_of_the_python_that_runs_the_engine(
    fake_subject: Make, tmp_path: Path
) -> None:
    import numpy as np

    here = replace(fake_subject("a"), engine="litert")
    other = tmp_path / "python"
    other.write_text('#!/bin/sh\necho \'{"python": "3.9.1", "numpy": "1.2"}\'\n', "utf-8")
    other.chmod(0o755)
    elsewhere = replace(here, command=(str(other), "-m", "x"))
    silent = replace(here, command=("/nonexistent/python",))
    absent = replace(here, command=None)
    found = versions_of([here, elsewhere, silent, absent])
    assert found[sys.executable]["numpy"] == np.__version__
    assert found[sys.executable]["ai-edge-litert"] is not None
    assert found[str(other)] == {"python": "3.9.1", "numpy": "1.2"}
    assert found["/nonexistent/python"] == {} and len(found) == 3
