"""Reads 32-bit little-endian ELF files, as compilers and linkers for small cores write them.

Source: "Tool Interface Standard (TIS) Executable and Linking Format (ELF) Specification", 1.2, and
"ELF for the Arm Architecture". Only what sizes and the graph of calls need.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from edgestitch_runtime.errors import EdgestitchError

ARM, RISCV = 40, 243
_SYMTAB, _RELA, _NOBITS, _REL = 2, 4, 8, 9
_WRITE, _ALLOC, _EXECUTE = 1, 2, 4
_UNDEFINED, _RESERVED = 0, 0xFF00
FUNCTION, SECTION = 2, 3  # kinds of symbols
_RELOCATABLE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """`data` is empty where the file holds none: memory that starts as zeros."""

    name: str
    kind: int
    flags: int
    address: int
    size: int
    data: bytes

    @property
    def loaded(self) -> bool:
        return bool(self.flags & _ALLOC)

    @property
    def executable(self) -> bool:
        return self.loaded and bool(self.flags & _EXECUTE)

    @property
    def writable(self) -> bool:
        return self.loaded and bool(self.flags & _WRITE)

    @property
    def stored(self) -> bool:
        """It takes room in flash: code, constants, and the first values of variables."""
        return self.loaded and self.kind != _NOBITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """`section` is an index or None (undefined, absolute), `offset` in bytes from its start."""

    name: str
    section: int | None
    offset: int
    size: int
    kind: int
    undefined: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A relocation: the bytes at `offset` of `section` name `symbol`."""

    section: int
    offset: int
    kind: int
    symbol: Symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfFile:
    machine: int
    linked: bool
    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]
    references: tuple[Reference, ...]

    def find(self, name: str) -> Symbol:
        """The defined symbol of this name; raises EdgestitchError."""
        for one in self.symbols:
            if one.name == name and one.section is not None:
                return one
        raise EdgestitchError(
            f"the compiled file has no {name}",
            hint="are the .c and the .h of the same model, and as edgestitch wrote them?",
        )

    def address(self, name: str) -> int:
        """Where the symbol lies in memory, of a linked file."""
        one = self.find(name)
        return self.sections[one.section or 0].address + one.offset

    def bytes_of(self, name: str) -> bytes:
        """What the object of this name holds."""
        one = self.find(name)
        return self.sections[one.section or 0].data[one.offset : one.offset + one.size]


def read_elf(content: bytes) -> ElfFile:
    """Raises EdgestitchError where `content` is no such file."""
    if content[:6] != b"\x7fELF\x01\x01":
        raise EdgestitchError(
            "the compiler wrote no 32-bit little-endian ELF file",
            hint="name a compiler for the target, as arm-none-eabi-gcc",
        )
    kind, machine = struct.unpack_from("<HH", content, 16)
    (start,) = struct.unpack_from("<I", content, 32)
    size, count, names_at = struct.unpack_from("<HHH", content, 46)
    headers = [struct.unpack_from("<10I", content, start + k * size) for k in range(count)]
    names = _held(content, headers[names_at])
    sections = tuple(
        Section(
            name=_text(names, header[0]),
            kind=header[1],
            flags=header[2],
            address=header[3],
            size=header[5],
            data=_held(content, header),
        )
        for header in headers
    )
    linked = kind != _RELOCATABLE
    symbols: tuple[Symbol, ...] = ()
    for section, header in zip(sections, headers, strict=True):
        if section.kind == _SYMTAB:
            symbols = _symbols(section.data, sections[header[6]].data, sections, machine, linked)
    references = []
    for section, header in zip(sections, headers, strict=True):
        if section.kind in (_REL, _RELA) and header[7] < count:
            step = 8 if section.kind == _REL else 12
            base = sections[header[7]].address if linked else 0
            for at in range(0, len(section.data) - step + 1, step):
                where, info = struct.unpack_from("<II", section.data, at)
                references.append(
                    Reference(
                        section=header[7],
                        offset=where - base,
                        kind=info & 0xFF,
                        symbol=symbols[info >> 8],
                    )
                )
    return ElfFile(
        machine=machine,
        linked=linked,
        sections=sections,
        symbols=symbols,
        references=tuple(references),
    )


def _symbols(
    data: bytes, names: bytes, sections: tuple[Section, ...], machine: int, linked: bool
) -> tuple[Symbol, ...]:
    made = []
    for at in range(0, len(data), 16):
        name, value, size, info, _, index = struct.unpack_from("<IIIBBH", data, at)
        section = index if _UNDEFINED < index < min(_RESERVED, len(sections)) else None
        kind = info & 0xF
        if machine == ARM and kind == FUNCTION:
            value &= ~1  # the bit that says Thumb
        if linked and section is not None:
            value -= sections[section].address
        made.append(
            Symbol(
                name=sections[section].name
                if kind == SECTION and section is not None
                else _text(names, name),
                section=section,
                offset=value,
                size=size,
                kind=kind,
                undefined=index == _UNDEFINED,
            )
        )
    return tuple(made)


def _held(content: bytes, header: tuple[int, ...]) -> bytes:
    kind, offset, size = header[1], header[4], header[5]
    return b"" if kind == _NOBITS else content[offset : offset + size]


def _text(table: bytes, at: int) -> str:
    return table[at : table.index(b"\0", at)].decode("utf-8", "replace")
