"""Training as a whole: data, split, model, fit, figures, and the run folder that is left."""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgestitch_runtime.dataset import Dataset, Part, split_train
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.run_folder import check_name

from .acquisition import acquire
from .fitting import fit
from .keras_file import save_keras
from .models import ARCHITECTURES, Shape
from .new_folder import new_folder
from .recipes import RECIPES, Recipe, checked, flag, validation_count
from .run_record import RunFacts, record_of, title
from .run_writing import write_run

SIDES = (4, 64)  # smallest and largest height or width in pixels
PROGRESS = {"none": 0, "bar": 1, "lines": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a training came to. Accuracies are counts: `test_correct` of `test_n` images."""

    folder: Path
    name: str
    title: str
    model_sha256: str
    parameters: int
    epochs: int
    epochs_asked: int
    kept_epoch: int
    stopped: str
    validation_correct: int
    validation_n: int
    test_correct: int
    test_n: int
    seconds: float
    device: str
    dropped: tuple[str, ...]  # what the replaced run had beside its model: export, bench

    def to_json(self) -> dict[str, Any]:
        """The same in plain JSON types."""
        return asdict(self) | {"folder": str(self.folder), "dropped": list(self.dropped)}


def train(
    *,
    model: str = "mlp",
    dataset: str = "fashion-mnist",
    data: Path | None = None,
    recipe: Recipe | None = None,
    name: str | None = None,
    runs: Path = Path("runs"),
    overwrite: bool = False,
    progress: str = "bar",
) -> TrainResult:
    """Trains the model of that name and leaves the folder `runs`/`name`, whole or not at all.

    `dataset` is a name or a folder of IDX files; `data` is the only place where a named one is
    looked for. `recipe` is RECIPES[model] unless given, `name` is `model`. `progress` is "bar",
    "lines" or "none", on stderr. Ctrl-C after the first epoch ends the training early: the run is
    written and its `stopped` is "interrupted"; before that, KeyboardInterrupt is raised.

    The same arguments give the same model.keras to the byte on the same machine and versions. For
    this the process's random seeds are set, and TensorFlow's op determinism is switched on and
    stays on.

    Raises EdgestitchError when an argument, the data or the place of the run will not do.
    """
    recipe = _checked_arguments(model, recipe, name, progress)
    target = runs / (name or model)
    dropped = tuple(k for k in ("export", "bench") if (target / k).is_dir())
    started = time.perf_counter()
    with new_folder(target, replace=overwrite) as folder:

        def say(text: str) -> None:
            if progress != "none":
                print(text, file=sys.stderr, flush=True)

        found = acquire(dataset, folder=data, say=say)
        _check_images(found)
        train_part, validation = _split(found, recipe)
        device = device_name()
        say(
            f"{title(model, found)}: {len(train_part.labels):,} images to train on, "
            f"{len(validation.labels):,} held out for validation, {recipe.epochs} epochs, "
            f"seed {recipe.seed}, on {device}"
        )
        keras.utils.set_random_seed(recipe.seed)
        tf.config.experimental.enable_op_determinism()
        shape = Shape(
            height=found.train.images_u8.shape[1],
            width=found.train.images_u8.shape[2],
            classes=len(found.labels),
        )
        network = ARCHITECTURES[model].build(shape, recipe)
        fitted = fit(
            network, recipe, train=train_part, validation=validation, verbose=PROGRESS[progress]
        )
        if fitted.interrupted:
            say(
                f"\ninterrupted after {len(fitted.history)} of {recipe.epochs} epochs: keeping the "
                f"weights of epoch {fitted.kept_epoch}, the best so far; writing {target}"
            )
        # Built anew so that neither the optimizer nor a dropout's random state gets into the file.
        kept = ARCHITECTURES[model].build(shape, recipe)
        kept.set_weights(fitted.weights)
        content = save_keras(kept, folder / "model.keras")
        # The figures are of the file as it can be read back, not of what is in memory.
        written: Any = keras.saving.load_model(folder / "model.keras", compile=False)
        facts = RunFacts(
            name=target.name,
            model=model,
            model_content=content,
            parameters=int(written.count_params()),
            dataset=found,
            train_count=len(train_part.labels),
            validation_right=_probabilities(written, validation).argmax(1) == validation.labels,
            test_probabilities=_probabilities(written, found.test),
            recipe=recipe,
            fitted=fitted,
            seconds=round(time.perf_counter() - started, 1),
            device=device,
            command=command_of(model, dataset, data, recipe, name, runs),
        )
        record = record_of(facts)
        write_run(folder, facts, record)
    return _result(target, record, recipe, dropped)


def device_name() -> str:
    """What TensorFlow computes on: the first GPU that it sees, else the CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        return f"GPU ({details.get('device_name', gpus[0].name)})"
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"CPU ({platform.machine()}, {count} core{'' if count == 1 else 's'})"


def command_of(
    model: str, dataset: str, data: Path | None, recipe: Recipe, name: str | None, runs: Path
) -> str:
    """The command line that makes the same run; what is as by default is left out."""
    words = ["edgestitch", "train", "--model", model, "--dataset", dataset]
    words += ["--data", str(data)] if data is not None else []
    words += ["--name", name] if name is not None else []
    words += ["--runs", str(runs)] if runs != Path("runs") else []
    usual = asdict(RECIPES[model])
    for field, value in asdict(recipe).items():
        if field == "seed" or value != usual[field]:
            words += [flag(field), f"{value}"]
    return shlex.join(words)


def _checked_arguments(
    model: str, recipe: Recipe | None, name: str | None, progress: str
) -> Recipe:
    if model not in ARCHITECTURES:
        raise EdgestitchError(
            f"there is no model {model!r}", hint=f"there are {', '.join(ARCHITECTURES)}"
        )
    if progress not in PROGRESS:
        raise EdgestitchError(f"progress is {progress!r}", hint=f"choose {' or '.join(PROGRESS)}")
    if name is not None:
        check_name(name)
    if keras.backend.backend() != "tensorflow":
        raise EdgestitchError(
            f"Keras computes with {keras.backend.backend()} here, expected tensorflow",
            hint="set KERAS_BACKEND=tensorflow before Keras is imported",
        )
    return checked(recipe or RECIPES[model])


def _check_images(found: Dataset) -> None:
    height, width = found.train.images_u8.shape[1:]
    if not (SIDES[0] <= min(height, width) and max(height, width) <= SIDES[1]):
        raise EdgestitchError(
            f"the images of {found.folder} are {height} x {width} pixels, expected "
            f"{SIDES[0]} to {SIDES[1]} a side",
            hint="edgestitch is for small images; scale them down first",
        )
    if len(found.labels) < 2:
        raise EdgestitchError(
            f"{found.folder} has only one class", hint="a classifier needs two at least"
        )


def _split(found: Dataset, recipe: Recipe) -> tuple[Part, Part]:
    labels = found.train.labels
    count = validation_count(recipe, len(labels))
    parts = [
        Part(images_u8=np.ascontiguousarray(found.train.images_u8[chosen]), labels=labels[chosen])
        for chosen in split_train(labels, validation_count=count, seed=recipe.seed)
    ]
    return parts[0], parts[1]


def _probabilities(model: Any, part: Part) -> np.ndarray:
    with contextlib.redirect_stdout(sys.stderr):
        return model.predict(part.images_u8, batch_size=1000, verbose=0)


def _result(
    target: Path, record: dict[str, Any], recipe: Recipe, dropped: tuple[str, ...]
) -> TrainResult:
    accuracy = record["accuracy"]
    return TrainResult(
        folder=target,
        name=record["name"],
        title=record["title"],
        model_sha256=record["model"]["sha256"],
        parameters=record["model"]["parameters"],
        epochs=len(record["history"]),
        epochs_asked=recipe.epochs,
        kept_epoch=record["weights_kept"]["epoch"],
        stopped=record["stopped"],
        validation_correct=accuracy["validation"]["correct"],
        validation_n=accuracy["validation"]["n"],
        test_correct=accuracy["test"]["correct"],
        test_n=accuracy["test"]["n"],
        seconds=record["seconds"],
        device=record["device"],
        dropped=dropped,
    )
