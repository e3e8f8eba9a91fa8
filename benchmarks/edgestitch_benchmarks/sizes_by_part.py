"""The bytes of a model file by part, in the order of the file; together they are the file.

- weights: the constants that the model holds, biases and scales among them; graph: the rest of it.
- card, labels, golden vectors: what edgestitch put behind (TFLite, native) or into it (ONNX, where
  the labels stand in the card). A zip's directory counts as card.
- of a shared library: code and weights by its sections, library what links and loads it.
- of a .keras file: weights, and the rest.
"""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

from edgestitch_runtime.array_files import read_regular
from edgestitch_runtime.card import (
    CARD_FILE,
    GOLDEN_FILE,
    LABELS_FILE,
    MAX_ARTIFACT_BYTES,
    Artifact,
    model_bytes,
    read_artifact,
)
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.inspecting import inspect_artifact

WEIGHTS, GRAPH, CARD, LABELS, GOLDEN = "weights", "graph", "card", "labels", "golden vectors"
CODE, LIBRARY, REST, MODEL = "code", "library", "rest", "model"
_ENTRIES = {CARD_FILE: CARD, LABELS_FILE: LABELS, GOLDEN_FILE: GOLDEN}
_KERAS_WEIGHTS = "model.weights.h5"
_NOBITS = 8  # sh_type of a section that takes no bytes of the file: ELF's specification


def parts_of(path: Path, *, keras: bool = False) -> dict[str, int] | None:
    """The bytes of the model file at `path` by part, none of them empty; `keras` for a .keras file.

    What cannot be told apart is one part, "model". None where the file cannot be read.
    """
    try:
        if keras:
            return _kept(_keras(read_regular(path)))
        artifact = read_artifact(path)
    except EdgestitchError:
        return _unread(path)
    model = len(model_bytes(artifact.format, artifact.content))
    behind = len(artifact.content) - model
    if artifact.format == "onnx":
        return _kept(_held(artifact, model) | _metadata(artifact, behind))
    parts = _library(artifact.content[:model]) if artifact.format == "native" else None
    parts = parts or _held(artifact, model)
    return _kept(parts | _zipped(artifact.content, model))


def _kept(parts: dict[str, int]) -> dict[str, int]:
    if min(parts.values()) < 0:  # a zip whose directory says what is not so
        return {MODEL: sum(parts.values())}
    return {part: size for part, size in parts.items() if size}


def _unread(path: Path) -> dict[str, int] | None:
    try:
        return _kept({MODEL: len(read_regular(path, limit=MAX_ARTIFACT_BYTES))})
    except EdgestitchError:
        return None


def _held(artifact: Artifact, model: int) -> dict[str, int]:
    """Constants and the rest of the model, where its format can be read here."""
    try:
        facts = inspect_artifact(artifact.path).facts
    except EdgestitchError:
        facts = None
    if facts is None:
        return {MODEL: model}
    graph = facts.bytes.structure
    # Constants may share bytes in ways that are not seen: then nothing is told apart.
    return {WEIGHTS: model - graph, GRAPH: graph} if 0 <= graph <= model else {MODEL: model}


def _metadata(artifact: Artifact, behind: int) -> dict[str, int]:
    golden = 4 * ((len(artifact.golden) + 2) // 3)  # it stands there as base64
    return {CARD: behind - golden, GOLDEN: golden}


def _zipped(content: bytes, model: int) -> dict[str, int]:
    """The entries of the zip behind the model, each with its header; the directory is card."""
    parts = dict.fromkeys(_ENTRIES.values(), 0)
    if model == len(content):
        return parts
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
        ends = [*(entry.header_offset for entry in entries[1:]), archive.start_dir]
    for entry, end in zip(entries, ends, strict=True):
        parts[_ENTRIES.get(entry.filename, CARD)] += end - entry.header_offset
    parts[CARD] += len(content) - ends[-1]
    return parts


def _library(content: bytes) -> dict[str, int] | None:
    """Code and constants of a 64-bit little-endian ELF file by its sections; None without such.

    Source: the ELF-64 object file format, version 1.5, Elf64_Ehdr and Elf64_Shdr.
    """
    if content[:6] != b"\x7fELF\x02\x01" or len(content) < 64:
        return None
    (table,) = struct.unpack_from("<Q", content, 40)
    size, count, names = struct.unpack_from("<HHH", content, 58)
    if size != 64 or names >= count or table + size * count > len(content):
        return None
    sections = [struct.unpack_from("<IIQQQQ", content, table + size * k) for k in range(count)]
    first = sections[names][4]
    sums = {CODE: 0, WEIGHTS: 0}
    for name, kind, _, _, start, length in sections:
        if kind == _NOBITS or start + length > len(content):
            continue
        word = content[first + name : content.find(b"\0", first + name)]
        if word == b".text" or word.startswith(b".text."):
            sums[CODE] += length
        elif word == b".rodata" or word.startswith(b".rodata."):
            sums[WEIGHTS] += length
    rest = len(content) - sum(sums.values())
    return sums | {LIBRARY: rest} if min(*sums.values(), rest) > 0 else None


def _keras(content: bytes) -> dict[str, int]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            weights = sum(
                entry.compress_size
                for entry in archive.infolist()
                if entry.filename == _KERAS_WEIGHTS
            )
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError):
        return {MODEL: len(content)}
    return {WEIGHTS: weights, REST: len(content) - weights}
