"""Compares two reports or profiles row by row, and says which rows got worse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from edgestitch_runtime import comparing
from edgestitch_runtime.comparing import SLOWER, Ratio
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.golden_check import DIFFERS
from edgestitch_runtime.measurement import ABSENT, FAILED, OK, LatencyUs

from .changes import (
    AccuracyChange,
    Comparison,
    Limits,
    RowChange,
    Side,
    TimeChange,
)
from .machine_changes import machine_changes
from .reading import Measurements, read_measurements
from .report import Row

_LEAST_BLOCKS = 2
_ROUNDING = 1e-9


def compare(old: Path | str, new: Path | str, *, limits: Limits | None = None) -> Comparison:
    """What changed from the report or profile in the file `old` to the one in `new`.

    Rows are the same when artifact, engine, threads and machine are. `limits` are those of
    `Limits()` unless given. Raises EdgestitchError when a file cannot be read as either, when no
    row is in both or none was measured in both, and when limits are set and none can be judged in
    any row, or overhead is to be judged and no row tells it in both.
    """
    chosen = limits or Limits()
    before, after = (read_measurements(Path(path)) for path in (old, new))
    pairs, missing, added = _matched(before.rows, after.rows)
    if not pairs:
        raise EdgestitchError(
            f"{old} and {new} have no row in common: {_rows(before)} against {_rows(after)}",
            hint="rows are the same when file name, engine, threads and machine are",
        )
    machines = machine_changes(before, after, {row.machine for _, row in pairs})
    foreign = {one.label for one in machines if one.differs}
    rows = tuple(
        _change(one, other, before, after, chosen, same_machine=other.machine not in foreign)
        for one, other in pairs
    )
    found = Comparison(
        old=_side(old, before),
        new=_side(new, after),
        limits=chosen,
        machines=machines,
        rows=rows,
        missing=(
            *(row.name for row in missing if row.status == OK),
            *(other.name for one, other in pairs if (one.status, other.status) == (OK, ABSENT)),
        ),
        added=tuple(row.name for row in added),
    )
    _refuse_what_says_nothing(found)
    return found


def _side(path: Path | str, of: Measurements) -> Side:
    return Side(
        file=str(path),
        kind=of.kind,
        machine_line=of.machine_line,
        versions=of.versions,
        command=of.command,
        quick=of.quick,
        caveats=of.caveats,
    )


def _rows(of: Measurements) -> str:
    names = [row.name for row in of.rows]
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more if names else "no row at all"


def _matched(
    old: Sequence[Row], new: Sequence[Row]
) -> tuple[list[tuple[Row, Row]], list[Row], list[Row]]:
    """The rows of both, then those of the old alone and of the new alone."""

    def short(row: Row) -> tuple[str, str, int, str | None]:
        # Where two runs have a file of one name, it is written RUN/NAME.
        name = row.artifact.removeprefix(f"{row.run}/")
        return name, row.engine, row.threads, row.machine

    # A run may be called otherwise in the new report; the run's name is needed only where two runs
    # have one file name, and for the float models, which all are called alike.
    shared = {key for rows in (old, new) for key, n in Counter(map(short, rows)).items() if n > 1}

    def key(row: Row) -> tuple[object, ...]:
        needed = row.format == "keras" or short(row) in shared
        return (*short(row), row.run if needed else None)

    before, after = {key(row): row for row in old}, {key(row): row for row in new}
    return (
        [(row, after[k]) for k, row in before.items() if k in after],
        [row for k, row in before.items() if k not in after],
        [row for k, row in after.items() if k not in before],
    )


def _change(
    old: Row,
    new: Row,
    before: Measurements,
    after: Measurements,
    limits: Limits,
    *,
    same_machine: bool,
) -> RowChange:
    latency = _time(old.latency_us, new.latency_us)
    overhead = _overhead(old, new)
    accuracy = _accuracy(old, new, before, after)
    worse = []
    if old.status == OK and new.status == FAILED:
        worse.append(f"it ran before and failed now: {new.reason}")
    if new.selftest == DIFFERS and old.selftest != DIFFERS:
        worse.append("it no longer answers its golden vectors as exported")
    if limits.slower is not None and same_machine and _beyond(latency, limits.slower):
        worse.append(f"classify is slower, by more than {_percent(limits.slower)}")
    if limits.overhead is not None and _beyond(overhead, limits.overhead):
        worse.append(f"classify over the bare call grew, by more than {_percent(limits.overhead)}")
    if limits.drop_pp is not None and _fell(accuracy, limits.drop_pp):
        worse.append(f"accuracy fell by more than {limits.drop_pp:g} points")
    return RowChange(
        name=new.name,
        artifact=new.artifact,
        engine=new.engine,
        threads=new.threads,
        machine=new.machine,
        same_file=None if None in (old.sha256, new.sha256) else old.sha256 == new.sha256,
        status=(old.status, new.status),
        reason=(old.reason, new.reason),
        selftest=(old.selftest, new.selftest),
        latency=latency,
        bare=_time(old.bare_latency_us, new.bare_latency_us),
        overhead=overhead,
        latency_judged=same_machine
        and limits.slower is not None
        and latency is not None
        and latency.verdict is not None,
        accuracy=accuracy,
        bytes=(old.bytes, new.bytes),
        cold_start_ms=(old.cold_start_ms, new.cold_start_ms),
        memory_mb=(old.memory_mb, new.memory_mb),
        regressions=tuple(worse),
    )


def _beyond(change: TimeChange | None, limit: float) -> bool:
    return change is not None and change.verdict == SLOWER and change.ratio > 1 + limit


def _fell(change: AccuracyChange | None, limit_pp: float) -> bool:
    if change is None or change.not_judged is not None:
        return False
    return -change.change_pp > limit_pp + _ROUNDING


def _time(old: LatencyUs | None, new: LatencyUs | None) -> TimeChange | None:
    if old is None or new is None:
        return None
    ratio = None
    if min(len(old.block_p50), len(new.block_p50)) >= _LEAST_BLOCKS:
        ratio = comparing.separate_ratio(new.block_p50, old.block_p50)
    return _time_change(old.p50, new.p50, ratio)


def _overhead(old: Row, new: Row) -> TimeChange | None:
    """None where one of the four kinds of blocks is missing."""
    blocks = []
    for row in (old, new):
        whole, bare = row.latency_us, row.bare_latency_us
        if whole is None or bare is None:
            return None
        # Blocks that are not as many were not timed beside each other.
        if len(whole.block_p50) != len(bare.block_p50) or len(bare.block_p50) < _LEAST_BLOCKS:
            return None
        blocks.append((whole.block_p50, bare.block_p50))
    before, after = (comparing.overhead(whole, bare).value for whole, bare in blocks)
    return _time_change(before, after, comparing.overhead_growth(blocks[1], blocks[0]))


def _time_change(old: float, new: float, ratio: Ratio | None) -> TimeChange:
    if ratio is None:
        return TimeChange(old=old, new=new, ratio=new / old, low=None, high=None, verdict=None)
    return TimeChange(
        old=old,
        new=new,
        ratio=ratio.value,
        low=ratio.low,
        high=ratio.high,
        verdict=ratio.verdict,
    )


def _accuracy(
    old: Row, new: Row, before: Measurements, after: Measurements
) -> AccuracyChange | None:
    if old.accuracy is None or new.accuracy is None or old.n is None or new.n is None:
        return None
    reason = None
    if old.n != new.n:
        reason = f"{old.n:,} test images before, {new.n:,} now"
    elif _test_data(old, before) != _test_data(new, after):
        reason = "the test images are others"
    return AccuracyChange(
        old=old.accuracy,
        new=new.accuracy,
        n=(old.n, new.n),
        change_pp=100 * (new.accuracy - old.accuracy),
        not_judged=reason,
    )


def _test_data(row: Row, of: Measurements) -> dict[str, str]:
    """The hashes of the test files of the row's run; of all its files where no name tells them."""
    hashes = next((run.dataset_sha256 for run in of.runs if run.name == row.run), None)
    if hashes is None:
        hashes = of.runs[0].dataset_sha256 if of.runs else {}
    test = {name: one for name, one in hashes.items() if name.startswith(("t10k", "test"))}
    return test or hashes


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _refuse_what_says_nothing(found: Comparison) -> None:
    """A job that passes because nothing was looked at would pass for ever."""
    if not found.passed:
        return
    if not any(row.status == (OK, OK) for row in found.rows):
        raise EdgestitchError(
            f"no row was measured in both {found.old.file} and {found.new.file}",
            hint="the rows in common failed, or their engines are not installed: "
            "`edgestitch bench` says why",
        )
    if found.limits.overhead is not None and all(row.overhead is None for row in found.rows):
        raise EdgestitchError(
            f"no row has blocks of classify and of the bare call in both {found.old.file} and "
            f"{found.new.file}: their quotient cannot be judged",
            hint="leave --fail-if-overhead out, or measure again",
        )
    if found.judged and not any(found.judged.values()):
        kinds = " and ".join(found.judged)
        differs = list(dict.fromkeys(name for one in found.machines for name in one.differs))
        why = f" (the machines differ in {', '.join(differs)})" if differs else ""
        raise EdgestitchError(
            f"{kinds} of no row can be judged between {found.old.file} and {found.new.file}{why}",
            hint="--fail-if-overhead 25% is judged between machines; --fail-if-slower none "
            "--fail-if-drop none judges nothing and shows the numbers",
        )
