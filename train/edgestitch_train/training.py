"""Training as a whole: data, split, model, fit, figures, and the run folder that is left."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgestitch_runtime.dataset import Dataset, Part, split_train
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.run_folder import check_name

from . import checkpoint
from .acquisition import acquire, data_record
from .command_line import command_of
from .data_checks import check_images, check_split
from .fitting import Epoch, Fitted, State, Watch, fit, parts_of
from .keras_file import save_keras
from .layers import all_layers, multiply_accumulates
from .models import Shape
from .networks import Network, network_of
from .new_folder import new_folder
from .own_code import output_of, saved_copy
from .progress import MODES, watch
from .recipes import Recipe, checked, told, usual, validation_count
from .run_record import RunFacts, balance, record_of, title
from .run_writing import write_run
from .tensorboard_log import log_to
from .train_result import TrainResult as TrainResult
from .train_result import result_of

KIND_IMAGES = 100  # on which an untrained model shows whether it ends in a softmax


def train(
    *,
    model: str = "mlp",
    dataset: str = "fashion-mnist",
    data: Path | None = None,
    labels: Path | None = None,
    size: tuple[int, int] | None = None,
    background: str = "dark",
    strict: bool = False,
    recipe: Recipe | None = None,
    name: str | None = None,
    runs: Path = Path("runs"),
    overwrite: bool = False,
    resume: bool = False,
    tensorboard: Path | None = None,
    progress: str = "bar",
) -> TrainResult:
    """Trains a model and leaves the folder `runs`/`name`, whole or not at all.

    `model` is a name in RECIPES or `my_network.py:build`, a function that returns a Keras model;
    `name` is that of the model or of the file unless given, `recipe` the model's own, for
    the user's code the mlp's. `dataset`, `labels`, `size`, `background` and `strict` are as in
    `acquire`; `data` is the only place where a named data set is looked for. `tensorboard` is a
    folder for event files. `progress` is "bar", "lines" or "none", on stderr.

    After each epoch the training is saved beside the run. Ctrl-C after the first one ends it early:
    the run is written and its `stopped` is "interrupted"; before that, KeyboardInterrupt is
    raised. With `resume` a training of the same arguments that was interrupted or killed goes on,
    to the same weights as if it had not been. A loss that is not finite ends it too: the best
    weights so far are kept, and `stopped` is "diverged".

    The same arguments give the same model.keras to the byte on the same machine and versions. For
    this the process's random seeds are set, Keras's count of layers begins anew, and TensorFlow's
    op determinism is switched on and stays on.

    Raises EdgestitchError when an argument, the data or the place of the run will not do.
    """
    started = time.perf_counter()
    recipe = _checked_arguments(model, recipe, name, progress)
    keras.utils.clear_session()
    keras.utils.set_random_seed(recipe.seed)
    tf.config.experimental.enable_op_determinism()
    network = network_of(model)
    check_name(name or network.name)
    target = runs / (name or network.name)
    dropped = tuple(k for k in ("export", "bench") if (target / k).is_dir())
    saved = checkpoint.path_of(target)
    checkpoint.check_place(saved, target, overwrite=overwrite, resume=resume)
    replace = overwrite or (resume and checkpoint.was_interrupted(target))
    with new_folder(target, replace=replace) as folder:
        found = acquire(
            dataset,
            folder=data,
            labels=labels,
            size=size,
            background=background,
            strict=strict,
            say=_say,
        )
        check_images(found)
        train_part, validation_part = split_train(
            found.train.labels,
            validation_count=validation_count(recipe, len(found.train.labels)),
            seed=recipe.seed,
        )
        check_split(found, train_part)
        parts = parts_of(found, train_part, validation_part)
        shape = Shape(
            height=found.train.images_u8.shape[1],
            width=found.train.images_u8.shape[2],
            classes=len(found.labels),
        )
        built = network.build(shape, recipe)
        # What is saved has neither an optimizer nor a dropout's random state.
        kept = saved_copy(built, network, parts.train.images_u8[:KIND_IMAGES])
        about = _about(
            network,
            recipe,
            found,
            layers=kept.to_json(),
            command=command_of(
                model, dataset, recipe, data=data, labels=labels, size=size,
                background=background, strict=strict, name=name, runs=runs,
            ),
        )  # fmt: skip
        state = checkpoint.state_of(saved, about) if resume else None
        before = sum(epoch.seconds for epoch in state.history) if state else 0.0
        device = device_name()
        if progress != "none":
            _say(
                f"{title(network.name, found)}: {len(parts.train.labels):,} images to train on, "
                f"{len(parts.validation.labels):,} held out for validation, "
                f"{balance(found)}, on {device}\n"
                f"recipe: {told(recipe)}"
                + (f"\ngoing on after epoch {len(state.history)}" if state else "")
            )
        kind = "probabilities"
        if network.source_sha256 is not None:
            kind = output_of(built, parts.train.images_u8[:KIND_IMAGES])
            _warn_of_scaling(built, network)
        log = log_to(tensorboard / target.name) if tensorboard is not None else None
        logits = {"probabilities": "no", "logits": "yes"}[kind]
        fitted = fit(
            built,
            recipe,
            parts,
            logits=logits,
            watch=_watch(recipe, state, saved, about, log, progress),
            state=state,
        )
        _say(_why_stopped(fitted, recipe, target))
        kept.set_weights(fitted.weights)
        content = save_keras(kept, folder / "model.keras")
        # The figures are of the file as it can be read back, not of what is in memory.
        written: Any = keras.saving.load_model(folder / "model.keras", compile=False)
        facts = RunFacts(
            name=target.name,
            network=network,
            model_content=content,
            parameters=int(written.count_params()),
            macs=multiply_accumulates(written),
            dataset=found,
            train_count=len(parts.train.labels),
            validation_right=_probabilities(written, parts.validation, kind).argmax(1)
            == parts.validation.labels,
            test_probabilities=_probabilities(written, found.test, kind),
            recipe=recipe,
            fitted=fitted,
            seconds=round(before + time.perf_counter() - started, 1),
            device=device,
            command=about["command"],
        )
        record = record_of(facts)
        write_run(folder, facts, record)
    if fitted.stopped != "interrupted":
        saved.unlink(missing_ok=True)
    return result_of(target, record, recipe, dropped)


def _say(text: str | None) -> None:
    """Tells the person at the terminal, on stderr."""
    if text:
        print(text, file=sys.stderr, flush=True)


def device_name() -> str:
    """What TensorFlow computes on: the first GPU that it sees, else the CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        return f"GPU ({details.get('device_name', gpus[0].name)})"
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"CPU ({platform.machine()}, {count} core{'' if count == 1 else 's'})"


