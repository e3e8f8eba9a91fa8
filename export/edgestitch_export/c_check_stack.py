"""The most stack that a function of a compiled image can take: frames along its deepest calls.

Frames are the compiler's own (-fstack-usage); of library functions, and of compilers that tell
none, they are read off the instructions. A function whose address is taken counts as called where
it is taken, and by every call through a register.
"""

from __future__ import annotations

import bisect
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from .c_check_elf import ARM, FUNCTION, SECTION, ElfFile, Symbol
from .c_check_instructions import (
    branch,
    calls_by_register,
    calls_by_register_riscv,
    pushed_by_riscv,
    pushed_by_thumb,
    riscv,
    thumb,
)

_CALL, _JUMP = 10, 30  # R_ARM_THM_CALL, R_ARM_THM_JUMP24
_MARK = re.compile(r"[$.]")  # how names begin that mark data or labels, not functions

Place = tuple[int, int]  # a section, and an offset in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """`bytes` along `path`, from the outermost function. `unsure` says in words why the figure may
    be too small, "" where it is sound."""

    bytes: int
    path: tuple[str, ...]
    unsure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Functions:
    """The functions of a file by where they begin; `order` is sorted."""

    elf: ElfFile
    at: dict[Place, Symbol]
    order: list[Place]
    data_marks: dict[Place, bool]  # of Arm: whether data begin there, or code

    def holding(self, section: int, offset: int) -> str | None:
        """The function that this place lies in; of data, a name of their section."""
        if not self.elf.sections[section].loaded:
            return None
        if not self.elf.sections[section].executable:
            return f"section {self.elf.sections[section].name}"
        k = bisect.bisect_right(self.order, (section, offset)) - 1
        if k < 0 or self.order[k][0] != section:
            return None
        return self.at[self.order[k]].name

    def instructions(self, place: Place) -> Iterator[tuple[int, int, int]]:
        """(offset in the section, first half, second half) of the function that begins there."""
        section, start = place
        k = bisect.bisect_right(self.order, place)
        follows = k < len(self.order) and self.order[k][0] == section
        end = self.order[k][1] if follows else self.elf.sections[section].size
        end = start + self.at[place].size if self.at[place].size else end
        data = self.elf.sections[section].data
        if self.elf.machine != ARM:
            for at, *pair in riscv(data[start:end]):
                yield start + at, pair[0], pair[1]
            return
        turns = sorted(
            at for (where, at) in self.data_marks if where == section and start < at < end
        )
        for begin, until in zip([start, *turns], [*turns, end], strict=True):
            if not self.data_marks.get((section, begin), False):
                for at, *pair in thumb(data[begin:until]):
                    yield begin + at, pair[0], pair[1]


def read_stack_usage(text: str) -> dict[str, tuple[int, str]]:
    """Bytes and the qualifier, by function, of a .su file: `file.c:12:5:name 40 static`."""
    found: dict[str, tuple[int, str]] = {}
    for line in text.splitlines():
        place, count, qualifier = line.rsplit("\t", 2)
        found[place.rsplit(":", 1)[1]] = int(count), qualifier
    return found


def worst_stack(elf: ElfFile, function: str, usage: dict[str, tuple[int, str]]) -> Stack:
    """The deepest path from `function`; `usage` is what read_stack_usage gave."""
    functions = _functions(elf)
    calls, missing = _calls(functions)
    frames: dict[str, int] = {}
    doubts: dict[str, str] = {}
    pushed = pushed_by_thumb if elf.machine == ARM else pushed_by_riscv
    for place, symbol in functions.at.items():
        told = usage.get(symbol.name) or usage.get(re.sub(r"\.\d+$", "", symbol.name))
        if told and told[0]:
            frames[symbol.name] = told[0]
            if told[1] == "dynamic":
                doubts[symbol.name] = f"the frame of {symbol.name} has no fixed size"
            continue
        # Of a naked function compilers tell 0, whatever its instructions push.
        read = [pushed(*one[1:]) for one in functions.instructions(place)]
        frames[symbol.name] = sum(one or 0 for one in read)
        if None in read:
            doubts[symbol.name] = f"the frame of {symbol.name} could not be read"
    return _deepest(function, calls, frames, doubts, missing)


def _functions(elf: ElfFile) -> _Functions:
    at: dict[Place, Symbol] = {}
    marks: dict[Place, bool] = {}
    for one in elf.symbols:
        if one.section is None or not elf.sections[one.section].executable:
            continue
        place = (one.section, one.offset)
        if re.match(r"\$[dtx](\.|$)", one.name):
            marks[place] = one.name[1] == "d"
            continue
        named = one.kind != SECTION and one.name and not _MARK.match(one.name)
        if (one.kind == FUNCTION or named) and (place not in at or one.size):
            at[place] = one
    return _Functions(elf=elf, at=at, order=sorted(at), data_marks=marks)


def _calls(functions: _Functions) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Who calls whom, and who calls what the file has not."""
    elf = functions.elf
    calls: dict[str, set[str]] = defaultdict(set)
    missing: dict[str, set[str]] = defaultdict(set)
    relocated: set[Place] = set()
    taken: set[str] = set()
    for reference in elf.references:
        relocated.add((reference.section, reference.offset))
        caller = functions.holding(reference.section, reference.offset)
        symbol = reference.symbol
        if elf.machine == ARM and elf.linked and reference.kind in (_CALL, _JUMP):
            continue  # the instruction itself says where to
        if _is_label(elf, symbol):
            continue
        if caller and symbol.undefined and symbol.name:
            missing[caller].add(symbol.name)
        called = symbol.section is not None and functions.holding(symbol.section, symbol.offset)
        if caller and called and not (caller == called and reference.kind == _JUMP):
            calls[caller].add(called)
            if not (elf.machine == ARM and reference.kind in (_CALL, _JUMP)):
                taken.add(called)
    taken &= {symbol.name for symbol in functions.at.values()}
    by_register = calls_by_register if elf.machine == ARM else calls_by_register_riscv
    for place, symbol in functions.at.items():
        if any(by_register(*one[1:]) for one in functions.instructions(place)):
            calls[symbol.name] |= taken - {symbol.name}
    for place, symbol in functions.at.items() if elf.machine == ARM else ():
        for at, first, second in functions.instructions(place):
            # An assembler leaves no relocation for a call within a section, zig's linker none.
            if elf.linked or (place[0], at) not in relocated:
                calls[symbol.name] |= _branches_to(functions, place, branch(at, first, second))
    return calls, missing


