"""Writing whole files or none: a temporary name beside the target, then a rename."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from .errors import EdgestitchError, os_error


def write_file(path: Path, content: bytes, *, overwrite: bool) -> str:
    """Writes `content` to `path` atomically, making the folder if need be.

    Returns "unchanged" when the file already holds these bytes, else "written".
    Raises EdgestitchError when another content is there and `overwrite` is false, or when the
    system refuses; in both cases what was there before is still there, and nothing else.
    """
    try:
        if path.is_file() and path.read_bytes() == content:
            return "unchanged"
        if path.exists() and not overwrite:
            raise EdgestitchError(
                f"{path} exists and differs from what would be written",
                hint="--force overwrites it; --name or another folder keeps both",
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise os_error(f"write {path}", error) from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o666 & ~umask())
        Path(temporary).replace(path)
    except OSError as error:
        raise os_error(f"write {path}", error) from None
    finally:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
    return "written"


def write_json(path: Path, value: Any, *, overwrite: bool) -> str:
    """`write_file` for a value of plain JSON types; two-space indent, a newline at the end."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    # A path may hold bytes that are no text: \udc80 stands for one, in JSON as in Python.
    content = (text + "\n").encode("utf-8", "backslashreplace")
    return write_file(path, content, overwrite=overwrite)


def umask() -> int:
    """The process's file mode mask. Reading it sets it for an instant: not for many threads."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
