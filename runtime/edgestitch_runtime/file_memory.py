"""The memory that a model file takes: its bytes by part, and the most activations at once."""

from __future__ import annotations

from dataclasses import dataclass

from .file_graph import FileGraph, activations_of


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesByPart:
    """Where a file's bytes are. `structure` is all that is neither a constant nor the card."""

    weights: int
    biases: int
    other_constants: int
    structure: int
    card: int

    @property
    def file(self) -> int:
        return self.weights + self.biases + self.other_constants + self.structure + self.card


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePeak:
    """The most bytes of activations at once, and the operator that runs then (None: there is none).

    In the file's order, an operator's inputs and outputs at once, nothing in place of another. What
    an engine needs besides, as scratch memory or alignment, is not in it.
    """

    bytes: int
    operator: int | None


def bytes_by_part(graph: FileGraph, *, model_bytes: int, card_bytes: int) -> BytesByPart:
    """Where the bytes of a file are; content that several constants share counts once."""
    held: dict[int, tuple[str, int]] = {}
    for index, tensor in enumerate(graph.tensors):
        if tensor.constant:
            role = graph.roles.get(index, "other")
            known, _ = held.get(tensor.place, ("other", 0))
            held[tensor.place] = (role if known == "other" else known, tensor.bytes)
    sums: dict[str, int] = {"weights": 0, "bias": 0, "other": 0}
    for role, size in held.values():
        sums[role] += size
    return BytesByPart(
        weights=sums["weights"],
        biases=sums["bias"],
        other_constants=sums["other"],
        structure=model_bytes - sum(sums.values()),
        card=card_bytes,
    )


def live_peak_of(graph: FileGraph) -> LivePeak:
    """The most bytes of activations at once: a tensor lives until the last operator that uses it.

    Inputs live from the start, outputs to the end.
    """
    activations = activations_of(graph)
    last = dict.fromkeys(graph.outputs, len(graph.operators))
    for place in range(len(graph.operators) - 1, -1, -1):
        operator = graph.operators[place]
        for k in (*operator.inputs, *operator.outputs):
            last.setdefault(k, place)
    live = set(graph.inputs)
    held = sum(graph.tensors[k].bytes for k in live)
    most, busiest = held, None
    for place, operator in enumerate(graph.operators):
        for k in operator.outputs:
            if k in activations and k not in live:
                live.add(k)
                held += graph.tensors[k].bytes
        if held > most:
            most, busiest = held, operator.index
        for k in {*operator.inputs, *operator.outputs} & live:
            if last[k] <= place:
                live.remove(k)
                held -= graph.tensors[k].bytes
    return LivePeak(bytes=most, operator=busiest)


def unpacked_bytes_of(graph: FileGraph) -> int:
    """What the tensors take that operators compute from constants alone."""
    activations = activations_of(graph)
    made = {k for operator in graph.operators for k in operator.outputs} - activations
    return sum(graph.tensors[k].bytes for k in made)
