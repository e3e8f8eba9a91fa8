"""The Classifier: an artifact opened on an engine; raw pixels in, labels and probabilities out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, cast

import numpy as np

from .card import read_artifact
from .engines import Session, engine_version, open_session
from .errors import EdgestitchError
from .raw_pixels import input_conversion

_ARRAY, _UINT8 = np.ndarray, np.dtype(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How an engine's scores become probabilities: value = (score - zero_point) * scale.

    `kind` is "probabilities", "logits", or "unknown" for a file without a card: a row whose values
    are not all within 0..1, or do not sum to 1, is then taken for logits.
    """

    scale: float
    zero_point: int
    kind: str
    unsigned: bytes | None  # turns eight-bit scores into score - lowest, when that is the weight

    def confidence(self, scores: np.ndarray, index: int) -> float:
        """The probability of `index` alone: in plain Python, ten numbers are done sooner."""
        if self.unsigned is not None:
            weights = scores.tobytes().translate(self.unsigned)
            total = sum(weights)
            return weights[index] / total if total else 1 / len(weights)
        return float(self.probabilities(scores.reshape(-1))[index])

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """(..., classes) of the model's dtype to float32 whose rows sum to 1."""
        values = scores.astype(np.float32)
        if scores.dtype != np.float32:
            values = (values - np.float32(self.zero_point)) * np.float32(self.scale)
        total = values.sum(axis=-1, keepdims=True)
        if self.kind != "probabilities":
            logits = np.True_ if self.kind == "logits" else _no_probabilities(values, total)
            powers = np.exp(values - values.max(axis=-1, keepdims=True))
            values = np.where(logits, powers, values)
            total = values.sum(axis=-1, keepdims=True)
        even = np.float32(1 / values.shape[-1])  # all scores 0: nothing speaks for any class
        return np.where(total > 0, values / np.where(total > 0, total, 1), even)


@dataclass(slots=True, eq=False)
class Result:
    """One image's answer. `index` is the lowest class index among the highest scores.

    Confidence and probabilities are computed when asked for, and the class is not frozen: both
    keep one `classify` near the cost of the engine's own call (docs/decisions/0002-result.md).
    """

    label: str
    index: int
    scores: np.ndarray  # (classes,) or (1, classes) of the model's dtype: what the engine gave
    reading: Reading = field(repr=False)

    @property
    def confidence(self) -> float:
        """The probability of `index`, 0..1."""
        return self.reading.confidence(self.scores, self.index)

    @property
    def probabilities(self) -> np.ndarray:
        """(classes,) float32, each 0..1, together 1."""
        return self.reading.probabilities(self.scores.reshape(-1))


