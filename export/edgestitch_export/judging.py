"""Judging a draft: every test image through the runtime, beside the float model and `reference`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edgestitch_runtime.agreement import Agreement, compare
from edgestitch_runtime.classifier import Classifier
from edgestitch_runtime.distance import Distance, NoDistance, distance, reference_scores
from edgestitch_runtime.engines import engine_version
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.golden_check import REFERENCE
from edgestitch_runtime.native_output import quiet_native_output

from .answers import TOLERANCE, as_probabilities
from .source import Source
from .verdict import BUDGET_PP, Evidence, Verdict, gather, verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a draft answered on `engine`; on all test images."""

    engine: str
    engine_version: str
    agreement: Agreement
    verdict: Verdict
    evidence: Evidence
    distance: Distance | NoDistance
    scores: np.ndarray  # (n, classes): what the engine gave
    exact: np.ndarray | None  # the same of `reference`, where it runs the draft

    def accuracy(self) -> dict[str, Any]:
        """The card's `accuracy`."""
        found, evidence = self.agreement, self.evidence
        change = evidence.largest_change
        low, high = found.drop_interval_pp
        return {
            "verdict": self.verdict.text,
            "budget_pp": self.verdict.budget_pp,
            "float": {
                "correct": found.float_correct,
                "n": found.n,
                "engine": f"keras {version('keras')}",
                "calibration_error_pp": round(evidence.float_calibration_error_pp, 6),
            },
            "artifact": {
                "correct": found.artifact_correct,
                "n": found.n,
                "engine": f"{self.engine} {self.engine_version}",
                "calibration_error_pp": round(evidence.artifact_calibration_error_pp, 6),
            },
            "changed": found.changed,
            "lost": found.lost,
            "won": found.won,
            "drop_pp": round(found.drop_pp, 6),
            "drop_interval_pp": [round(low, 6), round(high, 6)],
            "drop_upper_pp": round(found.drop_upper_pp, 6),
            "mcnemar_p": round(found.mcnemar_p, 9),
            "largest_change": {
                "image": change.image,
                "class": change.class_index,
                "float": round(change.float_probability, 6),
                "artifact": round(change.artifact_probability, 6),
            },
            "classes": {  # a column each: 256 classes take 3 kB
                name: [getattr(one, name) for one in evidence.classes]
                for name in ("n", "float_correct", "lost", "won")
            },
        }

    def beside_reference(self) -> dict[str, Any]:
        """The card's `reference`: the distance of this engine from it, or why there is none."""
        told: dict[str, Any] = {"engine": exact_engine()}
        if isinstance(self.distance, NoDistance):
            return told | {"refuses": self.distance.reason}
        name = f"{self.engine} {self.engine_version}"
        return told | {"distances": {name: asdict(self.distance)}}


def exact_engine() -> str:
    """The engine `reference` with its version, as cards name engines."""
    return f"{REFERENCE} {engine_version(REFERENCE)}"


def judge(
    source: Source, draft: Path, *, engine: str, precision: str, budget_pp: float = BUDGET_PP
) -> Judged:
    """Classifies every test image with the file `draft` on `engine`, through the runtime alone.

    `budget_pp` is the drop, in points, that counts as no loss where it cannot be told from 0.

    Raises EdgestitchError, with exit code 1, when the engine cannot run it, or its probabilities
    are not the float model's where they must be.
    """
    with quiet_native_output():  # an engine says which delegate it made
        classifier = Classifier.open(draft, engine=engine)
    dataset = source.dataset
    images = dataset.test.images_u8
    with classifier:
        try:
            scores = classifier.scores(images)
        except Exception as error:  # each engine raises what it likes
            raise EdgestitchError(
                f"{engine} opens the {precision} artifact but cannot run it: {error}",
                hint="nothing was written; a layer of this model does not run in batches",
                exit_code=1,
            ) from None
        rows = classifier.probabilities_of(scores)
        expected = as_probabilities(source.float_rows, source.kind)
        furthest = float(np.abs(rows - expected).max())
        if not furthest <= (TOLERANCE if precision == "float32" else 1):  # also for nan
            raise EdgestitchError(
                f"the {precision} artifact answers probabilities that are {furthest:.3g} away from "
                "the float model's",
                hint="the converter changed the model: compare it layer by layer",
                exit_code=1,
            )
        found = reference_scores(classifier, images)
        exact = None if isinstance(found, NoDistance) else found
        truth = dataset.test.labels
        before, after = source.float_rows.argmax(axis=1), scores.argmax(axis=1)
        agreement = compare(truth, before, after)
        return Judged(
            engine=classifier.engine,
            engine_version=classifier.engine_version,
            agreement=agreement,
            verdict=verdict(agreement, budget_pp),
            evidence=gather(truth, before, after, expected, rows),
            distance=found if isinstance(found, NoDistance) else distance(scores, found),
            scores=scores,
            exact=exact,
        )
