"""A process that measures one row: a JSON object a line on stdin, an answer each.

`PYTHON -m edgestitch_runtime.worker` runs wherever the slim runtime and one engine are installed,
so that an engine can be measured in an environment of its own. The process that starts it decides
whose turn it is, and keeps what was measured. What an engine prints to stdout goes to stderr: the
pipe is the protocol's.

- `open` with artifact, engine, threads, image, started_ns (what time.monotonic_ns() was when this
  process was started): opens it and answers the first image. Gives engine_version, versions,
  cold_start (interpreter_ms, import_ms, load_ms, first_ms), peak_rss_mb so far, and memory_mb,
  which is that without what an empty Python holds.
- `probe` with artifact, engine, threads: opens an artifact and lets go of it again. Gives the
  engine, which tells what "auto" takes, and the shape of its images, [height, width].
- `prepare` with images: takes them for timing. Gives the kinds of call that can be timed: classify,
  and bare where there is one.
- `answers` with images, scores, probabilities: writes what is answered to every image to these two
  .npy files: (n, classes) of the model's dtype, (n, classes) float32. Gives n and, as `prepare`
  does, kinds.
- `selftest`: gives the verdict on the file's golden vectors, null where it has none.
- `throughput` with batch, seconds: calls with so many images at once, less what reading the clock
  costs. Gives images_per_s, of the median call.
- `block` with kind, seconds, runs: times one block of single calls, the first one of a kind after
  a warm-up, and takes off what reading the clock costs. Gives runs, mean_ns, and a histogram of
  the calls: values_ns, counts.

The command's name stands in `do`. `image` and `images` are .npy or IDX files of uint8 images. Each
answer has `ok`; when that is false, `message` and `hint` say why, `passing` is true where that may
be of the moment, as a full disk is, and the process is ready for the next line. It ends when stdin
does.
"""

# ruff: noqa: E402  (the imports are what is measured: before them, the clock and the memory)
from __future__ import annotations

import time

_BORN_NS = time.monotonic_ns()

from .resident import peak_rss_mb

_BORN_RSS_MB = peak_rss_mb()

import gc
import itertools
import json
import os
import platform
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import EdgestitchError
from .worker_subject import ArtifactSubject, Subject

if TYPE_CHECKING:
    import numpy as np

    from .timing import Timed


