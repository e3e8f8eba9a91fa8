"""What progress looks like on terminals, wide, narrow and dumb, and where there is none."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

SCRIPT = """
import sys, time
from dataclasses import dataclass
from edgestitch_benchmarks.progress import shown_on

@dataclass
class Step:
    text: str
    done: int
    total: int
    seconds_left: float | None

with shown_on(sys.stderr) as shown:
    shown.say("goes on from an unfinished measurement: " + "many words " * 5)
    for k in range(8):
        shown.step(Step(f"mlp-int8-with-a-very-long-name.tflite on tflite-runtime: step {k} here",
                        k, 8, None if k == 0 else 65.4))
        time.sleep(0.06)
print("the table", flush=True)
"""
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(columns: int, *, term: str = "xterm-256color", cwd: Path) -> str:
    """What a terminal of so many columns gets, escapes included."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        cwd=cwd,
        env=kept | {"TERM": term},
        start_new_session=True,
    )
    os.close(follower)
    told = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        told += part
    os.close(leader)
    assert process.wait(timeout=30) == 0, told.decode()
    return told.decode()


@pytest.mark.parametrize("columns", [40, 80, 20])
def test_on_a_terminal_what_runs_and_what_is_left_fit_its_width(
    columns: int, tmp_path: Path
) -> None:
    told = on_terminal(columns, cwd=tmp_path)
    shown = [ESCAPES.sub("", line) for line in re.split(r"[\r\n]+", told)]
    said = next(k for k, line in enumerate(shown) if line.startswith("goes on"))
    assert shown[said].rstrip().endswith("many words")  # the terminal wraps it, and no word is lost
    steps = [line for k, line in enumerate(shown) if k != said and line.strip()]
    assert any(line.startswith("mlp-int8-with-a-ve") for line in steps)
    assert any("/8" in line for line in steps)
    assert any("1:05 left" in line for line in steps)
    assert max(map(len, steps)) <= columns
    assert shown[-2].strip() == "the table" or shown[-1].strip() == "the table"
    assert told.count("\x1b[?25l") == told.count("\x1b[?25h") == 1  # the cursor is back


def test_a_dumb_terminal_gets_lines_without_escapes(tmp_path: Path) -> None:
    told = on_terminal(80, term="dumb", cwd=tmp_path)
    assert "\x1b" not in told and "[0/8] mlp-int8" in told and "the table" in told


def test_where_there_is_no_terminal_lines_are_printed_now_and_then(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.stdout == "the table\n" and "\x1b" not in done.stderr
    lines = done.stderr.splitlines()
    assert lines[0].startswith("goes on from") and lines[1].startswith("[0/8] mlp-int8")
    assert len(lines) < 8  # eight steps within a second are not eight lines


def test_a_stderr_that_nobody_reads_does_not_end_the_measurement(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=write, timeout=60,
        cwd=tmp_path,
    )  # fmt: skip
    os.close(write)
    assert done.stdout == b"the table\n"
