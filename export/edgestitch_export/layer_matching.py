"""Which layer of one model computes what a layer of the other does, and how far apart they are.

Layers are compared by what they give for the same images, not by their names: a converter folds
normalizations away, fuses activations and renames the rest, and ONNX has the channels before the
pixels. Two outputs can be partners when they have equally many values; of all ways to pair them in
order, the one with the largest sum of correlations is taken (the alignment of Needleman and Wunsch,
J. Mol. Biol. 48:443, 1970, no penalty for gaps): first of those that agree, then of the rest.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .layer_outputs import LayerOutput

RELATED = 0.9  # correlation that shows two networks to be one
_COMPARED = 4  # images that partners are looked for with
_SIZE = 0.05  # what equal sizes alone are worth beside a correlation of 0..1
_RECOVERED = 2.0  # times smaller, the error of what is computed next from a pair that is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Positions of two partners; `error` is the root mean square of B - A over that of A."""

    a: int
    b: int
    correlation: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """The pairs in the order of A, or none and in `reason` why layers cannot be matched."""

    pairs: tuple[Pair, ...]
    reason: str | None
    related: bool  # whether a layer inside correlates: else only sizes and order speak for it


def match_layers(
    a: Sequence[LayerOutput],
    b: Sequence[LayerOutput],
    pixels: np.ndarray,
    *,
    named: bool,
    tolerance: float,
) -> Matching:
    """Pairs the outputs of two models for the same images, `pixels` (n, elements) float32.

    `named` says that of layers that give the image itself those of one name are one, as in two
    files of one converter. Errors up to `tolerance` are no difference.
    """
    passing = [{k for k, o in enumerate(side) if _passes(o, pixels)} for side in (a, b)]
    few = [replace(o, values=o.values[:_COMPARED]) for o in b]
    samples: dict[tuple[int, tuple[int, ...]], list[_Sample]] = {}
    found: dict[tuple[int, int], Pair] = {}
    for i, output in enumerate(a):
        reference = _sample(output.values[:_COMPARED])
        for j, other in enumerate(few):
            if output.values.shape[1] != other.values.shape[1]:
                continue
            if (i in passing[0]) != (j in passing[1]):
                continue
            key = j, output.shape
            if key not in samples:
                samples[key] = [_sample(v) for v in _layouts(other, output.shape)]
            pair = _pair(i, j, reference, samples[key])
            same_name = named and output.name == other.name
            # Copies of the image differ by a factor at most: a name tells which scaling is which.
            if i not in passing[0] or same_name or pair.error < 0.1:
                found[i, j] = pair
    chosen = _chosen(a, b, found, tolerance)
    pairs = [
        _pair(i, j, _sample(a[i].values), [_sample(v) for v in _layouts(b[j], a[i].shape)])
        for i, j in sorted(chosen)
    ]
    inner = [
        [k for k in range(len(s) - 1) if k not in p] for s, p in zip((a, b), passing, strict=True)
    ]
    matched = [p for p in pairs if p.a in inner[0] and p.b in inner[1]]
    fewer = min(len(inner[0]), len(inner[1]))
    related = any(p.correlation >= RELATED for p in matched) or not fewer
    reason = None
    if 2 * len(matched) < fewer:
        reason = (
            f"layers between image and answer: {len(inner[0])} in A, {len(inner[1])} in B; "
            f"{len(matched)} pairs of one size in order"
        )
    kept = [] if reason else _without_leftovers(a, pairs, tolerance)
    return Matching(pairs=tuple(kept), reason=reason, related=related)


def _passes(output: LayerOutput, pixels: np.ndarray) -> bool:
    """Whether it gives the image itself, scaled or in another shape."""
    if output.values.shape != pixels.shape:
        return False
    return _pair(0, 0, _sample(output.values), [_sample(pixels)]).correlation > 1 - 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """Values of some images as a vector, float64, with what comparisons take of it."""

    vector: np.ndarray
    mean: float
    power: float  # the mean of the squares


def _sample(values: np.ndarray) -> _Sample:
    vector = values.astype(np.float64).ravel()
    return _Sample(vector=vector, mean=float(vector.mean()), power=float(np.mean(vector**2)))


