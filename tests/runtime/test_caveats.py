"""Caveats that a measurement earns, and the load of others that earns one."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edgestitch_runtime import other_load
from edgestitch_runtime.caveats import caveats
from edgestitch_runtime.machine import Machine
from edgestitch_runtime.other_load import CpuTimes, OtherLoad, cpu_times

QUIET = Machine(
    cpu="Some CPU",
    architecture="x86_64",
    cores=2,
    memory_mb=4000,
    os="Linux",
    python="3.11.0",
    virtual=False,
    governor="performance",
    load_1m=0.0,
    temperature_c=50.0,
    boost=False,
)
IDLE = OtherLoad(other=0.02, stolen=0.001, seconds=10)
BUSY = "import time\nend = time.time() + {}\nwhile time.time() < end: pass"


def found(
    before: Machine = QUIET, after: Machine = QUIET, load: OtherLoad | None = IDLE
) -> list[str]:
    return caveats(before, after, load, quick=False, generated=False)


def test_a_quiet_machine_of_steady_frequency_earns_none() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("machine", "load", "words"),
    [
        (replace(QUIET, virtual=True), IDLE, "virtual machine"),
        (replace(QUIET, governor="ondemand"), IDLE, "governor ondemand"),
        (replace(QUIET, governor=None), IDLE, "not tell whether the processor's frequency"),
        (replace(QUIET, boost=None), IDLE, "not tell whether the processor boosts"),
        (replace(QUIET, boost=True), IDLE, "may boost"),
        (replace(QUIET, temperature_c=80.6), IDLE, "81 C hot"),
        (QUIET, replace(IDLE, other=0.11), "11 % of a core"),
        (QUIET, replace(IDLE, stolen=0.034), "3.4 % of a core's time"),
        (QUIET, replace(IDLE, other=None), "not tell what other processes did"),
        (QUIET, None, "not tell what other processes did"),
    ],
    ids=str,
)
def test_each_earns_one_plain_sentence(
    machine: Machine, load: OtherLoad | None, words: str
) -> None:
    (sentence,) = found(machine, machine, load)
    assert words in sentence and sentence.endswith(".") and sentence.count(".") - 1 <= 1


def test_what_is_at_the_limit_earns_none() -> None:
    at = OtherLoad(other=0.10, stolen=0.01, seconds=10)
    assert found(after=replace(QUIET, temperature_c=80.0), load=at) == []
    assert found(after=replace(QUIET, temperature_c=None)) == []


def test_quick_mode_and_generated_pixels_come_first() -> None:
    told = caveats(replace(QUIET, virtual=True), QUIET, IDLE, quick=True, generated=True)
    assert ["Quick" in told[0], "generated pixels" in told[1], len(told)] == [True, True, 3]


def test_shares_are_those_counted_by_hand() -> None:
    before = CpuTimes(busy_s=100.0, own_s=10.0, stolen_s=5.0, at=0.0)
    after = CpuTimes(busy_s=118.0, own_s=19.0, stolen_s=5.5, at=10.0)
    found = other_load.other_load(before, after)
    assert (found.other, found.stolen) == (pytest.approx(0.9), pytest.approx(0.05))
    untold = replace(after, busy_s=None, stolen_s=None)
    assert other_load.other_load(before, untold) == OtherLoad(other=None, stolen=None, seconds=10)


def test_processes_of_its_own_are_no_other_load_and_strangers_are() -> None:
    """A child that was waited for is own; one that lives on is a stranger to these numbers."""
    before = cpu_times()
    subprocess.run([sys.executable, "-c", BUSY.format(0.6)], check=True)
    own = other_load.other_load(before, cpu_times())
    stranger = subprocess.Popen([sys.executable, "-c", BUSY.format(60)])
    before = cpu_times()
    time.sleep(0.8)
    other = other_load.other_load(before, cpu_times())
    stranger.kill()
    stranger.wait()
    assert own.other is not None and other.other is not None
    assert other.other > 0.15  # it has to share two cores with whatever else runs
    children = cpu_times().own_s
    assert children > 0.5


def test_a_system_that_tells_nothing_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for content in (None, "", "cpu  1 2 3\n", "cpu a b c d e f g h\n", "\xff"):
        path = tmp_path / "stat"
        if content is not None:
            path.write_bytes(content.encode("latin-1"))
        monkeypatch.setattr(other_load, "_STAT", path)
        times = cpu_times()
        assert times.busy_s is None and times.stolen_s is None
    (tmp_path / "stat").write_text("cpu  100 20 30 999 999 4 6 70 0 0\ncpu0 1\n")
    monkeypatch.setattr(other_load.os, "sysconf", lambda name: 100)
    assert (cpu_times().busy_s, cpu_times().stolen_s) == (pytest.approx(1.6), pytest.approx(0.7))
