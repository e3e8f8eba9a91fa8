"""The memory plan of generated C: of generated networks, and of chains made by hand."""

from __future__ import annotations

import itertools

import pytest

from arena_owners import check_plan
from edgestitch_export.c_plan import Block, Plan, plan_of
from edgestitch_export.c_program import Program, program_of
from edgestitch_export.c_step import PIXELS, Step
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.graph import integer_graph
from edgestitch_runtime.tflite_file import read_tflite
from random_networks import network, seeded


@pytest.mark.parametrize("count", [50, pytest.param(200, marks=[pytest.mark.slow])])
def test_generated_networks_find_their_inputs_too(count: int) -> None:
    done = shared = in_place = 0
    for k in itertools.count():
        if done == count:
            break
        made = network(seeded(17, k))
        try:
            graph = integer_graph(read_tflite(made.content), "random.tflite")
            if (graph.input.dtype, graph.output.dtype) != ("int8", "int8"):
                continue
            program = program_of(graph)
        except EdgestitchError:
            continue
        plan = plan_of(program)
        check_plan(program, plan)
        done += 1
        whole = sum(step.output_bytes + step.scratch_bytes for step in program.steps)
        shared += plan.arena_bytes < 0.7 * whole
        in_place += any(len(block.tensors) > 1 for block in plan.blocks)
    assert shared > 0.4 * count  # else the plan would be no plan
    assert in_place > 0.2 * count


def step(
    name: str,
    inputs: tuple[int, ...],
    output: int,
    size: int,
    *,
    over: tuple[int, ...] = (),
    scratch: int = 0,
) -> Step:
    return Step(
        name=name,
        title=name,
        inputs=inputs,
        output=output,
        output_bytes=size,
        call=lambda at: "",
        kernels=(),
        over=over,
        scratch_bytes=scratch,
    )


def planned(*steps: Step, classes: int = 4) -> Plan:
    program = Program(steps=steps, same={}, output=steps[-1].output, classes=classes)
    plan = plan_of(program)
    check_plan(program, plan)
    return plan


def test_a_chain_needs_its_two_largest_neighbours() -> None:
    plan = planned(
        step("a", (PIXELS,), 1, 100),
        step("b", (1,), 2, 60),
        step("c", (2,), 3, 90),
        step("d", (3,), 4, 4),
    )
    assert plan.arena_bytes == 160
    assert plan.scores == (4,)


def test_in_place_a_chain_needs_its_largest() -> None:
    plan = planned(
        step("a", (PIXELS,), 1, 100),
        step("b", (1,), 2, 100, over=(1,)),
        step("c", (2,), 3, 57, over=(2,)),
        step("d", (3,), 4, 4),
    )
    assert plan.arena_bytes == 100
    assert [block.tensors for block in plan.blocks] == [(1, 2, 3)]
    assert plan.blocks[0] == Block(offset=0, bytes=100, first=0, last=3, tensors=(1, 2, 3))


def test_what_is_needed_later_is_not_written_over() -> None:
    plan = planned(
        step("a", (PIXELS,), 1, 40),
        step("b", (1,), 2, 40, over=(1,)),
        step("c", (2, 1), 3, 40, over=(2, 1)),
        step("d", (3,), 4, 4, over=(3,)),
    )
    assert plan.arena_bytes == 80


def test_what_would_grow_is_not_in_place() -> None:
    plan = planned(
        step("a", (PIXELS,), 1, 10),
        step("b", (1,), 2, 13, over=(1,)),
        step("c", (2,), 3, 4),
    )
    assert plan.arena_bytes == 12 + 16


def test_scratch_lives_during_its_step_alone() -> None:
    plan = planned(
        step("a", (PIXELS,), 1, 40, scratch=50),
        step("b", (1,), 2, 8, scratch=30),
        step("c", (2,), 3, 4, scratch=44),
    )
    assert plan.arena_bytes == 40 + 52
    scratches = [block for block in plan.blocks if not block.tensors]
    assert sorted((b.first, b.last, b.bytes) for b in scratches) == [
        (0, 0, 52),
        (1, 1, 32),
        (2, 2, 44),
    ]


def test_one_layer_needs_no_arena() -> None:
    plan = planned(step("a", (PIXELS,), 1, 4), step("b", (1,), 2, 4, over=(1,)))
    assert (plan.arena_bytes, plan.blocks, plan.scores) == (0, (), (1, 2))


def test_scores_of_the_caller_take_nothing_larger() -> None:
    plan = planned(step("a", (PIXELS,), 1, 5), step("b", (1,), 2, 4, over=(1,)))
    assert plan.scores == (2,)
    assert plan.arena_bytes == 8


def test_scores_of_the_caller_take_only_what_fits() -> None:
    plan = planned(
        step("a", (PIXELS,), 1, 9),
        step("b", (1,), 2, 4, over=(1,)),
        step("c", (2,), 3, 4, over=(2,)),
    )
    assert plan.scores == (2, 3)
    assert plan.arena_bytes == 12
