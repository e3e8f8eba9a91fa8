"""The models that `diff` compares, opened: a .keras file, or an artifact on its engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from edgestitch_runtime.card import FORMATS, Artifact, read_artifact
from edgestitch_runtime.classifier import Classifier
from edgestitch_runtime.dataset import Dataset, find_recorded
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.inspecting import inspect_artifact
from edgestitch_runtime.native_output import quiet_native_output
from edgestitch_runtime.picture import DARK
from edgestitch_runtime.run_folder import Run, read_run

from .data_place import named_data
from .file_layers import file_layers
from .keras_file import check_keras_file
from .layer_outputs import LayerOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A model that answers. `labels` are None where the file does not name them.

    `probabilities` takes (n, height, width) uint8 to (n, classes), rows that sum to 1, and `layers`
    gives what its layers compute.
    """

    path: Path
    format: str
    precision: str
    engine: str  # with its version
    shape: tuple[int, int]
    classes: int
    labels: tuple[str, ...] | None
    background: int
    probabilities: Callable[[np.ndarray], np.ndarray]
    layers: Callable[[np.ndarray], tuple[LayerOutput, ...]]


def check_file(path: Path) -> None:
    """Raises EdgestitchError unless `path` can be a model, before TensorFlow is loaded."""
    if path.suffix == ".keras":
        check_keras_file(path)
    elif path.suffix.lower() in FORMATS:
        if read_artifact(path).format == "native":
            raise EdgestitchError(
                f"{path} is compiled code, in which no layer can be looked at",
                hint="compare the .tflite that it was made of: it answers as reference does",
            )
    else:
        raise EdgestitchError(
            f"{path} is no model that can be compared: its name ends in "
            f"{path.suffix or 'nothing'}, expected .keras, {' or '.join(FORMATS)}",
            hint="name two files, as runs/mlp/model.keras runs/mlp/export/mlp-int8.tflite",
        )


def open_model(path: Path) -> Opened:
    """Opens the model in `path`. TensorFlow is imported for a .keras file alone."""
    check_file(path)
    return _open_keras(path) if path.suffix == ".keras" else _open_artifact(path)


def _open_keras(path: Path) -> Opened:
    from .answers import as_probabilities, finite_answers
    from .inference_model import image_size, load_keras
    from .keras_layers import keras_layers

    model = load_keras(path)
    run = _run_of(path)

    def probabilities(images_u8: np.ndarray) -> np.ndarray:
        rows = finite_answers(model, images_u8, which="test")
        kind = "probabilities" if rows.min() >= 0 and rows.max() <= 1 else "logits"
        return as_probabilities(rows, kind)

    return Opened(
        path=path,
        format="keras",
        precision="float32",
        engine=f"keras {version('keras')}",
        shape=image_size(model),
        classes=int(model.outputs[0].shape[1]),
        labels=None if run is None else tuple(run.record["data"]["labels"]),
        background=DARK,
        probabilities=probabilities,
        layers=lambda images_u8: keras_layers(model, images_u8),
    )


def _open_artifact(path: Path) -> Opened:
    artifact = read_artifact(path)
    with quiet_native_output():  # an engine says which delegate it made
        classifier = Classifier.open(path)
    card = classifier.card

    def probabilities(images_u8: np.ndarray) -> np.ndarray:
        rows = classifier.probabilities(images_u8)
        if not np.isfinite(rows).all():
            raise EdgestitchError(
                f"{path} answers test images with values that are not finite",
                hint="export it again, from a model whose weights are finite",
            )
        return rows

    return Opened(
        path=path,
        format=artifact.format,
        precision=_precision(artifact),
        engine=f"{classifier.engine} {classifier.engine_version}",
        shape=classifier.shape,
        classes=len(classifier.labels),
        labels=None if card is None else classifier.labels,
        background=DARK if card is None else card["preprocessing"]["background"],
        probabilities=probabilities,
        layers=lambda images_u8: file_layers(artifact, images_u8),
    )


def _precision(artifact: Artifact) -> str:
    if artifact.card is not None:
        return artifact.card["precision"]
    facts = inspect_artifact(artifact.path).facts
    return "unknown" if facts is None else facts.precision


def check_comparable(a: Opened, b: Opened) -> None:
    """Raises EdgestitchError unless both take the same images and give the same classes."""
    if a.shape != b.shape:
        raise EdgestitchError(
            f"{a.path} takes images of {a.shape}, {b.path} of {b.shape}",
            hint="compare two models of the same images",
        )
    if a.classes != b.classes:
        raise EdgestitchError(
            f"{a.path} has {a.classes} classes, {b.path} {b.classes}",
            hint="compare two models of the same classes",
        )
    if a.labels and b.labels and a.labels != b.labels:
        k = next(k for k in range(a.classes) if a.labels[k] != b.labels[k])
        raise EdgestitchError(
            f"class {k} of {a.path} is {a.labels[k]!r}, of {b.path} {b.labels[k]!r}",
            hint="compare two models of the same classes in the same order",
        )


def images_for(a: Opened, b: Opened, data: Path | None) -> tuple[Dataset, str]:
    """The data whose test images are compared, and in words which they are.

    `data`, or what the run recorded in whose folder A lies, or else B. Raises EdgestitchError when
    there is none, or when it does not fit the models.
    """
    if data is not None:
        background = next((m.background for m in (a, b) if m.background != DARK), DARK)
        labels = a.labels or b.labels
        dataset = named_data(data, size=a.shape, background=background, labels=labels)
        what = f"test images of {dataset.name}"
    else:
        run = _run_of(a.path) or _run_of(b.path)
        if run is None:
            raise EdgestitchError(
                f"neither {a.path} nor {b.path} lies in a run: there are no images to compare on",
                hint="--data names IDX files, a folder of pictures a class or an .npz file",
            )
        dataset = find_recorded(run.record["data"])
        what = f"test images of {run.title}"
    if dataset.test.images_u8.shape[1:] != a.shape:
        raise EdgestitchError(
            f"the models take images of {a.shape}, the data has {dataset.test.images_u8.shape[1:]}",
            hint="name the data that the models were trained on",
        )
    if len(dataset.labels) != a.classes:
        raise EdgestitchError(
            f"the models have {a.classes} classes, the data {len(dataset.labels)}",
            hint="name the data that the models were trained on",
        )
    return dataset, what


def _run_of(path: Path) -> Run | None:
    """The run in whose folder, or folder of artifacts, the file lies."""
    for folder in (path.absolute().parent, path.absolute().parent.parent):
        if (folder / "run.json").is_file():
            return read_run(folder)
    return None
