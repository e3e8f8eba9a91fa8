"""Profiles one artifact: the bare engine call and the whole `classify`, in alternating blocks."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import machine, timing
from .classifier import Classifier
from .dataset import find_recorded
from .distance import Distance, NoDistance, from_reference
from .errors import EdgestitchError
from .native_output import quiet_native_output
from .run_folder import read_run
from .timing import Latency, Timed
from .worker import read_images

PROFILE_SCHEMA = 1
COMPARED_IMAGES = 1000  # with `reference`, which takes a millisecond for one on a fast machine
GENERATED = "images of generated pixels (no real ones at hand)"
TIMED = (
    "bare: the engine's own call on input it can take as it is: set, invoke, get.",
    "classify: from a uint8 image to label and index, the bare call inside; not the confidence,",
    "which is computed when it is read.",
    "Not timed: starting Python, opening the artifact, reading and resizing pictures.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What one artifact costs on one engine here. `timer_ns` lies inside every sample.

    `distance` is that of its answers, by the call that was timed, from the engine `reference`: on
    real images alone.
    """

    artifact: str
    sha256: str
    engine: str
    engine_version: str
    threads: int
    images: str
    bare: Latency
    classify: Latency
    distance: Distance | NoDistance
    timer_ns: float
    numpy_version: str
    machine: machine.Machine

    @property
    def ratio(self) -> float:
        """The whole call over the bare one, of their medians."""
        return self.classify.p50_us / self.bare.p50_us

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, schema 1."""
        return {"schema": PROFILE_SCHEMA, "ratio": self.ratio, **asdict(self)}


def profile(
    artifact: Path,
    *,
    engine: str = "auto",
    threads: int = 1,
    images: Path | None = None,
    min_seconds: float = 2.0,
    min_runs: int = 1000,
) -> Profile:
    """Times `artifact` on `engine` with the images in `images` (.npy or IDX, uint8).

    Without `images`, those of the run that the artifact lies in, else generated pixels; the result
    says which. Both calls get at least `min_seconds` and `min_runs` each, in alternating blocks.
    The answers to at most COMPARED_IMAGES of them, real ones, are compared with `reference` after.
    Raises EdgestitchError when artifact, engine or images cannot be used. What an engine prints
    while it opens the artifact is dropped: for this the process's stdout and stderr are redirected.
    """
    if not 0 < min_seconds <= timing.MAX_SECONDS or min_runs < 1:
        raise EdgestitchError(
            f"{min_seconds:g} seconds and {min_runs} runs cannot be timed",
            hint=f"more than 0 and at most {timing.MAX_SECONDS} seconds, and at least 1 run",
        )
    with quiet_native_output():  # an engine says which delegate it made
        opened = Classifier.open(artifact, engine=engine, threads=threads)
    with opened as classifier:
        pixels, origin = _images(artifact, images, classifier.shape)
        inputs = list(pixels[: timing.CYCLED_IMAGES])
        prepare, call = classifier.bare()
        classifier.classify(inputs[0])  # refuses images of another size
        latencies = timing.interleaved(
            {
                "bare": Timed(call=call, inputs=[prepare(image) for image in inputs]),
                "classify": Timed(call=classifier.classify, inputs=inputs),
            },
            min_seconds=min_seconds,
            min_runs=min_runs,
        )
        return Profile(
            artifact=artifact.name,
            sha256=hashlib.sha256(artifact.read_bytes()).hexdigest(),
            engine=classifier.engine,
            engine_version=classifier.engine_version,
            threads=threads,
            images=f"{len(inputs)} {origin}",
            bare=latencies["bare"],
            classify=latencies["classify"],
            distance=_distance(classifier, pixels[:COMPARED_IMAGES], origin),
            timer_ns=timing.timer_ns(),
            numpy_version=np.__version__,
            machine=machine.describe(),
        )


def _distance(classifier: Classifier, images_u8: np.ndarray, origin: str) -> Distance | NoDistance:
    if origin == GENERATED:  # how engines differ on noise says nothing of how they do on images
        return NoDistance(reason="there are no real images at hand")
    scores = [classifier.classify(image).scores.reshape(-1) for image in images_u8]
    return from_reference(classifier, images_u8, np.stack(scores))


def _images(artifact: Path, images: Path | None, shape: tuple[int, int]) -> tuple[np.ndarray, str]:
    if images is not None:
        return read_images(images), f"images of {images.name}"
    try:
        run = read_run(artifact.absolute().parent.parent)
        return find_recorded(run.record["data"]).test.images_u8, f"test images of {run.title}"
    except (EdgestitchError, KeyError):
        generated = np.random.default_rng(0).integers(0, 256, (timing.CYCLED_IMAGES, *shape))
        return generated.astype(np.uint8), GENERATED
