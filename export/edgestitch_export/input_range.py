"""The range of numbers that a model takes pixels in, where its scaling is not a layer of it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from edgestitch_runtime.errors import EdgestitchError

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_SPAN = re.compile(rf"({_NUMBER})\.\.({_NUMBER})")
_MOMENTS = re.compile(rf"mean=({_NUMBER}),std=({_NUMBER})")
HINT = "as 0..1, -1..1 or 0..255, or as mean=0.286,std=0.353 of pixels in 0..1"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRange:
    """What is given to the model for a pixel of 0..255: pixel * scale + offset."""

    text: str  # as it was asked for
    scale: float
    offset: float

    @property
    def raw(self) -> bool:
        """Whether the model takes the pixels as they are."""
        return (self.scale, self.offset) == (1.0, 0.0)


def parse_range(text: str) -> InputRange:
    """The range that `text` names: LOW..HIGH, or mean=M,std=S of pixels brought to 0..1.

    Raises EdgestitchError for anything else.
    """
    plain = text.replace(" ", "")
    if found := _SPAN.fullmatch(plain):
        low, high = (float(n) for n in found.groups())
        if not high > low or not math.isfinite(high - low):
            raise EdgestitchError(f"{text!r} is no range: {high:g} is not above {low:g}", hint=HINT)
        return InputRange(text=plain, scale=(high - low) / 255, offset=low)
    if found := _MOMENTS.fullmatch(plain):
        mean, deviation = (float(n) for n in found.groups())
        if not (0 <= mean <= 1 and 0 < deviation <= 1):
            raise EdgestitchError(
                f"mean {mean:g} and deviation {deviation:g} are not of pixels in 0..1",
                hint="divide those of pixels in 0..255 by 255",
            )
        return InputRange(text=plain, scale=1 / (255 * deviation), offset=-mean / deviation)
    raise EdgestitchError(f"{text!r} is no input range", hint=HINT)


RAW = parse_range("0..255")
USUAL = (RAW, parse_range("0..1"), parse_range("-1..1"))
