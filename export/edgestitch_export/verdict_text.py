"""What `edgestitch export` prints of an artifact: the verdict first, then what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgestitch_runtime.agreement import ClassAgreement

    from .exporting import Exported
    from .verdict import Change

MOST_CLASSES = 20  # printed, all of them; of more the worst
WORST_CLASSES = 10
_NAME_WIDTH = 24


def verdict_lines(exported: Exported) -> list[str]:
    """Lines of at most 100 columns, not indented."""
    found, evidence = exported.agreement, exported.evidence
    labels, engines = exported.card["labels"], exported.card["accuracy"]
    low, high = found.drop_interval_pp
    return [
        exported.verdict.text,
        f"{100 * found.accuracy:.2f} % right ({found.artifact_correct:,} of {found.n:,}, "
        f"{engines['artifact']['engine']}); float {100 * found.float_accuracy:.2f} % "
        f"({found.float_correct:,}, {engines['float']['engine']})",
        f"{found.changed:,} answers changed ({100 * found.changed / found.n:.2f} %): "
        f"{found.lost:,} lost, {found.won:,} won, exact McNemar p = {found.mcnemar_p:.3g}",
        f"drop {found.drop_pp:+.2f} points, 95 % interval {low:+.2f} to {high:+.2f}, "
        f"one-sided upper bound {found.drop_upper_pp:+.2f}",
        f"expected calibration error {evidence.artifact_calibration_error_pp:.2f} points, "
        f"float {evidence.float_calibration_error_pp:.2f}",
        _change_line(evidence.largest_change, labels),
        *class_lines(evidence.classes, labels),
    ]


def class_lines(classes: tuple[ClassAgreement, ...], labels: list[str]) -> list[str]:
    """The table of the classes; none when no answer was lost or won."""
    if not any(c.lost or c.won for c in classes):
        return []
    shown = list(range(len(classes)))
    if len(classes) > MOST_CLASSES:
        shown.sort(key=lambda k: (classes[k].won - classes[k].lost, -classes[k].lost))
        shown = shown[:WORST_CLASSES]
    names = [_cut(labels[k]) for k in shown]
    width = max(len(name) for name in ("class", *names))
    lines = [f"{'class':{width}}  {'images':>7}  {'float %':>7}  artifact %  lost   won"]
    for name, k in zip(names, shown, strict=True):
        one = classes[k]
        lines.append(
            f"{name:{width}}  {one.n:7,}  {_share(one.float_correct, one.n):>7}  "
            f"{_share(one.artifact_correct, one.n):>10}  {one.lost:4,}  {one.won:4,}"
        )
    if len(shown) < len(classes):
        lines.append(f"the {len(shown)} worst of {len(classes)} classes; --json has them all")
    return lines


def _change_line(change: Change, labels: list[str]) -> str:
    before, after = 100 * change.float_probability, 100 * change.artifact_probability
    if f"{before:.1f}" == f"{after:.1f}":
        return f"largest change of confidence: {abs(after - before):.1g} points"
    return (
        f"largest change of confidence: {_cut(labels[change.class_index])} in test image "
        f"{change.image}, {before:.1f} % to {after:.1f} %"
    )


def _share(correct: int, n: int) -> str:
    return f"{100 * correct / n:.2f}" if n else "-"


def _cut(label: str) -> str:
    return label if len(label) <= _NAME_WIDTH else f"{label[: _NAME_WIDTH - 3]}..."
