"""What is exported: the float model, the images it is judged on, and where artifacts go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edgestitch_runtime.dataset import (
    Dataset,
    find_recorded,
    read_labels,
    split_train,
)
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.picture import DARK
from edgestitch_runtime.run_folder import find_run

from .answers import check_rewritten, finite_answers, output_kind
from .data_place import named_data
from .float32_model import in_float32
from .foreign_model import load_foreign, model_sha256, put_inside
from .inference_model import check_classifier, for_inference, image_size, load_keras
from .input_range import RAW, InputRange
from .keras_file import is_model
from .scaling_check import check_scaling

KIND_IMAGES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A float model with its data. `float_rows` is its output for the test images, (n, classes)."""

    name: str
    title: str
    model: keras.Model
    rewritten: keras.Model  # for inference: what is converted; its answers were compared
    model_sha256: str
    dataset: Dataset
    train_indices: np.ndarray  # (k,) int64: train images without validation
    split: dict[str, Any]  # validation_count and seed; validation_count 0 when none was taken
    float_rows: np.ndarray
    kind: str  # of the output: "probabilities" when all of it lies within 0..1, else "logits"
    input_range: InputRange  # what was put inside the model that was saved
    folder: Path  # where artifacts go unless told otherwise


def open_source(
    path: Path | None,
    *,
    data: Path | None,
    background: int | None = None,
    labels: Path | None = None,
    input_range: InputRange | None = None,
    code: Path | None = None,
    trust_code: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Source:
    """Loads a run (None: the newest) or a model that stands alone, with its data and answers.

    A model inside a run folder is that run's; a .keras file, an .h5 file or a SavedModel folder
    needs `data`, a folder of IDX files or of pictures, an .npz file or the name of a known data
    set. `background` is the gray around the objects of its pictures (None: dark), `labels` a file
    of class names, one a line (None: the data's own), `input_range` what the model takes (None:
    raw pixels), and `code` and `trust_code` are as `load_foreign` has them. `say` hears which
    pictures were skipped. Raises EdgestitchError when anything does not fit, with exit code 1
    when the model that was rewritten for inference answers otherwise.
    """
    if path is not None and is_model(path) and not _is_run_model(path):
        return _from_model(
            path,
            data,
            background=DARK if background is None else background,
            labels=None if labels is None else read_labels(labels),
            input_range=input_range or RAW,
            code=code,
            trust_code=trust_code,
            say=say,
        )
    if path is not None and path.is_file() and not _is_run_model(path):
        raise EdgestitchError(
            f"{path} is neither a run folder nor a model",
            hint="give runs/NAME, a .keras or .h5 file of Keras's, or a SavedModel folder",
        )
    run = find_run(path.parent if path is not None and _is_run_model(path) else path)
    if input_range is not None or code is not None or trust_code:
        raise EdgestitchError(
            f"an input range or code was given for {run.folder}, whose model takes raw pixels and "
            "has no code of its own",
            hint="leave them out; they are for a .keras or .h5 file, or a SavedModel folder",
        )
    if background is not None:
        raise EdgestitchError(
            f"a background was given for {run.folder}, whose own is in its run.json",
            hint="leave out the background; it is of the pictures that a .keras file is judged on",
        )
    if labels is not None:
        raise EdgestitchError(
            f"class names were given for {run.folder}, whose own are in its run.json",
            hint="leave out the class names; they are for a model that lies in no run",
        )
    model = load_keras(run.model_path)
    digest = model_sha256(run.model_path)
    if digest != run.record["model"]["sha256"]:
        raise EdgestitchError(
            f"{run.model_path} is not the model that run.json describes: its hash differs",
            hint="train the run again, or export the .keras file from another folder with --data",
        )
    dataset = find_recorded(run.record["data"], folder=data)
    split = run.record["split"]
    train_indices, _ = split_train(
        dataset.train.labels, validation_count=split["validation_count"], seed=split["seed"]
    )
    return _source(
        name=run.name,
        title=run.title,
        model=model,
        digest=digest,
        dataset=dataset,
        train_indices=train_indices,
        split={k: split[k] for k in ("validation_count", "seed")},
        folder=run.export_folder,
    )


def _is_run_model(path: Path) -> bool:
    return path.name == "model.keras" and (path.parent / "run.json").is_file()


def _from_model(
    path: Path,
    data: Path | None,
    *,
    background: int,
    labels: tuple[str, ...] | None,
    input_range: InputRange,
    code: Path | None,
    trust_code: bool,
    say: Callable[[str], None],
) -> Source:
    model = check_classifier(load_foreign(path, code=code, trust_code=trust_code), path)
    if data is None:
        raise EdgestitchError(
            f"{path} stands alone: the data to calibrate and judge it on is not known",
            hint="--data FOLDER names four IDX files, MNIST layout, or a folder of pictures a "
            "class; --data fashion-mnist works",
        )
    dataset = named_data(
        data,
        size=image_size(model),
        background=background,
        labels=labels,
        naming=True,
        say=say,
    )
    _check_fit(model, dataset)
    train = dataset.train
    shown = np.unique(np.linspace(0, len(train.labels) - 1, KIND_IMAGES).astype(int))
    model = in_float32(model, train.images_u8[shown])
    check_scaling(model, train.images_u8[shown], train.labels[shown], input_range)
    return _source(
        name=path.stem,
        title=f"{path.stem} on {dataset.name}",
        model=put_inside(model, input_range),
        digest=model_sha256(path),
        dataset=dataset,
        train_indices=np.arange(len(train.labels)),
        split={"validation_count": 0, "seed": 0},
        folder=path.parent / "export",
        input_range=input_range,
    )


def _check_fit(model: keras.Model, dataset: Dataset) -> None:
    size = image_size(model)
    if dataset.test.images_u8.shape[1:] != size:
        raise EdgestitchError(
            f"the model takes images of {size}, the data has {dataset.test.images_u8.shape[1:]}",
            hint="name the data that the model was trained on",
        )
    classes = int(model.outputs[0].shape[1])
    if len(dataset.labels) != classes:
        raise EdgestitchError(
            f"the model has {classes} classes, the data {len(dataset.labels)}",
            hint="name the data that the model was trained on; --labels FILE names its classes",
        )


def _source(
    *,
    name: str,
    title: str,
    model: keras.Model,
    digest: str,
    dataset: Dataset,
    train_indices: np.ndarray,
    split: dict[str, Any],
    folder: Path,
    input_range: InputRange = RAW,
) -> Source:
    _check_fit(model, dataset)
    test = dataset.test.images_u8
    float_rows = finite_answers(model, test, which="test")
    kind = output_kind(model, dataset.train.images_u8[train_indices[:KIND_IMAGES]])
    rewritten = for_inference(model)
    check_rewritten(rewritten, test, float_rows, kind)
    return Source(
        name=name,
        title=title,
        model=model,
        rewritten=rewritten,
        model_sha256=digest,
        dataset=dataset,
        train_indices=train_indices,
        split=split,
        float_rows=float_rows,
        kind=kind,
        input_range=input_range,
        folder=folder,
    )
