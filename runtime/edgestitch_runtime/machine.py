"""The machine that a measurement was taken on: what it tells of itself, never failing.

Standard library only. What the system does not tell is None, and is shown as "not told".
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_VIRTUAL_WORDS = ("kvm", "qemu", "vmware", "virtualbox", "virtual machine", "xen", "bochs", "hvm")
_VIRTUAL_VENDORS = ("amazon ec2", "google compute engine", "digitalocean", "openstack")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine. `memory_mb` and `cores` are what this process may use, MB is 10**6 bytes."""

    cpu: str
    architecture: str
    cores: int
    memory_mb: int | None
    os: str
    python: str
    virtual: bool | None  # None where the system does not tell
    governor: str | None  # Linux's frequency governor of the first core
    load_1m: float | None  # processes that wanted a core in the last minute

    def line(self) -> str:
        """The machine in one line of text."""
        parts = [
            f"{self.cpu} ({self.architecture})",
            f"{self.cores} core{'s' if self.cores != 1 else ''}",
        ]
        if self.memory_mb is not None:
            parts.append(f"{self.memory_mb / 1000:.1f} GB memory")
        if self.virtual:
            parts.append("virtual machine")
        parts += [self.os, f"Python {self.python}"]
        parts.append(f"governor {self.governor or 'not told'}")
        if self.load_1m is not None:
            parts.append(f"load {self.load_1m:.1f} before")
        return ", ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def describe() -> Machine:
    """This machine, now."""
    cpuinfo = _text("/proc/cpuinfo")
    return Machine(
        cpu=_cpu(cpuinfo),
        architecture=platform.machine() or "unknown architecture",
        cores=_cores(),
        memory_mb=_memory_mb(),
        os=_os_name(),
        python=platform.python_version(),
        virtual=_virtual(cpuinfo),
        governor=_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip() or None,
        load_1m=_load(),
    )


def peak_rss_mb() -> float | None:
    """The most memory (10**6 bytes) that this process had resident so far; None if not told.

    Linux's VmHWM comes first: `getrusage` there also counts the process that started this one,
    since its peak survives the exec.
    """
    for line in _text("/proc/self/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def _text(path: str) -> str:
    try:
        return Path(path).read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _cpu(cpuinfo: str) -> str:
    told = {}
    for line in cpuinfo.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            told.setdefault(key.strip(), value.strip())
    board = _text("/proc/device-tree/model").strip("\0 \n")
    for name in (told.get("model name"), board, told.get("Model"), told.get("Hardware")):
        if name:
            return name
    return platform.processor() or "unknown CPU"


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return os.cpu_count() or 1


def _memory_mb() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6)
    except (AttributeError, OSError, ValueError):
        return None


def _os_name() -> str:
    for line in _text("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return (
                f"{line.partition('=')[2].strip(chr(34))}, {platform.system()} {platform.release()}"
            )
    return f"{platform.system()} {platform.release()}".strip() or "unknown system"


def _virtual(cpuinfo: str) -> bool | None:
    if platform.system() != "Linux":
        return None
    flags = next((x for x in cpuinfo.splitlines() if x.startswith(("flags", "Features"))), "")
    if "hypervisor" in flags.split() or Path("/proc/device-tree/hypervisor").exists():
        return True
    board = " ".join(
        _text(f"/sys/class/dmi/id/{name}").strip().lower()
        for name in ("sys_vendor", "product_name")
    )
    if any(word in board for word in (*_VIRTUAL_WORDS, *_VIRTUAL_VENDORS)):
        return True
    return False if board.strip() or platform.machine() in ("x86_64", "AMD64", "i686") else None


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None
