"""What each artifact answered, for the part of the page that is about one of them at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgestitch_runtime.agreement import ClassAgreement

from .answer import headlines
from .columns import percent
from .draw_lines import reliability_data
from .grid import MISSING
from .page_matrices import MOST_MATRIX_CLASSES, Matrix, matrices, mistakes
from .page_tables import Cell, Heading, PageTable
from .report import Bin, Details, Report, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """One class: its drop in points, and how long the bar of it is, -100..100 % of the longest."""

    name: str
    agreement: ClassAgreement
    float_percent: str
    percent: str
    drop: str
    bar: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipCard:
    """A flipped image in words."""

    image: int
    outcome: str  # lost, won or wrong both ways
    truth: str
    float_answer: str
    float_percent: str
    answer: str
    percent: str
    pictured: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One file's answers, on all engines that answered alike, beside the float model's."""

    key: str
    name: str
    chosen: bool
    matrices: tuple[Matrix, ...]
    mistakes: PageTable | None
    classes: tuple[ClassRow, ...]
    flips_told: str
    flips: tuple[FlipCard, ...]
    reliability: PageTable
    calibration_told: str
    curve: dict[str, list[float]]
    float_curve: dict[str, list[float]]
    bins: tuple[Bin, ...]
    float_bins: tuple[Bin, ...]


def choices_of(report: Report, names: Sequence[str], *, most: int | None) -> list[Choice]:
    """The choices of the page, one a file and set of answers; at most `most`, the chosen included.

    Where the float model alone has answers, it is the one choice.
    """
    called = {id(row): name for row, name in zip(report.rows, names, strict=True)}
    floats = _floats(report.rows)
    groups: dict[object, list[Row]] = {}
    for row in report.rows:
        if row.details and row.format != "keras":
            answers = tuple((flip.image, flip.answer) for flip in row.details.flips)
            key = (row.run, row.artifact, row.sha256, row.details.confusion, answers)
            groups.setdefault(key, []).append(row)
    rows = list(groups.values()) or [[row] for row in floats.values()]
    first = _chosen(report, rows)
    if most is not None and first not in rows[:most]:
        rows = [first, *rows[: max(0, most - 1)]] if rows else []
    return [
        _choice(f"choice-{k}", group, floats.get(group[0].run), report, called, group is first)
        for k, group in enumerate(rows[:most])
    ]


def _floats(rows: Sequence[Row]) -> dict[str | None, Row]:
    """The float model's row by run: the one that is compared with nothing."""
    found: dict[str | None, Row] = {}
    for row in rows:
        if row.format == "keras" and row.details and not row.details.classes:
            found.setdefault(row.run, row)
    return found


def _chosen(report: Report, groups: Sequence[Sequence[Row]]) -> Sequence[Row] | None:
    for headline in headlines(report.rows):
        for group in groups:
            if any(row is headline.row for row in group):
                return group
    return groups[0] if groups else None


def _choice(
    key: str,
    group: Sequence[Row],
    of_float: Row | None,
    report: Report,
    called: dict[int, str],
    chosen: bool,
) -> Choice:
    row = group[0]
    details = row.details
    assert details is not None
    engines = ", ".join(other.engine for other in group[1:])
    name = called[id(row)] + (f", {engines}" if engines else "")
    beside = of_float.details if of_float is not None and of_float is not row else None
    float_bins = beside.reliability if beside else ()
    few = len(report.labels) <= MOST_MATRIX_CLASSES
    return Choice(
        key=key,
        name=name,
        chosen=chosen,
        matrices=matrices(details, beside, name) if few else (),
        mistakes=None if few else mistakes(key, details, beside, report.labels),
        classes=_class_rows(details, report.labels),
        flips_told=_flips_told(row),
        flips=_flip_cards(details, report),
        reliability=_reliability_table(key, details, beside),
        calibration_told=_calibration_told(details, beside),
        curve=reliability_data(details.reliability),
        float_curve=reliability_data(float_bins),
        bins=details.reliability,
        float_bins=float_bins,
    )


def _class_rows(details: Details, labels: Sequence[str]) -> tuple[ClassRow, ...]:
    drops = [
        100 * (one.float_correct - one.artifact_correct) / one.n if one.n else 0.0
        for one in details.classes
    ]
    most = max(map(abs, drops), default=0) or 1
    return tuple(
        ClassRow(
            name=name,
            agreement=one,
            float_percent=percent(one.float_correct / one.n) if one.n else MISSING,
            percent=percent(one.artifact_correct / one.n) if one.n else MISSING,
            drop=f"{value:.2f}" if one.n else MISSING,
            bar=round(100 * value / most),
        )
        for name, one, value in zip(labels, details.classes, drops, strict=False)
    )


def _flips_told(row: Row) -> str:
    details = row.details
    assert details is not None
    if row.changed is None or row.n is None:
        return "There is no float model to compare these answers with."
    lost, won = row.flips_lost or 0, row.flips_won or 0
    told = (
        f"Of {row.n:,} images, {row.changed:,} have another top-1 answer than the float model's: "
        f"{lost:,} lost (float was right), {won:,} won (the artifact is), "
        f"{row.changed - lost - won:,} wrong both ways."
    )
    if 0 < len(details.flips) < row.changed:
        told += (
            f" The first {len(details.flips)} are shown: lost ones first, and within each those of "
            "which the float model was surest."
        )
    return told


def _flip_cards(details: Details, report: Report) -> tuple[FlipCard, ...]:
    def outcome(truth: int, of_float: int, answer: int) -> str:
        if of_float == truth:
            return "lost"
        return "won" if answer == truth else "wrong both ways"

    labels = report.labels
    return tuple(
        FlipCard(
            image=flip.image,
            outcome=outcome(flip.truth, flip.float_answer, flip.answer),
            truth=labels[flip.truth],
            float_answer=labels[flip.float_answer],
            float_percent=f"{100 * flip.float_probability:.1f}",
            answer=labels[flip.answer],
            percent=f"{100 * flip.probability:.1f}",
            pictured=flip.image in report.pictures,
        )
        for flip in details.flips
    )


def _calibration_told(details: Details, beside: Details | None) -> str:
    told = f"Expected calibration error {percent(details.calibration_error)} points"
    return told + (f", float {percent(beside.calibration_error)}." if beside else ".")


def _reliability_table(key: str, details: Details, beside: Details | None) -> PageTable:
    of_float = beside.reliability if beside else (None,) * len(details.reliability)

    def cells(one: Bin | None) -> tuple[Cell, ...]:
        if one is None:
            return (Cell(text=MISSING),) * 3
        return (_whole(one.n), *(_share(v) for v in (one.confidence, one.accuracy)))

    words = ("images", "mean confidence %", "right %")
    return PageTable(
        key=f"reliability-{key}",
        caption="The numbers of the reliability curves",
        headings=(
            Heading(text="confidence %", number=False),
            *(Heading(text=f"float: {word}", number=True) for word in words),
            *(Heading(text=f"artifact: {word}", number=True) for word in words),
        ),
        rows=tuple(
            (
                Cell(text=f"{100 * own.low:.0f} to {100 * own.high:.0f}"),
                *cells(other),
                *cells(own),
            )
            for own, other in zip(details.reliability, of_float, strict=False)
            if own.n or (other and other.n)
        ),
    )


def _whole(count: int) -> Cell:
    return Cell(text=f"{count:,}", value=count)


def _share(value: float | None) -> Cell:
    return Cell(text=MISSING if value is None else percent(value), value=value)
