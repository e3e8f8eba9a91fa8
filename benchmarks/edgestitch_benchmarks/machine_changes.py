"""What differs between the machines that two reports or profiles were measured on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .changes import MachineChange
from .reading import Measurements

# What makes two machines two, or one machine another: latency is not judged across it.
# (Virtual machines tell a processor's family alone as cpu: its extensions say more.)
_OF_A_MACHINE = ("cpu", "architecture", "isa", "cores", "os", "governor")
_Pairs = dict[str, tuple[str, str]]


def machine_changes(
    old: Measurements, new: Measurements, labels: set[str | None]
) -> tuple[MachineChange, ...]:
    """What differs of the machines with these labels; None is the one that made the file."""
    before, after = _machines(old), _machines(new)
    return tuple(
        _change(label, before.get(label, ({}, {})), after.get(label, ({}, {})))
        for label in sorted(labels, key=lambda label: label or "")
    )


_Told = tuple[Mapping[str, Any], Mapping[str, str]]


def _machines(of: Measurements) -> dict[str | None, _Told]:
    """Each machine and its versions, by its label."""
    added = {one.label: (one.machine, one.versions) for one in of.added}
    return {None: (of.machine, of.versions), **added}


def _change(label: str | None, old: _Told, new: _Told) -> MachineChange:
    differs = _differing(
        {name: old[0].get(name) for name in _OF_A_MACHINE},
        {name: new[0].get(name) for name in _OF_A_MACHINE},
    )
    told = _differing(old[1], new[1])
    if "os" in differs and _system(old[0]["os"]) == _system(new[0]["os"]):
        told = {"os": differs.pop("os")} | told
    return MachineChange(label=label, differs=differs, told=told)


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> _Pairs:
    """What both have and is not the same, in words."""
    return {
        name: (_words(value), _words(new[name]))
        for name, value in old.items()
        if name in new and new[name] != value
    }


def _system(os: str | None) -> str | None:
    """The distribution in "Debian GNU/Linux 12, Linux 6.1.0", without the kernel."""
    return None if os is None else os.rpartition(", ")[0] or os


def _words(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return "not told" if value is None else str(value)
