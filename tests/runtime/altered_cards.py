"""Altered cards of an artifact: the zip behind the flatbuffer, and the JSON inside it.

Found like tflite_builder.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

import numpy as np

from edgestitch_runtime.card import CARD_FILE, GOLDEN_FILE, append_to_tflite

_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_PACKED_SHARES = (0.85, 0.05, 0.05, 0.05)
_ODD = (
    None, "", "x" * 3000, -1, 0, 1.5, 1e308, True, [], {}, [[]], {"a": 1}, 10**400, "\0\n\ud800",
)  # fmt: skip


def signing(card: dict, flatbuffer: bytes) -> dict:
    """A card with the hash of that flatbuffer."""
    digest = hashlib.sha256(flatbuffer).hexdigest()
    return card | {"hashes": {**card["hashes"], "weights": digest}}


def altered_card(rng: np.random.Generator, flatbuffer: bytes, card: dict, golden: bytes) -> bytes:
    """A whole file: bytes of the zip altered, or values of the JSON inside it."""
    start = len(flatbuffer)
    if rng.random() < 0.35:
        altered = bytearray(append_to_tflite(flatbuffer, card, golden))
        for _ in range(int(rng.integers(1, 5))):
            # Where zipfile's records stand: at the start of the zip and at its end.
            near = start if rng.random() < 0.2 else len(altered) - 180
            place = int(near + rng.integers(0, 180)) if rng.random() < 0.8 else None
            place = int(rng.integers(start, len(altered))) if place is None else place
            altered[min(place, len(altered) - 1)] = int(rng.integers(256))
        return bytes(altered)
    card = json.loads(json.dumps(card))
    for _ in range(int(rng.integers(1, 3))):
        _replace_some(rng, card)
    stream = io.BytesIO(flatbuffer)
    stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream, "a") as archive:
        entry = zipfile.ZipInfo(CARD_FILE, (1980, 1, 1, 0, 0, 0))
        entry.compress_type = int(rng.choice(_PACKED, p=_PACKED_SHARES))
        archive.writestr(entry, json.dumps(card))
        if golden:
            archive.writestr(zipfile.ZipInfo(GOLDEN_FILE, entry.date_time), golden)
    return _bytes_flipped(rng, bytearray(stream.getvalue()), len(flatbuffer))


def _bytes_flipped(rng: np.random.Generator, altered: bytearray, start: int) -> bytes:
    """Now and then one byte from `start` on is another."""
    if rng.random() < 0.1:
        altered[int(rng.integers(start, len(altered)))] ^= int(rng.integers(1, 256))
    return bytes(altered)


def _replace_some(rng: np.random.Generator, value: dict | list) -> None:
    """Puts an odd value, or nothing, at some place in nested JSON."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not keys:
        return
    key = keys[int(rng.integers(len(keys)))]
    if isinstance(value, dict) and rng.random() < 0.1:
        key = "of a later version"
        value[key] = None
    inner = value[key]  # pyright: ignore[reportArgumentType, reportCallIssue]
    if isinstance(inner, dict | list) and inner and rng.random() < 0.7:
        _replace_some(rng, inner)
    elif rng.random() < 0.3:
        del value[key]  # pyright: ignore[reportArgumentType, reportCallIssue]
    else:
        value[key] = _ODD[int(rng.integers(len(_ODD)))]  # pyright: ignore
