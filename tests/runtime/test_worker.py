"""The worker's protocol, spoken to a real process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
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
    def probabilities(self, scores):
        return np.full(scores.shape, 1 / scores.shape[1], np.float32)
    def selftest(self):
        print("again")
    def batch(self, images_u8):
        print("again")
    def timed(self, images_u8):
        return {"classify": Timed(call=lambda image: print("again"), inputs=list(images_u8))}

sys.exit(serve(Chatty))
"""


class Conversation:
    """A worker process and a way to ask it."""

    def __init__(self, command: list[str]) -> None:
        self.started_ns = time.monotonic_ns()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def open(self, artifact: Path, images: Path, *, engine: str = "litert") -> dict[str, Any]:
        return self.ask(
            do="open",
            artifact=str(artifact),
            engine=engine,
            threads=1,
            image=str(images),
            started_ns=self.started_ns,
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
    opened = worker.open(artifact, images)
    assert opened["ok"], opened
    assert 10 < opened["peak_rss_mb"] < 1000
    files = {name: str(tmp_path / f"{name}.npy") for name in ("scores", "probabilities")}
    assert worker.ask(do="answers", images=str(images), **files) == {
        "ok": True,
        "n": 150,
        "kinds": ["classify", "bare"],
    }
    with Classifier.open(artifact, engine="litert") as classifier:
        results = [classifier.classify(image) for image in np.load(images)]
    scores, probabilities = (np.load(path) for path in files.values())
    assert scores.dtype == np.int8 and probabilities.dtype == np.float32
    np.testing.assert_array_equal(scores, [result.scores[0] for result in results])
    np.testing.assert_array_equal(probabilities, [result.probabilities for result in results])
    for kind in ("bare", "classify"):
        block = worker.ask(do="block", kind=kind, seconds=0.01, runs=20)
        assert block["runs"] == sum(block["counts"]) >= 20
        assert block["values_ns"] == sorted(set(block["values_ns"]))
        held = np.repeat(block["values_ns"], block["counts"])
        assert held.mean() == pytest.approx(block["mean_ns"], rel=1e-3)
    assert worker.ask(do="selftest") == {"ok": True, "verdict": "identical"}


def test_a_cold_start_is_all_of_the_time_from_the_start_of_the_process(
    mini_run: Path, images: Path
) -> None:
    """By the clock of whoever waits: the answer arrives a little later than it was there."""
    artifact = next((mini_run / "export").glob("*-int8.tflite"))
    worker = Conversation([sys.executable, "-m", "edgestitch_runtime.worker"])
    opened = worker.open(artifact, images)
    waited_ms = (time.monotonic_ns() - worker.started_ns) / 1e6
    with worker.process as process:
        process.kill()
    parts = opened["cold_start"]
    assert list(parts) == ["interpreter_ms", "import_ms", "load_ms", "first_ms"]
    assert all(part > 0 for part in parts.values())
    assert parts["interpreter_ms"] > 5 and parts["import_ms"] > 5  # Python starts; numpy is there
    assert waited_ms * 0.7 < sum(parts.values()) <= waited_ms


def test_memory_is_what_an_empty_python_does_not_hold(mini_run: Path, images: Path) -> None:
    artifact = next((mini_run / "export").glob("*-int8.tflite"))
    worker = Conversation([sys.executable, "-m", "edgestitch_runtime.worker"])
    opened = worker.open(artifact, images, engine="reference")
    with worker.process as process:
        process.kill()
    code = "from edgestitch_runtime.resident import peak_rss_mb; print(peak_rss_mb())"
    empty = float(subprocess.check_output([sys.executable, "-c", code]))
    assert opened["memory_mb"] == pytest.approx(opened["peak_rss_mb"] - empty, abs=3)
    assert opened["memory_mb"] > 5  # numpy alone is more


def test_more_images_a_call_are_more_images_a_second(
    worker: Conversation, mini_run: Path, images: Path
) -> None:
    worker.open(next((mini_run / "export").glob("*-int8.onnx")), images, engine="onnxruntime")
    assert not worker.ask(do="throughput", batch=1, seconds=0.01)["ok"]
    assert worker.ask(do="prepare", images=str(images))["kinds"] == ["classify", "bare"]
    speeds = [
        worker.ask(do="throughput", batch=batch, seconds=0.05)["images_per_s"] for batch in (1, 256)
    ]
    assert speeds[0] > 100 and speeds[1] > 2 * speeds[0]


def test_a_file_without_golden_vectors_has_no_verdict(
    worker: Conversation, mini_run: Path, images: Path, tmp_path: Path
) -> None:
    content = next((mini_run / "export").glob("*-int8.tflite")).read_bytes()
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(content[: content.index(b"PK\x03\x04")])
    assert worker.open(bare, images)["ok"]
    assert worker.ask(do="selftest") == {"ok": True, "verdict": None}


def test_a_refusal_is_an_answer_and_the_worker_goes_on(worker: Conversation, images: Path) -> None:
    missing = worker.ask(
        do="open",
        artifact="nowhere.tflite",
        engine="auto",
        threads=1,
        image=str(images),
        started_ns=0,
    )
    assert not missing["ok"] and "nowhere.tflite" in missing["message"] and missing["hint"]
    nowhere = {"scores": "x.npy", "probabilities": "y.npy"}
    assert not worker.ask(do="answers", images=str(images), **nowhere)["ok"]
    assert not worker.ask(do="selftest")["ok"]
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
        {"do": "open", "image": images, "started_ns": 0},
        {"do": "answers", "images": images, "scores": str(tmp_path / "s.npy")}
        | {"probabilities": str(tmp_path / "p.npy")},
        {"do": "selftest"},
        {"do": "throughput", "batch": 2, "seconds": 0.001},
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
    assert len(answers) == 5 and all(answer["ok"] for answer in answers)
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


SLOW_BATCH = CHATTY.replace(
    """    def batch(self, images_u8):
        print("again")
""",
    """    def batch(self, images_u8):
        time.sleep(0.01 * (images_u8.ndim - 2))
""",
).replace("import os, sys\n", "import os, sys, time\n")


def test_one_image_at_a_time_goes_in_as_where_single_calls_are_timed(
    tmp_path: Path, images: Path
) -> None:
    """A batch of one is taken apart, which costs a tenth of a call of 2 us."""
    script = tmp_path / "slow_batch.py"
    script.write_text(SLOW_BATCH, encoding="utf-8")
    conversation = Conversation([sys.executable, str(script)])
    with conversation.process as process:
        assert conversation.open(images, images)["ok"]
        assert conversation.ask(do="prepare", images=str(images))["ok"]
        one, many = (
            conversation.ask(do="throughput", batch=batch, seconds=0.02)["images_per_s"]
            for batch in (1, 10)
        )
        process.kill()
    assert one > 10_000
    assert many < 1010
