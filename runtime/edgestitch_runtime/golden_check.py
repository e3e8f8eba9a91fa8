"""Whether an engine answers an artifact's golden vectors: identical, within, or differs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .card import Artifact
from .errors import EdgestitchError
from .golden import Golden, unpack_golden
from .raw_pixels import input_conversion

if TYPE_CHECKING:
    from .engines import Session

IDENTICAL, WITHIN, DIFFERS = "identical", "within", "differs"
REFERENCE = "reference"  # as in `engines`


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenCheck:
    """What one engine answered. `verdict` is identical, within or differs: the gate's alone.

    `largest` is the largest difference of a score of the gate, None where one is no number, or all
    are of another shape or dtype; `tolerance` is what is allowed: steps of an integer output, else
    the output's own value. `close_equal` of `close_calls` images got the same scores, `close_flips`
    another top-1 class.
    """

    verdict: str
    largest: float | None
    tolerance: float
    unit: str  # "steps", or "of a score" for a float output
    gate: int
    gate_equal: int
    gate_flips: int
    close_calls: int
    close_equal: int
    close_flips: int

    def line(self) -> str:
        """'within 2 steps (7 of 32 gate images differ); close calls: 9 of 16 equal, 1 flip'."""
        if self.verdict == IDENTICAL:
            told = f"identical on {self.gate} gate image{'' if self.gate == 1 else 's'}"
        elif self.largest is None:
            told = "differs: scores that are no numbers, or of another shape or dtype"
        else:
            word = "within" if self.verdict == WITHIN else "differs: by"
            told = f"{word} {self.largest:.3g} {self.unit}, {self.tolerance:.3g} allowed"
            told += f" ({self.gate - self.gate_equal} of {self.gate} gate images not equal"
            told += f", {self.gate_flips} flipped)" if self.gate_flips else ")"
        flips = f"{self.close_flips} flip{'' if self.close_flips == 1 else 's'}"
        return f"{told}; close calls: {self.close_equal} of {self.close_calls} equal, {flips}"


def check_golden(
    artifact: Artifact, session: Session, *, engine: str, engine_version: str
) -> GoldenCheck | None:
    """Runs the golden vectors of `artifact` on a session of `engine`; None when it has none.

    An engine whose own answers were recorded by this very version of it is held to those. Raises
    EdgestitchError when they are damaged, of another size than the model's, or when the engine
    cannot run them.
    """
    if artifact.card is None or not artifact.golden:
        return None
    golden = unpack_golden(artifact.golden, str(artifact.path))
    size = golden.images_u8.shape[1:]
    if size != session.input_shape:
        raise EdgestitchError(
            f"{artifact.path} takes images of {session.input_shape}, its golden vectors are {size}",
            hint="export it again",
        )
    to_input = input_conversion(artifact.path, session)
    try:
        scores = session.run(to_input(golden.images_u8))
    except Exception as error:  # each engine raises what it likes
        raise EdgestitchError(
            f"{engine} cannot run the golden vectors of {artifact.path}: {str(error)[:300]}",
            hint="another engine may run them",
        ) from None
    told = artifact.card["golden"]
    tolerance = float(told["tolerance"])
    own = told["recorded"]
    if engine == REFERENCE == told["engine"].partition(" ")[0]:
        tolerance = 0.0  # it is integer arithmetic: on any machine it answers the same
    elif golden.recorded is not None and own and own["engine"] == f"{engine} {engine_version}":
        golden = replace(golden, scores=golden.recorded)
        tolerance = float(own["tolerance"])
    return compare_golden(golden, scores, tolerance=tolerance)


def compare_golden(golden: Golden, scores: np.ndarray, *, tolerance: float) -> GoldenCheck:
    """`scores`, (n, classes), beside those of `golden`; at tolerance 0 close calls count too."""
    whole = golden.scores.dtype.kind in "iu"
    alike = scores.shape == golden.scores.shape and scores.dtype == golden.scores.dtype
    if not alike:
        apart = np.full(golden.scores.shape, np.inf)
        flipped = np.ones(len(golden.scores), bool)
    else:
        with np.errstate(invalid="ignore"):  # infinity less infinity
            apart = np.abs(scores.astype(np.float64) - golden.scores)
        apart[np.isnan(apart)] = np.inf
        flipped = scores.argmax(axis=1) != golden.scores.argmax(axis=1)
    furthest = apart.max(axis=1)
    counted = np.ones_like(golden.gate) if tolerance == 0 else golden.gate
    largest = float(furthest[counted].max())
    # Of an image whose margin is more than twice the tolerance, no flip is within it. Where a class
    # has no such image, that a sound engine flips the clearest one is no fault.
    verdict = IDENTICAL if largest == 0 else WITHIN if largest <= tolerance else DIFFERS
    gate, close = golden.gate, ~golden.gate
    return GoldenCheck(
        verdict=verdict,
        largest=largest if math.isfinite(largest) else None,
        tolerance=tolerance,
        unit="steps" if whole else "of a score",
        gate=int(gate.sum()),
        gate_equal=int((furthest[gate] == 0).sum()),
        gate_flips=int(flipped[gate].sum()),
        close_calls=int(close.sum()),
        close_equal=int((furthest[close] == 0).sum()),
        close_flips=int(flipped[close].sum()),
    )
