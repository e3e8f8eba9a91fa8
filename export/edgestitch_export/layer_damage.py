"""How much each operator of a model suffers from eight bits: what is regained if it stays float."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .attempt import Attempt, keeping
from .float_operator import FloatOperator, titles


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """An operator, and the share of answers that change no more where it stays float."""

    name: str
    title: str
    regained: float  # below 0 where more answers change


def rank(
    attempt: Attempt, operators: list[FloatOperator], changed: Callable[[Attempt], float]
) -> list[Damage]:
    """Each of `operators` of the attempt's model, the most harmful first.

    `changed` is the share of held-out images that an attempt answers otherwise than the float model
    does.
    """
    called = titles(attempt.model, operators)
    whole = changed(keeping(attempt, {}))
    found = []
    for operator in operators:
        now = changed(keeping(attempt, {operator.name: called[operator.name]}))
        found.append(Damage(name=operator.name, title=called[operator.name], regained=whole - now))
    return sorted(found, key=lambda damage: -damage.regained)
