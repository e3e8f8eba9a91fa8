"""What each sitting of a measurement says of its machine; of several, the worst is told."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgestitch_runtime.caveats import caveats
from edgestitch_runtime.json_shape import misfit, null, number
from edgestitch_runtime.machine import Machine
from edgestitch_runtime.other_load import OtherLoad


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitting:
    """The machine when it began, how hot it was in the end, and what else it did meanwhile."""

    machine: Machine
    temperature_c: float | None
    load: OtherLoad

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "machine": self.machine.to_json(),
            "temperature_c": self.temperature_c,
            "other": self.load.other,
            "stolen": self.load.stolen,
            "seconds": self.load.seconds,
        }


def sittings_of(told: Sequence[dict[str, Any]]) -> list[Sitting]:
    """The sittings that were kept as JSON, without those that cannot be read."""
    optional = (null, number)
    shape = {"temperature_c": optional, "other": optional, "stolen": optional, "seconds": number}
    found = []
    for one in told:
        if misfit(one, shape) is None and isinstance(one.get("machine"), dict):
            with contextlib.suppress(TypeError):
                machine = Machine(**one["machine"])
                load = OtherLoad(other=one["other"], stolen=one["stolen"], seconds=one["seconds"])
                found.append(
                    Sitting(machine=machine, temperature_c=one["temperature_c"], load=load)
                )
    return found


def caveats_of(sittings: Sequence[Sitting], *, quick: bool) -> tuple[str, ...]:
    """The caveats of a measurement in these sittings, at least one: each sentence once."""
    load = OtherLoad(
        other=_most(one.load.other for one in sittings),
        stolen=_most(one.load.stolen for one in sittings),
        seconds=sum(one.load.seconds for one in sittings),
    )
    hottest = _most(one.temperature_c for one in sittings)
    found: dict[str, None] = {}
    for one in sittings:
        after = replace(one.machine, temperature_c=hottest)
        found |= dict.fromkeys(caveats(one.machine, after, load, quick=quick, generated=False))
    return tuple(found)


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