class Classifier:
    """Classifies images of one size with one artifact. Safe to share between threads.

    Make one with `Classifier.open`. `card` is the artifact's card, or None when edgestitch did not
    write the file; `labels` are its class names, or numbers when it has none.
    """

    def __init__(self, path: Path, engine: str, threads: int) -> None:
        artifact = read_artifact(path)
        self.path = path
        self.card = artifact.card
        self.weights_sha256 = artifact.weights_sha256
        self.engine, self._session = open_session(artifact, engine=engine, threads=threads)
        self.engine_version = engine_version(self.engine)
        self.shape = self._session.input_shape
        self.output_dtype = self._session.output_dtype
        self.labels = _labels(path, artifact.card, self._session.classes)
        self._batch_lock = Lock()
        self._to_input = input_conversion(path, self._session)
        self._reading = _reading(self._session, artifact.card)
        # Calls that no thread is using. A thread that finds none makes one more: threads do not
        # wait for each other, and list.pop and list.append are atomic, cheaper than a lock.
        self._idle = [self._session.single()]

    @classmethod
    def open(cls, path: str | Path, engine: str = "auto", threads: int = 1) -> Classifier:
        """Opens `path` (.tflite, .onnx, .so) on `engine` with `threads` threads inside the engine.

        "auto" takes the fastest installed engine that gives the answers of the file's golden
        vectors; of a file without such, that runs it. Raises EdgestitchError when the file is
        missing, damaged or altered, or when no engine can run it; its hint says what to do.
        """
        return cls(Path(path), engine, threads)

    def classify(self, images: Any) -> Any:
        """Classifies one image, (height, width), to a Result, or (n, height, width) to a list.

        Pixels are uint8, 0..255, as the data set has them: for Fashion-MNIST a bright garment on
        black. A list of images works too. Raises EdgestitchError for another shape or dtype:
        floats are refused, not guessed.
        """
        if type(images) is _ARRAY and images.dtype is _UINT8 and images.shape == self.shape:
            idle = self._idle
            try:
                call = idle.pop()
            except IndexError:
                call = self._session.single()
            scores = call(images)
            idle.append(call)
            index = int(scores.argmax())
            return Result(self.labels[index], index, scores, self._reading)
        if not isinstance(images, list) and np.ndim(images) == 2:  # a subclass, or another dtype
            image = np.asarray(images)
            self._check(image, single=True)
            return self._results(self.scores(image[None]))[0]
        return self._results(self.scores(images))

    def _results(self, scores: np.ndarray) -> list[Result]:
        return [
            Result(self.labels[index], index, row, self._reading)
            for index, row in zip(scores.argmax(axis=1).tolist(), scores, strict=True)
        ]

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """(n, height, width) uint8, 0..255, to (n, classes) float32 whose rows sum to 1."""
        return self.probabilities_of(self.scores(images))

    def probabilities_of(self, scores: np.ndarray) -> np.ndarray:
        """What `scores` gave, (n, classes), as float32 rows that sum to 1."""
        return self._reading.probabilities(scores)

    def scores(self, images: Any) -> np.ndarray:
        """(n, height, width) uint8 to the engine's own output, (n, classes) of the model's dtype.

        The top-1 answer is the first maximum of a row; int8 and uint8 scores are in steps.
        """
        converted = self._to_input(self._checked(images))
        with self._batch_lock:
            return self._session.run(converted)

    def bare(self) -> tuple[Callable[[np.ndarray], Any], Callable[[Any], Any]]:
        """For timing: (prepare one image, call the engine on it: set, invoke, get and no more)."""
        session, convert = self._session, self._to_input

        def prepare(image: np.ndarray) -> np.ndarray:
            return session.shape_one(convert(image))

        return prepare, session.bare()

    def close(self) -> None:
        """Lets go of the engine. A thread still inside `classify` gets its answer; later calls
        raise EdgestitchError."""
        self._session = cast(Session, _Closed(self._session))
        self._idle = []

    def __enter__(self) -> Classifier:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _checked(self, images: Any) -> np.ndarray:
        if isinstance(images, list):
            images = [np.asarray(image) for image in images]
            for image in images:
                self._check(image, single=True)
            return np.stack(images) if images else np.empty((0, *self.shape), np.uint8)
        images = np.asarray(images)
        self._check(images, single=False)
        return images.reshape(-1, *self.shape)

    def _check(self, images: np.ndarray, *, single: bool) -> None:
        height, width = self.shape
        if images.dtype != np.uint8:
            raise EdgestitchError(
                f"the images are {images.dtype}, expected uint8 pixels 0..255",
                hint="pass raw pixels; scaling to 0..1 is inside the model",
            )
        if images.shape[-2:] != self.shape or images.ndim > (2 if single else 3):
            raise EdgestitchError(
                f"the images have the shape {images.shape}, expected ({height}, {width}) or "
                f"(n, {height}, {width})",
                hint="edgestitch_runtime.picture turns a photo of any size into such an array",
            )


def _reading(session: Session, card: dict[str, Any] | None) -> Reading:
    kind = "unknown" if card is None else card["output"]["kind"]
    unsigned = None
    if session.output_dtype != np.float32 and kind == "probabilities":
        lowest = int(np.iinfo(session.output_dtype).min)
        if session.output_zero_point == lowest:
            unsigned = bytes((code - lowest) & 255 for code in range(256))
    return Reading(
        scale=session.output_scale,
        zero_point=session.output_zero_point,
        kind=kind,
        unsigned=unsigned,
    )


def _no_probabilities(values: np.ndarray, total: np.ndarray) -> np.ndarray:
    """For each row, (..., 1): whether its values are no probabilities."""
    low, high = values.min(axis=-1, keepdims=True), values.max(axis=-1, keepdims=True)
    return (low < 0) | (high > 1.001) | (np.abs(total - 1) > 0.05)


class _Closed:
    """What stands in a closed Classifier for its session."""

    def __init__(self, session: Session) -> None:
        self.input_dtype = session.input_dtype

    def __getattr__(self, name: str) -> Any:
        raise EdgestitchError("this Classifier is closed", hint="open the artifact again")


def _labels(path: Path, card: dict[str, Any] | None, classes: int) -> tuple[str, ...]:
    if card is None:
        return tuple(str(k) for k in range(classes))
    if len(card["labels"]) != classes:
        raise EdgestitchError(
            f"{path} has {classes} outputs and {len(card['labels'])} labels",
            hint="export it again",
        )
    return tuple(card["labels"])
