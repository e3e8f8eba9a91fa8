"""Live progress on stderr: two lines that change on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

QUIET_S = 5.0  # of lines that differ in numbers alone, at most one in so long is printed
_NUMBERS = re.compile(r"\d+")


class Step(Protocol):
    """What runs now, how much is done of how much, and what it will take (None: not known)."""

    @property
    def text(self) -> str: ...
    @property
    def done(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def seconds_left(self) -> float | None: ...


class Shown(Protocol):
    """Where progress goes: a step replaces the one before, what is said stays."""

    def step(self, step: Step) -> None: ...
    def say(self, line: str) -> None: ...


@contextlib.contextmanager
def shown_on(stream: TextIO) -> Iterator[Shown]:
    """Shows progress on `stream` until the context ends, and leaves a terminal as it was.

    On a terminal that can move its cursor two lines change; else a line is printed now and then.
    """
    if not stream.isatty():
        yield _Lines(stream)
        return
    from rich.console import Console

    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    if console.is_dumb_terminal or not console.is_terminal:
        yield _Lines(stream)
        return
    from rich.live import Live

    with Live(
        console=console, refresh_per_second=4, redirect_stdout=False, redirect_stderr=False,
        transient=True,
    ) as live:  # fmt: skip
        yield _Terminal(console, live.update)


class _Terminal:
    def __init__(self, console: Console, update: Callable[[RenderableType], None]) -> None:
        self._console = console
        self._update = update

    def step(self, step: Step) -> None:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        text = Text(step.text, no_wrap=True, overflow="ellipsis")
        line = Table.grid(padding=(0, 1), expand=True)
        line.add_column(no_wrap=True)
        line.add_column(ratio=1)
        line.add_column(no_wrap=True, justify="right")
        bar = ProgressBar(total=max(step.total, 1), completed=step.done)
        line.add_row(Text(_counted(step)), bar, Text(_left(step.seconds_left)))
        self._update(Group(text, line))

    def say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)


class _Lines:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = -QUIET_S
        self._told = ""

    def step(self, step: Step) -> None:
        now, told = time.monotonic(), _NUMBERS.sub("", step.text)
        if told == self._told and now - self._last < QUIET_S:
            return
        self._last, self._told = now, told
        left = _left(step.seconds_left)
        self.say(f"[{_counted(step)}] {step.text}" + (f", {left}" if left else ""))

    def say(self, line: str) -> None:
        with contextlib.suppress(OSError):  # nobody reads: the measurement goes on
            print(line, file=self._stream, flush=True)


def _counted(step: Step) -> str:
    return f"{step.done}/{step.total}"


def _left(seconds: float | None) -> str:
    """'1:05 left', or nothing where it is not known."""
    if seconds is None:
        return ""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes}:{rest:02} left"
