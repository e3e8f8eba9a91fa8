"""`edgestitch profile` on real artifacts."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgestitch_runtime import Classifier, measuring
from edgestitch_runtime.cli import main
from edgestitch_runtime.dataset import find_recorded
from edgestitch_runtime.run_folder import read_run


@pytest.fixture
def artifact(mini_run: Path) -> Path:
    return next((mini_run / "export").glob("*-int8.tflite"))


def test_the_table_gives_both_calls_their_ratio_and_what_is_timed(
    artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["profile", str(artifact), "--min-seconds", "0.05"]) == 0
    told = capsys.readouterr().out
    table = told[told.index("microseconds") :].split("\n\n")[0].splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in table}
    for name in ("bare", "classify"):
        p50, p90, p99, runs = (float(text.replace(",", "")) for text in rows[name])
        assert 0 < p50 <= p90 <= p99 and runs >= 1000
    assert told.index("Not timed") < told.index("microseconds")
    assert hashlib.sha256(artifact.read_bytes()).hexdigest() in told
    assert "times the bare call" in told and "machine:" in told and "numpy" in told


def test_json_holds_the_same_and_the_ratio_is_of_its_own_medians(
    artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["profile", str(artifact), "--min-seconds", "0.05", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1 and told["engine"] and told["engine_version"]
    assert told["ratio"] == pytest.approx(told["classify"]["p50_us"] / told["bare"]["p50_us"])
    assert told["machine"]["cores"] >= 1 and told["timer_ns"] > 0


def test_an_artifact_in_its_run_is_timed_with_the_runs_own_test_images(
    artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["profile", str(artifact), "--min-seconds", "0.02"]) == 0
    captured = capsys.readouterr()
    assert "test images of" in captured.out and "notice" not in captured.err


def test_an_artifact_on_its_own_is_timed_with_generated_pixels_and_says_so(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = shutil.copy(artifact, tmp_path)
    assert main(["profile", str(alone), "--min-seconds", "0.02"]) == 0
    captured = capsys.readouterr()
    assert "generated pixels" in captured.out and "notice" in captured.err
    assert "no distance from reference: there are no real images at hand" in captured.out


def test_litert_is_as_far_from_the_reference_as_counted_by_hand(
    artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--min-seconds", "0.02", "--engine", "litert"]
    assert main(["profile", str(artifact), *flags, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["distance"]
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
    assert main(["profile", str(artifact), *flags]) == 0
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("distance"))
    assert f"{told['rows_equal']:,} of {told['n']:,} rows equal" in line and len(line) <= 80


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
    line = next(x for x in told.splitlines() if x.startswith("no distance from reference: "))
    assert why in line and str(path.parent) not in line


def test_named_images_are_used(artifact: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", np.zeros((3, 28, 28), np.uint8))
    result = measuring.profile(artifact, images=tmp_path / "mine.npy", min_seconds=0.02)
    assert result.images == "3 images of mine.npy"


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
        assert json.loads(done.stdout)["artifact"] == artifact.name


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
