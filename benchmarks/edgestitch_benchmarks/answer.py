"""What a report comes to: one sentence, and the rows worth taking, each with its reason.

The sentence compares int8 with float32 of the same format on the same engine; its loss is against
the float Keras model. What the measurement cannot tell, it says it cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgestitch_runtime.comparing import FASTER, SLOWER, Ratio, interleaved_ratio
from edgestitch_runtime.golden_check import DIFFERS

from .accuracy_ties import cannot_be_told
from .report import OK, Recommended, Row

FORMAT_NAMES = {"tflite": "TFLite", "onnx": "ONNX", "native": "compiled C", "keras": "Keras"}
_FORMATS = ("tflite", "onnx")
_PRECISIONS = ("int8", "mixed", "dynamic", "float16")
_SAME_SIZE = 1.05
_MOST_NAMED = 4
NOTHING = "Nothing was measured: no row has numbers."


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The two rows of a run that its part of the sentence is about: `other` is float32."""

    run: str | None
    row: Row
    other: Row


def headlines(rows: Sequence[Row]) -> list[Headline]:
    """One for each run of this machine that has a smaller precision and float32 of one format,
    both timed on one engine: int8 before others, TFLite before ONNX. A row that differs from its
    file's golden vectors is in none.
    """
    here = [row for row in rows if row.machine is None and row.status == OK and row.latency_us]
    here = [row for row in here if row.selftest != DIFFERS]
    found = []
    for run in dict.fromkeys(row.run for row in here):
        of_run = [row for row in here if row.run == run]
        pairs = (_pair(of_run, p, f) for p in _PRECISIONS for f in _FORMATS)
        pair = next(filter(None, pairs), None)
        if pair:
            found.append(Headline(run=run, row=pair[0], other=pair[1]))
    return found


def _pair(rows: Sequence[Row], precision: str, format_: str) -> tuple[Row, Row] | None:
    for row in rows:
        if (row.precision, row.format) == (precision, format_):
            wanted = ("float32", format_, row.engine)
            for other in rows:
                if (other.precision, other.format, other.engine) == wanted:
                    return row, other
    return None


def answer(rows: Sequence[Row]) -> str:
    """The report in one sentence, of the rows of this machine."""
    told = headlines(rows)
    if not told:
        return _without_headline([row for row in rows if row.machine is None])
    several = len({row.run for row in rows}) > 1
    parts = []
    for one in told:
        format_ = FORMAT_NAMES[one.row.format]
        name = f"{one.run}: {one.row.precision} {format_}" if several else None
        name = name or f"{one.row.precision} {format_}"
        joint = " is " if several else ": "
        parts.append(f"{name}{joint}{', '.join((_size(one), _speed(one), _loss(one.row)))}")
    missing = [one for one in told if one.row.precision != "int8"]
    if missing and not several:
        parts[0] = f"No int8 was measured beside float32. {parts[0][0].upper()}{parts[0][1:]}"
    return "; ".join(parts) + "."


def not_as_exported(rows: Sequence[Row]) -> tuple[str, ...]:
    """A caveat that names the rows whose self-test says `differs`; () where none does."""
    names = [row.name for row in rows if row.selftest == DIFFERS]
    if not names:
        return ()
    verb, whose = ("answers", "its") if len(names) == 1 else ("answer", "their")
    return (f"{_named(names)} no longer {verb} {whose} golden vectors as exported.",)


def basis(rows: Sequence[Row]) -> str:
    """What the sentence compares with what, for the small print; "" where it compares nothing."""
    told = headlines(rows)
    if not told:
        return ""
    pairs = "; ".join(
        f"{one.row.artifact} beside {one.other.artifact}, both on {one.row.engine}" for one in told
    )
    return (
        f"Size and speed are measured against float32 of the same format on the same engine "
        f"({pairs}): speed is that of the whole call of classify, its 95 % interval in brackets. "
        "Loss is measured against the float Keras model on the same test images, in percentage "
        "points."
    )


def _without_headline(rows: Sequence[Row]) -> str:
    timed = [row for row in rows if row.status == OK and row.latency_us]
    if not timed:
        return NOTHING
    artifacts = [row for row in timed if row.format != "keras"]
    if not artifacts:
        return "Only the float Keras model was measured: there is nothing to compare it with."
    fastest = min(artifacts, key=_p50)
    return (
        "No format was measured both as float32 and smaller on one engine, so there is no gain to "
        f"tell; the fastest row is {fastest.name}, {_us(_p50(fastest))} an image."
    )


def _size(one: Headline) -> str:
    assert one.row.bytes and one.other.bytes
    ratio = one.other.bytes / one.row.bytes
    if ratio >= _SAME_SIZE:
        return f"{_times(ratio)} times smaller"
    return f"{_times(1 / ratio)} times larger" if ratio <= 1 / _SAME_SIZE else "of the same size"


