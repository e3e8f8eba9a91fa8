"""Models that edgestitch did not make: .keras, .h5 and SavedModel, loaded so that raw pixels go in.

Loading runs no code that the file holds or asks for, unless that is trusted by name.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from textwrap import shorten
from typing import Any

import keras

from edgestitch_runtime.errors import EdgestitchError

from .input_range import InputRange
from .keras_code import configuration, lambdas, run_code, unknown_classes
from .keras_file import KERAS_FILE_HINT, check_model
from .saved_model import folder_sha256, load_saved_model


def load_foreign(path: Path, *, code: Path | None = None, trust_code: bool = False) -> keras.Model:
    """The model in a .keras file, an .h5 file or a SavedModel folder, as it was saved.

    `code` is a Python file that defines layers of the user's own; it is run only with `trust_code`,
    and so are the Lambda layers in the model. Raises EdgestitchError when code is needed and not
    there, or there and not trusted, and when the file is missing or damaged.
    """
    if code is not None and not trust_code:
        raise EdgestitchError(
            f"{code} would be run, and is not trusted",
            hint="--trust-code runs it, where you know what it does",
        )
    check_model(path)
    if path.is_dir():
        if code is not None:
            raise EdgestitchError(
                f"{path} needs no {code}: a SavedModel folder has its layers in it",
                hint="leave out --code",
            )
        return load_saved_model(path, trust_code=trust_code)
    try:
        config = configuration(path)
    except Exception as error:  # h5py and json raise what the content happens to break
        raise _damaged(path, error) from None
    if config is None:
        raise EdgestitchError(
            f"{path} has weights alone, and no network",
            hint="save the whole model: model.save('NAME.keras')",
        )
    own = run_code(code) if code is not None else {}
    needed = {name: name.split(">")[-1] for name in unknown_classes(config)}
    missing = [name for name, short in needed.items() if short not in own]
    _check_code(path, lambdas(config), missing, trust_code=trust_code)
    own |= {name: own[short] for name, short in needed.items()}
    try:
        model: Any = keras.models.load_model(
            path, custom_objects=own, compile=False, safe_mode=not trust_code
        )
    except Exception as error:  # Keras raises what the content happens to break
        unknown = re.findall(r"Unknown [a-z]+: '([^']+)'", str(error))
        _check_code(path, [], unknown[:1], trust_code=trust_code)
        raise _damaged(path, error) from None
    return _with_ends(model, path)


def _damaged(path: Path, error: Exception) -> EdgestitchError:
    said = shorten(" ".join(str(error).split()), width=240, placeholder=" ...")
    return EdgestitchError(f"{path} cannot be loaded by Keras: {said}", hint=KERAS_FILE_HINT)


def put_inside(model: keras.Model, input_range: InputRange) -> keras.Model:
    """`model` of raw pixels: a first layer brings them to the range that it takes."""
    if input_range.raw:
        return model
    pixels = keras.Input(tuple(model.inputs[0].shape[1:]))
    scaling = keras.layers.Rescaling(
        input_range.scale, input_range.offset, name="edgestitch_input_range"
    )
    return keras.Model(pixels, model(scaling(pixels)))


def model_sha256(path: Path) -> str:
    """The SHA-256 of a model file, or of all that a SavedModel folder holds."""
    return folder_sha256(path) if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()


def _check_code(path: Path, inside: list[str], missing: list[str], *, trust_code: bool) -> None:
    """Refuses the Lambda layers `inside` a file, and the classes that are `missing` from it."""
    if inside and not trust_code:
        raise EdgestitchError(
            f"{path} has a Lambda layer ({', '.join(inside)}): Python code, which was not run",
            hint="--trust-code runs it, where you know who made the file; better is a layer of "
            "Keras's own in its place",
        )
    if missing:
        raise EdgestitchError(
            f"{path} uses {', '.join(missing)}, which is not of Keras and whose code is not in the "
            "file",
            hint="--code FILE --trust-code, with the Python file that defines it; or give a "
            "SavedModel folder, made by model.export('FOLDER')",
        )


def _with_ends(model: Any, path: Path) -> keras.Model:
    """A subclassed model, which has no input of its own, in one that has."""
    if isinstance(model, keras.Sequential) or hasattr(model, "inputs"):
        return model
    built = (model.get_build_config() or {}).get("input_shape")
    if not built or not isinstance(built, (list, tuple)) or None in built[1:]:
        raise EdgestitchError(
            f"{path} does not say what images it takes: it was saved before it was built",
            hint="call it with a batch of images before model.save, or use model.export('FOLDER')",
        )
    pixels = keras.Input(tuple(built[1:]))
    return keras.Model(pixels, model(pixels))
