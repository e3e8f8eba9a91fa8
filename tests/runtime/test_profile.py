"""`edgestitch profile` on real artifacts."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_runtime import Classifier, measuring, profile_subjects
from edgestitch_runtime.cli import main
from edgestitch_runtime.comparing import interleaved_ratio, repeat_interval
from edgestitch_runtime.dataset import find_recorded
from edgestitch_runtime.profile_text import as_text, in_words
from edgestitch_runtime.run_folder import read_run
from edgestitch_runtime.to_measure import Effort

BRIEF = Effort(min_seconds=0.02, min_runs=20, blocks=4, batches=(1, 16), batch_seconds=0.001)
KINDS = ("bare_latency_us", "latency_us")


@pytest.fixture
def artifact(mini_run: Path) -> Path:
    return next((mini_run / "export").glob("*-int8.tflite"))


@pytest.fixture(scope="module")
def several(mini_run: Path) -> measuring.Profile:
    """Two artifacts on every engine that takes them, in little time."""
    paths = [next((mini_run / "export").glob(f"*-int8.{x}")) for x in ("tflite", "onnx")]
    return measuring.profile(paths, engines=["all"], effort=BRIEF)


def test_the_text_gives_every_row_its_calls_and_what_is_timed(
    artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["profile", str(artifact), "--min-seconds", "0.05"]) == 0
    told = capsys.readouterr().out
    table = told[told.index("microseconds") :].splitlines()[1:3]
    for name, line in zip(("bare", "classify"), table, strict=True):
        assert line.split()[0] == name
        p50, p90, p99, runs = (float(text.replace(",", "")) for text in line.split()[1:])
        assert 0 < p50 <= p90 <= p99 and runs >= 1000
    assert hashlib.sha256(artifact.read_bytes()).hexdigest() in told
    for words in (
        "times the bare call", "of a repeat", "images a second", "cold start", "empty Python",
        "self-test: identical", "distance from reference", "machine:", "numpy", "Not timed",
        "taken off every call", "first answer",
    ):  # fmt: skip
        assert words in told
    assert "beside" not in told  # there is one row


def test_json_holds_a_profile_of_schema_2_with_everything_that_was_measured(
    artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["profile", str(artifact), "--quick", "--json"]) == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert (told["schema"], told["kind"]) == (2, "profile") and captured.err == ""
    assert told["machine"]["cores"] >= 1 and told["timer_ns"] > 0 and told["machine_line"]
    assert told["command"] == f"edgestitch profile {artifact.name} --quick"
    assert any("Quick" in caveat for caveat in told["caveats"])
    (row,) = told["rows"]
    assert row["artifact"] == artifact.name and row["bytes"] == artifact.stat().st_size
    assert row["sha256"] == hashlib.sha256(artifact.read_bytes()).hexdigest()
    assert (row["engine"], row["status"], row["reason"]) == ("litert", "ok", None)
    assert told["versions"]["litert"] == row["engine_version"]
    assert row["cold_start_ms"] == pytest.approx(sum(row["cold_start"].values()))
    assert [speed["batch"] for speed in row["throughput"]] == [1, 16, 256]
    assert 0 < row["memory_mb"] < row["peak_rss_mb"] and row["selftest"] == "identical"
    for kind in KINDS:
        latency = row[kind]
        assert latency["quantiles"][5] == latency["p50"] and len(latency["block_p50"]) == 4
        low, high = repeat_interval(latency["p50"], latency["block_p50"])
        assert latency["repeat_p50"] == [pytest.approx(low), pytest.approx(high)]
    assert row["latency_us"]["p50"] > row["bare_latency_us"]["p50"] * 0.9
    assert row["against"] is None


def test_every_artifact_on_every_engine_is_a_row_beside_the_first(
    several: measuring.Profile,
) -> None:
    names = [row.measurement.name for row in several.rows]
    assert names == [
        "mlp-int8.tflite on litert",
        "mlp-int8.tflite on reference",
        "mlp-int8.onnx on onnxruntime",
    ]
    assert several.whole and several.to_json()["rows"][0]["against"] is None
    first = several.rows[0].measurement.latency_us
    for row, told in zip(several.rows[1:], several.to_json()["rows"][1:], strict=True):
        latency = row.measurement.latency_us
        assert latency is not None and first is not None
        ratio = interleaved_ratio(latency.block_p50, first.block_p50)
        assert told["against"] == {
            "row": names[0],
            "value": ratio.value,
            "low": ratio.low,
            "high": ratio.high,
            "verdict": ratio.verdict,
        }
    assert several.rows[1].against is not None
    assert several.rows[1].against.value > 2  # numpy beside C++
    assert several.rows[1].against.verdict == "slower"


@pytest.mark.parametrize("columns", [20, 40, 80, 120, None])
def test_the_text_fits_every_terminal(several: measuring.Profile, columns: int | None) -> None:
    told = as_text(several, columns=columns)
    assert max(map(len, told.splitlines())) <= (columns or 80)
    squeezed = re.sub(r"\s+", "", told)
    for row in several.rows:
        latency = row.measurement.latency_us
        assert latency is not None and str(row.measurement.sha256) in squeezed
        assert f"{latency.p50:,.2f}" in squeezed and f"{latency.runs:,}" in squeezed
    assert all(re.sub(r"\s+", "", x) in squeezed for x in (*several.timed, *several.caveats))
    assert len(re.findall("^  beside ?", told, re.MULTILINE)) == 2 and "times as slow" in " ".join(
        told.split()
    )


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (2.0, 1.0, "2.00 times as slow (1.9"),
        (1.0, 2.0, "2.00 times as fast (1.9"),
        (1.0, 1.0, "1.00 times as fast (0.9"),
    ],
)
def test_a_ratio_in_words_is_faster_slower_or_cannot_tell(
    first: float, second: float, says: str
) -> None:
    ratio = interleaved_ratio([first] * 12, [second] * 12)
    told = in_words(ratio)
    assert told.startswith(says) and told.endswith(f": {ratio.verdict}")
    low, high = (float(x) for x in told[told.index("(") + 1 : told.index(")")].split(" to "))
    assert low <= max(first, second) / min(first, second) <= high


def test_on_a_terminal_of_40_columns_progress_is_told_line_by_line_and_nothing_breaks(
    artifact: Path,
) -> None:
    lead, follow = pty.openpty()
    fcntl.ioctl(follow, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    words = ["profile", str(artifact), "--min-seconds", "0.02", "--engine", "reference"]
    process = subprocess.Popen(
        [sys.executable, "-m", "edgestitch_runtime", *words],
        stdout=follow,
        stderr=follow,
        stdin=follow,
        env={k: v for k, v in os.environ.items() if k != "COLUMNS"} | {"TERM": "dumb"},
    )
    os.close(follow)
    told = b""
    while True:
        try:
            part = os.read(lead, 65536)
        except OSError:
            break
        if not part:
            break
        told += part
    assert process.wait(timeout=60) == 0
    lines = told.decode().splitlines()
    assert any(line.startswith("[0/21] mlp-int8.tflite on reference") for line in lines)
    assert max(len(line) for line in lines if not line.startswith("[")) <= 40
    assert "\x1b" not in told.decode() and any("bare: p50" in line for line in lines)


def test_an_artifact_in_its_run_is_timed_with_the_runs_own_test_images(
    artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["profile", str(artifact), "--min-seconds", "0.02"]) == 0
    captured = capsys.readouterr()
    assert "1,000 test images of" in captured.out and "notice" not in captured.err


def test_an_artifact_on_its_own_is_timed_with_generated_pixels_and_says_so(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = shutil.copy(artifact, tmp_path)
    assert main(["profile", str(alone), "--min-seconds", "0.02"]) == 0
    captured = capsys.readouterr()
    assert "generated pixels" in captured.out and "notice" in captured.err
    assert "caveat: Timed on generated pixels" in captured.out
    assert "no distance from reference: there are no real images at hand" in captured.out


def test_litert_is_as_far_from_the_reference_as_counted_by_hand(
    several: measuring.Profile,
    artifact: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = several.to_json()["rows"][0]["distance"]
    test = find_recorded(read_run(artifact.parent.parent).record["data"]).test
    rows = []
    for engine in ("litert", "reference"):
        with Classifier.open(artifact, engine=engine) as classifier:
            rows.append([r.scores.ravel().tolist() for r in classifier.classify(test.images_u8)])
    pairs = list(zip(*(part[:1000] for part in rows), strict=True))
    steps = [abs(x - y) for a, b in pairs for x, y in zip(a, b, strict=True)]
    assert told == {
        "n": min(1000, len(test.labels)),
        "rows_equal": sum(a == b for a, b in pairs),
        "largest_step": max(steps),
        "flips": sum(a.index(max(a)) != b.index(max(b)) for a, b in pairs),
    }
    asked: list[Path] = []
    answers = measuring.by_reference
    monkeypatch.setattr(
        measuring, "by_reference", lambda path, *more: (asked.append(path), answers(path, *more))[1]
    )
    copy = Path(shutil.copy(artifact, tmp_path / "copy.tflite"))
    alone = measuring.profile([artifact, copy], engines=["litert"], effort=BRIEF)
    # The reference was no row there, and answered for both rows of one content at once.
    assert [row["distance"] for row in alone.to_json()["rows"]] == [told, told]
    assert asked == [artifact]
    line = next(x for x in as_text(alone, columns=80).splitlines() if "distance" in x)
    assert f"{told['rows_equal']:,} of {told['n']:,} rows equal" in line


@pytest.mark.parametrize(
    ("pattern", "engine", "why"),
    [
        ("*-int8.tflite", "reference", "it is the reference"),
        ("*-float32.tflite", "litert", "float32"),
        ("*-int8.onnx", "onnxruntime", "does not run onnx"),
    ],
)
def test_where_there_is_no_distance_the_profile_says_why(
    mini_run: Path, pattern: str, engine: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = next((mini_run / "export").glob(pattern))
    assert main(["profile", str(path), "--engine", engine, "--min-seconds", "0.02"]) == 0
    told = capsys.readouterr().out
    line = next(x for x in told.splitlines() if "no distance from reference: " in x)
    assert why in line and str(path.parent) not in line


def test_named_images_are_used(artifact: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", np.zeros((3, 28, 28), np.uint8))
    result = measuring.profile(artifact, images=tmp_path / "mine.npy", effort=BRIEF)
    assert result.images == "3 images of mine.npy" and not result.generated


def test_the_test_images_of_a_data_set_are_used(
    artifact: Path, mini_test: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    """By IDX files and by a folder of pictures, whose size is made that of the model's images."""
    from PIL import Image

    folder = tmp_path / "idx"
    folder.mkdir()
    images, labels = mini_test[0][:40], mini_test[1][:40].astype(np.uint8)
    for part in ("train", "t10k"):
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(
                gzip.compress(header + array.tobytes())
            )
    result = measuring.profile(artifact, data=folder, effort=BRIEF)
    assert result.images == "40 test images of idx"
    pictures = tmp_path / "pictures"
    for name in ("bags", "boots"):
        (pictures / name).mkdir(parents=True)
        for k in range(20):
            pixels = np.pad(images[k], 14)
            Image.fromarray(pixels).save(pictures / name / f"{k}.png")
    result = measuring.profile(artifact, data=pictures, effort=BRIEF)
    assert re.fullmatch(r"\d+ test images of pictures", result.images)


