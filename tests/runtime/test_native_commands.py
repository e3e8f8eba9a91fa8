"""The commands on a shared library: the same as on any artifact, but for its graph."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_export.diff_models import check_file
from edgestitch_export.native_targets import own_target
from edgestitch_runtime import EdgestitchError
from edgestitch_runtime.cli import main
from edgestitch_runtime.inspecting import inspect_artifact
from native_network import images, network

if own_target() is None:
    pytest.skip(f"{platform.machine()} is no target of native", allow_module_level=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "net-int8.so"
    path.write_bytes(network(1).artifact())
    return path


def test_classify_answers_as_numpy(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = images(30)
    np.save(path.with_name("images.npy"), shown)
    for engine in ("auto", "native"):
        words = ["classify", str(path), str(path.with_name("images.npy")), "--engine", engine]
        assert main([*words, "--json"]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [row["index"] for row in rows] == network(1).answers(shown).argmax(axis=1).tolist()


def test_selftest_and_verify_pass(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["selftest", str(path), "--engine", "all"]) == 0
    assert "identical on 6 gate images" in capsys.readouterr().out
    assert main(["inspect", str(path), "--verify"]) == 0


def test_profile_times_it(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(path.with_name("images.npy"), images(30))
    words = ["--images", str(path.with_name("images.npy")), "--min-seconds", "0.01", "--json"]
    assert main(["profile", str(path), *words]) == 0
    (told,) = json.loads(capsys.readouterr().out)["rows"]
    assert told["engine"] == "native" and told["bare_latency_us"]["p50"] > 0
    assert "reference does not run native files" in json.dumps(told["distance"])


def test_inspect_shows_the_card_and_says_why_there_is_no_graph(
    path: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, refused: Callable[..., str]
) -> None:
    assert main(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    assert f"{own_target()}: " in text and "machine code" in text and "hat, shoe, sock" in text
    assert main(["inspect", str(path), "--json"]) == 0
    told: Any = json.loads(capsys.readouterr().out)
    assert told["facts"] is None and told["card"]["native"]["target"] == own_target()
    assert told["bytes"] == path.stat().st_size
    for words in (("--layers",), ("--svg", "a.svg")):
        assert "inspect reads the .tflite" in refused("inspect", path, *words, cwd=tmp_path)


def test_inspect_does_not_run_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgestitch_runtime import native_engine

    monkeypatch.setattr(native_engine, "open_native", None)
    assert inspect_artifact(path).format == "native"


def test_diff_looks_for_layers_elsewhere(path: Path) -> None:
    with pytest.raises(EdgestitchError, match="compiled code") as caught:
        check_file(path)
    assert ".tflite" in caught.value.hint
