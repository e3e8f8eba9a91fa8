"""What makes a measurement worth less, each in a sentence: detected, never asked for."""

from __future__ import annotations

from .machine import Machine
from .other_load import OtherLoad

MOST_OTHER, MOST_STOLEN = 0.10, 0.01  # shares of one core
MOST_C = 80
QUICK_CAVEAT = (
    "Quick mode: so few calls that a repeat may differ by much, and so may a full one; two rows "
    "are started at a time, so that cold starts take longer."
)
GENERATED_CAVEAT = "Timed on generated pixels, not on real images."


def caveats(
    before: Machine, after: Machine, load: OtherLoad | None, *, quick: bool, generated: bool
) -> list[str]:
    """The caveats of a measurement between `before` and `after`, with what else ran in `load`.

    `quick` is that of its effort; `generated` says that its images were made up.
    """
    found = []
    if quick:
        found.append(QUICK_CAVEAT)
    if generated:
        found.append(GENERATED_CAVEAT)
    if before.virtual:
        found.append("A virtual machine: others on its host may slow it down unseen.")
    found += _frequency(before)
    found += _load(load)
    if after.temperature_c is not None and after.temperature_c > MOST_C:
        found.append(
            f"It was {after.temperature_c:.0f} C hot in the end: it may have slowed itself down."
        )
    return found


def _frequency(machine: Machine) -> list[str]:
    if machine.governor is None:
        return ["The system does not tell whether the processor's frequency changes."]
    if machine.governor != "performance":
        return [
            f"The processor's frequency changes with the load (governor {machine.governor}, "
            "not performance)."
        ]
    if machine.boost is None:
        return ["The system does not tell whether the processor boosts its frequency for a while."]
    return ["The processor may boost its frequency for a while."] if machine.boost else []


def _load(load: OtherLoad | None) -> list[str]:
    if load is None or load.other is None:
        return ["The system does not tell what other processes did meanwhile."]
    found = []
    if load.other > MOST_OTHER:
        found.append(f"Other processes used {100 * load.other:.0f} % of a core meanwhile.")
    if load.stolen is not None and load.stolen > MOST_STOLEN:
        found.append(
            f"The host took {100 * load.stolen:.1f} % of a core's time away (stolen time)."
        )
    return found
