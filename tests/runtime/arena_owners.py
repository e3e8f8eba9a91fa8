"""A memory plan of generated C, tried: the steps run over an arena that knows whose each byte is.

Found like tflite_builder.
"""

from __future__ import annotations

import itertools

import numpy as np

from edgestitch_export.c_plan import Plan
from edgestitch_export.c_program import Program
from edgestitch_export.c_step import PIXELS

NOBODY, SCRATCH = -2, -3


def check_plan(program: Program, plan: Plan) -> None:
    """Fails where a step would read what another has written over, or leave the arena."""
    _check_blocks(plan)
    owner = np.full(plan.arena_bytes, NOBODY)
    in_scores = NOBODY  # whose codes lie in the caller's scores
    last_read = {k: n for n, step in enumerate(program.steps) for k in step.inputs}
    last_read[program.output] = len(program.steps)
    sizes = {step.output: step.output_bytes for step in program.steps}
    for n, step in enumerate(program.steps):
        for k in step.inputs:
            if k == PIXELS:
                continue
            if k in plan.scores:
                assert in_scores == k
            else:
                assert (owner[_room(plan, k, sizes[k])] == k).all(), (n, k)
        taken = np.zeros(plan.arena_bytes, bool)
        scratch = slice(0, 0)
        if step.output in plan.scores:
            assert step.output_bytes <= program.classes
            assert in_scores == NOBODY or in_scores in step.over or last_read[in_scores] < n
            in_scores = step.output
        else:
            taken[_room(plan, step.output, step.output_bytes)] = True
        if step.scratch_bytes:
            at = plan.scratch_of(n)
            assert at % 4 == 0
            scratch = slice(at, at + step.scratch_bytes)
            assert scratch.stop <= plan.arena_bytes
            assert not taken[scratch].any()
            taken[scratch] = True
        for k in {int(k) for k in owner[taken]} - {NOBODY, SCRATCH}:
            # What is written over is not read any more, or in place by this step.
            dead = last_read.get(k, -1) < n
            in_place = (
                last_read.get(k) == n
                and k in step.over
                and plan.offset_of(k) == plan.offset_of(step.output)
                and step.output_bytes <= sizes[k]
                and not (owner[scratch] == k).any()
            )
            assert dead or in_place, (n, step.name, k)
        owner[taken] = SCRATCH
        if step.output not in plan.scores:
            owner[_room(plan, step.output, step.output_bytes)] = step.output
    assert in_scores == program.output


def _room(plan: Plan, tensor: int, size: int) -> slice:
    at = plan.offset_of(tensor)
    assert at % 4 == 0
    assert at + size <= plan.arena_bytes
    return slice(at, at + size)


def _check_blocks(plan: Plan) -> None:
    """No two that live at the same step share a byte; the arena ends where the last one does."""
    for one, other in itertools.combinations(plan.blocks, 2):
        together = one.first <= other.last and other.first <= one.last
        apart = one.offset + one.bytes <= other.offset or other.offset + other.bytes <= one.offset
        assert apart or not together, (one, other)
    assert plan.arena_bytes == max((b.offset + b.bytes for b in plan.blocks), default=0)
    assert all(b.bytes > 0 and b.first <= b.last and b.offset >= 0 for b in plan.blocks)
