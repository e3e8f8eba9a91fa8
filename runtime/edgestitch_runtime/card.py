"""The card: what an artifact says of itself, and how it is read from and put into a file.

TFLite: a zip appended to the flatbuffer, with `edgestitch.json` and `labels.txt`, both stored
uncompressed. ONNX: the `metadata_props` entry `edgestitch`. Both are read here with nothing but the
standard library, before any engine sees the file. docs/card.md documents the schema.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .array_files import read_regular
from .errors import EdgestitchError
from .json_shape import Shape, count, labels, misfit, null, number, sha256, word

CARD_SCHEMA = 1
CARD_FILE = "edgestitch.json"
LABELS_FILE = "labels.txt"
ONNX_KEY = "edgestitch"
MAX_ARTIFACT_BYTES = 256 << 20
FORMATS = {".tflite": "tflite", ".onnx": "onnx"}
_ONNX_METADATA_FIELD = 14  # ModelProto.metadata_props in onnx.proto
_MOST_DIGITS = 20  # of a whole number: what has hundreds is no float any more
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold: artifacts carry no timestamps
_TENSOR = {
    "shape": [(null, count)],
    "dtype": word,
    "scale": (null, number),
    "zero_point": (null, lambda v: isinstance(v, int)),
}
_COUNTED = {"correct": count, "n": lambda v: count(v) and v > 0, "engine": word}
_SHAPE = {
    "name": word,
    "title": word,
    "format": word,
    "precision": word,
    "labels": labels,
    "input": _TENSOR,
    "output": _TENSOR | {"kind": lambda v: v in ("probabilities", "logits")},
    "preprocessing": {"pixels": word, "background": lambda v: v in (0, 255)},
    "hashes": {"source_model": sha256, "weights": sha256},
    "data": {"name": word, "counts": {"train": count, "validation": count, "test": count}},
    "versions": lambda v: isinstance(v, dict) and all(word(x) for x in v.values()),
    "least_engines": lambda v: isinstance(v, dict) and all(word(x) for x in v.values()),
}
_ACCURACY = {
    "float": _COUNTED,
    "artifact": _COUNTED,
    "changed": count,
    "drop_pp": number,
    "drop_interval_pp": lambda v: isinstance(v, list) and len(v) == 2 and all(map(number, v)),
}
_DISTANCE = {"n": count, "rows_equal": count, "largest_step": count, "flips": count}


def _counted(value: Any) -> bool:
    fits = misfit(value, _DISTANCE) is None
    return fits and max(value["rows_equal"], value["flips"]) <= value["n"]


_REFERENCE = (
    {"engine": word, "refuses": word},
    {"engine": word, "distances": lambda v: _each(v, _counted)},
)
_OPTIONAL = {
    "accuracy": _ACCURACY,
    "calibration": (null, {"count": count, "seed": count}),
    "float_operators": (null, [word]),
    "reference": _REFERENCE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """An artifact's bytes and what they are. `card` is None when edgestitch did not write it."""

    path: Path
    format: str
    content: bytes
    weights_sha256: str
    card: dict[str, Any] | None


def read_artifact(path: Path | str) -> Artifact:
    """Reads and checks an artifact; no engine is needed.

    Raises EdgestitchError when the file is missing, empty, cut, altered (its weights do not hash to
    what its card says), of an unknown suffix or not a model, or has a card of a newer schema.
    """
    path = Path(path)
    format_ = FORMATS.get(path.suffix.lower())
    if format_ is None:
        raise EdgestitchError(
            f"{path} is not an artifact: its name ends in {path.suffix or 'nothing'}, "
            f"expected {' or '.join(FORMATS)}",
            hint="`edgestitch export` makes artifacts from a run or a .keras file",
        )
    content = read_regular(path, limit=MAX_ARTIFACT_BYTES)
    if not content:
        raise EdgestitchError(f"{path} is empty", hint="export it again, or copy it again")
    if format_ == "tflite":
        model, card = _read_tflite(path, content)
    else:
        model, card = _read_onnx(path, content)
    digest = hashlib.sha256(model).hexdigest()
    if card is not None:
        _check_card(path, card, format_, digest)
    return Artifact(path=path, format=format_, content=content, weights_sha256=digest, card=card)


def model_bytes(format_: str, content: bytes) -> bytes:
    """The part of an artifact that computes: its content without the card.

    `weights_sha256` is the SHA-256 of this. Raises ValueError when the content is not of `format_`.
    """
    if format_ == "tflite":
        return content[: _zip_start(content)]
    return b"".join(
        content[start:end]
        for field, start, end, _ in _onnx_fields(content)
        if field != _ONNX_METADATA_FIELD
    )


def append_to_tflite(flatbuffer: bytes, card: dict[str, Any]) -> bytes:
    """A TFLite artifact: the flatbuffer, then a zip with the card and labels.txt.

    The same arguments give the same bytes. The zip's offsets count from the file's start, as
    `zipfile` and Android's metadata extractor expect.
    """
    stream = io.BytesIO(flatbuffer)
    stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        for name, text in (
            (CARD_FILE, card_text(card)),
            (LABELS_FILE, "".join(f"{label}\n" for label in card["labels"])),
        ):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text.encode())
    return stream.getvalue()


