"""`edgestitch selftest` and the engine that `auto` takes, on real artifacts."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_runtime import Classifier, tflite_engine
from edgestitch_runtime.card import append_to_tflite, model_bytes, read_artifact
from edgestitch_runtime.cli import main
from edgestitch_runtime.engines import engine_version, open_session
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.golden import pack_golden, unpack_golden
from edgestitch_runtime.golden_check import check_golden
from edgestitch_runtime.selftest import selftest
from edgestitch_runtime.tflite_file import read_tflite

ROOT = Path(__file__).parents[2]


@pytest.fixture
def int8(mini_run: Path) -> Path:
    return mini_run / "export" / "mlp-int8.tflite"


@pytest.fixture
def faulty(int8: Path, tmp_path: Path) -> Path:
    """The int8 mlp with the sign of its largest weights turned, under a card that fits it."""
    found = read_artifact(int8)
    assert found.card is not None
    model = model_bytes("tflite", found.content)
    weights = max((t.data for t in read_tflite(model).tensors if t.data is not None), key=np.size)
    altered = np.where(np.abs(weights.astype(int)) > 100, -weights, weights).astype(np.int8)
    content = model.replace(weights.tobytes(), altered.tobytes())
    assert content != model
    card = found.card | {
        "hashes": found.card["hashes"] | {"weights": hashlib.sha256(content).hexdigest()}
    }
    path = tmp_path / "faulty.tflite"
    path.write_bytes(append_to_tflite(content, card, found.golden))
    return path


def test_every_engine_here_answers_every_artifact_as_exported(
    mini_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in sorted((mini_run / "export").iterdir()):
        assert main(["selftest", str(path), "--engine", "all", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["passed"] and told["artifact"] == path.name
        engines = [one["engine"] for one in told["engines"]]
        expected = ["onnxruntime"] if path.suffix == ".onnx" else ["litert"]
        assert engines == expected + ["reference"] * (path.name == "mlp-int8.tflite")
        for one in told["engines"]:
            assert one["check"]["verdict"] in ("identical", "within") and one["reason"] is None
            assert one["check"]["gate"] >= 32 and one["check"]["close_calls"] >= 16


def test_the_text_names_each_engine_its_verdict_and_what_is_absent(
    int8: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["selftest", str(int8), "--engine", "all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("mlp-int8.tflite: golden vectors of reference ")
    assert [line.split()[0] for line in lines[1:3]] == ["litert", "reference"]
    assert "identical on 40 gate images" in lines[2]
    assert lines[3:] == ["not installed here: tflite-runtime", "passed"]


def test_it_takes_less_than_a_second_besides_the_engines_import(int8: Path) -> None:
    selftest(int8, engine="all")
    assert all(one.seconds < 1 for one in selftest(int8, engine="all").engines)


def test_tflite_runtime_answers_within_the_tolerance(int8: Path) -> None:
    """A sound engine that rounds otherwise than LiteRT, in the environment that it needs."""
    python = ROOT / ".venv-tflite-runtime" / "bin" / "python"
    if not python.is_file():
        pytest.skip("there is no .venv-tflite-runtime: `make setup` builds it")
    code = (
        "import sys; from edgestitch_runtime.selftest import selftest\n"
        "print(selftest(sys.argv[1], engine='all').engines[0])"
    )
    done = subprocess.run(
        [python, "-c", code, int8], capture_output=True, text=True, cwd=ROOT / "tests"
    )
    assert "engine='tflite-runtime'" in done.stdout, done.stderr
    assert "verdict='within'" in done.stdout or "verdict='identical'" in done.stdout


def test_a_fault_that_the_hash_does_not_see_is_told_and_exits_with_1(
    faulty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["selftest", str(faulty), "--engine", "all"]) == 1
    told = capsys.readouterr().out
    assert told.count("differs: by") == 2 and told.endswith("FAILED\n")
    assert main(["selftest", str(faulty), "--engine", "litert"]) == 1
    capsys.readouterr()
    assert main(["selftest", str(faulty)]) == 1  # auto finds no engine that passes
    captured = capsys.readouterr()
    assert captured.out == "" and "does not answer" in captured.err
    assert captured.err.splitlines()[-1].startswith("hint: ")


def test_auto_passes_over_an_engine_that_answers_otherwise(
    int8: Path, monkeypatch: pytest.MonkeyPatch, mini_test: tuple[np.ndarray, np.ndarray]
) -> None:
    with Classifier.open(int8) as classifier:
        assert classifier.engine == "litert"
    real = tflite_engine.TfliteSession.run

    def wrong(self: Any, batch: np.ndarray) -> np.ndarray:
        return real(self, batch)[:, ::-1]

    monkeypatch.setattr(tflite_engine.TfliteSession, "run", wrong)
    with Classifier.open(int8) as classifier:
        assert classifier.engine == "reference"
    with Classifier.open(int8, engine="litert") as classifier:  # it was asked for by name
        assert classifier.engine == "litert"
    with pytest.raises(EdgestitchError, match=r"litert .* does not answer .* as exported") as no:
        Classifier.open(int8.with_name("mlp-float32.tflite"))
    assert no.value.exit_code == 1 and "selftest" in no.value.hint


def test_an_engine_that_cannot_open_the_file_fails_with_its_reason(
    int8: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(self: Any, *rest: Any) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(tflite_engine.TfliteSession, "__init__", broken)
    assert main(["selftest", str(int8), "--engine", "all"]) == 1
    assert "litert" in capsys.readouterr().out.split("cannot run it: ")[0].splitlines()[-1]
    assert main(["selftest", str(int8), "--engine", "litert"]) == 2
    assert main(["selftest", str(int8)]) == 0  # auto goes on to reference


def with_vectors(path: Path, target: Path, told: dict[str, Any], **other: np.ndarray) -> Path:
    """A copy whose golden vectors and what the card says of them are others, and fit each other."""
    found = read_artifact(path)
    assert found.card is not None
    vectors = pack_golden(replace(unpack_golden(found.golden, "mlp"), **other))
    digest = hashlib.sha256(vectors).hexdigest()
    card = found.card | {"golden": found.card["golden"] | {"sha256": digest} | told}
    target.write_bytes(append_to_tflite(model_bytes("tflite", found.content), card, vectors))
    return target


def test_vectors_of_another_size_are_refused_in_one_line(
    int8: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = unpack_golden(read_artifact(int8).golden, "mlp").images_u8
    path = with_vectors(int8, tmp_path / "a.tflite", {}, images_u8=images[:, :20, :20])
    for engine in ("auto", "litert", "reference"):
        assert main(["selftest", str(path), "--engine", engine]) == 2
        first, second = capsys.readouterr().err.splitlines()
        assert "its golden vectors are (20, 20)" in first and second.startswith("hint: ")


def test_reference_is_exact_only_where_the_answers_are_its_own(int8: Path, tmp_path: Path) -> None:
    """Where an older version could not run the model, another engine gave the answers."""
    scores = unpack_golden(read_artifact(int8).golden, "mlp").scores.copy()
    scores[0, 5] += 1
    for engine, verdict in (("reference 0.0.9", "differs"), ("litert 2.3.0", "within")):
        told = {"engine": engine, "tolerance": 2}
        path = with_vectors(int8, tmp_path / "a.tflite", told, scores=scores)
        (found,) = selftest(path, engine="reference").engines
        assert found.check is not None and found.check.verdict == verdict


def test_answers_that_are_no_numbers_are_told_in_plain_json(
    mini_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = tflite_engine.TfliteSession.run
    monkeypatch.setattr(tflite_engine.TfliteSession, "run", lambda *a: real(*a) * np.nan)
    path = str(mini_run / "export" / "mlp-float32.tflite")
    assert main(["selftest", path, "--engine", "litert", "--json"]) == 1

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    told = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert told["engines"][0]["check"]["largest"] is None


def test_an_engine_that_fails_on_the_vectors_fails_with_its_reason(
    int8: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = tflite_engine.TfliteSession.run

    def broken(self: Any, batch: np.ndarray) -> np.ndarray:
        if len(batch) > 1:
            raise RuntimeError("out of\nmemory")
        return real(self, batch)

    monkeypatch.setattr(tflite_engine.TfliteSession, "run", broken)
    assert main(["selftest", str(int8), "--engine", "all"]) == 1
    assert "litert cannot run the golden vectors of" in capsys.readouterr().out
    assert main(["selftest", str(int8), "--engine", "litert"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
    with Classifier.open(int8) as classifier:
        assert classifier.engine == "reference"


def test_altered_golden_vectors_are_noticed_by_whatever_opens_the_file(
    int8: Path, tmp_path: Path
) -> None:
    found = read_artifact(int8)
    assert found.card is not None
    golden = unpack_golden(found.golden, "mlp")
    golden.scores.setflags(write=True)
    golden.scores[0, 0] += 1
    other = tmp_path / "other.tflite"
    model = model_bytes("tflite", found.content)
    for vectors in (pack_golden(golden), b""):
        other.write_bytes(append_to_tflite(model, found.card, vectors))
        with pytest.raises(EdgestitchError, match="its golden vectors do not match the hash"):
            read_artifact(other)


def test_every_flipped_bit_of_the_golden_vectors_is_caught(int8: Path, tmp_path: Path) -> None:
    whole = int8.read_bytes()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        vectors = archive.read("golden.npz")
    start = whole.index(vectors)
    generator = np.random.default_rng(0)
    path = tmp_path / "a.tflite"
    for place in generator.integers(start, start + len(vectors), 50):
        altered = bytearray(whole)
        altered[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(altered)
        with pytest.raises(EdgestitchError):
            read_artifact(path)


@pytest.mark.parametrize(
    ("by", "version", "verdict"),
    [(2, None, "within"), (3, None, "differs"), (3, "2.0.0", "identical")],
)
def test_an_engine_is_held_to_what_this_version_of_it_gave_at_export(
    int8: Path, by: int, version: str | None, verdict: str
) -> None:
    """Another version of it is held to `reference`, as any engine is."""
    found = read_artifact(int8)
    assert found.card is not None and found.card["golden"]["tolerance"] > 3
    golden = unpack_golden(found.golden, "mlp")
    assert golden.recorded is not None
    recorded = golden.recorded.copy()
    recorded[0, 0] += by if recorded[0, 0] < 0 else -by
    altered = replace(found, golden=pack_golden(replace(golden, recorded=recorded)))
    name, session = open_session(found, engine="litert", threads=1)
    told = check_golden(
        altered, session, engine=name, engine_version=version or engine_version(name)
    )
    assert told is not None and told.verdict == verdict


@pytest.mark.parametrize("engine", ["auto", "all", "litert"])
def test_a_file_without_vectors_cannot_test_itself(
    int8: Path, tmp_path: Path, engine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bare.tflite"
    path.write_bytes(model_bytes("tflite", int8.read_bytes()))
    assert main(["selftest", str(path), "--engine", engine]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "holds no golden vectors" in captured.err


@pytest.mark.parametrize("engine", ["toaster", "onnxruntime", "tflite-runtime"])
def test_an_engine_that_is_not_here_or_not_for_the_file_is_refused(
    int8: Path, engine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["selftest", str(int8), "--engine", engine]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and lines[1].startswith("hint: ")


def test_profile_measures_a_file_that_answers_otherwise_and_exits_with_1(
    faulty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "told.json"
    words = ["profile", str(faulty), "--engine", "reference", "--quick", "--json", str(file)]
    assert main(words) == 1
    assert "self-test: differs" in capsys.readouterr().out
    (row,) = json.loads(file.read_text(encoding="utf-8"))["rows"]
    assert (row["status"], row["selftest"]) == ("ok", "differs")
