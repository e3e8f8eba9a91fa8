"""What a profile measures: which artifacts on which engines, and the images that it times with."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .c_file import is_compiled
from .card import Artifact, read_artifact
from .dataset import find_recorded, read_dataset
from .engines import ENGINES, installed, runs
from .errors import EdgestitchError
from .picture_folder import class_folders
from .run_folder import read_run
from .timing import CYCLED_IMAGES
from .to_measure import Subject
from .worker import read_images
from .worker_process import RowFailed, WorkerProcess

WORKER = (sys.executable, "-m", "edgestitch_runtime.worker")
MOST_IMAGES = 1000  # `reference` takes a millisecond for one on a fast machine
GENERATED = "images of generated pixels (no real ones at hand)"
_PATIENCE_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """`images_u8`, (n, height, width) uint8, n at least 1; `origin` says in words what they are."""

    images_u8: np.ndarray
    origin: str

    @property
    def generated(self) -> bool:
        """Whether they are no real images."""
        return self.origin == GENERATED

    def line(self) -> str:
        """'1,000 test images of mlp on fashion-mnist'."""
        return f"{len(self.images_u8):,} {self.origin}"


def subjects_of(
    artifacts: Sequence[Path], engines: Sequence[str], *, threads: int, folder: Path
) -> tuple[list[Subject], tuple[int, int]]:
    """The rows of a profile, and the (height, width) that all artifacts take.

    Each artifact is opened once in a process of its own that runs in `folder`. Raises
    EdgestitchError when one is damaged, cannot be opened at all, or takes images of another size
    than the rest, when no engine fits it, or an engine fits none of them, and when two have one
    name. A file that is named twice is measured once.
    """
    found = [_read(path) for path in _distinct(artifacts)]
    for engine in engines:
        if engine not in ("auto", "all") and not any(_fits(engine, one) for one in found):
            _probe(found[0], engine, threads=threads, folder=folder)  # which says why
    subjects: list[Subject] = []
    shapes: dict[Path, tuple[int, int]] = {}
    for artifact in found:
        names, shapes[artifact.path] = _opened(artifact, engines, threads=threads, folder=folder)
        subjects += [_subject(artifact, name) for name in names]
    first, *others = shapes
    for other in others:
        if shapes[other] != shapes[first]:
            raise EdgestitchError(
                f"{first} takes images of {shapes[first]} and {other} of {shapes[other]}",
                hint="a profile times all rows with the same images: make one of each size",
            )
    return subjects, shapes[first]


def _distinct(paths: Sequence[Path]) -> list[Path]:
    """`paths` without repeats. A row is known by its file's name: two files of one are refused."""
    held: dict[str, Path] = {}
    for path in paths:
        other = held.setdefault(path.name, path)
        if path != other and path.resolve() != other.resolve():
            raise EdgestitchError(
                f"{other} and {path} have one name, by which their rows are told apart",
                hint="copy one to another name, or profile each with --json and compare the two",
            )
    return list(held.values())


def _read(path: Path) -> Artifact:
    artifact = read_artifact(path)
    if artifact.format == "c":
        raise is_compiled(artifact.path, artifact.content)
    return artifact


def _fits(engine: str, artifact: Artifact) -> bool:
    return engine in ENGINES and runs(ENGINES[engine], artifact) and installed(engine)


def _opened(
    artifact: Artifact, engines: Sequence[str], *, threads: int, folder: Path
) -> tuple[list[str], tuple[int, int]]:
    """The engines that `artifact` is measured on, in the order asked for, and its image size.

    The first that opens it says the size; that the others do is seen when they are measured.
    """
    names: list[str] = []
    for engine in engines:
        if engine == "all":
            names += [name for name in ENGINES if _fits(name, artifact)]
        elif engine == "auto" or _fits(engine, artifact):
            names.append(engine)
    # Where nothing fits, opening it on an engine that was named, or on any, says why.
    tried = names or [next((e for e in engines if e != "all"), "auto")]
    shape, refusal = None, None
    for place, name in enumerate(tried):
        if shape is not None and name != "auto":
            continue
        try:
            tried[place], shape = _probe(artifact, name, threads=threads, folder=folder)
        except EdgestitchError as error:
            refusal = refusal or error
    if shape is None or "auto" in tried:
        assert refusal is not None
        raise refusal
    return list(dict.fromkeys(tried)), shape


def _probe(
    artifact: Artifact, engine: str, *, threads: int, folder: Path
) -> tuple[str, tuple[int, int]]:
    path = artifact.path
    try:
        with WorkerProcess(WORKER, folder=folder, threads=threads) as worker:
            answer = worker.ask(
                "probe",
                timeout_s=_PATIENCE_S,
                artifact=str(path.absolute()),
                engine=engine,
                threads=threads,
            )
    except RowFailed as failure:
        refused = failure.refused
        message = (refused.message if refused else str(failure)).replace(
            str(path.absolute()), str(path)
        )
        raise EdgestitchError(
            message if refused else f"cannot open {path} on {engine}: {message}",
            hint=refused.hint.replace(str(path.absolute()), str(path))
            if refused
            else "another engine may run it: --engine NAME",
            exit_code=refused.exit_code if refused else 2,
        ) from None
    height, width = answer["shape"]
    return answer["engine"], (height, width)


def _subject(artifact: Artifact, engine: str) -> Subject:
    content = artifact.path.read_bytes()
    return Subject(
        path=artifact.path,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        format=artifact.format,
        precision="unknown" if artifact.card is None else artifact.card["precision"],
        engine=engine,
        command=WORKER,
    )


def images_for(
    artifacts: Sequence[Path], shape: tuple[int, int], *, images: Path | None, data: Path | None
) -> Images:
    """At most MOST_IMAGES images of `shape`, (height, width), from the first of these places.

    `images`, an .npy or IDX file; the test part of the data set `data`; the test images of the run
    that an artifact lies in, where its data are found. Else CYCLED_IMAGES of generated pixels.
    Raises EdgestitchError when named images cannot be read or are of another size.
    """
    if images is not None:
        found = Images(images_u8=read_images(images), origin=f"images of {images.name}")
    elif data is not None:
        size = shape if data.is_dir() and class_folders(data) else None
        test = read_dataset(data, size=size).test
        found = Images(images_u8=test.images_u8, origin=f"test images of {data.name or data}")
    else:
        found = _of_a_run(artifacts, shape)
    height, width = shape
    if found.images_u8.shape[1:] != shape:
        raise EdgestitchError(
            f"the images have the shape {found.images_u8.shape[1:]}, expected ({height}, {width})",
            hint="edgestitch_runtime.picture turns a photo of any size into such an array",
        )
    return Images(images_u8=found.images_u8[:MOST_IMAGES], origin=found.origin)


def _of_a_run(artifacts: Sequence[Path], shape: tuple[int, int]) -> Images:
    for artifact in artifacts:
        try:
            run = read_run(artifact.absolute().parent.parent)
            test = find_recorded(run.record["data"]).test
        except (EdgestitchError, KeyError):
            continue
        if test.images_u8.shape[1:] == shape:
            return Images(images_u8=test.images_u8, origin=f"test images of {run.title}")
    pixels = np.random.default_rng(0).integers(0, 256, (CYCLED_IMAGES, *shape))
    return Images(images_u8=pixels.astype(np.uint8), origin=GENERATED)
