"""Arrays from files: IDX in the MNIST layout, gzipped or not, and NumPy's .npy."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import EdgestitchError, os_error

MAX_BYTES = 1 << 30
GZIP_MARK = b"\x1f\x8b"
NPY_MARK = b"\x93NUMPY"
IDX_MARKS = (b"\0\0\x08\x01", b"\0\0\x08\x03")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One IDX file: its name without .gz, the SHA-256 and length of its uncompressed content."""

    name: str
    sha256: str
    bytes: int


def read_regular(path: Path, *, limit: int = MAX_BYTES) -> bytes:
    """The content of a regular file of at most `limit` bytes; EdgestitchError for anything else."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise EdgestitchError(
                f"{path} is a device or a pipe, no file", hint="name a file, or - for a pipe"
            )
        with path.open("rb") as stream:
            # Not limit + 1 at once: so much memory would be asked for, whatever the file has.
            content = stream.read(min(limit, os.fstat(stream.fileno()).st_size) + 1)
    except OSError as error:
        raise os_error(f"read {path}", error) from None
    if len(content) > limit:
        raise EdgestitchError(
            f"{path} is larger than {limit >> 20} MiB", hint="edgestitch is for small images"
        )
    return content


def read_idx(path: Path) -> tuple[np.ndarray, DataFile]:
    """One IDX file of unsigned bytes, gzipped or not: its array and what identifies it.

    Raises EdgestitchError when it is missing, its gzip checksum, its magic or its size is wrong.
    """
    content = unpacked(str(path), read_regular(path))
    return parse_idx(str(path), content), DataFile(
        name=path.name.removesuffix(".gz"),
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
    )


def unpacked(name: str, content: bytes) -> bytes:
    """`content` itself, or what it unpacks to when it is gzipped; `name` is used in messages."""
    if content[:2] != GZIP_MARK:
        return content
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            plain = stream.read(MAX_BYTES + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise EdgestitchError(
            f"{name} is a damaged gzip file: it is cut or its checksum is wrong",
            hint="fetch the file again",
        ) from None
    if len(plain) > MAX_BYTES:
        raise EdgestitchError(
            f"{name} unpacks to more than {MAX_BYTES >> 20} MiB", hint="it is no data of this kind"
        )
    return plain


def parse_idx(name: str, content: bytes) -> np.ndarray:
    """The uint8 array of an IDX file's content, of the shape that its header gives.

    The layout is the one described at the MNIST data set: two zero bytes, 0x08 for unsigned bytes,
    the rank, then each dimension as a big-endian 32-bit count, then the values.
    """
    hint = "IDX files in the MNIST layout are wanted; fetch the file again"
    if content[:4] not in IDX_MARKS:
        raise EdgestitchError(
            f"{name} is not an IDX file of bytes: it begins with {content[:4].hex() or 'nothing'}, "
            "expected 00000801 or 00000803",
            hint=hint,
        )
    rank = content[3]
    header = 4 + 4 * rank
    shape = tuple(int(n) for n in np.frombuffer(content[4:header].ljust(4 * rank, b"\0"), ">u4"))
    expected = header + int(np.prod([int(n) for n in shape], dtype=object))
    if len(content) != expected:
        raise EdgestitchError(
            f"{name} holds {len(content)} bytes, its header says {expected}: it is cut or damaged",
            hint=hint,
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def read_npy(name: str, content: bytes) -> np.ndarray:
    """The array in an .npy file's content. Raises EdgestitchError for all but plain arrays."""
    try:
        if content[:6] != NPY_MARK:
            raise ValueError("it does not begin as one")
        return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))
    except Exception:  # numpy parses the header as Python: a damaged one raises what it likes
        raise EdgestitchError(
            f"{name} is a damaged .npy file, or holds Python objects",
            hint="save a uint8 array with numpy.save",
        ) from None
