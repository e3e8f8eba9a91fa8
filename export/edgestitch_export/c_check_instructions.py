"""What Arm's Thumb and RISC-V instructions do to the stack pointer, and where Thumb's branch to.

Sources: Arm's "Armv8-M Architecture Reference Manual", C2.4 (PUSH, STMDB, STR and STRD with
write-back, SUB from SP, VPUSH; BL, B), and "The RISC-V Instruction Set Manual", volume I (ADDI,
C.ADDI, C.ADDI16SP).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_BL, _B = 0xD000, 0x9000  # bits of the second half of a branch of 32 bits


def halves(data: bytes) -> list[int]:
    return [half for (half,) in struct.iter_unpack("<H", data[: len(data) & ~1])]


def thumb(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(offset, first half, second half) of each instruction; the second is 0 of a short one."""
    words = halves(data)
    at = 0
    while at < len(words):
        long = words[at] >> 11 in (0b11101, 0b11110, 0b11111) and at + 1 < len(words)
        yield 2 * at, words[at], words[at + 1] if long else 0
        at += 2 if long else 1


def riscv(data: bytes) -> Iterator[tuple[int, int, int]]:
    """As thumb()."""
    words = halves(data)
    at = 0
    while at < len(words):
        long = words[at] & 3 == 3 and at + 1 < len(words)
        yield 2 * at, words[at], words[at + 1] if long else 0
        at += 2 if long else 1


def pushed_by_thumb(first: int, second: int) -> int | None:
    """By how many bytes the instruction moves the stack pointer down; None: a register says."""
    if first & 0xFF87 == 0x4485 or (first == 0xEBAD and second & 0x0F00 == 0x0D00):
        return None  # ADD SP, Rm, as compilers for Armv6-M do for large frames; SUB.W SP, SP, Rm
    if first >> 9 == 0b1011010:  # PUSH
        return 4 * (first & 0x1FF).bit_count()
    if first >> 7 == 0b101100001:  # SUB SP, #n
        return 4 * (first & 0x7F)
    if first == 0xE92D:  # STMDB SP!
        return 4 * second.bit_count()
    if first == 0xF84D and second & 0x0F00 == 0x0D00:  # STR Rt, [SP, #-n]!
        return second & 0xFF
    if first == 0xE96D:  # STRD Rt, Rt2, [SP, #-n]!
        return 4 * (second & 0xFF)
    if first & ~0x0040 == 0xED2D and second & 0x0E00 == 0x0A00:  # VPUSH
        return 4 * (second & 0xFF)
    if first & ~0x0400 == 0xF1AD and second & 0x0F00 == 0x0D00:  # SUB.W SP, SP, #n
        return _expanded(first >> 10 & 1, second >> 12 & 7, second & 0xFF)
    if first & ~0x0400 == 0xF2AD and second & 0x0F00 == 0x0D00:  # SUBW SP, SP, #n
        return (first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | second & 0xFF
    return 0


def pushed_by_riscv(first: int, second: int) -> int | None:
    """As pushed_by_thumb()."""
    if first & 3 == 3:
        word = second << 16 | first
        if word & 0xFFFFF == 0x10133:  # ADD or SUB sp, sp, rs2
            return None
        return max(0, -_signed(word >> 20, 12)) if word & 0xFFFFF == 0x10113 else 0  # ADDI sp, sp
    if first & 0xEF83 == 0x6101:  # C.ADDI16SP
        bits = (first >> 12 & 1) << 9 | (first >> 3 & 3) << 7 | (first >> 5 & 1) << 6
        return max(0, -_signed(bits | (first >> 2 & 1) << 5 | (first >> 6 & 1) << 4, 10))
    if first & 0xFF83 == 0x9102 and first & 0x7C:  # C.ADD sp, rs2
        return None
    if first & 0xEF83 == 0x0101:  # C.ADDI sp, n
        return max(0, -_signed((first >> 12 & 1) << 5 | first >> 2 & 0x1F, 6))
    return 0


def branch(at: int, first: int, second: int) -> tuple[int, bool] | None:
    """(where BL or B.W at `at` goes, whether it is BL); None of any other instruction."""
    if first >> 11 != 0b11110 or second & 0xD000 not in (_BL, _B):
        return None
    sign = first >> 10 & 1
    i1, i2 = (~((second >> bit & 1) ^ sign) & 1 for bit in (13, 11))
    value = sign << 24 | i1 << 23 | i2 << 22 | (first & 0x3FF) << 12 | (second & 0x7FF) << 1
    return at + 4 + _signed(value, 25), second & 0xD000 == _BL


def calls_by_register(first: int, second: int) -> bool:
    """Whether an instruction of Thumb calls what a register holds, or goes on there: BLX, BX."""
    return first & 0xFF87 == 0x4780 or (first & 0xFF87 == 0x4700 and first >> 3 & 15 != 14)


def calls_by_register_riscv(first: int, second: int) -> bool:
    """As calls_by_register(): JALR, C.JALR, C.JR but of the return address."""
    if first & 3 == 3:
        return first & 0x7F == 0x67 and second >> 3 & 31 != 0
    return first & 0xE07F == 0x8002 and first >> 7 & 31 not in (0, 1)


def _expanded(high: int, middle: int, low: int) -> int:
    """ThumbExpandImm."""
    turn = high << 4 | middle << 1 | low >> 7
    if turn < 8:
        return (low, low << 16 | low, low << 24 | low << 8, low * 0x01010101)[middle & 3]
    value = low & 0x7F | 0x80
    return (value >> turn | value << (32 - turn)) & 0xFFFFFFFF


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value
