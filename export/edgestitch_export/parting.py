"""The first layer at which two models part: its error, and that of what it is computed from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgestitch_runtime.errors import EdgestitchError

from .diff_models import Opened
from .layer_matching import Pair, match_layers, since_matched
from .layer_outputs import LayerOutput, check_finite

LAYER_IMAGES = 32
MOST_VALUES = 1 << 25  # of all layers of a model: 128 MiB
# Signal to quantization noise, in dB, that is normal between float models, and beside a float16
# or an integer one: rounding to 8 bits in every layer leaves 20 to 30 dB.
TOLERANCE_DB = {"float32": 60.0, "float16": 40.0}
QUANTIZED_DB = 20.0
JUMP = 2.0  # times the error of what a layer is computed from: it adds more than it was given
_NAMES = ("keras", "tflite", "onnx")  # whose layers' names say most


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A layer of A and its partner in B, for the same images.

    `a` and `b` are the names of layers that are computed there in one step, with those that have no
    partner, in order. `error` is the root mean square of B - A over that of A, `before` the largest
    error of the matched layers that this one is computed from. `layer` names it: the first one
    with weights.
    """

    layer: str
    a: tuple[str, ...]
    b: tuple[str, ...]
    values: int  # of one image
    correlation: float
    error: float
    before: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Parting:
    """Where two models part, on `images` images.

    `reason` says why layers cannot be matched; `rows` is then empty. `first` is the place in `rows`
    of the first layer whose error is above that of `tolerance_db` and more than JUMP times `before`
    ("jump"), or else of the first above it ("gradual"), or None.
    """

    images: int
    tolerance_db: float
    rows: tuple[Row, ...]
    first: int | None
    kind: str  # "jump", "gradual" or "none"
    related: bool  # else only sizes and order pair the layers: no two of them correlate
    reason: str | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON. `sqnr_db` is None where a layer gives the same in both."""
        rows = [asdict(row) | {"sqnr_db": decibels(row.error)} for row in self.rows]
        return asdict(self) | {"rows": rows}


def decibels(error: float) -> float | None:
    """A relative error as signal to quantization noise in dB; None for no error at all."""
    return -20 * math.log10(error) if error > 0 else None


def part(a: Opened, b: Opened, images_u8: np.ndarray) -> Parting:
    """Compares what the layers of both give for images spread over (n, height, width) uint8."""
    decibel = min(TOLERANCE_DB.get(m.precision, QUANTIZED_DB) for m in (a, b))
    tolerance = 10 ** (-decibel / 20)
    chosen = images_u8[spread(len(images_u8), LAYER_IMAGES)]
    try:
        most = max(sum(o.values.shape[1] for o in _layers(m, chosen[:1])) for m in (a, b))
        images = chosen[: max(2, MOST_VALUES // max(1, most))]
        sides = (_layers(a, images), _layers(b, images))
    except EdgestitchError as error:  # the answers can be compared all the same
        return Parting(
            images=len(chosen),
            tolerance_db=decibel,
            rows=(),
            first=None,
            kind="none",
            related=False,
            reason=error.message,
        )
    pixels = images.reshape(len(images), -1).astype(np.float32)
    found = match_layers(*sides, pixels, named=a.format == b.format != "onnx", tolerance=tolerance)
    rows = _rows(found.pairs, sides, best=0 if _rank(a) <= _rank(b) else 1)
    over = [k for k, row in enumerate(rows) if row.error > tolerance]
    jumps = [k for k in over if rows[k].error > JUMP * rows[k].before]
    return Parting(
        images=len(images),
        tolerance_db=decibel,
        rows=rows,
        first=(jumps or over or [None])[0],
        kind="jump" if jumps else "gradual" if over else "none",
        related=found.related,
        reason=found.reason,
    )


def spread(n: int, most: int) -> np.ndarray:
    """At most `most` positions among `n`, evenly spread: data sets are often ordered by class."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(int))


def _layers(model: Opened, images_u8: np.ndarray) -> tuple[LayerOutput, ...]:
    try:
        found = model.layers(images_u8)
    except EdgestitchError:
        raise
    except Exception as error:  # each engine raises what it likes
        reason = " ".join(str(error).split())[:240]
        raise EdgestitchError(
            f"those of {model.path} cannot be looked at: {reason}",
            hint="the answers can be compared all the same",
        ) from None
    check_finite(found, str(model.path))
    return found


def _rank(model: Opened) -> int:
    return _NAMES.index(model.format)


def _rows(
    pairs: Sequence[Pair], sides: Sequence[tuple[LayerOutput, ...]], *, best: int
) -> tuple[Row, ...]:
    matched = ({p.a: p for p in pairs}, {p.b: p for p in pairs})
    rows = []
    for pair in pairs:
        steps = []
        before = 0.0
        for side, position in enumerate((pair.a, pair.b)):
            alone, known = since_matched(sides[side], position, matched[side].keys())
            steps.append([sides[side][k] for k in alone])
            before = max([before, *(matched[side][k].error for k in known)])
        rows.append(
            Row(
                layer=next((o.name for o in steps[best] if o.weighted), steps[best][-1].name),
                a=tuple(o.name for o in steps[0]),
                b=tuple(o.name for o in steps[1]),
                values=sides[0][pair.a].values.shape[1],
                correlation=pair.correlation,
                error=pair.error,
                before=before,
            )
        )
    return tuple(rows)
