"""`edgestitch compare`: what it judges, what it only tells, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import written_reports as made
from edgestitch_benchmarks import Comparison, Limits, Report, Row, compare
from edgestitch_benchmarks.cli_compare import percent, points
from edgestitch_benchmarks.comparison_text import as_text
from edgestitch_runtime.errors import EdgestitchError

Written = Report | dict[str, Any]


@pytest.fixture
def compared(tmp_path: Path) -> Callable[..., Comparison]:
    """Writes two reports or profiles, and compares them."""

    def run(old: Written, new: Written, **limits: Any) -> Comparison:
        paths = made.write(tmp_path / "old.json", old), made.write(tmp_path / "new.json", new)
        return compare(*paths, limits=Limits(**limits))

    return run


def slower(factor: float, **other: Any) -> Row:
    """The row of `made.row`, measured again with other noise, every call slower by `factor`."""
    return made.row(
        latency_us=made.latency(5.0 * factor, seed=3),
        bare_latency_us=made.latency(2.0 * factor, seed=4),
        **other,
    )


def test_the_same_speed_is_no_regression_and_cannot_be_told_apart(compared) -> None:
    found = compared(made.report(), made.report(slower(1.0)))
    assert found.passed
    (row,) = found.rows
    assert row.latency is not None
    assert row.latency.verdict == "cannot tell"
    assert row.latency.low < 1 < row.latency.high
    assert (row.latency.old, row.latency.new) == (5.0, 5.0)


def test_ten_percent_slower_is_a_verdict_and_a_regression_beyond_the_limit_alone(compared) -> None:
    old, new = made.report(), made.report(slower(1.13))
    found = compared(old, new)
    assert found.regressions == (
        "mlp-int8.tflite on litert: classify is slower, by more than 10 %",
    )
    assert compared(old, new, slower=0.2).passed
    assert compared(old, new, slower=None).passed
    (row,) = compared(old, new, slower=0.2).rows
    assert row.latency is not None
    assert row.latency.verdict == "slower"
    assert row.latency.ratio == pytest.approx(1.13, rel=0.01)
    assert row.bare is not None
    assert row.bare.verdict == "slower"


def test_a_ratio_beyond_the_limit_that_cannot_be_told_is_no_regression(compared) -> None:
    """Blocks that differ by half: 12 % more may be nothing."""
    noisy = made.latency(5.6, seed=1)
    wide = tuple(p50 * (0.7 if k % 2 else 1.4) for k, p50 in enumerate(noisy.block_p50))
    found = compared(
        made.report(), made.report(made.row(latency_us=replace(noisy, block_p50=wide)))
    )
    assert found.passed
    assert found.rows[0].latency is not None
    assert found.rows[0].latency.verdict == "cannot tell"


def test_faster_is_never_a_regression(compared) -> None:
    found = compared(made.report(), made.report(slower(0.5)), slower=0.0, overhead=0.0)
    assert found.passed
    assert found.rows[0].latency is not None
    assert found.rows[0].latency.verdict == "faster"


@pytest.mark.parametrize(
    ("correct", "passed"), [(8_780, True), (8_779, False), (8_800, True), (9_000, True)]
)
def test_accuracy_may_fall_by_the_limit_and_not_by_an_image_more(compared, correct, passed) -> None:
    """0.2 points of 10,000 images are 20 images."""
    found = compared(made.report(), made.report(made.row(accuracy=correct / 10_000)))
    assert found.passed == passed
    assert found.rows[0].accuracy is not None
    assert found.rows[0].accuracy.change_pp == pytest.approx((correct - 8_800) / 100)
    if not passed:
        assert "accuracy fell by more than 0.2 points" in found.regressions[0]
        assert compared(made.report(), made.report(made.row(accuracy=0.8)), drop_pp=None).passed


def test_accuracy_on_other_images_is_told_and_not_judged(compared) -> None:
    other = made.report(made.row(accuracy=0.5))
    hashes = other.run.dataset_sha256 | {"t10k-images-idx3-ubyte": "7" * 64}
    run = replace(other.run, dataset_sha256=hashes)
    found = compared(made.report(), replace(other, run=run, runs=(run,)))
    assert found.passed
    assert found.rows[0].accuracy is not None
    assert found.rows[0].accuracy.not_judged == "the test images are others"
    assert "not judged: the test images are others" in as_text(found, width=200)
    fewer = compared(made.report(), made.report(made.row(accuracy=0.5, n=1_000)))
    assert fewer.passed
    assert "10,000 test images before, 1,000 now" in as_text(fewer, width=200)


def test_other_training_images_leave_the_test_images_the_same(compared) -> None:
    other = made.report(made.row(accuracy=0.5))
    run = replace(
        other.run, dataset_sha256=other.run.dataset_sha256 | {"train-images-idx3-ubyte": "b" * 64}
    )
    assert not compared(made.report(), replace(other, run=run, runs=(run,))).passed


def more_overhead(factor: float) -> Row:
    """classify takes so much longer, the bare call does not."""
    return made.row(
        latency_us=made.latency(5.0 * factor, seed=5), bare_latency_us=made.latency(2.0, seed=6)
    )


def test_overhead_is_judged_when_asked(compared) -> None:
    old, new = made.report(), made.report(more_overhead(1.5))
    found = compared(old, new, slower=None)
    assert found.passed
    assert found.rows[0].overhead is not None
    assert found.rows[0].overhead.old == pytest.approx(2.5, rel=0.01)
    assert found.rows[0].overhead.new == pytest.approx(3.75, rel=0.01)
    assert found.rows[0].overhead.verdict == "slower"
    assert compared(old, new, slower=None, overhead=0.6).passed
    assert compared(old, new, slower=None, overhead=0.25).regressions == (
        "mlp-int8.tflite on litert: classify over the bare call grew, by more than 25 %",
    )


OTHER = made.MACHINE | {"cpu": "Other CPU", "governor": None, "load_1m": 9.0}


def test_on_another_machine_latency_is_told_and_never_judged(compared) -> None:
    found = compared(made.report(), made.report(slower(3), machine=OTHER))
    assert found.passed
    (machine,) = found.machines
    assert machine.differs == {
        "cpu": ("Some CPU", "Other CPU"),
        "governor": ("performance", "not told"),
    }
    text = as_text(found, width=80)
    assert "the machines differ: latency is told and not judged" in text
    assert text.index("the machines differ") < text.index("mlp-int8.tflite on litert")
    assert "3.00 times" in text or "2.99 times" in text
    assert not found.rows[0].latency_judged


@pytest.mark.parametrize(
    "changed",
    [
        {"cpu": "x"}, {"architecture": "aarch64"}, {"isa": ["avx2"]}, {"cores": 4},
        {"os": "Debian GNU/Linux 13, Linux 6.1.0"}, {"governor": "powersave"},
    ],
)  # fmt: skip
def test_what_makes_a_machine_another_one(compared, changed: dict[str, Any]) -> None:
    other = made.report(slower(3), machine=made.MACHINE | changed)
    found = compared(made.report(), other)
    assert found.passed
    assert list(found.machines[0].differs) == list(changed)
    assert compared(other, other).machines[0].differs == {}
    same = made.report(slower(3), machine=made.MACHINE | {"load_1m": 3.0, "temperature_c": 70.5})
    assert not compared(made.report(), same).passed


def test_another_kernel_and_other_versions_are_told_of_the_same_machine(compared) -> None:
    kernel = made.MACHINE | {"os": "Debian GNU/Linux 12, Linux 6.1.1-9"}
    versions = {"edgestitch": "0.1.0", "litert": "2.2.0", "onnxruntime": "1"}
    found = compared(made.report(), made.report(slower(3), machine=kernel, versions=versions))
    assert not found.passed
    (machine,) = found.machines
    assert machine.differs == {}
    assert machine.told == {
        "os": (made.MACHINE["os"], kernel["os"]),
        "litert": ("2.1.2", "2.2.0"),
    }
    text = as_text(found, width=120)
    assert "os: Debian GNU/Linux 12, Linux 6.1.0 -> Debian GNU/Linux 12, Linux 6.1.1-9" in text
    assert "litert: 2.1.2 -> 2.2.0" in text and "differ" not in text


def test_nothing_that_can_be_judged_is_refused_unless_nothing_is_asked(compared) -> None:
    """Two profiles have no accuracy, and two machines no latency that says anything."""
    old, new = made.profile(), made.profile(slower(3), machine=OTHER)
    with pytest.raises(EdgestitchError, match="latency and accuracy of no row can") as caught:
        compared(old, new)
    assert "(the machines differ in cpu, governor)" in caught.value.message
    assert "--fail-if-overhead 25%" in (caught.value.hint or "")
    assert compared(old, new, overhead=0.25).passed
    silent = compared(old, new, slower=None, drop_pp=None)
    assert as_text(silent).endswith("nothing was judged: no limit is set")


def test_what_was_judged_in_some_rows_only_is_said_at_the_end(compared) -> None:
    rows = made.row(), made.row(engine="reference", accuracy=None, n=None)
    told = as_text(compared(made.report(*rows), made.report(*rows, machine=OTHER)), width=120)
    assert told.endswith("no regression in 2 rows; not judged: latency in 2, accuracy in 1")
    assert as_text(compared(made.report(), made.report())).endswith("no regression in 1 row")


def test_float_models_of_two_runs_are_not_one(compared) -> None:
    """All are called model.keras, in a report of several runs RUN/model.keras."""

    def keras(run: str, folder: str = "", **other: Any) -> Row:
        return made.row(f"{folder}model.keras", "keras predict", run=run, **other)

    good, bad = keras("mlp"), keras("dscnn", accuracy=0.7)
    with pytest.raises(EdgestitchError, match="no row in common"):
        compared(made.report(good), made.report(bad))
    both = made.report(keras("mlp", "mlp/"), keras("dscnn", "dscnn/", accuracy=0.7))
    (row,) = compared(made.report(good), both).rows
    assert (row.artifact, row.regressions) == ("mlp/model.keras", ())
    (row,) = compared(both, made.report(bad)).rows
    assert row.accuracy is not None and row.accuracy.change_pp == 0


def test_overhead_and_accuracy_are_judged_on_another_machine_too(compared) -> None:
    """Twice as slow a machine has the same quotient."""
    old = made.report()
    assert compared(old, made.report(slower(2), machine=OTHER), overhead=0.25).passed
    grown = made.report(more_overhead(1.5), machine=OTHER)
    assert not compared(old, grown, overhead=0.25).passed
    assert not compared(old, made.report(made.row(accuracy=0.8), machine=OTHER)).passed


def test_rows_of_an_added_device_have_that_device_s_machine(compared) -> None:
    def report(row: Row, **machine: Any) -> Report:
        return made.report(made.row(), row, added=(made.added("pi4", **machine),))

    old = report(made.row(machine="pi4"), cpu="Cortex-A72")
    new = report(slower(2, machine="pi4"), cpu="Cortex-A76")
    found = compared(old, new)
    assert found.passed
    assert [(one.label, bool(one.differs)) for one in found.machines] == [
        (None, False),
        ("pi4", True),
    ]
    assert "the machines pi4 differ" in as_text(found)
    assert not compared(old, report(slower(2, machine="pi4"), cpu="Cortex-A72")).passed


def test_a_row_that_no_longer_passes_its_self_test_is_a_regression(compared) -> None:
    was, differs = made.report(made.row()), made.report(made.row(selftest="differs"))
    (why,) = compared(was, differs).regressions
    assert why.endswith("it no longer answers its golden vectors as exported")
    for old, new in (
        (differs, differs),
        (differs, was),
        (was, made.report(made.row(selftest="within 1 step"))),
    ):
        assert compared(old, new).passed


def test_a_row_that_broke_is_a_regression_and_one_that_is_gone_is_told(compared) -> None:
    two = made.report(made.row(), made.row(engine="tflite-runtime"))
    broke = compared(two, made.report(made.row(), made.failed(engine="tflite-runtime")))
    (why,) = broke.regressions
    assert why.startswith("mlp-int8.tflite on tflite-runtime: it ran before and failed now: ")
    assert "ran -> failed" in as_text(broke)
    gone = compared(two, made.report())
    assert gone.passed
    assert gone.missing == ("mlp-int8.tflite on tflite-runtime",)
    assert "missing in the new one: mlp-int8.tflite on tflite-runtime" in as_text(gone)
    absent = made.failed(engine="tflite-runtime", status="absent", reason="not installed")
    left = compared(two, made.report(made.row(), absent))
    assert left.passed
    assert left.missing == gone.missing
    mended = compared(made.report(made.row(), absent), two)
    assert mended.passed
    assert "engine not there -> ran" in as_text(mended)
    came = compared(made.report(), two)
    assert came.passed
    assert came.added == gone.missing


def test_a_report_and_a_profile_are_compared_in_what_both_tell(compared) -> None:
    found = compared(made.report(), made.profile(slower(1.3)))
    assert found.rows[0].accuracy is None
    assert not found.passed
    assert (found.old.kind, found.new.kind) == ("report", "profile")


def test_a_run_may_be_renamed_and_two_runs_may_have_a_file_of_one_name(compared) -> None:
    assert len(compared(made.report(), made.report(made.row(run="other"))).rows) == 1
    two = made.report(made.row(run="a"), slower(2, run="b"))
    assert compared(two, two).passed
    assert len(compared(two, two).rows) == 2
    assert {row.latency.new for row in compared(two, two).rows if row.latency} == {5.0, 10.0}


def test_threads_and_engines_keep_rows_apart(compared) -> None:
    found = compared(
        made.report(made.row(), made.row(threads=2)), made.report(slower(1, threads=2))
    )
    assert [row.threads for row in found.rows] == [2]


def test_what_cannot_be_compared_is_refused(compared) -> None:
    with pytest.raises(EdgestitchError, match="no row in common") as caught:
        compared(made.report(made.row("a.tflite")), made.report(made.row("b.tflite")))
    assert "a.tflite on litert against b.tflite on litert" in caught.value.message
    assert caught.value.exit_code == 2
    with pytest.raises(EdgestitchError, match="no row in common"):
        compared(made.report(), made.profile() | {"rows": []})
    with pytest.raises(EdgestitchError, match="no row was measured in both"):
        compared(made.report(made.failed()), made.report(made.row()))
    no_bare = made.report(made.row(bare_latency_us=None))
    with pytest.raises(EdgestitchError, match="cannot be judged"):
        compared(no_bare, made.report(), overhead=0.25)
    unpaired = made.row(bare_latency_us=made.latency(2.0, blocks=19))
    with pytest.raises(EdgestitchError, match="cannot be judged"):
        compared(made.report(), made.report(unpaired), overhead=0.25)


def test_one_block_is_told_and_not_judged(compared) -> None:
    one = made.row(latency_us=replace(made.latency(9.0), block_p50=(9.0,)))
    found = compared(made.report(), made.report(one))
    assert found.passed
    assert "1.80 times (one block: cannot tell)" in as_text(found, width=120)


@pytest.mark.parametrize("width", [1, 20, 40, 80, 120])
def test_the_text_fits_its_columns_and_loses_no_word(compared, width: int) -> None:
    rows = made.row(), made.failed("mlp-float32.onnx", "onnxruntime"), slower(1, threads=2)
    old = made.report(made.row(), made.row("mlp-float32.onnx", "onnxruntime"), made.row(threads=2))
    found = compared(old, made.report(*rows, quick=True, machine=OTHER), overhead=0.25)
    text = as_text(found, width=width)
    assert max(map(len, text.split("\n"))) <= max(width, 20)
    assert "".join(text.split()) == "".join(as_text(found, width=10_000).split())
    for words in ("a quick look", "limits: slower 10 %", "REGRESSION", "SIGABRT"):
        assert "".join(words.split()) in "".join(text.split())


def test_text_has_every_figure(compared) -> None:
    new = made.row(bytes=105_000, cold_start_ms=150.0, memory_mb=39.0, selftest="within 1 step",
                   sha256="e" * 64, accuracy=0.8795)  # fmt: skip
    text = as_text(compared(made.report(), made.report(new)), width=120)
    for words in (
        "classify   5.00 -> 5.00 us, 1.00 times (0.9",
        "bare       2.00 -> 2.00 us, 1.00 times (0.9",
        "2.50 -> 2.50 bare calls",
        "88.00 % (8,800 of 10,000) -> 87.95 % (8,795 of 10,000), -0.05 points",
        "104,472 -> 105,000 bytes",
        "120.0 -> 150.0 ms",
        "40.2 -> 39.0 MB",
        "identical -> within 1 step",
        "the hashes differ",
        "limits: slower 10 %, accuracy drop 0.2 points, overhead not judged",
        "no regression in 1 row",
    ):
        assert words in text, text


def test_percentages_and_points_are_read_or_refused() -> None:
    assert percent("--x", "10%") == percent("--x", " 10 % ") == percent("--x", "10.0%") == 0.1
    assert percent("--x", "0%") == 0
    assert percent("--x", "none") is None
    for text in ("0.1", "10", "", "%", "-5%", "1e1%", "nan%", "10%%", "ten%", "10,5%", "٣%",
                 "20000%", "9" * 400 + "%"):  # fmt: skip
        with pytest.raises(EdgestitchError, match="--x"):
            percent("--x", text)
    with pytest.raises(EdgestitchError) as caught:
        percent("--x", "0.1")
    assert caught.value.hint == "write 0.1% or 10%, whichever is meant"
    assert points("--x", "0.2") == 0.2
    assert points("--x", "none") is None
    for text in ("0.2%", "-1", "", "nan", "inf", "101", "0,2", "9" * 400):
        with pytest.raises(EdgestitchError, match="--x"):
            points("--x", text)


def test_the_command_prints_and_ends_with_0_1_or_2(
    tmp_path: Path, cli: Callable[..., Any], refused: Callable[..., str]
) -> None:
    old = made.write(tmp_path / "old.json", made.report())
    new = made.write(tmp_path / "new.json", made.report(slower(1.3)))
    done = cli("compare", old, old, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "no regression" in done.stdout
    done = cli("compare", old, new, "--json", cwd=tmp_path, env={"COLUMNS": "40"})
    assert (done.returncode, done.stderr) == (1, "")
    told = json.loads(done.stdout)
    assert told == json.loads(json.dumps(compare(old, new).to_json()))
    assert (told["passed"], told["kind"], len(told["rows"])) == (False, "comparison", 1)
    assert told["rows"][0]["latency"]["verdict"] == "slower"
    done = cli("compare", old, new, "--fail-if-slower", "40 %", cwd=tmp_path, env={"COLUMNS": "40"})
    assert done.returncode == 0
    assert max(map(len, done.stdout.split("\n"))) <= 40
    assert "--fail-if-slower '0.1'" in refused(
        "compare", old, new, "--fail-if-slower", "0.1", cwd=tmp_path
    )
    assert "no such file" in refused("compare", old, "none.json", cwd=tmp_path)


def test_what_was_not_judged_is_said_beside_a_regression_too(compared) -> None:
    rows = made.row(accuracy=0.7), made.row(engine="reference", accuracy=None, n=None)
    old = made.report(made.row(), made.row(engine="reference", accuracy=None, n=None))
    found = compared(old, made.report(*rows, machine=OTHER))
    end = as_text(found, width=120).splitlines()[-2:]
    assert end[0].startswith("REGRESSION: mlp-int8.tflite on litert: accuracy fell")
    assert end[1] == "worse: 1 of 2 rows; not judged: latency in 2, accuracy in 1"
    assert found.to_json()["judged"] == {"latency": 0, "accuracy": 1}
    broke = compared(made.report(), made.report(made.failed()), slower=None, drop_pp=None)
    assert as_text(broke).endswith("worse: 1 of 1 row; no limit is set")


def test_a_caveat_of_one_side_alone_is_told(compared) -> None:
    both, busy = "A virtual machine.", "Other processes used 150 % of a core meanwhile."
    old, new = made.report(caveats=(both,)), made.report(caveats=(both, busy))
    text = as_text(compared(old, new), width=120)
    assert f"caveat of the new: {busy}" in text and both not in text
    assert f"caveat of the old: {busy}" in as_text(compared(new, old), width=120)


def test_a_row_that_never_ran_is_not_missed(compared) -> None:
    absent = made.failed(engine="tflite-runtime", status="absent", reason="not installed")
    assert compared(made.report(made.row(), absent), made.report()).missing == ()
