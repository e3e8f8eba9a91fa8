"""Reading a FlatBuffer with every access checked: a damaged file ends in Damaged, never elsewhere.

Source of the layout: the FlatBuffers internals page (https://flatbuffers.dev/internals/): tables
with vtables, vectors with a 32-bit length, offsets relative to where they stand, little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

MOST = 1 << 16  # tables in one vector: more than any model of this size has


class Damaged(ValueError):
    """The bytes are no FlatBuffer of the expected kind; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Table:
    """The table whose soffset stands at `position` of `content`. Slots count from 0."""

    content: memoryview
    position: int

    def number(self, slot: int, code: str, default: int | float = 0) -> int | float:
        """A scalar field; `code` is struct's: b, B, h, H, i, I, q, Q, f, d or ?."""
        place = self._place(slot)
        return default if place is None else _read(self.content, place, code)

    def integer(self, slot: int, code: str, default: int = 0) -> int:
        """An integer field."""
        return int(self.number(slot, code, default))

    def text(self, slot: int) -> str:
        """A string field; empty when it is absent. Bytes that are no UTF-8 are replaced."""
        place = self._place(slot)
        if place is None:
            return ""
        start, length = _vector(self.content, place, 1)
        return bytes(self.content[start : start + length]).decode("utf-8", "replace")

    def array(self, slot: int, dtype: str) -> np.ndarray | None:
        """A vector of scalars as a read-only view, (n,); None when the field is absent."""
        place = self._place(slot)
        if place is None:
            return None
        kind = np.dtype(dtype)
        start, length = _vector(self.content, place, kind.itemsize)
        return np.frombuffer(self.content, kind, length, start)

    def table(self, slot: int) -> Table | None:
        """A field that is a table; None when it is absent."""
        place = self._place(slot)
        return None if place is None else _table_at(self.content, place)

    def tables(self, slot: int) -> list[Table]:
        """A vector of tables; empty when the field is absent."""
        place = self._place(slot)
        if place is None:
            return []
        start, length = _vector(self.content, place, 4)
        if length > MOST:
            raise Damaged(f"a vector of {length} tables")
        return [_table_at(self.content, start + 4 * k) for k in range(length)]

    def _place(self, slot: int) -> int | None:
        """Where the field of `slot` stands; None when the table does not have it."""
        vtable = self.position - _read(self.content, self.position, "i")
        size = _read(self.content, vtable, "H")
        if size < 4 or size % 2:
            raise Damaged(f"a vtable of {size} bytes")
        entry = 4 + 2 * slot
        if entry + 2 > size:
            return None
        offset = _read(self.content, vtable + entry, "H")
        return self.position + offset if offset else None


def root(content: memoryview) -> Table:
    """The root table of a buffer."""
    return _table_at(content, 0)


def _table_at(content: memoryview, place: int) -> Table:
    table = Table(content, place + _read(content, place, "I"))
    _read(content, table.position, "i")  # is it inside at all
    return table


def _vector(content: memoryview, place: int, size: int) -> tuple[int, int]:
    """(start, length) of the vector that the offset at `place` points to."""
    start = place + _read(content, place, "I")
    length = _read(content, start, "I")
    if start + 4 + length * size > len(content):
        raise Damaged(f"a vector of {length} elements runs past the end")
    return start + 4, length


def _read(content: memoryview, place: int, code: str) -> int:
    try:
        if place < 0:
            raise Damaged("an offset points before the start")
        return struct.unpack_from("<" + code, content, place)[0]
    except struct.error:
        raise Damaged("an offset points past the end") from None
