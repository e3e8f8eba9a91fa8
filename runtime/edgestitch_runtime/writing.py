"""Writing whole files or none: a temporary name beside the target, then a rename."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .errors import EdgestitchError, os_error


def write_file(path: Path, content: bytes, *, overwrite: bool) -> str:
    """Writes `content` to `path` atomically, making the folder if need be.

    Returns "unchanged" when the file already holds these bytes, else "written".
    Raises EdgestitchError when another content is there and `overwrite` is false, or when the
    system refuses; in both cases what was there before is still there, and nothing else.
    """
    return write_files({path: content}, overwrite=overwrite)


def write_files(contents: Mapping[Path, bytes], *, overwrite: bool) -> str:
    """`write_file` for files that belong together: none is put in place before all are written.

    Returns "unchanged" when all of them already hold their bytes.
    """
    changed = [path for path in contents if _differs(path, contents[path], overwrite)]
    # Named before they are there: a signal may come at any moment, and none may be left.
    drafts = {path: path.with_name(f".{path.name}.{secrets.token_hex(4)}") for path in changed}
    try:
        for path, draft in drafts.items():
            with _told(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                _write_whole(draft, contents[path])
        for path, draft in drafts.items():
            with _told(path):
                draft.replace(path)
    finally:
        for draft in drafts.values():
            with contextlib.suppress(OSError):
                draft.unlink()
    return "written" if changed else "unchanged"


def _differs(path: Path, content: bytes, overwrite: bool) -> bool:
    """Whether `path` has to be written; raises EdgestitchError where it must not be."""
    with _told(path):
        if path.is_file() and path.read_bytes() == content:
            return False
        if path.exists() and not overwrite:
            raise EdgestitchError(
                f"{path} exists and differs from what would be written",
                hint="--force overwrites it; --name or another folder keeps both",
            )
    return True


def _write_whole(path: Path, content: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise os_error(f"write {path}", error) from None


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
