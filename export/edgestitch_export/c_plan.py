"""Where the tensors and the scratch memory of a C program lie: the plan of its one arena.

A tensor lives from the step that writes it to the last that reads it, scratch during its step. A
step that may write over an input does, where nothing needs that input later.
"""

from __future__ import annotations

from dataclasses import dataclass

from .c_program import Program
from .c_step import PIXELS

ALIGNMENT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Bytes of the arena from `offset`, taken from step `first` to step `last`, counted from 0.

    `tensors` are those that lie there one after another (in place), none for scratch.
    """

    offset: int
    bytes: int
    first: int
    last: int
    tensors: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The blocks by offset, the arena's size, and the tensors that lie in the caller's scores."""

    blocks: tuple[Block, ...]
    arena_bytes: int
    scores: tuple[int, ...]

    def offset_of(self, tensor: int) -> int:
        return next(block.offset for block in self.blocks if tensor in block.tensors)

    def scratch_of(self, step: int) -> int:
        """The offset of a step's scratch memory."""
        found = (b.offset for b in self.blocks if not b.tensors and b.first == step)
        return next(found)


def plan_of(program: Program) -> Plan:
    """The plan of `program`: the largest block first, each at the lowest place that is free."""
    blocks, scores = _blocks(program)
    placed: list[Block] = []
    for block in sorted(blocks, key=lambda b: (-b.bytes, b.first, b.tensors)):
        offset = 0
        for other in sorted(placed, key=lambda b: b.offset):
            apart = other.last < block.first or block.last < other.first
            if not apart and other.offset < offset + block.bytes:
                offset = max(offset, other.offset + other.bytes)
        placed.append(Block(offset=offset, bytes=block.bytes, first=block.first, last=block.last,
                            tensors=block.tensors))  # fmt: skip
    return Plan(
        blocks=tuple(sorted(placed, key=lambda b: (b.offset, b.first))),
        arena_bytes=max((b.offset + b.bytes for b in placed), default=0),
        scores=scores,
    )


def _blocks(program: Program) -> tuple[list[Block], tuple[int, ...]]:
    """The blocks, at offset 0 yet, and the tensors that need none: they lie in scores."""
    steps = program.steps
    last_read = {k: n for n, step in enumerate(steps) for k in step.inputs}
    sizes = {step.output: step.output_bytes for step in steps}
    # Tensors that share a place, in order: the first of each is the key.
    chains: dict[int, list[int]] = {}
    home: dict[int, int] = {}
    for n, step in enumerate(steps):
        under = [
            k
            for k in step.over
            if k != PIXELS and last_read[k] == n and sizes[step.output] <= sizes[k]
        ]
        home[step.output] = home[under[0]] if under else step.output
        chains.setdefault(home[step.output], []).append(step.output)
    blocks = []
    scores: tuple[int, ...] = ()
    first_of = {step.output: n for n, step in enumerate(steps)}
    for start, tensors in chains.items():
        if program.output in tensors:
            # The caller's scores take what fits there, from the end of the chain.
            at = len(tensors)
            while at > 0 and sizes[tensors[at - 1]] <= program.classes:
                at -= 1
            scores, tensors = tuple(tensors[at:]), tensors[:at]
            if not tensors:
                continue
        blocks.append(
            Block(
                offset=0,
                bytes=_aligned(max(sizes[k] for k in tensors)),
                first=first_of[start],
                last=max(last_read.get(k, first_of[k]) for k in tensors),
                tensors=tuple(tensors),
            )
        )
    for n, step in enumerate(steps):
        if step.scratch_bytes:
            blocks.append(
                Block(offset=0, bytes=_aligned(step.scratch_bytes), first=n, last=n, tensors=())
            )
    return blocks, scores


def _aligned(count: int) -> int:
    return -(-count // ALIGNMENT) * ALIGNMENT
