"""Judging a draft: every test image through the runtime, beside the float model and `reference`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edgestitch_runtime.agreement import Agreement, compare
from edgestitch_runtime.classifier import Classifier
from edgestitch_runtime.distance import REFERENCE, Distance, NoDistance, from_reference
from edgestitch_runtime.engines import engine_version
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.native_output import quiet_native_output

from .answers import TOLERANCE, as_probabilities
from .source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a draft answered on `engine`; on all test images."""

    engine: str
    engine_version: str
    agreement: Agreement
    distance: Distance | NoDistance

    def accuracy(self) -> dict[str, Any]:
        """The card's `accuracy`."""
        found = self.agreement
        low, high = found.drop_interval_pp
        return {
            "float": {
                "correct": found.float_correct,
                "n": found.n,
                "engine": f"keras {version('keras')}",
            },
            "artifact": {
                "correct": found.artifact_correct,
                "n": found.n,
                "engine": f"{self.engine} {self.engine_version}",
            },
            "changed": found.changed,
            "lost": found.lost,
            "won": found.won,
            "drop_pp": round(found.drop_pp, 6),
            "drop_interval_pp": [round(low, 6), round(high, 6)],
            "drop_upper_pp": round(found.drop_upper_pp, 6),
            "mcnemar_p": round(found.mcnemar_p, 9),
        }

    def beside_reference(self) -> dict[str, Any]:
        """The card's `reference`: the distance of this engine from it, or why there is none."""
        told: dict[str, Any] = {"engine": f"{REFERENCE} {engine_version(REFERENCE)}"}
        if isinstance(self.distance, NoDistance):
            return told | {"refuses": self.distance.reason}
        name = f"{self.engine} {self.engine_version}"
        return told | {"distances": {name: asdict(self.distance)}}


def judge(source: Source, draft: Path, *, engine: str, precision: str) -> Judged:
    """Classifies every test image with the file `draft` on `engine`, through the runtime alone.

    Raises EdgestitchError, with exit code 1, when the engine cannot run it, or its probabilities
    are not the float model's where they must be.
    """
    with quiet_native_output():  # an engine says which delegate it made
        classifier = Classifier.open(draft, engine=engine)
    dataset = source.dataset
    images = dataset.test.images_u8
    with classifier:
        try:
            rows = classifier.probabilities(images)
        except Exception as error:  # each engine raises what it likes
            raise EdgestitchError(
                f"{engine} opens the {precision} artifact but cannot run it: {error}",
                hint="nothing was written; a layer of this model does not run in batches",
                exit_code=1,
            ) from None
        expected = as_probabilities(source.float_rows, source.kind)
        furthest = float(np.abs(rows - expected).max())
        if not furthest <= (TOLERANCE if precision == "float32" else 1):  # also for nan
            raise EdgestitchError(
                f"the {precision} artifact answers probabilities that are {furthest:.3g} away from "
                "the float model's",
                hint="the converter changed the model: compare it layer by layer",
                exit_code=1,
            )
        scores = classifier.scores(images)
        return Judged(
            engine=classifier.engine,
            engine_version=classifier.engine_version,
            agreement=compare(
                dataset.test.labels, source.float_rows.argmax(axis=1), scores.argmax(axis=1)
            ),
            distance=from_reference(classifier, images, scores),
        )
