"""A network of the user's own: `--model my_network.py:build`, a function that returns a model."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import inspect
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from edgestitch_runtime.errors import EdgestitchError, os_error

from .layers import all_layers
from .models import Shape

if TYPE_CHECKING:
    from .networks import Network

TAKES = ("height", "width", "classes")
_HINT = "build() returns a keras.Model; it may take any of height, width and classes"


def split_reference(model: str) -> tuple[Path, str] | None:
    """(file, function) of `my_network.py:build`; None for what is no such reference."""
    file, colon, function = model.rpartition(":")
    if colon and file.endswith(".py"):
        return Path(file), function
    return (Path(model), "build") if model.endswith(".py") else None


def load_builder(file: Path, function: str) -> tuple[Callable[[Shape], keras.Model], str]:
    """The function in the file, made to take a Shape and checked, and the file's SHA-256.

    The file is run as Python; what it prints goes to stderr. Raises EdgestitchError when it is
    missing, does not run, or has no such function.
    """
    try:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise os_error(f"read {file}", error) from None
    with _beside(file):
        module = _module(file)
    builder = getattr(module, function, None)
    if not callable(builder):
        named = [
            name
            for name, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__
        ]
        raise EdgestitchError(
            f"{file} has no function {function!r}",
            hint=f"it has {', '.join(named)}" if named else _HINT,
        )
    wanted = _arguments(builder, f"{file}:{function}")

    def build(shape: Shape) -> keras.Model:
        with _beside(file), _told(f"{file}:{function}", file):
            model: Any = builder(**{name: getattr(shape, name) for name in wanted})
        return _checked(model, shape, f"{file}:{function}")

    return build, digest


def _module(file: Path) -> ModuleType:
    # A name of its own: it is not to stand for a module that is called the same.
    spec = importlib.util.spec_from_file_location(f"edgestitch_own_{file.stem}", file)
    assert spec is not None and spec.loader is not None  # the name ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    with _told(str(file), file):
        spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _beside(file: Path) -> Iterator[None]:
    """What lies beside `file` can be imported, as `python my_network.py` has it, and is let go."""
    folder = file.resolve().parent
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # the user's code may have taken it out
            sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            origin = getattr(sys.modules[name], "__file__", None)
            if origin and folder in Path(origin).resolve().parents and not _installed(origin):
                del sys.modules[name]


def _installed(origin: str) -> bool:
    """Whether a module is a package's: an environment may lie beside the user's file."""
    return "site-packages" in Path(origin).parts


@contextlib.contextmanager
def _told(what: str, file: Path) -> Any:
    """Turns whatever the user's code raises into one line, with the line of theirs it came from."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f.lineno for f in frames if Path(f.filename).name == file.name]
        if isinstance(error, SyntaxError):
            lines = [error.lineno]
        where = f" at line {lines[-1]}" if lines else ""
        raise EdgestitchError(
            f"{what} raised {type(error).__name__}{where}: {' '.join(str(error).split())[:300]}",
            hint="mend the file, and try it with Python alone",
        ) from None


def _arguments(builder: Callable[..., Any], what: str) -> list[str]:
    parameters = inspect.signature(builder).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind < p.VAR_POSITIONAL]
    unknown = [name for name in needed if name not in TAKES]
    if unknown:
        raise EdgestitchError(f"{what} wants {', '.join(unknown)}", hint=_HINT)
    named = [p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY]
    return [name for name in TAKES if name in named]


