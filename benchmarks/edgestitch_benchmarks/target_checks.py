"""What `edgestitch export --check` left beside a C file: read for the report, whatever it holds.

NAME-int8-check.json is a list, an entry a target. A file that is damaged, foreign or huge is a row
with its reason, as is a check of a file that has changed since. Nothing here raises for a file.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgestitch_runtime.array_files import read_regular
from edgestitch_runtime.card import MAX_ARTIFACT_BYTES, read_artifact
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.run_folder import Run

from .belonging import stranger
from .report import FAILED, OK, STALE, BoardFit, FlashBytes, RamBytes, TargetRow, UnderQemu
from .target_shape import plain, wrong_in

SUFFIX = "-check.json"
MAX_CHECK_BYTES = 1 << 20  # an entry has some 3,000
MAX_TARGETS = 100
_RAN = (
    "machine", "qemu", "golden", "images",
    "instructions_mean", "instructions_most", "instructions_within",
)  # fmt: skip


def check_files(run: Run) -> list[Path]:
    """What checks left in the run's export folder, by name."""
    if not run.export_folder.is_dir():
        return []
    return sorted(p for p in run.export_folder.iterdir() if p.name.endswith(SUFFIX))


def read_targets(run: Run) -> list[TargetRow]:
    """The rows of the run's C files on their targets, in the order in which they were checked."""
    return [row for path in check_files(run) for row in _rows(path, run)]


def _rows(path: Path, run: Run) -> list[TargetRow]:
    source = path.with_name(path.name.removesuffix(SUFFIX) + ".c")
    content, found = None, None
    if source.exists():
        try:
            content = read_regular(source, limit=MAX_ARTIFACT_BYTES)
        except EdgestitchError as error:
            found = f"{error.message} (hint: {error.hint})"
    digest = None if content is None else hashlib.sha256(content).hexdigest()
    none = TargetRow(artifact=source.name, sha256=digest, target=None, core=None, status=FAILED)
    entries = _entries(path)
    if isinstance(entries, str):
        return [replace(none, reason=_unread(path, entries, run))]
    again = _again(run, [e["target"] for e in entries if not wrong_in(e, source.name)])
    if content is not None and found is None:
        found = _not_ours(source, run)
    rows = []
    for number, entry in enumerate(entries):
        wrong = wrong_in(entry, source.name)
        if wrong:
            told = f"[{number}].{wrong} is missing or not as a check writes it"
            rows.append(replace(none, reason=_unread(path, f"its entry {told}", run)))
            continue
        named = replace(none, target=entry["target"], core=entry["core"])
        if content is None and found is None:
            reason = f"checked before the file was taken away {again}"
            rows.append(replace(named, status=STALE, reason=reason))
        elif digest is not None and entry["sha256"] != digest:
            reason = f"checked before the file changed {again}"
            rows.append(replace(named, status=STALE, reason=reason))
        elif found is not None:
            rows.append(replace(named, reason=found))
        else:
            rows.append(_row(named, entry))
    return rows


def _entries(path: Path) -> list[Any] | str:
    """The entries of the file, or why there are none."""
    try:
        entries = json.loads(read_regular(path, limit=MAX_CHECK_BYTES).decode())
    except EdgestitchError as error:
        return error.message.replace(str(path), "it", 1)
    except (ValueError, RecursionError):
        return "it is not whole JSON"
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_TARGETS:
        return f"it is not a list of 1 to {MAX_TARGETS} targets"
    return entries


def _again(run: Run, targets: list[str]) -> str:
    flags = [word for target in dict.fromkeys(targets) for word in ("--check", target)]
    command = ["edgestitch", "export", str(run.folder), "--format", "c", "--int8", *flags]
    return f"(hint: {shlex.join(command)})"


def _unread(path: Path, why: str, run: Run) -> str:
    return f"{path.name} cannot be read as a check: {why} {_again(run, ['TARGET'])}"


def _not_ours(source: Path, run: Run) -> str | None:
    try:
        card = read_artifact(source).card
    except EdgestitchError as error:
        return f"{error.message} (hint: {error.hint})"
    return None if card is None else stranger(card, run)


def _row(named: TargetRow, entry: dict[str, Any]) -> TargetRow:
    flash, ram, ran, board = entry["flash"], entry["ram"], entry["ran"], entry["board"]
    flash_split = {key: flash[key] for key in ("code", "weights", "constants", "library")}
    ram_split = {key: ram[key] for key in ("arena", "static", "stack")}
    return replace(
        named,
        status=OK,
        reason=None if ran else plain(entry["reason"]),
        about=entry["about"] or None,
        compiler=entry["compiler"],
        flags=tuple(entry["options"]),
        calls=tuple(entry["calls"]),
        flash=FlashBytes(**flash_split, total=sum(n or 0 for n in flash_split.values())),
        ram=RamBytes(
            **ram_split,
            stack_unsure=plain(ram["stack_unsure"]) or None,
            total=sum(ram_split.values()),
        ),
        qemu=ran
        and UnderQemu(
            golden_answered=ran["golden"] - ran["golden_differing"],
            **{key: ran[key] for key in _RAN},
        ),
        board=board
        and BoardFit(**{key: board[key] for key in ("title", "fits", "flash_left", "ram_left")}),
    )
