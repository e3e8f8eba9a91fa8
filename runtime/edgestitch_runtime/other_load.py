"""What else the machine did while something was measured: other processes, and the host's theft.

Linux alone tells: /proc/stat counts what all processes had of the processor, in ticks. Never fails.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_STAT = Path("/proc/stat")


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTimes:
    """Seconds of processor time so far: of all processes, of this one with those that it started
    and that have ended, and stolen by the host; `at` is when. None where the system does not tell.
    """

    busy_s: float | None
    own_s: float
    stolen_s: float | None
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherLoad:
    """Shares of one core, 0.5 is half of one, over `seconds`; None where the system does not tell.

    `other` is what processes but this one and those that it started used, `stolen` what the host
    of a virtual machine gave to others while somebody here wanted it.
    """

    other: float | None
    stolen: float | None
    seconds: float


def cpu_times() -> CpuTimes:
    """The times so far. Processes that this one started count once they have ended."""
    own = os.times()
    busy, stolen = _all_processes()
    return CpuTimes(
        busy_s=busy,
        own_s=own.user + own.system + own.children_user + own.children_system,
        stolen_s=stolen,
        at=time.monotonic(),
    )


def other_load(before: CpuTimes, after: CpuTimes) -> OtherLoad:
    """The load between the two, of which `after` is the later."""
    seconds = max(after.at - before.at, 1e-9)
    other = stolen = None
    if before.busy_s is not None and after.busy_s is not None:
        used = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
        other = max(used / seconds, 0.0)
    if before.stolen_s is not None and after.stolen_s is not None:
        stolen = max((after.stolen_s - before.stolen_s) / seconds, 0.0)
    return OtherLoad(other=other, stolen=stolen, seconds=seconds)


def _all_processes() -> tuple[float | None, float | None]:
    """Busy and stolen seconds. Columns of the line cpu: user, nice, system, idle, iowait, irq,
    softirq, steal (Linux's man page proc_stat(5)).
    """
    try:
        line = _STAT.read_text(encoding="ascii").partition("\n")[0].split()
        tick = 1 / os.sysconf("SC_CLK_TCK")
        user, nice, system, _, _, irq, softirq, steal = (int(x) for x in line[1:9])
    except (OSError, ValueError, AttributeError):
        return None, None
    return tick * (user + nice + system + irq + softirq), tick * steal
