"""Saving a Keras model as a file whose bytes hang on the model alone.

Keras writes the time of saving (metadata.json, the zip's entries) and the memory addresses of
shared objects (config.json's shared_object_id) into a .keras file; both are made constant here.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import keras

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold
_DATE_SAVED = "1980-01-01@00:00:00"


def save_keras(model: keras.Model, path: Path) -> bytes:
    """Writes `model` to `path` (its name ends in .keras) and returns the file's content.

    The same model gives the same bytes in any process. Raises OSError when the system refuses.
    """
    model.save(path)
    content = canonical(path.read_bytes())
    path.write_bytes(content)
    return content


def canonical(content: bytes) -> bytes:
    """A .keras file's content without times and addresses; Keras reads it as before."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in sorted(old.namelist()):
            part = old.read(name)
            if name == "metadata.json":
                part = _json(json.loads(part) | {"date_saved": _DATE_SAVED})
            elif name == "config.json":
                part = _json(_renumbered(json.loads(part), {}))
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            new.writestr(entry, part)
    return out.getvalue()


def _renumbered(value: Any, numbers: dict[int, int]) -> Any:
    """`value` with each shared_object_id replaced by the order of its first appearance."""
    if isinstance(value, list):
        return [_renumbered(item, numbers) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: numbers.setdefault(item, len(numbers) + 1)
        if key == "shared_object_id"
        else _renumbered(item, numbers)
        for key, item in value.items()
    }


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
