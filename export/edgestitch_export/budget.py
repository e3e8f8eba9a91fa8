"""What an int8 artifact may lose, and what may be done for it. Nothing heavy is imported."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgestitch_runtime.errors import EdgestitchError


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What export's ladder has to stay within.

    `max_drop_pp` is of the accuracy, in percentage points, `max_changed_percent` of the answers
    that differ from the float model's. The bounds of both are one-sided at `confidence`; None asks
    nothing, and where both are None the first rung is taken whatever it loses. `mixed` allows
    operators to stay float, `qat` begins with fine-tuning. Raises EdgestitchError for what is no
    budget.
    """

    max_drop_pp: float | None = None
    max_changed_percent: float | None = None
    confidence: float = 0.95
    mixed: bool = False
    qat: bool = False

    def __post_init__(self) -> None:
        _check(self.max_drop_pp, "a drop of at most {:g} points", "--max-drop")
        _check(self.max_changed_percent, "at most {:g} % of changed answers", "--max-changed")
        if not 0.5 <= self.confidence < 1:
            raise EdgestitchError(
                f"a confidence of {self.confidence:g} was asked for",
                hint="--confidence takes 0.5 or more, below 1, such as 0.95",
            )
        if not self.asked and (self.mixed or self.confidence != 0.95):
            raise EdgestitchError(
                "--mixed and --confidence are of a budget, and none was given",
                hint="--max-drop 0.3 gives one, in points, or --max-changed 1, in percent",
            )

    @property
    def asked(self) -> bool:
        """Whether anything is to be stayed within."""
        return self.max_drop_pp is not None or self.max_changed_percent is not None

    def beyond(self, *, drop_upper_pp: float, changed_upper_percent: float) -> float:
        """By how much the bounds exceed what is allowed, the larger of the two; 0 or below: within.

        Below every other number where nothing is asked.
        """
        both = (
            (self.max_drop_pp, drop_upper_pp),
            (self.max_changed_percent, changed_upper_percent),
        )
        return max((upper - most for most, upper in both if most is not None), default=-math.inf)

    def allowance(self) -> str:
        """In words, such as "0.3 points and 1 % of answers changed"."""
        points = None if self.max_drop_pp is None else f"{self.max_drop_pp:g} points"
        changed = self.max_changed_percent
        answers = None if changed is None else f"{changed:g} % of answers changed"
        return " and ".join(part for part in (points, answers) if part)


def budget_of(
    *,
    max_drop: float | None,
    max_changed: float | None,
    confidence: float,
    mixed: bool,
    qat: bool,
) -> Budget | None:
    """None where nothing was asked: int8 is then made by min-max calibration."""
    budget = Budget(
        max_drop_pp=max_drop,
        max_changed_percent=max_changed,
        confidence=confidence,
        mixed=mixed,
        qat=qat,
    )
    return budget if budget.asked or qat else None


def _check(most: float | None, asked: str, flag: str) -> None:
    if most is not None and not 0 <= most <= 100:  # also for nan
        raise EdgestitchError(
            f"{asked.format(most)} was asked for", hint=f"{flag} takes 0 to 100, such as 0.5"
        )
