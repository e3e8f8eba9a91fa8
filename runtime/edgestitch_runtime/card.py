"""The card: what an artifact says of itself, and how it is read from and put into a file.

TFLite: a zip appended to the flatbuffer, with `edgestitch.json`, `labels.txt` and `golden.npz`,
all stored uncompressed; a shared library (native) has the same zip behind it. ONNX: the
`metadata_props` entries `edgestitch`, `edgestitch_golden` and `edgestitch_sha256`, the card's hash:
a zip has checksums of its own. C: a string constant (c_file.py); its golden vectors are code.
All are read here with nothing but the standard library, before any engine sees the file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .array_files import read_regular
from .c_file import read_c_card, without_c_card
from .card_schema import card_text, check_card, damaged_card, parse_card
from .errors import EdgestitchError

CARD_FILE = "edgestitch.json"
LABELS_FILE = "labels.txt"
GOLDEN_FILE = "golden.npz"
ONNX_KEY = "edgestitch"
ONNX_GOLDEN_KEY = "edgestitch_golden"
ONNX_HASH_KEY = "edgestitch_sha256"
MAX_ARTIFACT_BYTES = 256 << 20
FORMATS = {".tflite": "tflite", ".onnx": "onnx", ".so": "native", ".c": "c"}
# Of the formats with a zip behind the model: what stands in the model, where, and what lacks it.
_MARKS = {
    "tflite": (4, b"TFL3", "a TFLite model: it has no TFL3 mark"),
    "native": (0, b"\x7fELF", "a shared library of Linux: it has no ELF mark"),
}
_ONNX_METADATA_FIELD = 14  # ModelProto.metadata_props in onnx.proto
_BEFORE_CARD = 30 + len(CARD_FILE)  # bytes of the zip's first entry: its header and name
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold: artifacts carry no timestamps


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """An artifact's bytes and what they are. `card` is None when edgestitch did not write it.

    `golden` are the bytes of its golden vectors, whose hash the card holds; empty without.
    """

    path: Path
    format: str
    content: bytes
    weights_sha256: str
    card: dict[str, Any] | None
    golden: bytes = b""


def read_artifact(path: Path | str) -> Artifact:
    """Reads and checks an artifact; no engine is needed.

    Raises EdgestitchError when the file is missing, empty, cut, altered (its weights do not hash to
    what its card says), of an unknown suffix or not a model, or has a card of a newer schema.
    """
    path = Path(path)
    format_ = format_of(path)
    content = read_regular(path, limit=MAX_ARTIFACT_BYTES)
    if not content:
        raise EdgestitchError(f"{path} is empty", hint="export it again, or copy it again")
    if format_ in _MARKS:
        model, card, golden = _read_zipped(path, content, format_)
    elif format_ == "c":
        card, golden = parse_card(path, read_c_card(path, content)), b""
        model = without_c_card(content)
    else:
        model, card, golden = _read_onnx(path, content)
    if format_ == "native" and card is None:
        raise EdgestitchError(
            f"{path} is a shared library without a card: edgestitch did not make it, or it is cut "
            "short",
            hint="copy it again, or make it with `edgestitch export --format native --int8`",
        )
    digest = hashlib.sha256(model).hexdigest()
    if card is not None or format_ == "c":
        check_card(path, card, format_=format_, weights=digest, golden=golden)
    return Artifact(
        path=path,
        format=format_,
        content=content,
        weights_sha256=digest,
        card=card,
        golden=b"" if card is None else golden,
    )


def format_of(path: Path) -> str:
    """The format that the suffix names. Raises EdgestitchError when it names none."""
    format_ = FORMATS.get(path.suffix.lower())
    if format_ is None:
        raise EdgestitchError(
            f"{path} is not an artifact: its name ends in {path.suffix or 'nothing'}, "
            f"expected {' or '.join(FORMATS)}",
            hint="`edgestitch export` makes artifacts from a run or a .keras file",
        )
    return format_


def model_bytes(format_: str, content: bytes) -> bytes:
    """The part of an artifact that computes: its content without the card.

    `weights_sha256` is the SHA-256 of this. Raises ValueError when the content is not of `format_`.
    """
    if format_ in _MARKS:
        return content[: _zip_start(content)]
    if format_ == "c":
        return without_c_card(content)
    return b"".join(
        content[start:end]
        for field, start, end, _ in _onnx_fields(content)
        if field != _ONNX_METADATA_FIELD
    )


def append_card(model: bytes, card: dict[str, Any], golden: bytes = b"") -> bytes:
    """An artifact: the model (TFLite's flatbuffer, or a shared library, which is loaded as before),
    then a zip with the card, labels.txt, golden vectors.

    The same arguments give the same bytes. The zip's offsets count from the file's start, as
    `zipfile` and Android's metadata extractor expect.
    """
    stream = io.BytesIO(model)
    stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        files = {
            CARD_FILE: card_text(card).encode(),
            LABELS_FILE: "".join(f"{label}\n" for label in card["labels"]).encode(),
        }
        for name, held in (files | ({GOLDEN_FILE: golden} if golden else {})).items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, held)
    return stream.getvalue()


append_to_tflite = append_card


def _read_zipped(
    path: Path, content: bytes, format_: str
) -> tuple[bytes, dict[str, Any] | None, bytes]:
    """(the model, the card, the golden vectors)."""
    place, mark, what = _MARKS[format_]
    if content[place : place + len(mark)] != mark:
        raise EdgestitchError(f"{path} is not {what}", hint="export it again")
    start = _zip_start(content)
    held: dict[str, bytes] = {}
    if start < len(content):
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if CARD_FILE in archive.namelist():
                    files = {CARD_FILE, LABELS_FILE, GOLDEN_FILE} & set(archive.namelist())
                    held = {name: _stored(path, archive, name) for name in sorted(files)}
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError):
            raise damaged_card(path, "its zip cannot be read") from None
    if CARD_FILE not in held:
        # Of a zip that lost its end, zipfile finds the end of golden.npz, a zip inside it.
        if CARD_FILE.encode() in content or b"PK\x03\x04" in content[-_BEFORE_CARD:]:
            raise EdgestitchError(
                f"{path} is cut short: its card is not whole", hint="copy or export it again"
            )
        return content[:start], None, b""
    if content[-22:-18] != b"PK\x05\x06":  # the end-of-directory record, which has no comment
        raise damaged_card(path, "something follows it")
    return content[:start], parse_card(path, held[CARD_FILE]), held.get(GOLDEN_FILE, b"")


def _stored(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    # What is compressed may unpack to anything, and breaks in the packer's own errors.
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise damaged_card(path, f"{name} is compressed")
    return archive.read(name)


def _zip_start(content: bytes) -> int:
    """Where the appended zip begins; the content's length when there is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return min((entry.header_offset for entry in archive.infolist()), default=len(content))
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError):
        return len(content)


