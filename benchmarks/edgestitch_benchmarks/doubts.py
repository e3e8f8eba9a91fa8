"""What makes a report's numbers worth less, and what it does not say at all: true sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgestitch_runtime.rounds import Effort

from .added import NOTE
from .report import ABSENT, FAILED, AddedProfile, Row, TargetRow

SMALL_TEST = 2000  # images: with fewer, half a point is within what chance does
MINI = "-mini"  # how the name of a sample of a data set ends
DRIFT = 0.1
MOST_NAMES = 10  # of rows in a sentence


def own_caveats(rows: Sequence[Row], *, dataset: str, n: int, sittings: int) -> tuple[str, ...]:
    """What bench itself found; `n` test images of `dataset`, measured in so many sittings."""
    found = []
    if dataset.endswith(MINI):
        found.append(
            f"Mini data set: accuracy is that of the {n:,} test images of {dataset}, a sample, and "
            "not that of the full data set."
        )
    elif n < SMALL_TEST:
        found.append(f"Small data set: accuracy is that of {n:,} test images.")
    if sittings > 1:
        found.append(
            f"Measured in {sittings} sittings: it was interrupted and gone on with, so that "
            "not all blocks of a row are of one time and one process. What else the machine did is "
            "told of the worst sitting; one that was killed could not tell."
        )
    drifted, timed = _drifted(rows)
    if drifted > timed / 2:
        found.append(
            f"The machine changed its speed: {drifted} of {timed} rows were more than "
            f"{100 * DRIFT:.0f} % faster or slower in the last quarter of the measurement than in "
            "the first."
        )
    return tuple(found)


def _drifted(rows: Sequence[Row]) -> tuple[int, int]:
    """How many of the rows that were timed here changed from first to last quarter, of how many."""
    timed = [r.latency_us.block_p50 for r in rows if r.latency_us and r.machine is None]
    drifted = 0
    for blocks in timed:
        quarter = max(1, len(blocks) // 4)
        change = np.median(blocks[-quarter:]) / np.median(blocks[:quarter])
        drifted += not 1 - DRIFT <= change <= 1 + DRIFT
    return drifted, len(timed)


def not_measured(
    rows: Sequence[Row],
    targets: Sequence[TargetRow],
    added: Sequence[AddedProfile],
    effort: Effort,
) -> tuple[str, ...]:
    """What a reader may miss, as sentences."""
    threads = f"{effort.threads} thread{'s' if effort.threads != 1 else ''}"
    told = [
        "Energy and heat: nothing here says what an answer costs in energy.",
        f"Other numbers of threads: every row of this machine ran on {threads}.",
        "The first start after a reboot: cold starts were measured once each, with the files in "
        "the system's cache.",
    ]
    if not added:
        told.append(
            "Other machines than this one: add a device with edgestitch profile there and "
            "edgestitch bench --add here."
        )
    if any(target.qemu for target in targets):
        told.append(
            "Time on a real microcontroller: an emulator counted instructions, and tells no time."
        )
    elif not targets:
        told.append(
            "Microcontrollers: no C file of these runs was checked (edgestitch export --format c "
            "--int8 --check TARGET)."
        )
    else:
        told.append("Time on microcontrollers: nothing ran there.")
    for status, what in ((ABSENT, "are not installed here"), (FAILED, "failed")):
        names = [row.name for row in rows if row.status == status]
        if names:
            told.append(f"Rows that {what}: {_named(names)}.")
    formats = {row.format for row in rows}
    if "native" not in formats and any(row.format == "tflite" for row in rows):
        told.append(
            "Compiled C: no native artifact was exported (edgestitch export --format native "
            "--int8)."
        )
    return tuple(told)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def note_on_added(added: Sequence[AddedProfile]) -> tuple[str, ...]:
    """What `timed` says besides where profiles of other machines are in the report."""
    return (NOTE,) if added else ()
