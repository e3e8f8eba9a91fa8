"""Reads report.json and a profile's JSON back, as the dataclasses that they were written from."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

from edgestitch_runtime.agreement import ClassAgreement
from edgestitch_runtime.array_files import read_regular
from edgestitch_runtime.caveats import QUICK_CAVEAT
from edgestitch_runtime.distance import Distance
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.measurement import (
    MEASUREMENT_SCHEMA,
    BatchSpeed,
    ColdStart,
    LatencyUs,
    Measurement,
)

from .report import AddedProfile, Against, Bin, Details, Flip, Row, RunOfReport
from .report_shape import SHAPES, wrong_in

_MOST_BYTES = 64 << 20
_HINT = "name a report.json of `edgestitch bench` or a file of `edgestitch profile --json`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """What a report or a profile holds, of one machine and those that were added to it.

    `kind` is report or profile. A profile has no `runs`, no `added`, and no accuracy in its rows.
    `machine` is the machine as a dict, of which cpu, architecture, os, cores and governor are
    checked; those of added rows are in `added`, by their label.
    """

    kind: str
    machine: dict[str, Any]
    machine_line: str
    versions: dict[str, str]
    command: str
    quick: bool
    caveats: tuple[str, ...]
    rows: tuple[Row, ...]
    runs: tuple[RunOfReport, ...] = ()
    added: tuple[AddedProfile, ...] = ()


def read_measurements(path: Path) -> Measurements:
    """The report or profile in the JSON file `path`.

    Raises EdgestitchError when it is no file, larger than 64 MiB, not whole JSON, neither of the
    two, of another schema, or holds what edgestitch does not write: a wrong type, a number that is
    none or out of bounds, text with control characters, two rows that are one.
    """
    content = _json_object(path, _file(path))
    schema, kind = content.get("schema"), content.get("kind")
    # A profile of schema 1 held no rows, and what a newer one holds is not known.
    ours = kind in list(SHAPES) or "rows" in content or {"bare", "classify"} <= content.keys()
    if not isinstance(schema, int) or isinstance(schema, bool) or not ours:
        _refuse(f"{path} is neither a report nor a profile of edgestitch", _HINT)
    if schema > MEASUREMENT_SCHEMA:
        _refuse(
            f"{path} has schema {schema}, this edgestitch reads {MEASUREMENT_SCHEMA}",
            "a newer edgestitch wrote it: update this one (pip install -U edgestitch)",
        )
    if schema < MEASUREMENT_SCHEMA:
        _refuse(
            f"{path} has schema {schema}, this edgestitch reads {MEASUREMENT_SCHEMA}",
            "an older edgestitch wrote it, without the blocks that a comparison needs: "
            "measure again",
        )
    if not isinstance(kind, str) or kind not in SHAPES:
        _refuse(f"{path} is neither a report nor a profile of edgestitch", _HINT)
    wrong = wrong_in(content, kind)
    if wrong:
        _refuse(
            f"{path} is not as edgestitch writes a {kind}: its entry {wrong} is missing, of "
            "another kind or out of bounds",
            "measure again, or take the file as it was written",
        )
    rows = tuple(_row(row, kind) for row in content["rows"])
    twice = [
        n for n, k in Counter((row.run, row.name, row.threads) for row in rows).items() if k > 1
    ]
    if twice:
        _refuse(f"{path} has more than one row of {twice[0][1]}", "measure again")
    return Measurements(
        kind=kind,
        machine=content["machine"],
        machine_line=content.get("machine_line") or _line(content["machine"]),
        versions=content["versions"],
        command=content["command"],
        quick=_quick(content),
        caveats=tuple(content["caveats"]),
        rows=rows,
        runs=tuple(RunOfReport(**_known(RunOfReport, run)) for run in content.get("runs", ())),
        added=tuple(map(_added, content.get("added", ()))),
    )


def _file(path: Path) -> bytes:
    if path.is_dir():
        _refuse(
            f"{path} is a folder, a file is wanted", f"name the report in it: {path}/report.json"
        )
    try:
        size = path.stat().st_size if path.is_file() else 0
    except OSError:
        size = 0
    if size > _MOST_BYTES:
        _refuse(f"{path} has {size:,} bytes, too many for a report", _HINT)
    content = read_regular(path, limit=_MOST_BYTES)
    if not content.strip():
        _refuse(f"{path} is empty", "it was cut while it was written: measure again")
    return content


def _json_object(path: Path, content: bytes) -> dict[str, Any]:
    def no_number(word: str) -> NoReturn:
        _refuse(f"{path} holds {word}, which is no number of JSON", "measure again")

    try:
        found = json.loads(content.decode("utf-8"), parse_constant=no_number)
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        _refuse(f"{path} is not whole JSON{where}", f"it is cut, or another kind of file; {_HINT}")
    if not isinstance(found, dict):
        _refuse(f"{path} is JSON, but no report: it holds no object", _HINT)
    return found


def _refuse(message: str, hint: str) -> NoReturn:
    raise EdgestitchError(message, hint=hint) from None


def _quick(content: dict[str, Any]) -> bool:
    try:
        words = shlex.split(content["command"])
    except ValueError:
        words = content["command"].split()
    return content.get("quick") is True or "--quick" in words or QUICK_CAVEAT in content["caveats"]


def _line(machine: dict[str, Any]) -> str:
    cores = f"{machine['cores']} core{'s' if machine['cores'] != 1 else ''}"
    governor = machine["governor"] or "not told"
    where = f"{machine['cpu']} ({machine['architecture']})"
    return f"{where}, {cores}, {machine['os']}, governor {governor}"


def _known(kind: type, content: dict[str, Any]) -> dict[str, Any]:
    """What of `content` the dataclass `kind` has: a later version may write more."""
    names = {one.name for one in fields(kind)}
    return {name: value for name, value in content.items() if name in names}


def _added(content: dict[str, Any]) -> AddedProfile:
    caveats = {"caveats": tuple(content.get("caveats", ()))}  # which once was not written
    return AddedProfile(**_known(AddedProfile, content | caveats))


def _row(content: dict[str, Any], kind: str) -> Row:
    if kind == "profile":  # what else it may hold, nobody has checked
        told = {name: content[name] for name in ("distance", "against")}
        content = _known(Measurement, content) | told
    distance, against = content["distance"], content["against"]
    measured = _known(Measurement, content) | {
        "latency_us": _latency(content["latency_us"]),
        "bare_latency_us": _latency(content["bare_latency_us"]),
        "throughput": tuple(BatchSpeed(**_known(BatchSpeed, b)) for b in content["throughput"]),
        "cold_start": _made(ColdStart, content["cold_start"]),
        "distance": None if distance is None or "reason" in distance else _made(Distance, distance),
        "against": _made(Against, against),
    }
    interval = content.get("drop_interval_pp")
    answered = {k: v for k, v in _known(Row, content).items() if k not in measured} | {
        "drop_interval_pp": None if interval is None else tuple(interval),
        "details": _details(content.get("details")),
    }
    return Row(**measured, **answered)


def _made(kind: type, content: dict[str, Any] | None) -> Any:
    return None if content is None else kind(**_known(kind, content))


def _latency(content: dict[str, Any] | None) -> LatencyUs | None:
    if content is None:
        return None
    lists = ("quantiles", "block_p50", "repeat_p50")
    return _made(LatencyUs, content | {name: tuple(content[name]) for name in lists})


def _details(content: dict[str, Any] | None) -> Details | None:
    if content is None:
        return None
    return Details(
        confusion=tuple(map(tuple, content["confusion"])),
        classes=tuple(_made(ClassAgreement, one) for one in content["classes"]),
        reliability=tuple(_made(Bin, one) for one in content["reliability"]),
        calibration_error=content["calibration_error"],
        flips=tuple(_made(Flip, one) for one in content["flips"]),
    )
