"""Profiles of other machines, made by `edgestitch profile`, as rows of a report.

A row belongs to the artifact of the same bytes here. Accuracy is not measured on a device: where
the device answered the file's golden vectors identically and the same engine ran the same file
here, the accuracy from here is repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgestitch_runtime.errors import EdgestitchError

from .against import with_against
from .report import OK, AddedProfile, Row

if TYPE_CHECKING:
    from .reading import Measurements

IDENTICAL = "identical"
NOTE = (
    "Rows of another machine were measured there, by edgestitch profile, as its own profile says: "
    "with other threads, calls and images perhaps. They are joined by the hash of the file. Their "
    "accuracy is the one measured here on the same engine, where the device answered the file's "
    "golden vectors identically; else there is none."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiled:
    """A profile and the rows of it that are of files known here."""

    profile: AddedProfile
    rows: tuple[Row, ...]


def read_profiles(
    paths: Sequence[Path], hashes: frozenset[str], *, say: Callable[[str], None]
) -> list[Profiled]:
    """The profiles in `paths`, each called by its file's stem.

    `hashes` are those of the files here. A row of another file is left out, and a second one of a
    file on an engine, which `say` is told. Raises EdgestitchError when a file is no profile, has no
    row of a file here, or is called as another one or by what cannot be printed.
    """
    found: dict[str, Profiled] = {}
    for path in paths:
        profiled = _read(path, hashes, say)
        label = profiled.profile.label
        if label in found:
            raise EdgestitchError(
                f"two of the added profiles are called {label}",
                hint="rename one of the files: its name is what the machine is called",
            )
        found[label] = profiled
    return list(found.values())


def _read(path: Path, hashes: frozenset[str], say: Callable[[str], None]) -> Profiled:
    from .reading import read_measurements

    if not path.stem.isprintable():
        raise EdgestitchError(
            f"the added profile {path.name!a} has a name that cannot be printed",
            hint="rename the file: its name is what the machine is called",
        )
    read: Measurements = read_measurements(path)
    if read.kind != "profile":
        raise EdgestitchError(
            f"{path} is a {read.kind}, expected a profile",
            hint="make one on the device: edgestitch profile ARTIFACT... --json FILE.json",
        )
    rows: dict[tuple[str | None, str], Row] = {}
    for row in read.rows:
        if row.sha256 not in hashes:
            say(f"left out of {path.name}: {row.name}, whose file is none of these runs")
        elif (row.sha256, row.engine) in rows:
            kept = rows[row.sha256, row.engine].name
            say(f"left out of {path.name}: {row.name}, the same file and engine as {kept} there")
        else:
            rows[row.sha256, row.engine] = row
    if not rows:
        raise EdgestitchError(
            f"{path} has no row of a file of these runs",
            hint="profile copies of the files in RUN/export: they are joined by their hashes",
        )
    return Profiled(
        profile=AddedProfile(
            label=path.stem,
            machine=read.machine,
            machine_line=read.machine_line,
            versions=dict(read.versions),
            command=read.command,
            caveats=read.caveats,
        ),
        rows=tuple(rows.values()),
    )


def added_rows(profiled: Sequence[Profiled], here: Sequence[Row]) -> list[Row]:
    """The rows of the profiles, joined to `here`: the rows of this machine."""
    joined = []
    for one in profiled:
        of_machine = [_joined(row, one.profile.label, here) for row in one.rows]
        joined += with_against(of_machine)
    return joined


def _joined(row: Row, label: str, here: Sequence[Row]) -> Row:
    same = [known for known in here if known.sha256 == row.sha256]
    known = same[0]
    row = replace(
        row,
        artifact=known.artifact,
        format=known.format,
        precision=known.precision,
        run=known.run,
        machine=label,
        bytes=known.bytes,
        parts=known.parts,
    )
    measured = next((one for one in same if one.engine == row.engine), None)
    if measured is None or measured.accuracy is None:
        return row
    if row.status != OK or row.selftest != IDENTICAL:
        return row
    return replace(
        row,
        accuracy=measured.accuracy,
        n=measured.n,
        changed=measured.changed,
        drop_pp=measured.drop_pp,
        drop_interval_pp=measured.drop_interval_pp,
        flips_lost=measured.flips_lost,
        flips_won=measured.flips_won,
        mcnemar_p=measured.mcnemar_p,
    )
