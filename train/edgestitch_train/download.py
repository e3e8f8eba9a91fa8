"""Downloads a data set's IDX files over https, checked before they count."""

from __future__ import annotations

import http.client
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

from edgestitch_runtime.dataset import read_idx
from edgestitch_runtime.errors import EdgestitchError

from .new_folder import new_folder

# The mirror that Keras's own fashion_mnist.load_data uses; Zalando's own bucket speaks plain http.
FASHION_MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
TIMEOUT_S = 30
MAX_BYTES = 64 << 20
_CHUNK = 1 << 16

OpenUrl = Callable[[str], http.client.HTTPResponse]


def download(
    target: Path,
    sha256: Mapping[str, str],
    *,
    url: str = FASHION_MNIST_URL,
    progress: TextIO | None = None,
    open_url: OpenUrl | None = None,
) -> None:
    """Fills the folder `target` with the gzipped IDX files of `sha256`, or leaves it as it was.

    `sha256` maps a file's name (without .gz) to the hash of its uncompressed content. A bar is
    drawn on `progress`. Raises EdgestitchError when a file cannot be had whole or is another one.
    """
    with new_folder(target, replace=True) as folder:
        for name, expected in sha256.items():
            path = folder / f"{name}.gz"
            _fetch(f"{url}{name}.gz", path, progress=progress, open_url=open_url or _open)
            found = read_idx(path)[1].sha256
            if found != expected:
                raise EdgestitchError(
                    f"{url}{name}.gz is not the known file: its content's SHA-256 is {found}, "
                    f"expected {expected}",
                    hint="nothing was kept; try again, or get the data another way",
                )


def _fetch(url: str, path: Path, *, progress: TextIO | None, open_url: OpenUrl) -> None:
    try:
        response = open_url(url)
    except (OSError, http.client.HTTPException) as error:  # urllib's errors are OSErrors
        raise _failed(url, error) from None
    with response, path.open("wb") as out:
        total = int(response.headers.get("Content-Length") or 0)
        done = 0
        try:
            while chunk := _read(url, response):
                out.write(chunk)
                done += len(chunk)
                if done > MAX_BYTES:
                    raise EdgestitchError(
                        f"{url} is larger than {MAX_BYTES >> 20} MiB", hint="nothing was kept"
                    )
                if progress is not None:
                    progress.write(f"\r{_bar(path.name, done, total)}")
                    progress.flush()
        finally:
            if progress is not None:
                progress.write("\n")
    if total and done != total:
        raise EdgestitchError(
            f"{url} ended after {done:,} of {total:,} bytes", hint="nothing was kept; try again"
        )


def _read(url: str, response: http.client.HTTPResponse) -> bytes:
    """Apart from the writing, so that a full disk is not called a network error."""
    try:
        return response.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _failed(url, error) from None


def _bar(name: str, done: int, total: int) -> str:
    if not total:
        return f"{name}  {done / 1e6:.1f} MB"
    filled = min(24, 24 * done // total)
    bar = "#" * filled + "." * (24 - filled)
    return f"{name:<28}[{bar}] {done / 1e6:.1f} of {total / 1e6:.1f} MB"


def _open(url: str) -> http.client.HTTPResponse:
    return urllib.request.urlopen(url, timeout=TIMEOUT_S)


def _failed(url: str, error: Exception) -> EdgestitchError:
    reason = getattr(error, "reason", None) or error
    return EdgestitchError(
        f"{url} cannot be downloaded: {reason}", hint="look at the network, then try again"
    )
