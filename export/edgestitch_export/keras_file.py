"""Whether a file can be a Keras model at all. Apart from Keras, so that the answer is immediate."""

from __future__ import annotations

import zipfile
from pathlib import Path

from edgestitch_runtime.errors import EdgestitchError, os_error

KERAS_FILE_HINT = "give a file that Keras 3 saved with model.save('NAME.keras')"


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