def _speed(one: Headline) -> str:
    ratio = ratio_of(one.row, one.other)
    if ratio is None:
        return "of a speed that cannot be compared"
    if ratio.verdict == FASTER:
        low, high = _times(1 / ratio.high), _times(1 / ratio.low)
        return f"{_times(1 / ratio.value)} times faster ({low} to {high})"
    low, high = _times(ratio.low), _times(ratio.high)
    if ratio.verdict == SLOWER:
        return f"{_times(ratio.value)} times slower ({low} to {high})"
    return f"faster or slower: cannot tell ({low} to {high} times the time)"


def _loss(row: Row) -> str:
    if row.drop_pp is None or row.drop_interval_pp is None:
        return "loss not known: no float Keras row"
    low, high = row.drop_interval_pp
    if low > 0:
        return f"loses {_points(row.drop_pp)} points ({_points(low)} to {_points(high)})"
    if high < 0:
        return f"gains {_points(-row.drop_pp)} points ({_points(-high)} to {_points(-low)})"
    return f"no measurable loss (at most {_points(high)} points)"


def _times(value: float) -> str:
    """Two digits or more; near 1 three, since what is not 1 must not read as 1."""
    if value < 0.1:
        return f"{value:.2g}"
    if value != 1 and f"{value:.2f}" == "1.00":
        return f"{value:.3f}"
    if 0.9 < value < 1.1:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def _points(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 0.1 else f"{value:.1f}"


def _us(value: float) -> str:
    return f"{value:.3g} us" if value < 100 else f"{value:,.0f} us"


def _p50(row: Row) -> float:
    assert row.latency_us is not None
    return row.latency_us.p50


def ratio_of(row: Row, other: Row) -> Ratio | None:
    """The whole call of `row` over that of `other`, of one machine; None where none can be told."""
    if row.latency_us is None or other.latency_us is None:
        return None
    try:
        return interleaved_ratio(row.latency_us.block_p50, other.latency_us.block_p50)
    except ValueError:  # one of them was not there in every round
        return None


def recommended(rows: Sequence[Row]) -> tuple[Recommended, ...]:
    """The smallest, the fastest and the most accurate artifact of this machine's rows.

    A row that failed, or that differs from its file's golden vectors, is none. Empty without rows.
    """
    able = [
        row
        for row in rows
        if row.machine is None and row.status == OK and row.format != "keras"
        if row.selftest != DIFFERS and row.latency_us is not None
    ]
    timed = sorted(able, key=_p50)
    found = []
    if timed:
        found = [_smallest([r for r in timed if r.bytes]), _fastest(timed)]
        found.append(_most_accurate([r for r in timed if r.accuracy is not None]))
    return tuple(one for one in found if one)


def _smallest(timed: Sequence[Row]) -> Recommended | None:
    if not timed:
        return None
    row = min(timed, key=lambda r: r.bytes or 0)
    assert row.bytes is not None
    others = sorted({(r.bytes or 0, r.artifact) for r in timed if r.artifact != row.artifact})
    reason = f"{row.bytes / 1000:,.1f} kB"
    equal = [name for size, name in others if size == row.bytes]
    if equal:
        reason += f"; as small: {_named(equal)}"
    elif others:
        reason += f"; the next is {others[0][1]} with {others[0][0] / 1000:,.1f} kB"
    if sum(r.artifact == row.artifact for r in timed) > 1:
        reason += f"; of its engines {row.engine} has the lowest p50"
    return Recommended(kind="smallest", row=row.name, reason=reason)


def _fastest(timed: Sequence[Row]) -> Recommended:
    row, others = timed[0], timed[1:]
    ratios = [(other, ratio_of(row, other)) for other in others]
    ties = [o.name for o, ratio in ratios if ratio is None or ratio.verdict != FASTER]
    reason = f"p50 of {_us(_p50(row))}"
    if ties:
        reason += f"; cannot be told from {_named(ties)}"
    elif others:
        ratio = ratios[0][1]
        assert ratio is not None
        low, high = _times(1 / ratio.high), _times(1 / ratio.low)
        reason += f"; the next, {others[0].name}, takes {low} to {high} times as long"
    return Recommended(kind="fastest", row=row.name, reason=reason)


def _most_accurate(timed: Sequence[Row]) -> Recommended | None:
    if not timed:
        return None
    row = max(timed, key=lambda r: r.accuracy or 0)
    assert row.accuracy is not None and row.n is not None
    ties = [o for o in timed if o.artifact != row.artifact and cannot_be_told(row, o)]
    reason = f"{100 * row.accuracy:.2f} % of {row.n:,} images"
    if ties:
        files = dict.fromkeys(o.artifact for o in ties)
        reason += f"; cannot be told from {_named(list(files))}"
    if sum(o.accuracy == row.accuracy and o.artifact == row.artifact for o in timed) > 1:
        reason += f"; of the engines on which it is so, {row.engine} has the lowest p50"
    return Recommended(kind="most accurate", row=row.name, reason=reason)


def _named(names: Sequence[str]) -> str:
    """The names in words, the first few of many."""
    if len(names) <= _MOST_NAMED + 1:
        return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"{', '.join(names[:_MOST_NAMED])} and {len(names) - _MOST_NAMED} more"
