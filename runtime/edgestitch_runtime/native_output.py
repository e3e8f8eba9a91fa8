"""Quiet for the while that C++ code writes to stdout and stderr whatever Python asks of it."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_native_output() -> Iterator[None]:
    """Keeps what C++ code writes to stdout and stderr; an error brings its last lines out again.

    For command lines and converters, in one thread: file descriptors 1 and 2 are the process's.
    """
    with tempfile.TemporaryFile() as kept:
        saved = [(fd, os.dup(fd)) for fd in (1, 2)]
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            for fd, _ in saved:
                os.dup2(kept.fileno(), fd)
            yield
        except Exception as error:
            kept.seek(0)
            tail = kept.read()[-600:].decode(errors="replace").strip()
            if tail:
                error.add_note(tail)
            raise
        finally:
            for fd, copy in saved:
                os.dup2(copy, fd)
                os.close(copy)
