"""Two models on the same images: whose answers differ, on which images, and from which layer on."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgestitch_runtime.agreement import Agreement, compare
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.writing import write_file

from .diff_models import Opened, check_comparable, check_file, images_for, open_model
from .flip_picture import SHOWN, Flip, flips_png
from .parting import Parting, part, spread

DIFF_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One of the two models. `path` is as it was named."""

    path: str
    sha256: str
    format: str
    precision: str
    engine: str
    correct: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """What differs between A and B on `images`.

    `agreement` has A in the place of the float model, B in that of the artifact: `lost` are images
    that A alone answers rightly. `flips` are the places of the images whose answers differ, the
    largest change of a probability first; `largest_change` is that of any image.
    """

    a: Compared
    b: Compared
    images: str
    agreement: Agreement
    flips: tuple[int, ...]
    largest_change: float
    largest_change_image: int
    layers: Parting
    picture: str | None
    picture_status: str | None  # "written" or "unchanged"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, schema 1."""
        return {"schema": DIFF_SCHEMA, **asdict(self), "layers": self.layers.to_json()}


def diff(
    a: str | Path,
    b: str | Path,
    *,
    data: str | Path | None = None,
    images: int | None = None,
    picture: str | Path | None = None,
    overwrite: bool = False,
) -> Diff:
    """Compares two models, .keras, .tflite or .onnx: their answers, then their layers.

    On the test images of the run in whose folder A lies, or else B, or of `data`; on `images` of
    them, spread evenly, when it is given. `picture` is where a PNG of the flipped images goes.
    Raises EdgestitchError when a model or the data cannot be used, or when the models are not for
    the same images and classes.
    """
    if images is not None and images < 1:
        raise EdgestitchError(f"{images} images cannot be compared", hint="at least 1")
    paths = [Path(a), Path(b)]
    for path in paths:
        check_file(path)
    models = (open_model(paths[0]), open_model(paths[1]))
    check_comparable(*models)
    dataset, what = images_for(*models, None if data is None else Path(data))
    total = len(dataset.test.labels)
    chosen = spread(total, total if images is None else images)
    pixels, truth = dataset.test.images_u8[chosen], dataset.test.labels[chosen]
    rows = [model.probabilities(pixels) for model in models]
    answers = [found.argmax(axis=1) for found in rows]
    change = np.abs(rows[0].astype(np.float64) - rows[1]).max(axis=1)
    differing = np.flatnonzero(answers[0] != answers[1])
    flips = differing[np.argsort(-change[differing], kind="stable")]
    agreement = compare(truth, answers[0], answers[1])
    correct = (agreement.float_correct, agreement.artifact_correct)
    parting = part(*models, pixels)
    status = None
    labels = models[0].labels or models[1].labels or dataset.labels
    if picture is not None:
        shown = [
            Flip(
                image_u8=pixels[k],
                truth=labels[truth[k]],
                answers=tuple(
                    (labels[found[k]], float(row[k, found[k]]))
                    for found, row in zip(answers, rows, strict=True)
                ),
            )
            for k in flips[:SHOWN]
        ]
        drawn = flips_png(shown, names=_names(paths), flips_of=len(flips), n=len(truth))
        status = write_file(Path(picture), drawn, overwrite=overwrite)
    return Diff(
        a=_compared(models[0], correct[0]),
        b=_compared(models[1], correct[1]),
        images=f"{len(truth):,} {what}",
        agreement=agreement,
        flips=tuple(int(k) for k in chosen[flips]),
        largest_change=float(change.max()),
        largest_change_image=int(chosen[change.argmax()]),
        layers=parting,
        picture=None if picture is None else str(picture),
        picture_status=status,
    )


def _compared(model: Opened, correct: int) -> Compared:
    return Compared(
        path=str(model.path),
        sha256=hashlib.sha256(model.path.read_bytes()).hexdigest(),
        format=model.format,
        precision=model.precision,
        engine=model.engine,
        correct=correct,
    )


def _names(paths: list[Path]) -> tuple[str, str]:
    """The files' names; with their folders where the names are the same."""
    first, second = paths
    if first.name == second.name:
        return str(first), str(second)
    return first.name, second.name
