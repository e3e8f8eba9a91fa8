"""Writing a whole folder or none: built under a temporary name beside its place, then renamed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgestitch_runtime.errors import EdgestitchError, os_error
from edgestitch_runtime.writing import umask


@contextlib.contextmanager
def new_folder(target: Path, *, replace: bool) -> Iterator[Path]:
    """Yields an empty temporary folder beside `target`; leaving the block puts it in its place.

    Parents are made. When the block raises anything, Ctrl-C included, the temporary folder and the
    parents made for it are gone again, and what was at `target` is untouched. Raises
    EdgestitchError when the place cannot be written, or something is there and `replace` is false.
    """
    made: list[Path] = []
    temporary: Path | None = None
    try:
        _refuse_existing(target, replace=replace)
        _make_parents(target.parent, made)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        yield temporary
        temporary.chmod(0o777 & ~umask())
        _refuse_existing(target, replace=replace)
        _put(temporary, target)
        made = []
    except OSError as error:
        raise os_error(f"write {target}", error) from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _refuse_existing(target: Path, *, replace: bool) -> None:
    if os.path.lexists(target) and not replace:
        raise EdgestitchError(
            f"{target} exists", hint="--force replaces it; --name or --runs keeps both"
        )
    if os.path.lexists(target) and (target.is_symlink() or not target.is_dir()):
        raise EdgestitchError(
            f"{target} is not a folder", hint="name another place, or move it away"
        )


def _make_parents(folder: Path, made: list[Path]) -> None:
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir()
        made.append(each)


def _put(temporary: Path, target: Path) -> None:
    """A folder with something in it cannot be renamed over: the old one steps aside first."""
    if not target.exists():
        temporary.rename(target)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    old = aside / "old"
    try:
        target.rename(old)
        temporary.rename(target)
    finally:
        # Asked of the disk: Ctrl-C may come between a rename and what would have noted it.
        if not os.path.lexists(target):
            old.rename(target)
        shutil.rmtree(aside, ignore_errors=True)