def _checked(model: Any, shape: Shape, what: str) -> keras.Model:
    if not isinstance(model, keras.Model):
        raise EdgestitchError(f"{what} returned {type(model).__name__}, no keras.Model", hint=_HINT)
    try:
        inputs, outputs = model.inputs, model.outputs
    except AttributeError:  # what a Sequential that was never built raises
        inputs = outputs = None
    if not inputs or not outputs:
        raise EdgestitchError(
            f"{what} returned a model without a fixed input",
            hint=f"begin it with keras.Input(({shape.height}, {shape.width}))",
        )
    if len(inputs) != 1 or len(outputs) != 1:
        raise EdgestitchError(
            f"{what} returned a model of {len(inputs)} inputs and {len(outputs)} outputs",
            hint="a classifier takes one image and gives one score a class",
        )
    size = (None, shape.height, shape.width)
    takes, gives = tuple(inputs[0].shape), tuple(outputs[0].shape)
    if takes not in (size, (*size, 1)):
        raise EdgestitchError(
            f"{what} takes {takes}, the data has images of {shape.height} x {shape.width}",
            hint=f"expected {size} or {(*size, 1)}: take height and width as arguments of build",
        )
    if gives != (None, shape.classes):
        raise EdgestitchError(
            f"{what} gives {gives}, the data has {shape.classes} classes",
            hint=f"expected {(None, shape.classes)}: take classes as an argument of build",
        )
    if not model.trainable_variables:
        raise EdgestitchError(f"{what} has nothing to train", hint="add layers that have weights")
    return _saveable(model, what)


def _saveable(model: keras.Model, what: str) -> keras.Model:
    """Refuses now what `edgestitch export` could not load after the training."""
    foreign = sorted({type(x).__name__ for x in all_layers(model) if not _is_keras_own(x)})
    if foreign:
        raise EdgestitchError(
            f"{what} uses {', '.join(foreign)}, whose code would not be in the saved file",
            hint="build it of Keras's own layers, without Lambda: only those can be exported",
        )
    return model


def _is_keras_own(layer: Any) -> bool:
    own = type(layer).__module__.partition(".")[0] == "keras"
    return own and not isinstance(layer, keras.layers.Lambda)


def saved_copy(model: keras.Model, network: Network, images_u8: np.ndarray) -> keras.Model:
    """A copy of the untrained `model` as a file gives it back: what the training is saved in.

    A network of the user's own is tried on `images_u8`, (n, height, width): raises EdgestitchError
    when the copy computes something else, as it does for functions that a file cannot name and for
    layers that two nested models share.
    """
    either: Any = model
    either.compiled = False  # an optimizer of the user's is not for the file
    if network.source_sha256 is None:
        return keras.models.clone_model(model)
    cannot = EdgestitchError(
        f"{network.reference} builds a model that a file cannot hold",
        hint="build it of Keras's own layers and functions, and share no layer between two models "
        "within it",
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Keras has to say of a lambda, the message says
            if any(_foreign(keras.saving.serialize_keras_object(model))):
                raise cannot
        copy: Any = keras.models.clone_model(model)
        copy.set_weights(either.get_weights())
        rows = [m.predict(images_u8, batch_size=500, verbose=0) for m in (either, copy)]
    except EdgestitchError:
        raise
    except Exception:  # Keras raises what the user's model happens to break
        raise cannot from None
    if not np.allclose(*rows, rtol=1e-5, atol=1e-6, equal_nan=True):
        raise cannot
    return copy


def _foreign(config: Any) -> Iterator[bool]:
    """Of every object in what Keras serialized: whether its code is not Keras's own."""
    if isinstance(config, dict):
        if "class_name" in config:
            name, module = config.get("registered_name"), config.get("module")
            yield name is not None and not str(module).startswith("keras")
        for value in config.values():
            yield from _foreign(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _foreign(value)


def output_of(model: keras.Model, images_u8: np.ndarray) -> str:
    """ "probabilities" when what `model` gives for these images lies within 0..1, else "logits".

    Measured, as export does; rows of nothing but 0 are logits. Raises EdgestitchError when it is
    not finite.
    """
    network: Any = model
    rows = network.predict(images_u8, batch_size=500, verbose=0)
    if not np.isfinite(rows).all():
        raise EdgestitchError(
            "the untrained model gives values that are not finite", hint="look at its input scaling"
        )
    within = rows.min() >= 0 and rows.max() <= 1 and rows.sum(axis=1).min() > 0
    return "probabilities" if within else "logits"
