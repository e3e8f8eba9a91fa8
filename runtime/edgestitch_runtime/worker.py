"""A process that measures one row of a benchmark: a JSON object a line on stdin, an answer each.

`PYTHON -m edgestitch_runtime.worker` runs wherever the slim runtime and one engine are installed,
so that an engine can be measured in an environment of its own. The process that starts it decides
whose turn it is. What an engine prints to stdout goes to stderr: the pipe is the protocol's.

- `open` with artifact, engine, threads, image: opens it and answers the first image. Gives
  engine_version, versions, import_ms, load_ms, first_ms, and peak_rss_mb so far.
- `answers` with images, output: writes the scores of every image to the file output (.npy, (n,
  classes) of the model's dtype). Gives n, and the kinds of call that can be timed: classify, and
  bare where there is one.
- `block` with kind, seconds, runs: times one block of single calls. Gives its runs and p50_us.
- `latency` with kind: gives p50_us, p90_us, p99_us, mean_us, runs of all blocks so far.

The command's name stands in `do`. `image` and `images` are .npy or IDX files of uint8 images. Each
answer has `ok`; when that is false, `message` and `hint` say why, and the process is ready for the
next line. It ends when stdin does.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .errors import EdgestitchError

if TYPE_CHECKING:
    import numpy as np

    from .timing import Timed


class Subject(Protocol):
    """What a worker measures: an artifact opened on an engine, or the float model."""

    engine_version: str

    def scores(self, images_u8: np.ndarray) -> np.ndarray:
        """(n, height, width) uint8 to the model's own output, (n, classes) of its dtype."""
        ...

    def timed(self, images_u8: np.ndarray) -> dict[str, Timed]:
        """The calls that can be timed, by kind; `classify` is the whole call."""
        ...


class ArtifactSubject:
    """An artifact on one engine, through the Classifier that everybody uses."""

    def __init__(self, command: dict[str, Any]) -> None:
        from .classifier import Classifier

        self._classifier = Classifier.open(
            Path(command["artifact"]), engine=command["engine"], threads=command["threads"]
        )
        self.engine_version = self._classifier.engine_version

    def scores(self, images_u8: np.ndarray) -> np.ndarray:
        import numpy as np

        # One by one, the call that is timed: what a dynamic artifact answers may hang on its batch.
        classify = self._classifier.classify
        return np.stack([classify(image).scores.reshape(-1) for image in images_u8])

    def timed(self, images_u8: np.ndarray) -> dict[str, Timed]:
        from .timing import Timed

        images = list(images_u8)
        prepare, call = self._classifier.bare()
        return {
            "classify": Timed(call=self._classifier.classify, inputs=images),
            "bare": Timed(call=call, inputs=[prepare(image) for image in images]),
        }


class Session:
    """The state of one worker: its subject, the calls it can time, and the samples so far."""

    def __init__(self, open_subject: Callable[[dict[str, Any]], Subject]) -> None:
        self._open_subject = open_subject
        self._subject: Subject | None = None
        self._timed: dict[str, Timed] = {}
        self._samples: dict[str, list[np.ndarray]] = {}
        self._actions = {
            "open": self._open,
            "answers": self._answers,
            "block": self._block,
            "latency": self._latency,
        }

    def answer(self, line: str) -> dict[str, Any]:
        """The answer to one line of the protocol; never raises."""
        try:
            command = json.loads(line)
            return {"ok": True, **self._actions[command["do"]](command)}
        except EdgestitchError as error:
            return {"ok": False, "message": error.message, "hint": error.hint}
        except Exception as error:
            text = " ".join(str(error).split())
            return {"ok": False, "message": f"{type(error).__name__}: {text}", "hint": ""}

    def _open(self, command: dict[str, Any]) -> dict[str, Any]:
        started = time.perf_counter()
        import numpy as np

        from . import machine

        imported = time.perf_counter()
        self._subject = self._open_subject(command)
        loaded = time.perf_counter()
        self._subject.scores(read_images(command["image"])[:1])
        answered = time.perf_counter()
        return {
            "engine_version": self._subject.engine_version,
            "versions": {"python": platform.python_version(), "numpy": np.__version__},
            "import_ms": 1000 * (imported - started),
            "load_ms": 1000 * (loaded - imported),
            "first_ms": 1000 * (answered - loaded),
            "peak_rss_mb": machine.peak_rss_mb(),
        }

    def _answers(self, command: dict[str, Any]) -> dict[str, Any]:
        import numpy as np

        from .timing import CYCLED_IMAGES

        subject = self._opened()
        images = read_images(command["images"])
        scores = subject.scores(images)
        with Path(command["output"]).open("wb") as stream:
            np.save(stream, scores)
        self._timed = subject.timed(images[:CYCLED_IMAGES])
        gc.collect()  # once, before the first block; the collector is off inside blocks
        return {"n": len(scores), "kinds": list(self._timed)}

    def _block(self, command: dict[str, Any]) -> dict[str, Any]:
        from . import timing

        timed = self._timed[command["kind"]]
        blocks = self._samples.setdefault(command["kind"], [])
        if not blocks:
            timing.warm_up(timed, seconds=command["seconds"], runs=3)
        samples = timing.time_block(
            timed,
            seconds=command["seconds"],
            runs=command["runs"],
            start=sum(map(len, blocks)),
        )
        blocks.append(samples)
        return {"runs": len(samples), "p50_us": timing.latency(samples).p50_us}

    def _latency(self, command: dict[str, Any]) -> dict[str, Any]:
        import numpy as np

        from . import timing

        return asdict(timing.latency(np.concatenate(self._samples[command["kind"]])))

    def _opened(self) -> Subject:
        if self._subject is None:
            raise EdgestitchError("nothing is open", hint="send the command open first")
        return self._subject


def read_images(path: str | Path) -> np.ndarray:
    """The images in an .npy or IDX file: (n, height, width) uint8, contiguous, in memory.

    Raises EdgestitchError when the file is something else.
    """
    import numpy as np

    from .array_files import read_idx, read_npy, read_regular

    path = Path(path)
    if path.suffix == ".npy":
        images = read_npy(str(path), read_regular(path))
    else:
        images, _ = read_idx(path)
    if images.dtype != np.uint8 or images.ndim not in (2, 3) or not images.size:
        raise EdgestitchError(
            f"{path} holds {images.dtype} of shape {images.shape}",
            hint="images are uint8 of shape (height, width) or (n, height, width)",
        )
    return np.ascontiguousarray(images.reshape(-1, *images.shape[-2:]))


def serve(open_subject: Callable[[dict[str, Any]], Subject]) -> int:
    """Answers the lines of stdin until it ends; `open_subject` makes what `open` names."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets Ctrl-C too, and decides
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        session = Session(open_subject)
        for line in sys.stdin:
            try:
                answers.write(json.dumps(session.answer(line)) + "\n")
                answers.flush()
            except BrokenPipeError:
                os._exit(1)
    return 0


if __name__ == "__main__":
    sys.exit(serve(ArtifactSubject))
