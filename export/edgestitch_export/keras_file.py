"""Whether a file can be a Keras model at all. Apart from Keras, so that the answer is immediate."""

from __future__ import annotations

import zipfile
from pathlib import Path

from edgestitch_runtime.errors import EdgestitchError, os_error

KERAS_FILE_HINT = "give a file that Keras 3 saved with model.save('NAME.keras')"
H5_SUFFIXES = (".h5", ".hdf5")
SAVED_MODEL = "saved_model.pb"
_HDF5 = b"\x89HDF\r\n\x1a\n"  # the HDF5 file format specification, III.A


def is_model(path: Path) -> bool:
    """Whether `path` names a model that stands alone: .keras, .h5, or a SavedModel folder."""
    if path.suffix.lower() in (".keras", *H5_SUFFIXES):
        return True
    return (path / SAVED_MODEL).is_file()


def check_model(path: Path) -> None:
    """Raises EdgestitchError when what `path` names (see `is_model`) cannot be a model."""
    if path.suffix.lower() in H5_SUFFIXES:
        _check_h5_file(path)
    elif path.suffix.lower() == ".keras":
        check_keras_file(path)


def check_keras_file(path: Path) -> None:
    """Raises EdgestitchError unless `path` is a zip file that holds a Keras configuration."""
    try:
        if not path.is_file():
            raise EdgestitchError(f"{path} is not there, or is no file", hint=KERAS_FILE_HINT)
        with zipfile.ZipFile(path) as archive:
            if "config.json" in archive.namelist():
                return
        what = "a zip file without Keras's config.json"
    except zipfile.BadZipFile:
        what = "empty, cut or no zip file"
    except OSError as error:
        raise os_error(f"read {path}", error) from None
    raise EdgestitchError(f"{path} is not a Keras model: it is {what}", hint=KERAS_FILE_HINT)


def _check_h5_file(path: Path) -> None:
    try:
        if not path.is_file():
            raise EdgestitchError(f"{path} is not there, or is no file", hint=KERAS_FILE_HINT)
        with path.open("rb") as file:
            if file.read(len(_HDF5)) == _HDF5:
                return
    except OSError as error:
        raise os_error(f"read {path}", error) from None
    raise EdgestitchError(f"{path} is not a Keras model: it is no HDF5 file", hint=KERAS_FILE_HINT)