class Session:
    """The state of one worker: its subject, the images and calls it times, and where they are."""

    def __init__(self, open_subject: Callable[[dict[str, Any]], Subject]) -> None:
        self._open_subject = open_subject
        self._subject: Subject | None = None
        self._images: np.ndarray | None = None
        self._timed: dict[str, Timed] = {}
        self._runs: dict[str, int] = {}
        self._actions = {
            "probe": self._probe,
            "open": self._open,
            "prepare": self._prepare,
            "answers": self._answers,
            "selftest": self._selftest,
            "throughput": self._throughput,
            "block": self._block,
        }

    def answer(self, line: str) -> dict[str, Any]:
        """The answer to one line of the protocol; never raises."""
        try:
            command = json.loads(line)
            return {"ok": True, **self._actions[command["do"]](command)}
        except EdgestitchError as error:
            refused = {"message": error.message, "hint": error.hint}
            return {"ok": False, **refused, "exit_code": error.exit_code}
        except Exception as error:
            text = " ".join(str(error).split())
            refused = {"message": f"{type(error).__name__}: {text}", "hint": ""}
            passing = isinstance(error, OSError | MemoryError)
            return {"ok": False, **refused, "passing": passing}

    def _probe(self, command: dict[str, Any]) -> dict[str, Any]:
        from .classifier import Classifier

        artifact, engine, threads = (command[key] for key in ("artifact", "engine", "threads"))
        with Classifier.open(Path(artifact), engine=engine, threads=threads) as classifier:
            return {"engine": classifier.engine, "shape": list(classifier.shape)}

    def _open(self, command: dict[str, Any]) -> dict[str, Any]:
        import numpy as np

        from . import timing  # noqa: F401  (its import is no part of opening)

        imported = time.monotonic_ns()
        self._subject = self._open_subject(command)
        loaded = time.monotonic_ns()
        self._subject.scores(read_images(command["image"])[:1])
        answered = time.monotonic_ns()
        peak = peak_rss_mb()
        moments = (min(command["started_ns"], _BORN_NS), _BORN_NS, imported, loaded, answered)
        spans = [(after - before) / 1e6 for before, after in itertools.pairwise(moments)]
        return {
            "engine_version": self._subject.engine_version,
            "versions": {"python": platform.python_version(), "numpy": np.__version__},
            "cold_start": dict(
                zip(("interpreter_ms", "import_ms", "load_ms", "first_ms"), spans, strict=True)
            ),
            "peak_rss_mb": peak,
            "memory_mb": None if peak is None or _BORN_RSS_MB is None else peak - _BORN_RSS_MB,
        }

    def _prepare(self, command: dict[str, Any]) -> dict[str, Any]:
        return {"kinds": self._take(read_images(command["images"]))}

    def _take(self, images: np.ndarray) -> list[str]:
        from .timing import CYCLED_IMAGES

        self._images = images[:CYCLED_IMAGES]
        self._timed = self._opened().timed(self._images)
        gc.collect()  # once, before the first block; the collector is off inside blocks
        return list(self._timed)

    def _answers(self, command: dict[str, Any]) -> dict[str, Any]:
        subject = self._opened()
        images = read_images(command["images"])
        scores = subject.scores(images)
        write_npy(Path(command["scores"]), scores)
        write_npy(Path(command["probabilities"]), subject.probabilities(scores))
        return {"n": len(scores), "kinds": self._take(images)}

    def _selftest(self, command: dict[str, Any]) -> dict[str, Any]:
        return {"verdict": self._opened().selftest()}

    def _throughput(self, command: dict[str, Any]) -> dict[str, Any]:
        import numpy as np

        from . import timing

        subject, batch = self._opened(), command["batch"]
        images = self._images
        if images is None:
            raise EdgestitchError("there are no images", hint="send the command prepare first")
        inputs = list(images)  # one at a time as `block` has them, with nothing of ours around
        if batch > 1:
            shape = (max(len(images) // batch, 1), batch, *images.shape[1:])
            inputs = list(np.resize(images, shape))
        timed = timing.Timed(call=subject.batch, inputs=inputs)
        samples = timing.time_block(timed, seconds=command["seconds"], runs=3)
        cost = timing.timer_ns(readings=timing.BLOCK_TIMER_READINGS)
        samples = timing.without_timer(samples, cost_ns=cost)
        return {"images_per_s": 1e9 * batch / float(np.median(samples))}

    def _block(self, command: dict[str, Any]) -> dict[str, Any]:
        from . import timing
        from .histogram import histogram

        kind, seconds = command["kind"], command["seconds"]
        timed = self._timed[kind]
        if kind not in self._runs:
            timing.warm_up_until_stable(timed, seconds=seconds)
        start = self._runs.setdefault(kind, 0)
        samples = timing.time_block(timed, seconds=seconds, runs=command["runs"], start=start)
        self._runs[kind] += len(samples)
        cost = timing.timer_ns(readings=timing.BLOCK_TIMER_READINGS)  # as fast as the block was
        samples = timing.without_timer(samples, cost_ns=cost)
        found = histogram(samples)
        return {
            "runs": len(samples),
            "mean_ns": float(samples.mean()),
            "values_ns": found.values_ns.tolist(),
            "counts": found.counts.tolist(),
        }

    def _opened(self) -> Subject:
        if self._subject is None:
            raise EdgestitchError("nothing is open", hint="send the command open first")
        return self._subject


def write_npy(path: Path, array: np.ndarray) -> None:
    """Writes `array` to `path`: whole, or not at all."""
    import numpy as np

    draft = path.with_name(f"{path.name}.part")
    try:
        with draft.open("wb") as stream:
            np.save(stream, array)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)  # a full disk wants its room back
        raise


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
