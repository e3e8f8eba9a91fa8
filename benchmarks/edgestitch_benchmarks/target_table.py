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
_COUNT = "{:,.0f}".format


Value = Callable[[TargetRow], float | None]


def _flash(read: Callable[[FlashBytes], int | None]) -> Value:
    return lambda row: None if row.flash is None else read(row.flash)


def _ram(read: Callable[[RamBytes], int]) -> Value:
    return lambda row: None if row.ram is None else read(row.ram)


def _qemu(read: Callable[[UnderQemu], float]) -> Value:
    return lambda row: None if row.qemu is None else read(row.qemu)


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


def _golden(row: TargetRow) -> str:
    return f"{row.qemu.golden_answered} of {row.qemu.golden}" if row.qemu else MISSING


def _text(*, heading: str, cell: Callable[[TargetRow], str]) -> Column[TargetRow]:
    return Column(heading=heading, cell=cell, number=False)


def _number(heading: str, value: Value) -> Column[TargetRow]:
    def cell(row: TargetRow) -> str:
        found = value(row)
        return MISSING if found is None else _COUNT(found)

    return Column(heading=heading, cell=cell, value=value)


ARTIFACT = _text(heading="artifact", cell=lambda r: r.artifact)
TARGET = _text(heading="target", cell=_on)
FLASH = (
    _number("flash", _flash(lambda f: f.total)),
    _number("code", _flash(lambda f: f.code)),
    _number("weights", _flash(lambda f: f.weights)),
    _number("constants", _flash(lambda f: f.constants)),
    _number("library", _flash(lambda f: f.library)),
)
RAM = (
    _number("RAM", _ram(lambda m: m.total)),
    _number("arena", _ram(lambda m: m.arena)),
    _number("other static", _ram(lambda m: m.static)),
    _number("worst stack", _ram(lambda m: m.stack)),
)
GOLDEN = Column(heading="golden vectors", cell=_golden, value=_qemu(lambda q: q.golden_answered))
MEAN = _number("instructions under QEMU, mean", _qemu(lambda q: q.instructions_mean))
MOST = _number("most", _qemu(lambda q: q.instructions_most))
IMAGES = _number("images", _qemu(lambda q: q.images))
BOARD = _text(heading="board", cell=_verdict)


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
    short = _text(heading="artifact", cell=lambda r: r.artifact.removeprefix(prefix))
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
