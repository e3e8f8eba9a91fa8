"""What a worker measures. Nothing is imported before it is needed: the imports are measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from .timing import Timed


class Subject(Protocol):
    """What a worker measures: an artifact opened on an engine, or the float model."""

    engine_version: str

    def scores(self, images_u8: np.ndarray) -> np.ndarray:
        """(n, height, width) uint8 to the model's own output, (n, classes) of its dtype."""
        ...

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """What `scores` gave as (n, classes) float32 whose rows sum to 1."""
        ...

    def selftest(self) -> str | None:
        """The verdict on the golden vectors: identical, within so much, differs; None: no such."""
        ...

    @property
    def batch(self) -> Callable[[np.ndarray], Any]:
        """Classifies (height, width) or (n, height, width) uint8 in one call, as a user would."""
        ...

    def timed(self, images_u8: np.ndarray) -> dict[str, Timed]:
        """The calls that can be timed, by kind; `classify` is the whole call."""
        ...


class ArtifactSubject:
    """An artifact on one engine, through the Classifier that everybody uses."""

    def __init__(self, command: dict[str, Any]) -> None:
        from .classifier import Classifier

        self._path = Path(command["artifact"])
        self._classifier = Classifier.open(
            self._path, engine=command["engine"], threads=command["threads"]
        )
        self.engine_version = self._classifier.engine_version

    def scores(self, images_u8: np.ndarray) -> np.ndarray:
        import numpy as np

        if self._classifier.engine == "reference":  # slow, and the same to the bit in batches
            return self._classifier.scores(images_u8)
        # One by one, the call that is timed: what a dynamic artifact answers may hang on its batch.
        classify = self._classifier.classify
        return np.stack([classify(image).scores.reshape(-1) for image in images_u8])

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        return self._classifier.probabilities_of(scores)

    def selftest(self) -> str | None:
        from .card import read_artifact
        from .golden_check import WITHIN
        from .selftest import selftest

        if not read_artifact(self._path).golden:
            return None
        check = selftest(self._path, engine=self._classifier.engine).engines[0].check
        if check is None or check.verdict != WITHIN or check.largest is None:
            return None if check is None else check.verdict
        unit = "step" if (check.largest, check.unit) == (1, "steps") else check.unit
        return f"within {check.largest:.3g} {unit}"

    @property
    def batch(self) -> Callable[[np.ndarray], Any]:
        return self._classifier.classify

    def timed(self, images_u8: np.ndarray) -> dict[str, Timed]:
        from .timing import Timed

        images = list(images_u8)
        prepare, call = self._classifier.bare()
        return {
            "classify": Timed(call=self._classifier.classify, inputs=images),
            "bare": Timed(call=call, inputs=[prepare(image) for image in images]),
        }
