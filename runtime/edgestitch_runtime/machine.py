"""The machine that a measurement was taken on: what it tells of itself, never failing.

Standard library only. What the system does not tell is None, and is shown as "not told".
"""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_VIRTUAL_WORDS = ("kvm", "qemu", "vmware", "virtualbox", "virtual machine", "xen", "bochs", "hvm")
_VIRTUAL_VENDORS = ("amazon ec2", "google compute engine", "digitalocean", "openstack")
_CPUFREQ = "/sys/devices/system/cpu/cpu0/cpufreq"
_THERMOMETERS = "/sys/class/thermal"
_ISA = (
    "sse4_1", "ssse3", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni",
    "avx512_bf16", "avx512_fp16", "avx_vnni", "avx_vnni_int8", "amx_tile", "amx_int8", "amx_bf16",
    "neon", "vfpv4", "asimd", "fphp", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2",
    "svei8mm", "sme",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine. `memory_mb` and `cores` are what this process may use, MB is 10**6 bytes.

    `isa` are the extensions of the instruction set that kernels for such models use.
    """

    cpu: str
    architecture: str
    cores: int
    memory_mb: int | None
    os: str
    python: str
    virtual: bool | None  # None where the system does not tell
    governor: str | None  # Linux's frequency governor of the first core
    load_1m: float | None  # processes that wanted a core in the last minute
    isa: tuple[str, ...] = ()
    temperature_c: float | None = None  # of the hottest part that has a thermometer
    frequency_mhz: tuple[float, float] | None = None  # the least and the most of the first core
    boost: bool | None = None  # whether it may go above its nominal frequency

    def line(self) -> str:
        """The machine in one line of text."""
        parts = [
            f"{self.cpu} ({self.architecture})",
            f"{self.cores} core{'s' if self.cores != 1 else ''}",
        ]
        if self.memory_mb is not None:
            parts.append(f"{self.memory_mb / 1000:.1f} GB memory")
        if self.isa:
            parts.append(" ".join(self.isa))
        if self.virtual:
            parts.append("virtual machine")
        parts += [self.os, f"Python {self.python}"]
        parts.append(f"governor {self.governor or 'not told'}")
        if self.frequency_mhz is not None:
            least, most = self.frequency_mhz
            parts.append(f"{least:,.0f} to {most:,.0f} MHz")
        if self.temperature_c is not None:
            parts.append(f"{self.temperature_c:.0f} C")
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
        governor=_text(f"{_CPUFREQ}/scaling_governor").strip() or None,
        load_1m=_load(),
        isa=_isa(cpuinfo),
        temperature_c=_temperature_c(),
        frequency_mhz=_frequency_mhz(),
        boost=_boost(),
    )


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
            return name if any(map(str.isdigit, name)) else _with_model(name, told)
    return _with_model(platform.processor() or "unknown CPU", told)


def _with_model(name: str, told: dict[str, str]) -> str:
    """A name that is of many processors, "AMD EPYC" or none, with the numbers that tell them apart:
    of x86 the family and model, of Arm who made it and which part it is.
    """
    keys = ("cpu family", "model", "CPU implementer", "CPU part")
    numbers = ", ".join(f"{key} {told[key]}" for key in keys if told.get(key))
    return f"{name}, {numbers}" if numbers else name


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
    node = "/proc/device-tree/hypervisor"
    if "hypervisor" in _flags(cpuinfo) or os.path.exists(node):  # noqa: PTH110  (Path's may raise)
        return True
    board = " ".join(
        _text(f"/sys/class/dmi/id/{name}").strip().lower()
        for name in ("sys_vendor", "product_name")
    )
    if any(word in board for word in (*_VIRTUAL_WORDS, *_VIRTUAL_VENDORS)):
        return True
    told = board.strip() or (cpuinfo and platform.machine() in ("x86_64", "AMD64", "i686"))
    return False if told else None


def _flags(cpuinfo: str) -> set[str]:
    lines = cpuinfo.splitlines()
    return set(next((x for x in lines if x.startswith(("flags", "Features"))), "").split())


def _isa(cpuinfo: str) -> tuple[str, ...]:
    flags = _flags(cpuinfo)
    return tuple(name for name in _ISA if name in flags)


def _number(path: str) -> float | None:
    try:
        return float(_text(path))
    except ValueError:
        return None


def _temperature_c() -> float | None:
    try:
        zones = sorted(Path(_THERMOMETERS).glob("thermal_zone*/temp"))
    except OSError:
        return None
    told = [value / 1000 for value in map(_number, map(str, zones)) if value is not None]
    # A zone that is not connected tells 0, or a number that no part could have.
    return max((value for value in told if 0 < value < 150), default=None)


def _frequency_mhz() -> tuple[float, float] | None:
    least, most = (_number(f"{_CPUFREQ}/scaling_{end}_freq") for end in ("min", "max"))
    return None if least is None or most is None else (least / 1000, most / 1000)


def _boost() -> bool | None:
    boost = _number("/sys/devices/system/cpu/cpufreq/boost")
    if boost is not None:
        return boost != 0
    off = _number("/sys/devices/system/cpu/intel_pstate/no_turbo")
    return None if off is None else off == 0


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None
