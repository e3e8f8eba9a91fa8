"""The rows on microcontrollers as a table, and the lines beneath it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .grid import MISSING, Column, fitting, renamed, wrapped
from .report import OK, FlashBytes, RamBytes, Report, TargetRow, UnderQemu

TITLE = "On microcontrollers"
TOLD = (
    "As edgestitch export --check found it, not measured again here. Flash and RAM, in bytes, "
    "are what the model takes with the library functions that it calls, without start-up code or a "
    "program around it. Instructions under QEMU are counted for one image on an emulated board; "
    "how long a real one takes, they do not say."
)
_COUNT = "{:,}".format


def _flash(write: Callable[[FlashBytes], int | None]) -> Callable[[TargetRow], str]:
    return lambda row: _or_missing(None if row.flash is None else write(row.flash))


def _ram(write: Callable[[RamBytes], int | None]) -> Callable[[TargetRow], str]:
    return lambda row: _or_missing(None if row.ram is None else write(row.ram))


def _qemu(write: Callable[[UnderQemu], str]) -> Callable[[TargetRow], str]:
    return lambda row: MISSING if row.qemu is None else write(row.qemu)


def _or_missing(value: int | None) -> str:
    return MISSING if value is None else _COUNT(value)


def _on(row: TargetRow) -> str:
    """The target; a row that has no other number says why in one word."""
    named = row.target or MISSING
    if row.target and row.core != row.target:
        named = f"{row.target} ({row.core})"
    return named if row.status == OK else f"{named}: {row.status}"


def _verdict(row: TargetRow) -> str:
    if row.board is None:
        return MISSING
    return "fits" if row.board.fits else "does not fit"


def _column(
    *, heading: str, cell: Callable[[TargetRow], str], number: bool = True
) -> Column[TargetRow]:
    return Column(heading=heading, cell=cell, number=number)


ARTIFACT = _column(heading="artifact", cell=lambda r: r.artifact, number=False)
TARGET = _column(heading="target", cell=_on, number=False)
FLASH = (
    _column(heading="flash", cell=_flash(lambda f: f.total)),
    _column(heading="code", cell=_flash(lambda f: f.code)),
    _column(heading="weights", cell=_flash(lambda f: f.weights)),
    _column(heading="constants", cell=_flash(lambda f: f.constants)),
    _column(heading="library", cell=_flash(lambda f: f.library)),
)
RAM = (
    _column(heading="RAM", cell=_ram(lambda m: m.total)),
    _column(heading="arena", cell=_ram(lambda m: m.arena)),
    _column(heading="other static", cell=_ram(lambda m: m.static)),
    _column(heading="worst stack", cell=_ram(lambda m: m.stack)),
)
GOLDEN = _column(
    heading="golden vectors", cell=_qemu(lambda q: f"{q.golden_answered} of {q.golden}")
)
MEAN = _column(
    heading="instructions under QEMU, mean", cell=_qemu(lambda q: f"{q.instructions_mean:,.0f}")
)
MOST = _column(heading="most", cell=_qemu(lambda q: _COUNT(q.instructions_most)))
IMAGES = _column(heading="images", cell=_qemu(lambda q: _COUNT(q.images)))
BOARD = _column(heading="board", cell=_verdict, number=False)


def columns_of(report: Report) -> tuple[Column[TargetRow], ...]:
    """The columns of the table: the board's verdict where a board was asked for."""
    board = (BOARD,) if any(row.board for row in report.targets) else ()
    return (ARTIFACT, TARGET, *board, *FLASH, *RAM, GOLDEN, MEAN, MOST, IMAGES)


def notes(report: Report) -> list[str]:
    """What stands beneath the table, a line each; rows that say the same share a line.

    First what answers a check with no, then why numbers are missing or not sure, and what boards
    have left.
    """
    rows = report.targets
    return [
        *_lines(rows, _wrong_answers),
        *_lines([r for r in rows if r.board and not r.board.fits], _left),
        *_lines(rows, _why_not),
        *_lines(rows, _unsure),
        *_lines([r for r in rows if r.board and r.board.fits], _left),
    ]


def made_with(report: Report) -> list[str]:
    """What each row was compiled with, and run by, a line each."""
    return list(_lines(report.targets, _made_with))


def as_text(report: Report, *, width: int) -> list[str]:
    """The table for a terminal of `width` columns with what belongs to it; [] without targets."""
    rows = report.targets
    if not rows:
        return []
    prefix = f"{report.run.name}-"
    short = _column(
        heading="artifact", cell=lambda r: r.artifact.removeprefix(prefix), number=False
    )
    which = (short, TARGET)
    board = tuple(column for column in columns_of(report) if column is BOARD)
    ran = (renamed(GOLDEN, "golden"), renamed(MEAN, "instructions under QEMU"), MOST, IMAGES)
    ram = (*RAM[:2], renamed(RAM[2], "other"), renamed(RAM[3], "stack"))
    layouts = (
        ((*which, *board, *FLASH, *ram, *ran),),
        ((*which, *FLASH, *ram), (*which, *ran, *board)),
        ((*which, *FLASH), (*which, *ram, *board), (*which, *ran)),
    )
    lines = [TITLE, *wrapped(TOLD, width)]
    for table in fitting(layouts, rows, names=[row.name for row in rows], width=width):
        lines += ["", *table]
    told = [*notes(report), *made_with(report)]
    return [*lines, "", *(part for line in told for part in wrapped(line, width))]


def _lines(rows: Sequence[TargetRow], tell: Callable[[TargetRow], str | None]) -> Iterable[str]:
    together: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        told = tell(row)
        if told:
            on = together.setdefault((row.artifact, told), [])
            on.append(row.target or "an unknown target")
    for (artifact, told), targets in together.items():
        yield f"{artifact} on {', '.join(dict.fromkeys(targets))}: {told}"


def _wrong_answers(row: TargetRow) -> str | None:
    ran = row.qemu
    if ran is None or ran.golden_answered == ran.golden:
        return None
    return f"{ran.golden - ran.golden_answered} of {ran.golden} golden vectors answered wrongly"


def _why_not(row: TargetRow) -> str | None:
    return row.reason and (f"not run: {row.reason}" if row.status == OK else row.reason)


def _unsure(row: TargetRow) -> str | None:
    told = []
    if row.ram and row.ram.stack_unsure:
        told.append(f"the stack is at least so much: {row.ram.stack_unsure}")
    if row.flash and row.flash.library is None:
        told.append(f"flash is without {', '.join(row.calls) or 'the functions'} of a library")
    if row.qemu and row.qemu.instructions_within:
        told.append(f"each count is within {row.qemu.instructions_within:,} instructions")
    return "; ".join(told) or None


def _left(row: TargetRow) -> str | None:
    board = row.board
    if board is None:
        return None
    sides = (("flash", board.flash_left), ("RAM", board.ram_left))
    if board.fits:
        left = " and ".join(f"{count:,} bytes of {what}" for what, count in sides)
        return f"fits on {board.title}, leaves {left}"
    lacking = " and ".join(f"{-count:,} bytes of {what}" for what, count in sides if count < 0)
    return f"does not fit on {board.title}: {lacking} too little"


def _made_with(row: TargetRow) -> str | None:
    if row.compiler is None:
        return None
    about = f"{row.about}; " if row.about else ""
    run = f"; run by QEMU {row.qemu.qemu} as {row.qemu.machine}" if row.qemu else ""
    return f"{about}{' '.join((row.compiler, *row.flags))}{run}"
