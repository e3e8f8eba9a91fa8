"""Golden vectors: real images inside an artifact with the answers that it must give to them.

An .npz with three arrays: `images` (n, height, width) uint8, `scores` (n, classes) of the model's
own dtype, `gate` (n,) bool. The gate decides; the others are close calls, and are only reported.
Where `scores` are those of the engine `reference` there is a fourth, `recorded`: what the engine
that judged the export gave to the same images.
In a .tflite it is the file golden.npz of the appended zip, in an .onnx the metadata entry
`edgestitch_golden` in base64. docs/card.md describes both.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass

import numpy as np

from .array_files import read_npy
from .errors import EdgestitchError

MOST_BYTES = 1 << 22  # unpacked: far above what a few dozen small images take
_ARRAYS = ("images", "scores", "gate")
_RECORDED = "recorded"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold: the same vectors, the same bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Images with their answers; the first axis of all three arrays counts the images.

    `images_u8` are (n, height, width) uint8. `scores` are (n, classes) of the model's dtype.
    `gate`, (n,) bool, is true for the images that decide. `recorded` are as `scores`, or None.
    """

    images_u8: np.ndarray
    scores: np.ndarray
    gate: np.ndarray
    recorded: np.ndarray | None = None


def pack_golden(golden: Golden) -> bytes:
    """`golden` as the bytes of an .npz; the same vectors give the same bytes."""
    stream = io.BytesIO()
    arrays: dict[str, np.ndarray] = dict(
        zip(_ARRAYS, (golden.images_u8, golden.scores, golden.gate), strict=True)
    )
    if golden.recorded is not None:
        arrays[_RECORDED] = golden.recorded
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            held = io.BytesIO()
            np.save(held, array)
            archive.writestr(entry, held.getvalue(), compresslevel=9)
    return stream.getvalue()


def unpack_golden(content: bytes, name: str) -> Golden:
    """What `pack_golden` wrote; `name` is the artifact's, for messages.

    Raises EdgestitchError when it is damaged, or its arrays do not belong together.
    """
    found: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
                raise ValueError("it unpacks to too much")
            recorded = [_RECORDED] if f"{_RECORDED}.npy" in archive.namelist() else []
            for array in [*_ARRAYS, *recorded]:
                found[array] = read_npy(f"{array}.npy", archive.read(f"{array}.npy"))
    except (EdgestitchError, KeyError, ValueError, EOFError, NotImplementedError, RuntimeError,
            zipfile.BadZipFile, zlib.error):  # fmt: skip
        raise _damaged(name, "they cannot be read") from None
    images, scores, gate = (found[array] for array in _ARRAYS)
    if images.dtype != np.uint8 or images.ndim != 3 or scores.ndim != 2 or gate.dtype != np.bool_:
        raise _damaged(name, f"images of {images.dtype} {images.shape}, scores {scores.shape}")
    if not len(images) == len(scores) == len(gate) or gate.shape != (len(images),):
        raise _damaged(name, f"{len(images)} images, {len(scores)} scores, gate {gate.shape}")
    if not gate.any() or scores.dtype.kind not in "iuf":
        raise _damaged(name, f"scores of {scores.dtype}, {int(gate.sum())} images decide")
    also = found.get(_RECORDED)
    if also is not None and (also.shape, also.dtype) != (scores.shape, scores.dtype):
        raise _damaged(name, f"scores of {scores.dtype}, recorded ones of {also.dtype}")
    return Golden(images_u8=images, scores=scores, gate=gate, recorded=also)


def _damaged(name: str, why: str) -> EdgestitchError:
    return EdgestitchError(
        f"{name} has damaged golden vectors: {why}", hint="copy it again, or export it again"
    )
