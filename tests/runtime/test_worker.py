"""The worker's protocol, spoken to a real process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_runtime import Classifier
from edgestitch_runtime.dataset import find_recorded
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.run_folder import read_run
from edgestitch_runtime.worker import read_images

CHATTY = """
import os, sys
import numpy as np
from edgestitch_runtime.timing import Timed
from edgestitch_runtime.worker import serve

class Chatty:
    engine_version = "1"
    def __init__(self, command):
        print("to sys.stdout")
        os.write(1, b"to descriptor 1\\n")
        sys.stdout.flush()
    def scores(self, images_u8):
        return images_u8[:, 0]
    def timed(self, images_u8):
        return {"classify": Timed(call=lambda image: print("again"), inputs=list(images_u8))}

sys.exit(serve(Chatty))
"""


class Conversation:
    """A worker process and a way to ask it."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, **command: Any) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture
def worker() -> Iterator[Conversation]:
    conversation = Conversation([sys.executable, "-m", "edgestitch_runtime.worker"])
    yield conversation
    with conversation.process as process:
        process.kill()


@pytest.fixture
def images(mini_run: Path, tmp_path: Path) -> Path:
    test = find_recorded(read_run(mini_run).record["data"]).test
    np.save(tmp_path / "images.npy", test.images_u8[:150])
    return tmp_path / "images.npy"


def test_a_worker_answers_as_the_classifier_does_and_times_both_calls(
    worker: Conversation, mini_run: Path, images: Path, tmp_path: Path
) -> None:
    artifact = next((mini_run / "export").glob("*-int8.tflite"))
    opened = worker.ask(
        do="open", artifact=str(artifact), engine="litert", threads=1, image=str(images)
    )
    assert opened["ok"], opened
    assert opened["load_ms"] > 0 and opened["first_ms"] > 0 and 10 < opened["peak_rss_mb"] < 1000
    output = tmp_path / "scores.npy"
    assert worker.ask(do="answers", images=str(images), output=str(output)) == {
        "ok": True,
        "n": 150,
        "kinds": ["classify", "bare"],
    }
    with Classifier.open(artifact, engine="litert") as classifier:
        one_by_one = [classifier.classify(image).scores[0] for image in np.load(images)]
    assert np.load(output).dtype == np.int8
    np.testing.assert_array_equal(np.load(output), one_by_one)
    counted = [worker.ask(do="block", kind="bare", seconds=0.01, runs=20)["runs"] for _ in range(3)]
    latency = worker.ask(do="latency", kind="bare")
    assert latency["runs"] == sum(counted) >= 60
    assert 0 < latency["p50_us"] <= latency["p90_us"] <= latency["p99_us"]


def test_a_refusal_is_an_answer_and_the_worker_goes_on(worker: Conversation, images: Path) -> None:
    missing = worker.ask(
        do="open", artifact="nowhere.tflite", engine="auto", threads=1, image=str(images)
    )
    assert not missing["ok"] and "nowhere.tflite" in missing["message"] and missing["hint"]
    assert not worker.ask(do="answers", images=str(images), output="x.npy")["ok"]
    assert not worker.ask(do="no such thing")["ok"]
    assert not worker.ask(do="block", kind="classify", seconds=1, runs=1)["ok"]
    assert worker.process.poll() is None


def test_a_line_that_is_not_json_is_refused(worker: Conversation) -> None:
    assert worker.process.stdin is not None and worker.process.stdout is not None
    worker.process.stdin.write("{nonsense\n")
    worker.process.stdin.flush()
    assert not json.loads(worker.process.stdout.readline())["ok"]


def test_a_worker_ends_when_its_parent_lets_go(worker: Conversation) -> None:
    assert worker.process.stdin is not None
    worker.process.stdin.close()
    assert worker.process.wait(timeout=10) == 0


def test_what_an_engine_prints_does_not_reach_the_protocol(tmp_path: Path) -> None:
    script = tmp_path / "chatty.py"
    script.write_text(CHATTY, encoding="utf-8")
    np.save(tmp_path / "images.npy", np.zeros((3, 2, 2), np.uint8))
    images = str(tmp_path / "images.npy")
    commands = [
        {"do": "open", "image": images},
        {"do": "answers", "images": images, "output": str(tmp_path / "out.npy")},
        {"do": "block", "kind": "classify", "seconds": 0.001, "runs": 2},
    ]
    done = subprocess.run(
        [sys.executable, script],
        input="".join(json.dumps(command) + "\n" for command in commands),
        capture_output=True,
        text=True,
        timeout=60,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == 3 and all(answer["ok"] for answer in answers)
    assert {"to sys.stdout", "to descriptor 1", "again"} <= set(done.stderr.splitlines())


@pytest.mark.parametrize(
    "content",
    [np.zeros((2, 28, 28), np.float32), np.zeros(28, np.uint8), np.zeros((0, 28, 28), np.uint8)],
    ids=["float", "one-dimensional", "empty"],
)
def test_arrays_that_are_not_uint8_images_are_refused(tmp_path: Path, content: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", content)
    with pytest.raises(EdgestitchError, match=str(content.dtype)):
        read_images(tmp_path / "a.npy")


def test_a_file_that_only_looks_like_an_array_is_refused(tmp_path: Path) -> None:
    for number, content in enumerate((b"", b"\x93NUMPY", b"hello")):
        path = tmp_path / f"{number}.npy"
        path.write_bytes(content)
        with pytest.raises(EdgestitchError, match=r"\.npy"):
            read_images(path)