def _is_label(elf: ElfFile, symbol: Symbol) -> bool:
    """A place among code that is not a function's: the target of a branch or of a table of them.

    Assemblers name functions by their own symbols, so that one whose name is a section's is none.
    """
    if symbol.section is None or not elf.sections[symbol.section].executable:
        return False
    return symbol.kind == SECTION or bool(_MARK.match(symbol.name))


def _branches_to(functions: _Functions, place: Place, found: tuple[int, bool] | None) -> set[str]:
    """The function that a branch in the one at `place` calls, or goes on with, as a set."""
    if found is None or (place[0], found[0]) not in functions.at:
        return set()
    target, is_call = (place[0], found[0]), found[1]
    return {functions.at[target].name} if is_call or target != place else set()


def _deepest(
    function: str,
    calls: dict[str, set[str]],
    frames: dict[str, int],
    doubts: dict[str, str],
    missing: dict[str, set[str]],
) -> Stack:
    reasons: list[str] = []
    lacking: set[str] = set()
    known: dict[str, tuple[int, tuple[str, ...]]] = {}

    def below(name: str, above: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
        if name in above:
            if name in frames:  # data may well point to data
                reasons.append(f"{name} calls itself")
            return 0, ()
        if name not in known:
            lacking.update(missing[name])
            if name in doubts:
                reasons.append(doubts[name])
            called = (below(one, (*above, name)) for one in sorted(calls[name]))
            count, path = max(called, default=(0, ()))
            own = frames.get(name)  # None of a section of data
            known[name] = (count, path) if own is None else (count + own, (name, *path))
        return known[name]

    count, path = below(function, ())
    if lacking:
        reasons.append(f"without the stack of {', '.join(sorted(lacking))}")
    return Stack(bytes=count, path=path, unsure="; ".join(dict.fromkeys(reasons)))
