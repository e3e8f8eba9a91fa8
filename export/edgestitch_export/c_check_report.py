"""What a check of generated C found: as JSON, and in lines for a terminal."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .c_boards import Fit
from .c_check_size import Flash


@dataclass(frozen=True, slots=True, kw_only=True)
class Ram:
    """Bytes of RAM: the arena, other static variables, and the stack of the deepest calls."""

    arena: int
    static: int
    stack: int
    stack_path: tuple[str, ...]
    stack_unsure: str  # why the stack may be more, "" where it is sound

    @property
    def total(self) -> int:
        return self.arena + self.static + self.stack


@dataclass(frozen=True, slots=True, kw_only=True)
class OnBoard:
    """What ran under QEMU. `instructions_within` is 0 where they were counted exactly."""

    machine: str
    qemu: str
    golden: int
    golden_differing: int
    images: int
    instructions_mean: float
    instructions_most: int
    instructions_within: int
    stack_seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetReport:
    """A check's whole result. `board` is the one that was asked for, `boards` those of the core.

    `ran` is None where nothing ran, and `reason` then says why.
    """

    source: str
    sha256: str
    target: str
    core: str
    about: str
    compiler: str
    options: tuple[str, ...]
    linked_with: str
    not_linked: str  # why nothing could be linked, "" where it was
    calls: tuple[str, ...]  # functions of libraries
    flash: Flash
    ram: Ram
    ran: OnBoard | None
    reason: str
    board: Fit | None
    boards: tuple[Fit, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """What answers the check with no: each a line. Empty when all is well."""
        return tuple(self.hints)

    @property
    def hints(self) -> dict[str, str]:
        """What to do about each of `problems`."""
        found = {}
        if self.ran and self.ran.golden_differing:
            problem = (
                f"{self.source} answers {self.ran.golden_differing} of {self.ran.golden} golden "
                f"vectors wrongly on {self.core}"
            )
            found[problem] = (
                "export it anew, in case the file was changed; else it is a defect in edgestitch "
                f"or in {self.compiler}: please report it"
            )
        if self.board and not self.board.fits:
            problem = f"{self.source} on {self.board.title}: {self.board.line()}"
            found[problem] = "a smaller model, or another board"
        return found

    @property
    def exit_code(self) -> int:
        return 1 if self.problems else 0

    def as_json(self) -> dict[str, Any]:
        made = asdict(self)
        made["flash"]["total"], made["ram"]["total"] = self.flash.total, self.ram.total
        for one, shown in zip(self.boards, made["boards"], strict=True):
            shown["fits"] = one.fits
        if self.board:
            made["board"]["fits"] = self.board.fits
        return made | {"problems": list(self.problems)}

    def lines(self) -> list[str]:
        """What a terminal shows."""
        return [
            f"{self.source} on {self.core} ({self.about})",
            f"  {self.compiler}, {' '.join(self.options)}",
            *(f"  {line}" for line in (self._flash_line(), self._ram_line(), *self._ran_lines())),
            *self._board_lines(),
        ]

    def _flash_line(self) -> str:
        flash, called = self.flash, ", ".join(self.calls)
        line = (
            f"flash {flash.total:,} bytes: code {flash.code:,}, weights {flash.weights:,}, "
            f"constants {flash.constants:,}"
        )
        if flash.library is None:
            return f"{line}; {called} of a library not counted: {self.not_linked}"
        return line + (
            f", {called} {flash.library:,} (of {self.linked_with})" if self.calls else ""
        )

    def _ram_line(self) -> str:
        ram = self.ram
        return (
            f"RAM {ram.total:,} bytes: arena {ram.arena:,}, other static {ram.static:,}, "
            f"worst stack {ram.stack:,} ({' > '.join(ram.stack_path)})"
            + (f", at least: {ram.stack_unsure}" if ram.stack_unsure else "")
        )

    def _ran_lines(self) -> list[str]:
        ran = self.ran
        if ran is None:
            return [f"not run: {self.reason}"]
        exactly = f", each within {ran.instructions_within}" if ran.instructions_within else ""
        return [
            f"golden vectors: {ran.golden - ran.golden_differing} of {ran.golden} answered to the "
            f"bit under QEMU {ran.qemu} ({ran.machine})",
            f"{ran.instructions_mean:,.0f} instructions an image under QEMU (at most "
            f"{ran.instructions_most:,}, of {ran.images} images{exactly}); "
            f"{ran.stack_seen:,} bytes of stack seen written",
        ]

    def _board_lines(self) -> list[str]:
        shown = [self.board] if self.board else list(self.boards)
        widest = max((len(one.title) for one in shown), default=0)
        rows = [
            f"  {one.title:<{widest}}  {one.line()}" + (f" ({one.note})" if one.note else "")
            for one in shown
        ]
        return (
            rows
            if self.board
            else [
                f"  boards with this core; it takes {self.flash.total:,} bytes of flash and "
                f"{self.ram.total:,} of RAM:",
                *rows,
            ]
        )
