"""One report of several runs, with profiles of other machines, and what is gone on with.

The rows are those of scripted workers, which a real measurement starts; runs and data are real.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_benchmarks import benchmark
from edgestitch_benchmarks.added import read_profiles
from edgestitch_benchmarks.benchmark import bench
from edgestitch_benchmarks.journal import FILE
from edgestitch_benchmarks.report import Report, Row
from edgestitch_runtime import machine
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.rounds import Effort, Progress, Subject
from edgestitch_runtime.run_folder import Run
from scripted_worker import logged, scripted
from written_reports import failed, profile, row, write

BRIEF = Effort(
    min_seconds=0.02, min_runs=6, blocks=3, batches=(1,), batch_seconds=0.001, patience_s=60
)


@pytest.fixture
def two_runs(
    mini_run: Path,
    mini_test: tuple[np.ndarray, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> list[Path]:
    """wide and narrow, whose rows are model.keras, float32 and int8 TFLite; wide answers better."""
    labels = mini_test[1]
    folders = []
    for name, right in (("wide", 0.9), ("narrow", 0.7)):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(mini_run / "model.keras", folder)
        record = json.loads((mini_run / "run.json").read_text("utf-8"))
        (folder / "run.json").write_text(json.dumps(record | {"name": name}), "utf-8")
        generator = np.random.default_rng(int(100 * right))
        for artifact in ("model.keras", f"{name}-float32.tflite", f"{name}-int8.tflite"):
            wrong = (labels + 1) % 10
            answers = np.where(generator.random(len(labels)) < right, labels, wrong)
            scores = generator.integers(-128, 100, (len(labels), 10)).astype(np.int8)
            scores[np.arange(len(labels)), answers] = 120
            scripted(folder, artifact, scores=scores)
        folders.append(folder)

    def plan(run: Run, *, engine_pythons: object) -> list[Subject]:
        held = [("model.keras", "keras predict"), ("float32", "litert"), ("int8", "litert")]
        found = []
        for what, engine in held:
            name = what if what == "model.keras" else f"{run.name}-{what}.tflite"
            subject = scripted(
                run.folder,
                name,
                scores=np.load(run.folder / f"{name}-scores.npy"),
                format_="keras" if what == "model.keras" else "tflite",
                engine=engine,
                content=f"{run.name} {what}".encode(),
            )
            precision = "int8" if what == "int8" else "float32"
            found.append(replace(subject, precision=precision))
        return found

    monkeypatch.setattr(benchmark, "plan_rows", plan)
    return folders


def measured(folders: list[Path], **more: object) -> Report:
    return bench(folders, effort=BRIEF, **more)  # pyright: ignore[reportArgumentType]


def test_files_of_one_name_are_called_by_their_runs_and_rows_are_told_apart(
    two_runs: list[Path],
) -> None:
    report = measured(two_runs)
    assert [row.artifact for row in report.rows] == [
        "wide/model.keras", "wide-float32.tflite", "wide-int8.tflite",
        "narrow/model.keras", "narrow-float32.tflite", "narrow-int8.tflite",
    ]  # fmt: skip
    assert [row.run for row in report.rows] == ["wide"] * 3 + ["narrow"] * 3
    assert [run.name for run in report.runs] == ["wide", "narrow"] and report.run == report.runs[0]
    baselines = [row.against.row if row.against else None for row in report.rows]
    wide, narrow = "wide-float32.tflite on litert", "narrow-float32.tflite on litert"
    assert baselines == [wide, None, wide, narrow, None, narrow]
    assert all(row.accuracy is not None for row in report.rows)
    assert min(r.accuracy or 0 for r in report.rows if r.run == "wide") > 0.8
    assert max(r.accuracy or 1 for r in report.rows if r.run == "narrow") < 0.8
    assert len(report.labels) == 10
    flips = {f.image for r in report.rows if r.details for f in r.details.flips}
    assert set(report.pictures) == flips and len(flips) > 20
    assert all(png.startswith(b"\x89PNG") for png in report.pictures.values())
    assert any("Mini data set" in caveat for caveat in report.caveats)


def test_a_picture_of_a_flip_is_the_test_image(
    two_runs: list[Path], mini_test: tuple[np.ndarray, np.ndarray]
) -> None:
    import io

    from PIL import Image

    for index, png in measured(two_runs[:1]).pictures.items():
        pixels = np.asarray(Image.open(io.BytesIO(png)))
        np.testing.assert_array_equal(pixels, mini_test[0][index])


def _hash(report: Report, artifact: str) -> str:
    return next(r.sha256 or "" for r in report.rows if r.artifact == artifact)


@pytest.fixture
def device(two_runs: list[Path], tmp_path: Path) -> Callable[..., Path]:
    """Makes pi4.json, of the rows given."""

    def make(*rows: Row, name: str = "pi4.json") -> Path:
        return write(tmp_path / name, profile(*rows))

    return make


def test_rows_of_a_device_are_joined_by_hash_and_repeat_the_accuracy_of_here(
    two_runs: list[Path], device: Callable[..., Path]
) -> None:
    here = measured(two_runs)
    named = {a: _hash(here, a) for a in ("wide-int8.tflite", "wide-float32.tflite")}
    sha = named["wide-int8.tflite"]
    path = device(
        row("renamed.tflite", "litert", sha256=sha),
        row("wide-int8.tflite", "tflite-runtime", sha256=sha),
        row("wide-float32.tflite", "litert", sha256=named["wide-float32.tflite"], selftest=None),
        row("stranger.tflite", "litert", sha256="9" * 64),
        failed("wide-int8.tflite", "reference", sha256=sha),
        row("x.tflite", "reference", sha256=named["wide-float32.tflite"], selftest="differs"),
    )
    said: list[str] = []
    caveat = "Quick mode: it was so there."
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(content | {"caveats": [caveat]}), "utf-8")
    report = measured(two_runs, add=[path], say=said.append)
    assert report.added[0].caveats == (caveat,) and f"pi4: {caveat}" in report.caveats
    own, added = report.rows[:6], report.rows[6:]
    assert all(r.machine is None for r in own) and {r.machine for r in added} == {"pi4"}
    assert len(said) == 1 and "stranger.tflite" in said[0] and "pi4.json" in said[0]
    same, other, untested, broken, _ = added
    assert any("wide-float32.tflite on reference on pi4 no lon" in c for c in report.caveats)
    twin = next(r for r in own if r.sha256 == sha)
    assert same.artifact == "wide-int8.tflite" and same.run == "wide" and same.parts == twin.parts
    for name in ("accuracy", "n", "changed", "drop_pp", "flips_lost", "flips_won", "mcnemar_p"):
        assert getattr(same, name) == getattr(twin, name) is not None
    assert same.details is None
    assert same.against is not None  # on the device: blocks there went round
    assert same.against.row == "wide-float32.tflite on litert on pi4"
    assert (other.accuracy, untested.accuracy, broken.accuracy) == (None, None, None)
    assert broken.status == "failed"
    assert report.added[0].label == "pi4" and report.added[0].machine["cpu"] == "Some CPU"
    assert any("golden vectors identically" in text for text in report.timed)
    assert not any("Other machines" in text for text in report.not_measured)


def test_a_profile_of_nothing_here_is_refused_before_anything_is_measured(
    two_runs: list[Path], device: Callable[..., Path], tmp_path: Path
) -> None:
    stranger = device(row("stranger.tflite", "litert", sha256="9" * 64), name="other.json")
    report = write(tmp_path / "report.json", measured(two_runs[:1]))
    (two_runs[0] / "log").unlink()
    (tmp_path / "cut.json").write_text('{"schema": 2', "utf-8")
    for path, says in (
        (stranger, "no row of a file"),
        (report, "expected a profile"),
        (tmp_path / "cut.json", "cut.json"),
        (tmp_path / "gone.json", "gone.json"),
    ):
        with pytest.raises(EdgestitchError, match=says) as caught:
            measured(two_runs[:1], add=[path])
        assert caught.value.hint and caught.value.exit_code == 2
    assert not (two_runs[0] / "log").exists()  # no worker was started


def test_a_device_has_no_row_of_a_file_that_is_of_another_model(
    two_runs: list[Path], device: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = _hash(measured(two_runs[:1]), "wide-int8.tflite")
    path = device(row("wide-int8.tflite", "litert", sha256=sha))
    plan = benchmark.plan_rows

    def strange(run: Run, **more: Any) -> list[Subject]:
        *own, last = plan(run, **more)
        return [*own, replace(last, command=None, status="failed", reason="of another model")]

    monkeypatch.setattr(benchmark, "plan_rows", strange)
    with pytest.raises(EdgestitchError, match="no row of a file"):
        measured(two_runs[:1], add=[path])


def test_two_profiles_of_one_name_are_refused(
    two_runs: list[Path], device: Callable[..., Path], tmp_path: Path
) -> None:
    sha = _hash(measured(two_runs[:1]), "wide-int8.tflite")
    first = device(row("wide-int8.tflite", "litert", sha256=sha))
    (tmp_path / "b").mkdir()
    second = Path(shutil.copy(first, tmp_path / "b" / "pi4.json"))
    with pytest.raises(EdgestitchError, match="called pi4"):
        measured(two_runs[:1], add=[first, second])


def test_a_file_twice_on_one_engine_is_one_row_of_a_device(tmp_path: Path) -> None:
    sha = "9" * 64
    twice = profile(*(row(name, "litert", sha256=sha) for name in ("a.tflite", "b.tflite")))
    said: list[str] = []
    (found,) = read_profiles(
        [write(tmp_path / "pi4.json", twice)], frozenset({sha}), say=said.append
    )
    assert [one.artifact for one in found.rows] == ["a.tflite"]
    assert len(said) == 1 and "b.tflite on litert" in said[0] and "a.tflite on litert" in said[0]


@pytest.mark.parametrize("name", ["a\nb.json", "\x1b[31m.json", "\u202egnp.json"])
def test_a_device_whose_name_cannot_be_printed_is_refused_in_a_line(
    tmp_path: Path, name: str
) -> None:
    path = write(tmp_path / name, profile(row("a.tflite", "litert", sha256="9" * 64)))
    with pytest.raises(EdgestitchError, match="cannot be printed") as caught:
        read_profiles([path], frozenset({"9" * 64}), say=print)
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (["x", "", "1", "1 block", "y block z"], "0 of 6 rows started, 0 of 4 rounds"),
        (["1 open", "2 open", "1 answers", "1 block 0 a"], "2 of 6 rows started, 0 of 4 rounds"),
        (
            ["1 open", "1 answers", "1 block 0 a", "1 block 0 b", "1 block 1 a"],
            "1 of 6 rows started, 1 of 4 rounds",
        ),
        (
            ["1 open", "1 answers", "1 block 0 a", "1 block 0 b", "2 open", "2 failed"],
            "2 of 6 rows started, 1 of 4 rounds",
        ),
    ],
)
def test_what_an_interrupted_measurement_had_done_is_counted_by_whole_rounds(
    keys: list[str], says: str
) -> None:
    answers = {key: {"kinds": ["a", "b"]} for key in keys}
    assert benchmark._goes_on(answers, 6, 4) == f"goes on from an unfinished measurement: {says}"


def test_a_measurement_that_was_interrupted_goes_on_and_counts_every_block_once(
    two_runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = tmp_path / "out" / "unfinished"

    def interrupt(progress: Progress) -> None:
        if progress.text.startswith("timing round 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measured(two_runs, keep=keep, tell=interrupt)
    before = [len(logged(folder)) for folder in two_runs]
    said: list[str] = []
    report = measured(two_runs, keep=keep, say=said.append)
    assert said == ["goes on from an unfinished measurement: 6 of 6 rows started, 1 of 3 rounds"]
    assert any("2 sittings" in caveat for caveat in report.caveats)
    for folder, count in zip(two_runs, before, strict=True):
        after = [what for _, what, _ in logged(folder)[count:]]
        assert "answers" not in after and "selftest" not in after and "call" in after
    for found in report.rows:
        assert found.status == "ok" and found.latency_us is not None
        assert len(found.latency_us.block_p50) == 3
    # All of it is there: nothing is started any more, and the numbers are the same.
    counts = [len(logged(folder)) for folder in two_runs]
    lasting = machine.describe()
    monkeypatch.setattr(machine, "describe", lambda: replace(lasting, governor="of the writing"))
    again = measured(two_runs, keep=keep)
    assert [len(logged(folder)) for folder in two_runs] == counts
    assert again.rows == report.rows
    assert again.caveats == report.caveats and again.machine_line == report.machine_line


def test_what_is_of_other_files_is_not_gone_on_with(two_runs: list[Path], tmp_path: Path) -> None:
    keep = tmp_path / "unfinished"
    measured(two_runs[:1], keep=keep)
    with pytest.raises(EdgestitchError, match="of other files"):
        measured(two_runs, keep=keep)
    other = replace(BRIEF, blocks=4)
    with pytest.raises(EdgestitchError, match="of other effort"):
        bench(two_runs[:1], effort=other, keep=keep)
    report = bench(two_runs[:1], effort=other, keep=keep, fresh=True)
    assert not any("sittings" in caveat for caveat in report.caveats)
    assert (keep / FILE).is_file()
