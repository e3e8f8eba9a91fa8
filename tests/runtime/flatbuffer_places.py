"""Where the parts of a .tflite stand: every table, vtable, vector, scalar and string, by kind.

Found like tflite_builder. A walk of its own through the bytes, for tests that alter them; the
runtime's reader has no part in it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

# Of each table the slots: what a field is called, and what it holds: struct's code of a scalar,
# "[code" a vector of scalars, "text", a table's name, "[name" a vector of tables.
_TABLES: dict[str, dict[int, tuple[str, str]]] = {
    "Model": {
        0: ("version", "I"), 1: ("codes", "[Code"), 2: ("graphs", "[Graph"), 3: ("name", "text"),
        4: ("buffers", "[Buffer"), 6: ("metadata", "[Metadata"),
    },
    "Code": {0: ("code8", "b"), 1: ("name", "text"), 2: ("op version", "i"), 3: ("code", "i")},
    "Graph": {
        0: ("tensors", "[Tensor"), 1: ("tensor", "[i"), 2: ("tensor", "[i"),
        3: ("operators", "[Operator"), 4: ("name", "text"),
    },
    "Tensor": {
        0: ("size", "[i"), 1: ("dtype", "b"), 2: ("buffer", "I"), 3: ("name", "text"),
        4: ("quantization", "Quantization"), 7: ("signature", "[i"),
    },
    "Quantization": {2: ("scale", "[f"), 3: ("zero point", "[q"), 6: ("axis", "i")},
    "Operator": {
        0: ("opcode", "I"), 1: ("tensor", "[i"), 2: ("tensor", "[i"), 3: ("options kind", "B"),
        4: ("options", "Options"),
    },
    "Options": {},  # scalars of any kind
    "Buffer": {0: ("data", "[B")},
    "Metadata": {0: ("name", "text"), 1: ("buffer", "I")},
}  # fmt: skip
_MOST_NUMBERS = 40  # of one vector: the rest of a constant's scales is left alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Some bytes and what they are. `code` is struct's for numbers, empty for texts and data."""

    kind: str
    start: int
    length: int
    code: str = ""


def places_of(content: bytes) -> list[Place]:
    """The places of a sound file, in the order in which they are come by."""
    found = [Place(kind="root", start=0, length=4, code="I")]
    found.append(Place(kind="mark", start=4, length=4))
    seen: set[int] = set()
    waiting = [(_at(content, 0, "I"), "Model")]
    while waiting:
        position, name = waiting.pop()
        if position in seen:
            continue
        seen.add(position)
        waiting += _table(content, position, name, found)
    return found


def unused_of(content: bytes, places: list[Place]) -> list[int]:
    """The bytes of no place: what aligns the others."""
    taken = np.zeros(len(content), bool)
    for place in places:
        taken[place.start : place.start + place.length] = True
    return np.flatnonzero(~taken).tolist()


def _at(content: bytes, position: int, code: str) -> int:
    return struct.unpack_from(f"<{code}", content, position)[0]


def _table(content: bytes, position: int, name: str, found: list[Place]) -> list[tuple[int, str]]:
    """Adds the places of one table to `found`; returns the tables that it leads to."""
    vtable = position - _at(content, position, "i")
    size = _at(content, vtable, "H")
    found.append(Place(kind="soffset", start=position, length=4, code="i"))
    found += [
        Place(kind="vtable", start=k, length=2, code="H") for k in range(vtable, vtable + size, 2)
    ]
    starts = {slot: _at(content, vtable + 4 + 2 * slot, "H") for slot in range((size - 4) // 2)}
    behind = sorted([*starts.values(), _at(content, vtable + 2, "H")])
    tables = []
    for slot, start in starts.items():
        if not start:
            continue
        kind, holds = _TABLES[name].get(slot, ("option" if name == "Options" else "other", ""))
        place = position + start
        room = next((k for k in behind if k > start), start + 4) - start
        if not holds or len(holds) == 1:
            code = holds or {1: "b", 2: "h"}.get(room, "i")
            found.append(Place(kind=kind, start=place, length=struct.calcsize(code), code=code))
            continue
        found.append(Place(kind="offset", start=place, length=4, code="I"))
        target = place + _at(content, place, "I")
        if holds in _TABLES:
            tables.append((target, holds))
        else:
            tables += _vector(content, target, kind, holds, found)
    return tables


def _vector(
    content: bytes, start: int, kind: str, holds: str, found: list[Place]
) -> list[tuple[int, str]]:
    count = _at(content, start, "I")
    found.append(Place(kind="length", start=start, length=4, code="I"))
    first = start + 4
    if holds in ("text", "[B"):
        end = int(holds == "text")  # a text ends in a zero
        found.append(Place(kind=kind, start=first, length=count))
        found.append(Place(kind="end", start=first + count, length=end))
        return []
    code = holds[1:]
    if code in _TABLES:
        spots = [first + 4 * k for k in range(count)]
        found += [Place(kind="offset", start=k, length=4, code="I") for k in spots]
        return [(k + _at(content, k, "I"), code) for k in spots]
    size = struct.calcsize(code)
    found += [
        Place(kind=kind, start=first + size * k, length=size, code=code)
        for k in range(min(count, _MOST_NUMBERS))
    ]
    if count > _MOST_NUMBERS:
        rest = size * (count - _MOST_NUMBERS)
        found.append(Place(kind="rest", start=first + size * _MOST_NUMBERS, length=rest))
    return []