def _read_onnx(path: Path, content: bytes) -> tuple[bytes, dict[str, Any] | None, bytes]:
    """(the model without its metadata, the card, the golden vectors)."""
    kept = []
    ours = {key.encode(): b"" for key in (ONNX_KEY, ONNX_GOLDEN_KEY, ONNX_HASH_KEY)}
    seen = set()
    try:
        for field, start, end, value in _onnx_fields(content):
            seen.add(field)
            if field != _ONNX_METADATA_FIELD:
                kept.append(content[start:end])
                continue
            entry = {f: v for f, _, _, v in _onnx_fields(value)}
            if entry.get(1) in ours:
                ours[entry[1]] = entry.get(2, b"")
    except ValueError:
        seen.clear()
    if not {1, 7} <= seen:  # ir_version and graph: what every ModelProto has
        raise EdgestitchError(
            f"{path} is not an ONNX model, or it is cut short", hint="copy or export it again"
        )
    card_json, golden, digest = ours.values()
    if digest and digest.decode(errors="replace") != hashlib.sha256(card_json).hexdigest():
        raise damaged_card(path, "it does not match the hash beside it")
    card = parse_card(path, card_json) if card_json else None
    return b"".join(kept), card, _from_base64(golden)


def _from_base64(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b"damaged"  # the hash in the card tells


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
