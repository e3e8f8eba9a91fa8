"""A budget for the loss: quantizations are tried from the simplest on, until one stays within it.

Each is judged on held-out images by the artifact itself, never on test. The bounds are one-sided:
of the drop Newcombe's, of the share of changed answers Wilson's (`edgestitch_runtime.agreement`).
They are those of one trial: the first of several that fits is likelier to fit by luck, which the
test images then tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from edgestitch_runtime.agreement import Agreement, compare, paired_interval, wilson
from edgestitch_runtime.errors import EdgestitchError

from . import calibration as calibrating
from .attempt import Attempt
from .budget import Budget
from .formats import Format
from .held_out import HeldOut, answers, hold_out
from .layer_damage import Damage, rank
from .rungs import Material, calibrated, partly_float, tuned
from .source import Source

NAMED = 3  # operators that a refusal names


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One quantization that was tried, and what it gave on the held-out images."""

    attempt: Attempt
    content: bytes
    engine: str
    agreement: Agreement
    upper_pp: float  # of the drop, at the budget's confidence
    changed_upper_percent: float  # of the answers that differ from the float model's, likewise
    beyond: float  # what the budget allows, by the larger excess of the two; 0 or below: within

    def line(self) -> str:
        found = self.agreement
        return (
            f"{self.attempt.title}: {100 * found.changed / found.n:.2f} % of answers changed "
            f"(at most {self.changed_upper_percent:.2f}), "
            f"drop {found.drop_pp:+.2f} points (at most {self.upper_pp:+.2f})"
        )

    def as_json(self) -> dict[str, Any]:
        found, calibration = self.agreement, self.attempt.calibration
        return {
            "rung": self.attempt.title,
            "method": calibration.method,
            "calibration_images": len(calibration.images_u8),
            "changed": found.changed,
            "lost": found.lost,
            "won": found.won,
            "drop_pp": round(found.drop_pp, 6),
            "upper_pp": round(self.upper_pp, 6),
            "changed_upper_percent": round(self.changed_upper_percent, 6),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """All rungs that were tried; the last one is taken."""

    budget: Budget
    held_out: HeldOut
    rungs: tuple[Rung, ...]

    @property
    def taken(self) -> Rung:
        return self.rungs[-1]

    def as_json(self) -> dict[str, Any]:
        """The card's `ladder`."""
        return {
            "max_drop_pp": self.budget.max_drop_pp,
            "max_changed_percent": self.budget.max_changed_percent,
            "confidence": self.budget.confidence,
            "n": len(self.held_out.labels),
            "validation": self.held_out.validation,
            "engine": self.taken.engine,
            "kept_float": list(self.taken.attempt.kept),
            "rungs": [rung.as_json() for rung in self.rungs],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """What every attempt is converted with and judged by."""

    record: Format
    format: str
    kind: str
    held: HeldOut
    budget: Budget

    def convert(self, attempt: Attempt) -> bytes:
        return self.record.convert(attempt.model, attempt.precision, attempt.calibration, self.kind)

    def judged(self, attempt: Attempt) -> Rung:
        content = self.convert(attempt)
        scores, engine = answers(content, self.format, self.held.images_u8)
        found = compare(self.held.labels, self.held.float_index, scores.argmax(axis=1))
        z = NormalDist().inv_cdf(self.budget.confidence)
        _, drop = paired_interval(
            both=found.float_correct - found.lost, lost=found.lost, won=found.won, n=found.n, z=z
        )
        _, changed = wilson(correct=found.changed, n=found.n, z=z)
        return Rung(
            attempt=attempt,
            content=content,
            engine=engine,
            agreement=found,
            upper_pp=100 * drop,
            changed_upper_percent=100 * changed,
            beyond=self.budget.beyond(
                drop_upper_pp=100 * drop, changed_upper_percent=100 * changed
            ),
        )

    def ranked(self, attempt: Attempt, *, say: Callable[[str], None]) -> list[Damage]:
        """The operators of `attempt`, the most harmful first."""
        found = rank(
            attempt,
            self.record.operators(attempt.model, attempt.calibration),
            lambda one: self.judged(one).agreement.changed / len(self.held.labels),
        )
        say("answers that change no more where one operator stays float:")
        for damage in found:
            say(f"  {100 * damage.regained:+.2f} % {damage.title}")
        return found


def climb(
    source: Source,
    budget: Budget,
    *,
    format_: str,
    record: Format,
    calibration_images: int | None,
    seed: int,
    say: Callable[[str], None],
) -> Climb:
    """Tries one rung after the other until its bounds are within the budget.

    `calibration_images` is as `export` has it, `say` hears of each rung. Raises EdgestitchError,
    with exit code 1 and the most harmful operators, when no rung is.
    """
    held = hold_out(source, seed=seed)
    bench = _Bench(record=record, format=format_, kind=source.kind, held=held, budget=budget)
    material = Material(
        model=source.rewritten,
        kind=source.kind,
        format=format_,
        images_u8=source.dataset.train.images_u8,
        fit_indices=held.fit_indices,
        calibration=calibrating.choose(
            source.dataset.train.images_u8, held.fit_indices, count=calibration_images, seed=seed
        ),
        seed=seed,
    )
    say(
        f"choosing by {len(held.labels):,} images: {held.validation:,} of validation, the others "
        "of train, which the float model has seen and no rung is fitted to"
    )
    rungs: list[Rung] = []

    def best() -> Attempt:
        return min(rungs, key=lambda rung: rung.beyond).attempt

    for attempt in _attempts(material, bench, budget, best, say):
        rung = bench.judged(attempt)
        rungs.append(rung)
        say(rung.line())
        if rung.beyond <= 0:
            return Climb(budget=budget, held_out=held, rungs=tuple(rungs))
    raise _refusal(budget, rungs, bench, say)


def _attempts(
    material: Material,
    bench: _Bench,
    budget: Budget,
    best: Callable[[], Attempt],
    say: Callable[[str], None],
) -> Iterator[Attempt]:
    if not budget.qat:
        yield from calibrated(material, best)
    yield from tuned(material)
    if budget.mixed:
        yield from partly_float(best(), bench.ranked(best(), say=say))


def _refusal(
    budget: Budget, rungs: list[Rung], bench: _Bench, say: Callable[[str], None]
) -> EdgestitchError:
    if not rungs:
        return EdgestitchError(
            "this model has no layer that fine-tuning knows", hint="leave out --qat"
        )
    whole = [rung for rung in rungs if not rung.attempt.kept]
    best = min(whole, key=lambda rung: rung.beyond)
    worst = bench.ranked(best.attempt, say=say)[:NAMED]
    told = ", ".join(f"{damage.title} ({100 * damage.regained:+.2f} %)" for damage in worst)
    closest = min(rungs, key=lambda rung: rung.beyond)
    return EdgestitchError(
        f"no rung stays within {budget.allowance()}; the closest was {closest.line()}",
        hint=f"nothing was written; allow more{'' if budget.mixed else ', or --mixed'}; what hurts "
        f"most, by the answers that its rounding changes: {told}",
        exit_code=1,
    )