def card_text(card: dict[str, Any]) -> str:
    """The card as it stands in a file: one line of JSON, keys in the order they were put in."""
    return json.dumps(card, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _read_tflite(path: Path, content: bytes) -> tuple[bytes, dict[str, Any] | None]:
    if len(content) < 8 or content[4:8] != b"TFL3":
        raise EdgestitchError(
            f"{path} is not a TFLite model: it has no TFL3 mark", hint="export it again"
        )
    start = _zip_start(content)
    if start == len(content):
        if b"PK\x03\x04" in content[-65536:] and CARD_FILE.encode() in content[-65536:]:
            raise EdgestitchError(
                f"{path} is cut short: its card is not whole", hint="copy or export it again"
            )
        return content, None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if CARD_FILE not in archive.namelist():
                return content[:start], None
            # What is compressed may unpack to anything, and breaks in the packer's own errors.
            if archive.getinfo(CARD_FILE).compress_type != zipfile.ZIP_STORED:
                raise _damaged_card(path, "it is compressed")
            text = archive.read(CARD_FILE)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError):
        raise _damaged_card(path, "its zip cannot be read") from None
    if content[-22:-18] != b"PK\x05\x06":  # the end-of-directory record, which has no comment
        raise _damaged_card(path, "something follows it")
    return content[:start], _parse_card(path, text)


def _zip_start(content: bytes) -> int:
    """Where the appended zip begins; the content's length when there is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return min((entry.header_offset for entry in archive.infolist()), default=len(content))
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError):
        return len(content)


def _read_onnx(path: Path, content: bytes) -> tuple[bytes, dict[str, Any] | None]:
    kept = []
    card_json = None
    seen = set()
    try:
        for field, start, end, value in _onnx_fields(content):
            seen.add(field)
            if field != _ONNX_METADATA_FIELD:
                kept.append(content[start:end])
                continue
            entry = {f: v for f, _, _, v in _onnx_fields(value)}
            if entry.get(1) == ONNX_KEY.encode():
                card_json = entry.get(2, b"")
    except ValueError:
        seen.clear()
    if not {1, 7} <= seen:  # ir_version and graph: what every ModelProto has
        raise EdgestitchError(
            f"{path} is not an ONNX model, or it is cut short", hint="copy or export it again"
        )
    return b"".join(kept), None if card_json is None else _parse_card(path, card_json)


def _onnx_fields(content: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Top-level fields of a protobuf message: number, start, end, and the value of a byte field.

    Source: the protobuf encoding guide (varint, 64-bit, length-delimited, 32-bit wire types).
    """
    position = 0
    while position < len(content):
        start = position
        key, position = _varint(content, position)
        wire, value = key & 7, b""
        if wire == 0:
            _, position = _varint(content, position)
        elif wire == 2:
            length, position = _varint(content, position)
            value = content[position : position + length]
            position += length
        elif wire in (1, 5):
            position += 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if position > len(content) or key >> 3 == 0:
            raise ValueError("field runs past the end")
        yield key >> 3, start, position, value


def _varint(content: bytes, position: int) -> tuple[int, int]:
    result = 0
    for shift in range(0, 70, 7):
        if position >= len(content):
            raise ValueError("varint runs past the end")
        byte = content[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
    raise ValueError("varint too long")


def _parse_card(path: Path, text: bytes) -> dict[str, Any]:
    try:
        card = json.loads(text.decode(), parse_int=_whole_number)
    except (ValueError, RecursionError):
        raise _damaged_card(path, "it is no JSON") from None
    schema = card.get("schema") if isinstance(card, dict) else None
    if isinstance(schema, int) and schema > CARD_SCHEMA:
        raise EdgestitchError(
            f"{path} has a card of schema {schema}, this edgestitch-runtime reads {CARD_SCHEMA}",
            hint="pip install --upgrade edgestitch-runtime",
        )
    return card


def _whole_number(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _check_card(path: Path, card: dict[str, Any], format_: str, digest: str) -> None:
    wrong = misfit(card, _SHAPE)
    for entry, shape in _OPTIONAL.items():
        if wrong is None and entry in card:
            wrong = misfit(card[entry], shape, entry)
    if wrong is None and (card["format"] != format_ or card.get("schema") != CARD_SCHEMA):
        wrong = "format or schema"
    if wrong:
        raise _damaged_card(path, f"its entry {wrong} is missing or of another kind")
    if card["hashes"]["weights"] != digest:
        raise EdgestitchError(
            f"{path} was altered after its export: its weights do not match the hash in its card",
            hint="copy it again from where it was exported, or export it again",
        )


def _each(value: Any, shape: Shape) -> bool:
    """Whether `value` is an object, and each value in it fits `shape`."""
    return isinstance(value, dict) and all(misfit(one, shape) is None for one in value.values())


def _damaged_card(path: Path, why: str) -> EdgestitchError:
    return EdgestitchError(
        f"{path} has a damaged card: {why}", hint="copy it again, or export it again"
    )