def test_two_files_of_one_name_are_refused_and_a_repeat_is_one_row(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path(shutil.copy(artifact, tmp_path))
    assert main(["profile", str(artifact), str(other)]) == 2
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == "" and len(lines) == 2 and lines[1].startswith("hint: ")
    assert str(artifact) in lines[0] and str(other) in lines[0]
    round_about = artifact.parent / ".." / artifact.parent.name / artifact.name
    subjects, _ = profile_subjects.subjects_of(
        [artifact, artifact, round_about], ["litert"], threads=1, folder=tmp_path
    )
    assert [subject.path for subject in subjects] == [artifact]


def test_a_row_that_fails_stays_with_its_reason_and_the_others_finish(
    several: measuring.Profile,
    artifact: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = replace(
        several.rows[0],
        measurement=replace(
            several.rows[0].measurement,
            status="failed",
            reason="the worker was killed by signal 9, SIGKILL (out of memory?)",
            latency_us=None,
            bare_latency_us=None,
        ),
    )
    told: list[dict[str, Any]] = []
    broken = replace(several, rows=(bad, several.rows[2]))
    monkeypatch.setattr(measuring, "profile", lambda *a, **k: (told.append(k), broken)[1])
    file = tmp_path / "a.json"
    words = ["profile", str(artifact), "--engine", "litert", "--engine", "reference"]
    assert main([*words, "--json", str(file), "--quick"]) == 1
    captured = capsys.readouterr()
    assert "failed: the worker was killed by signal 9" in captured.out
    assert [row["status"] for row in json.loads(file.read_text())["rows"]] == ["failed", "ok"]
    assert told[0]["engines"] == ["litert", "reference"] and told[0]["effort"].quick
    broken = replace(several, rows=(bad,))
    assert main([*words, "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "SIGKILL" in captured.err and "hint: " in captured.err


def test_a_row_whose_process_dies_is_a_failed_row_of_the_profile(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second row's worker is a program that ends at once."""
    whole = measuring.subjects_of

    def broken(*args: Any, **more: Any) -> Any:
        subjects, shape = whole(*args, **more)
        return [subjects[0], replace(subjects[1], command=("/bin/false",))], shape

    monkeypatch.setattr(measuring, "subjects_of", broken)
    result = measuring.profile(artifact, engines=["litert", "reference"], effort=BRIEF)
    first, second = (row.measurement for row in result.rows)
    assert not result.whole and first.status == "ok" and first.latency_us is not None
    assert second.status == "failed" and "code 1" in str(second.reason)
    assert "no distance from reference: it gave no answers" in as_text(result, columns=80)


def test_an_engine_that_aborts_while_it_opens_is_one_line_and_a_hint(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aborts = ("/bin/sh", "-c", "kill -ABRT $$")
    monkeypatch.setattr(profile_subjects, "WORKER", aborts)
    assert main(["profile", str(artifact)]) == 2
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == "" and len(lines) == 2 and lines[1].startswith("hint: ")
    assert "SIGABRT" in lines[0] and "auto" in lines[0]


def test_a_damaged_artifact_is_refused_before_anything_is_measured(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(artifact.read_bytes()[:1000])
    assert main(["profile", str(artifact), str(cut)]) == 2
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == "" and len(lines) == 2 and lines[1].startswith("hint: ")
    assert "cut.tflite" in lines[0]


def test_engines_go_to_the_artifacts_that_they_run(mini_run: Path) -> None:
    paths = [next((mini_run / "export").glob(f"*-int8.{x}")) for x in ("tflite", "onnx")]
    result = measuring.profile(
        paths, engines=["reference", "onnxruntime", "auto", "reference"], effort=BRIEF
    )
    assert [row.measurement.engine for row in result.rows] == [
        "reference", "litert", "onnxruntime",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "flags",
    [
        ["--images", "nowhere.npy"],
        ["--threads", "0"],
        ["--min-seconds", "0"],
        ["--min-seconds", "nan"],
        ["--min-seconds", "inf"],
        ["--min-seconds", "-inf"],
        ["--min-seconds", "1e9"],
        ["--engine", "toaster"],
        ["--engine", "onnxruntime"],
        ["--engine", "litert", "--engine", "toaster"],
        ["--data", "nowhere"],
        ["--images", "a.npy", "--data", "b"],
        ["nowhere.tflite"],
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line_a_hint_and_exit_2(
    artifact: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["profile", str(artifact), *flags]) == 2
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == "" and len(lines) == 2 and lines[1].startswith("hint: ")


def test_images_of_another_size_are_refused(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "large.npy", np.zeros((3, 32, 32), np.uint8))
    assert main(["profile", str(artifact), "--images", str(tmp_path / "large.npy")]) == 2
    assert "(28, 28)" in capsys.readouterr().err


def test_what_an_engine_says_while_it_opens_is_not_on_the_screen(
    mini_run: Path, cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    for artifact in (mini_run / "export").glob("*-float32.*"):  # litert's XNNPACK delegate speaks
        done = cli("profile", artifact, "--min-seconds", "0.02", "--json", cwd=mini_run)
        assert done.returncode == 0 and done.stderr == ""
        assert json.loads(done.stdout)["rows"][0]["artifact"] == artifact.name


def _npz() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, images=np.zeros((3, 28, 28), np.uint8))
    return stream.getvalue()


def _headed(header: str) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        _npz(),
        _headed("{'descr': '|u1', 'fortran_order': False, 'shape': (((((("),
        _headed("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000, 28, 28), }"),
        _headed("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }") + b"x",
    ],
    ids=["npz", "unbalanced header", "bomb", "object"],
)
def test_an_npy_file_that_is_no_plain_array_is_one_line_and_a_hint(
    artifact: Path, tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    assert main(["profile", str(artifact), "--images", str(tmp_path / "a.npy")]) == 2
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == "" and len(lines) == 2 and lines[1].startswith("hint: ")
    assert "a.npy" in lines[0]


@pytest.mark.parametrize("p50", [9.5, 12_345.67, 999_999.99, 98_765_432.1])
def test_figures_of_slow_calls_stay_apart(several: measuring.Profile, p50: float) -> None:
    row = several.rows[0]
    assert row.measurement.latency_us is not None
    slow = replace(row.measurement.latency_us, p50=p50, p90=p50, p99=p50, runs=99_999_999)
    measured = replace(row.measurement, latency_us=slow)
    lines = as_text(replace(several, rows=(replace(row, measurement=measured),)), columns=60)
    line = next(x for x in lines.splitlines() if x.startswith("  classify "))
    numbers = [float(word.replace(",", "")) for word in line.split()[1:]]
    assert numbers == pytest.approx([p50, p50, p50, 99_999_999], abs=0.5)