def _pair(i: int, j: int, reference: _Sample, layouts: Sequence[_Sample]) -> Pair:
    """The comparison in the layout of B that correlates best, the first among equals."""
    pairs = []
    for other in layouts:
        product = float(np.mean(reference.vector * other.vector))
        spread = [max(0.0, s.power - s.mean**2) for s in (reference, other)]
        norm = math.sqrt(spread[0] * spread[1])
        # 0 where one side is constant and they are not equal.
        equal = float(np.array_equal(reference.vector, other.vector))
        correlation = (product - reference.mean * other.mean) / norm if norm > 0 else equal
        error = relative_error(reference.vector, other.vector)
        pairs.append(Pair(a=i, b=j, correlation=min(1.0, correlation), error=error))
    return max(pairs, key=lambda pair: pair.correlation)


def _layouts(output: LayerOutput, shape: tuple[int, ...]) -> list[np.ndarray]:
    """The values in each order of axes that gives `shape`; as they are where none does."""
    orders = [(0, 1, 2), (1, 2, 0), (2, 0, 1)] if len(output.shape) == 3 else []
    wanted = [n for n in shape if n != 1]
    found = [
        output.values.reshape(-1, *output.shape).transpose(0, *(k + 1 for k in order))
        for order in orders
        if [output.shape[k] for k in order if output.shape[k] != 1] == wanted
    ]
    return found or [output.values]


def relative_error(reference: np.ndarray, other: np.ndarray) -> float:
    """Root mean square of the difference over that of `reference`, or of `other` where that is 0.

    Both are vectors of float64.
    """
    power = float(np.sum(reference**2)) or float(np.sum(other**2))
    return math.sqrt(float(np.sum((other - reference) ** 2)) / power) if power else 0.0


def _chosen(
    a: Sequence[LayerOutput],
    b: Sequence[LayerOutput],
    found: dict[tuple[int, int], Pair],
    tolerance: float,
) -> set[tuple[int, int]]:
    """The pairs that agree, then of what is left over what may have parted.

    Each in order; together they may cross, since branches are computed in any.
    """
    sure = {key: pair for key, pair in found.items() if pair.error <= tolerance}
    chosen = _aligned(len(a), len(b), sure)
    taken = [{key[side] for key in chosen} for side in (0, 1)]
    left = {(i, j): p for (i, j), p in found.items() if i not in taken[0] and j not in taken[1]}
    return chosen | _aligned(len(a), len(b), left)


def _aligned(rows: int, columns: int, found: dict[tuple[int, int], Pair]) -> set[tuple[int, int]]:
    """The pairs in order, on both sides, whose correlations have the largest sum."""
    best = np.zeros((rows + 1, columns + 1))
    for i, j in itertools.product(range(rows), range(columns)):
        taken = 0.0
        if (i, j) in found:
            taken = best[i, j] + _SIZE + max(0.0, found[i, j].correlation)
        best[i + 1, j + 1] = max(best[i, j + 1], best[i + 1, j], taken)
    chosen = set()
    i, j = rows, columns
    while i and j:
        if best[i, j] == best[i - 1, j]:
            i -= 1
        elif best[i, j] == best[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            chosen.add((i, j))
    return chosen


def _without_leftovers(
    a: Sequence[LayerOutput], pairs: Sequence[Pair], tolerance: float
) -> list[Pair]:
    """Drops pairs that only size and order made, where all that is computed next agrees again.

    A layer before a normalization that the other file has folded away has no partner there; what
    is left over on both sides would be paired, and pass for a difference.
    """
    pair_of = {pair.a: pair for pair in pairs}
    next_to: dict[int, list[Pair]] = {pair.a: [] for pair in pairs}
    for pair in pairs:
        for k in since_matched(a, pair.a, pair_of.keys())[1]:
            next_to[k].append(pair)
    return [
        pair
        for pair in pairs
        if pair.error <= tolerance
        or not next_to[pair.a]
        or any(q.error * _RECOVERED > pair.error for q in next_to[pair.a])
    ]


def since_matched(
    outputs: Sequence[LayerOutput], position: int, matched: Collection[int]
) -> tuple[list[int], set[int]]:
    """The layers from the last matched ones to this one, in order, and those matched ones."""
    alone, known, waiting = {position}, set(), list(outputs[position].inputs)
    while waiting:
        k = waiting.pop()
        if k in matched:
            known.add(k)
        elif k not in alone:
            alone.add(k)
            waiting.extend(outputs[k].inputs)
    return sorted(alone), known