def _checked_arguments(
    model: str, recipe: Recipe | None, name: str | None, progress: str
) -> Recipe:
    if progress not in MODES:
        raise EdgestitchError(f"progress is {progress!r}", hint=f"choose {' or '.join(MODES)}")
    if name is not None:
        check_name(name)
    if keras.backend.backend() != "tensorflow":
        raise EdgestitchError(
            f"Keras computes with {keras.backend.backend()} here, expected tensorflow",
            hint="set KERAS_BACKEND=tensorflow before Keras is imported",
        )
    return checked(recipe or usual(model))


def _about(
    network: Network, recipe: Recipe, found: Dataset, *, layers: str, command: str
) -> dict[str, Any]:
    """What has to be the same for a training to go on as if it had not been interrupted.

    `layers` is the network as Keras writes it down: it may hang on more than the one file.
    """
    data = data_record(found)
    return {
        "model": network.reference,
        "source_sha256": network.source_sha256,
        "recipe": asdict(recipe),
        "data": {each: data[each] for each in ("labels", "files", "background")},
        "versions": {
            each: version(each) for each in ("edgestitch-train", "tensorflow", "keras", "numpy")
        },
        # Behind what may have made them differ: a recipe's dropout and seed stand in the layers.
        "layers_sha256": hashlib.sha256(layers.encode()).hexdigest(),
        "command": command,
    }


def _watch(
    recipe: Recipe,
    state: State | None,
    saved: Path,
    about: dict[str, Any],
    log: Callable[[Epoch], None] | None,
    progress: str,
) -> Watch:
    """Shows each epoch, logs it, and saves the training so far."""
    shown = watch(recipe.epochs, done=len(state.history) if state else 0, mode=progress)

    def epoch(state: State) -> None:
        shown.epoch(state)
        try:  # a full disk must not end the training
            checkpoint.write(saved, state, about)
            if log is not None:
                log(state.history[-1])
        except EdgestitchError as error:
            print(f"edgestitch: this epoch was not saved: {error.message}", file=sys.stderr)

    return Watch(step=shown.step, epoch=epoch)


def _why_stopped(fitted: Fitted, recipe: Recipe, target: Path) -> str | None:
    done = len(fitted.history)
    keeping = f"keeping the weights of epoch {fitted.kept_epoch}, the best so far; writing {target}"
    return {
        "interrupted": f"\ninterrupted after {done} of {recipe.epochs} epochs: {keeping}",
        "diverged": f"\nthe loss of epoch {done + 1} is not a finite number, the training "
        f"diverged: {keeping}",
        "early": f"stopped after {done} of {recipe.epochs} epochs: {recipe.patience} without a "
        f"lower validation loss; {keeping}",
    }.get(fitted.stopped)


def _warn_of_scaling(model: Any, network: Network) -> None:
    scaling = (keras.layers.Rescaling, keras.layers.Normalization, keras.layers.BatchNormalization)
    if not any(isinstance(layer, scaling) for layer in all_layers(model)):
        _say(
            f"note: {network.reference} has no Rescaling layer; its input are pixels of 0 to 255 "
            "and scaling them is a part of the model: keras.layers.Rescaling(1 / 255)"
        )


def _probabilities(model: Any, part: Part, kind: str) -> np.ndarray:
    """(n, classes) float32 whose rows sum to 1, whatever `kind` of output the model has."""
    with contextlib.redirect_stdout(sys.stderr):
        rows = model.predict(part.images_u8, batch_size=1000, verbose=0)
    return np.asarray(keras.ops.softmax(rows)) if kind == "logits" else rows
