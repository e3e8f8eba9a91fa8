"""A comparison as text, for a terminal of any width from 20 columns on."""

from __future__ import annotations

import textwrap

from edgestitch_runtime.caveats import QUICK_CAVEAT
from edgestitch_runtime.comparing import CANNOT_TELL, FASTER, SLOWER
from edgestitch_runtime.measurement import ABSENT, FAILED, OK

from .changes import AccuracyChange, Comparison, Limits, MachineChange, RowChange, Side, TimeChange

LEAST_COLUMNS = 20
_ROOMY = 60  # columns from which on a line continues behind its title
_TITLE = 13  # columns of a title and what stands in front of it
_GROWTH = {FASTER: "shrank", SLOWER: "grew", CANNOT_TELL: CANNOT_TELL}


def as_text(found: Comparison, *, width: int = 80) -> str:
    """The comparison in lines of at most `width` columns: what was compared, each row, the end."""
    columns = max(width, LEAST_COLUMNS)
    lines = [
        *_side("old", found.old),
        *_side("new", found.new),
        _limits(found.limits),
        *(line for one in found.machines for line in _machine(one)),
        *_caveats(found.old, found.new),
    ]
    text = [_wrapped(line, columns) for line in lines]
    for row in found.rows:
        threads = "" if row.threads == 1 else f", {row.threads} threads"
        text += ["", _wrapped(f"{row.name}{threads}", columns)]
        text += [_titled(title, told, columns) for title, told in _row(row)]
    end = [
        *(f"missing in the new one: {name}" for name in found.missing),
        *(f"not in the old one: {name}" for name in found.added),
        *(f"REGRESSION: {why}" for why in found.regressions),
    ]
    end.append(_outcome(found))
    return "\n".join([*text, "", *(_wrapped(line, columns) for line in end)])


def _outcome(found: Comparison) -> str:
    """The last line: how many rows got worse, and what was judged in some of them only."""
    rows = len(found.rows)
    worse = sum(bool(row.regressions) for row in found.rows)
    if not found.judged and not worse:
        return "nothing was judged: no limit is set"
    several = "row" if rows == 1 else "rows"
    told = f"worse: {worse} of {rows} {several}" if worse else f"no regression in {rows} {several}"
    if not found.judged:
        return f"{told}; no limit is set"
    left = {kind: rows - judged for kind, judged in found.judged.items() if judged < rows}
    if not left:
        return told
    return f"{told}; not judged: " + ", ".join(f"{kind} in {n}" for kind, n in left.items())


def _wrapped(line: str, width: int) -> str:
    behind = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.fill(line, width, subsequent_indent=behind, break_on_hyphens=False)


def _titled(title: str, told: str, width: int) -> str:
    behind = " " * (_TITLE if width >= _ROOMY else 4)
    line = f"  {title:<{_TITLE - 2}}{told}"
    return textwrap.fill(line, width, subsequent_indent=behind, break_on_hyphens=False)


def _side(name: str, side: Side) -> list[str]:
    quick = ", a quick look: few runs, wide intervals" if side.quick else ""
    return [f"{name}: {side.file} ({side.kind}{quick})", f"  {side.machine_line}"]


def _caveats(old: Side, new: Side) -> list[str]:
    """Those of one side alone: what is the same on both sides explains no difference."""
    pairs = (("old", old, new), ("new", new, old))
    return [
        f"caveat of the {name}: {one}"
        for name, side, other in pairs
        for one in side.caveats
        if one not in (*other.caveats, QUICK_CAVEAT)
    ]


def _limits(limits: Limits) -> str:
    def share(value: float | None) -> str:
        return "not judged" if value is None else f"{100 * value:g} %"

    drop = "not judged" if limits.drop_pp is None else f"{limits.drop_pp:g} points"
    told = f"slower {share(limits.slower)}, accuracy drop {drop}"
    return f"limits: {told}, overhead {share(limits.overhead)}"


def _machine(change: MachineChange) -> list[str]:
    of, lines = f" of {change.label}" if change.label else "", []
    if change.differs:
        what = f"the machines {change.label} differ" if change.label else "the machines differ"
        lines = [f"{what}: latency is told and not judged", *_pairs(change.differs)]
    if change.told:
        lines += [f"other versions{of}", *_pairs(change.told)]
    return lines


def _pairs(differ: dict[str, tuple[str, str]]) -> list[str]:
    return [f"  {name}: {old} -> {new}" for name, (old, new) in differ.items()]


def _row(row: RowChange) -> list[tuple[str, str]]:
    """Titles and what they tell."""
    lines = []
    if row.status != (OK, OK):
        lines.append(("status", _status(row)))
    if row.same_file is False:
        lines.append(("file", "another one: the hashes differ"))
    for name, change in (("classify", row.latency), ("bare", row.bare)):
        if change is not None:
            told = f"{change.old:,.2f} -> {change.new:,.2f} us"
            lines.append((name, f"{told}, {_times(change)}"))
    if row.overhead is not None:
        told = f"{row.overhead.old:.2f} -> {row.overhead.new:.2f} bare calls"
        lines.append(("overhead", f"{told}, {_times(row.overhead, _GROWTH)}"))
    if row.accuracy is not None:
        lines.append(("accuracy", _accuracy(row.accuracy)))
    before, after = row.bytes
    if before is not None and after is not None:
        same = before == after
        told = f"{after:,} bytes, unchanged" if same else f"{before:,} -> {after:,} bytes"
        lines.append(("size", told))
    for name, pair, unit in (
        ("cold start", row.cold_start_ms, "ms"),
        ("memory", row.memory_mb, "MB"),
    ):
        if pair[0] is not None and pair[1] is not None:
            lines.append((name, f"{pair[0]:,.1f} -> {pair[1]:,.1f} {unit}"))
    if row.selftest[0] != row.selftest[1]:
        lines.append(("self-test", " -> ".join(one or "none" for one in row.selftest)))
    return lines


def _status(row: RowChange) -> str:
    words = {OK: "ran", FAILED: "failed", ABSENT: "engine not there"}
    told = " -> ".join(words[one] for one in row.status)
    reason = row.reason[1] or row.reason[0]
    return f"{told}: {reason}" if reason else told


def _times(change: TimeChange, verdicts: dict[str, str] | None = None) -> str:
    if change.low is None or change.high is None or change.verdict is None:
        return f"{change.ratio:.2f} times (one block: cannot tell)"
    interval = f"({change.low:.2f} to {change.high:.2f})"
    word = verdicts[change.verdict] if verdicts else change.verdict
    return f"{change.ratio:.2f} times {interval}: {word}"


def _accuracy(change: AccuracyChange) -> str:
    def share(value: float, n: int) -> str:
        return f"{100 * value:.2f} % ({round(value * n):,} of {n:,})"

    told = f"{share(change.old, change.n[0])} -> {share(change.new, change.n[1])}"
    judged = f", not judged: {change.not_judged}" if change.not_judged else ""
    return f"{told}, {change.change_pp:+.2f} points{judged}"
