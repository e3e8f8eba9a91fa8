"""Single steps of generated C, compiled and run, beside the kernels of the `reference` engine.

Found like tflite_builder. Many steps are one program: it reads all inputs and writes all answers.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgestitch_export.c_kernel_text import kernel_text
from edgestitch_export.c_pointwise import POINTWISE
from edgestitch_export.c_step import Constant, Places, Step
from edgestitch_runtime.graph import Node
from edgestitch_runtime.operator_rules import RULES
from edgestitch_runtime.reference_kernels import KERNELS
from edgestitch_runtime.tflite_file import Operator, TfliteModel, read_tflite

WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wcast-qual", "-Werror")
_READING = """
static int8_t *taken(int32_t count, int32_t bytes) {
  int8_t *memory = (int8_t *)malloc((size_t)bytes);
  if (memory == NULL || fread(memory, 1, (size_t)count, stdin) != (size_t)count) exit(3);
  return memory;
}
"""
_PRINTING = """
int main(void) {
  (void)softmax;
  for (int32_t k = 0; k < COUNT; k++) {
    printf("%ld\\n", (long)exponential(k % 256, &all[k / 256]));
  }
  return 0;
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A node and what it is given: (n, ...) int8 for each input that is no constant."""

    node: Node
    inputs: tuple[np.ndarray, ...]


def case_of(content: bytes, *inputs: np.ndarray) -> Case:
    """The one operator of a file. Raises Unsupported when its rule refuses it."""
    model = read_tflite(content)
    (operator,) = model.operators
    node = _node(model, operator)
    assert RULES[node.operator].infer(node) == node.output.shape
    return Case(node=node, inputs=inputs)


def check_steps(cases: Sequence[Case], compiler: Sequence[str], folder: Path) -> None:
    """Fails unless each step's C, built by `compiler` (with flags), gives what `reference` does.

    Each runs with its output in a place of its own, and in place of each input that may be.
    """
    steps = [POINTWISE[case.node.operator](case.node, f"c{k}") for k, case in enumerate(cases)]
    runs = [(k, place) for k, step in enumerate(steps) for place in (None, *step.over)]
    source, program = folder / "steps.c", folder / "steps"
    source.write_text(_source(cases, steps, runs), "ascii")
    subprocess.run([*compiler, *WARNINGS, "-o", program, source], check=True)
    given = b"".join(_fed(cases[k], steps[k]) for k, _ in runs)
    done = subprocess.run([program], input=given, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[:4000]
    answers, at = np.frombuffer(done.stdout, np.int8), 0
    for k, place in runs:
        case = cases[k]
        expected = KERNELS[case.node.operator](case.node)(*case.inputs)
        found = answers[at : at + expected.size].reshape(expected.shape)
        at += expected.size
        where = f"{steps[k].title}{'' if place is None else ', in place'}: {case.node}"
        np.testing.assert_array_equal(found, expected, where)
    assert at == len(answers)


def exponentials(steps: Sequence[Step], folder: Path) -> np.ndarray:
    """What the kernel of each softmax takes for exp of 0 to -255 steps, (len(steps), 256) int64."""
    structs = ", ".join(
        f"{{{', '.join(map(str, s.values))}}}" for step in steps for s in step.structs
    )
    source, program = folder / "exponentials.c", folder / "exponentials"
    source.write_text(
        "#include <stdint.h>\n#include <stdio.h>\n#include <string.h>\n"
        + kernel_text(["softmax"], frozenset())
        + f"static const softmax_t all[{len(steps)}] = {{{structs}}};\n"
        + _PRINTING.replace("COUNT", str(256 * len(steps)))
    )
    subprocess.run(["gcc", "-std=c99", "-O1", *WARNINGS, "-o", program, source], check=True)
    done = subprocess.run([program], capture_output=True, check=True)
    return np.array(done.stdout.split(), np.int64).reshape(-1, 256)


def _node(model: TfliteModel, operator: Operator) -> Node:
    return Node(
        index=operator.index,
        operator=operator.name,
        inputs=tuple(model.tensors[k] for k in operator.inputs),
        output=model.tensors[operator.outputs[0]],
        options=operator.options,
        macs=0,
    )


def _fed(case: Case, step: Step) -> bytes:
    """What a program reads for a case: image by image, each input once."""
    once = {index: k for k, index in reversed([*enumerate(step.inputs)])}
    arrays = [case.inputs[once[index]] for index in dict.fromkeys(step.inputs)]
    return b"".join(a[n].tobytes() for n in range(len(arrays[0])) for a in arrays)


def _source(
    cases: Sequence[Case], steps: Sequence[Step], runs: Sequence[tuple[int, int | None]]
) -> str:
    kernels = kernel_text([name for step in steps for name in step.kernels], frozenset())
    calls = "".join(f"  for (int32_t k = 0; k < {len(cases[k].inputs[0])}; k++) run_{n}();\n"
                    for n, (k, _) in enumerate(runs))  # fmt: skip
    return "\n".join(
        [
            "#include <stdint.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n",
            kernels,
            *(_constants(step) for step in steps),
            _READING,
            *(_run(n, steps[k], cases[k], place) for n, (k, place) in enumerate(runs)),
            f"int main(void) {{\n{calls}  return 0;\n}}\n",
        ]
    )


def _constants(step: Step) -> str:
    return "".join(
        [_array(step, constant) for constant in step.constants]
        + [
            f"static const {struct.type} {step.name}_{struct.suffix} = "
            f"{{{', '.join(map(str, struct.values))}}};\n"
            for struct in step.structs
        ]
    )


def _array(step: Step, constant: Constant) -> str:
    values = constant.values.ravel()
    words = ", ".join(map(str, values.tolist()))
    return (
        f"static const {values.dtype.name}_t {step.name}_{constant.suffix}[{values.size}] = "
        f"{{{words}}};\n"
    )


def _run(n: int, step: Step, case: Case, place: int | None) -> str:
    """A function that runs a step on one image. Every buffer has exactly the bytes it needs."""
    names = {index: f"in_{index}" for index in dict.fromkeys(step.inputs)}
    sizes = {i: a[0].size for i, a in zip(step.inputs, case.inputs, strict=True)}
    lines = [
        f"int8_t *const {name} = taken({sizes[index]}, "
        f"{max(sizes[index], step.output_bytes) if index == place else sizes[index]});"
        for index, name in names.items()
    ]
    if place is None:
        lines.append(f"int8_t *const out = (int8_t *)malloc({step.output_bytes});")
        lines.append(f"memset(out, 0x55, {step.output_bytes});")
    target = "out" if place is None else names[place]
    if step.scratch_bytes:
        lines.append(f"int8_t *const scratch = (int8_t *)malloc({step.scratch_bytes});")
        lines.append(f"memset(scratch, 0x55, {step.scratch_bytes});")
    places = Places(
        of=lambda index: target if index == step.output else names[index],
        pixels=lambda index: False,
        scratch="scratch" if step.scratch_bytes else "",
        constant=lambda suffix: f"{step.name}_{suffix}",
    )
    text = step.call(places)
    assert all(f"{kernel}(" in text for kernel in step.kernels), (
        step
    )  # else some function is unused
    lines += text.splitlines()
    lines.append(f"fwrite({target}, 1, {step.output_bytes}, stdout);")
    freed = [*names.values(), *["out"] * (place is None), *["scratch"] * bool(step.scratch_bytes)]
    lines += [f"free({name});" for name in freed]
    body = "\n".join(f"  {line}" for line in lines)
    return f"static void run_{n}(void) {{\n{body}\n}}\n"
