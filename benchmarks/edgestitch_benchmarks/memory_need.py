"""Whether the processes of a measurement, which all live at once, fit into the memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgestitch_runtime.rounds import Subject

from .measure import KERAS

# What a process holds while a small model is timed. Of the 600 MB that one with TensorFlow shows
# more than half are the library itself, which all of them share.
KERAS_MB, OTHER_MB, TENSORFLOW_MB = 260, 50, 390
_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")  # of a container: memory.max, .current, .stat (cgroup v2)


def memory_warning(subjects: Sequence[Subject], *, available_mb: float | None) -> str | None:
    """What is to be known before `subjects` are measured; None where they fit.

    `available_mb` (10**6 bytes) is what is left for them, None where the system does not tell:
    then there is nothing to say.
    """
    alive = [subject for subject in subjects if subject.command is not None]
    keras = sum(subject.format == KERAS for subject in alive)
    need_mb = KERAS_MB * keras + OTHER_MB * (len(alive) - keras) + TENSORFLOW_MB * (keras > 0)
    if available_mb is None or need_mb <= available_mb:
        return None
    return (
        f"memory: {len(alive)} processes live at once, {keras} of them with TensorFlow, and may "
        f"need {need_mb / 1000:.1f} GB; {available_mb / 1000:.1f} GB are free. Rows may fail or "
        "slow each other down: a report of fewer runs needs less"
    )


def available_mb() -> float | None:
    """What this process and those that it starts may still take, in 10**6 bytes: of the machine, or
    of the container where that is less. None where the system does not tell.
    """
    known = [found for found in (_of_machine(), _of_container()) if found is not None]
    return min(known) / 1e6 if known else None


def _of_machine() -> int | None:
    """Linux's man page proc_meminfo(5): MemAvailable, in kB of 1,024 bytes."""
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
        told = next(line for line in lines if line.startswith("MemAvailable:"))
        return 1024 * int(told.split()[1])
    except (OSError, ValueError, StopIteration, IndexError):
        return None


def _of_container() -> int | None:
    """What is left below its limit; pages of files that nobody uses now count as free."""
    try:
        most, now = ((_GROUP / f"memory.{name}").read_text("ascii") for name in ("max", "current"))
        lines = (_GROUP / "memory.stat").read_text("ascii").splitlines()
        unused = next(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
        return max(int(most) - int(now) + unused, 0)
    except (OSError, ValueError, StopIteration, IndexError):  # ValueError: "max", no limit
        return None
