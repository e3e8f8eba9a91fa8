"""An int8 model as plain C: one .c and one .h, equal to the `reference` engine to the bit."""

from __future__ import annotations

import copy
import hashlib
import re
from dataclasses import dataclass, replace
from typing import Any

from edgestitch_runtime.c_file import with_c_card, without_c_card
from edgestitch_runtime.card_schema import card_text
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.flatbuffer import Damaged
from edgestitch_runtime.golden import Golden
from edgestitch_runtime.graph import integer_graph
from edgestitch_runtime.tflite_file import read_tflite

from .c_plan import Plan, plan_of
from .c_program import Program, checked_size, program_of
from .c_writing import Extras, Names, Output, header_text, source_text

_WORDS = """auto break case char const continue default do double else enum extern float for goto if
inline int long register restrict return short signed sizeof static struct switch typedef union
unsigned void volatile while asm bool catch class delete explicit export false friend mutable
namespace new operator private protected public template this throw true try typename using virtual
"""
KEYWORDS = frozenset(_WORDS.split())  # of C99 and C++


@dataclass(frozen=True, slots=True, kw_only=True)
class CFiles:
    """`files` by name, .c first, the card in them, and what they are made of."""

    files: dict[str, bytes]
    card: dict[str, Any]
    program: Program
    plan: Plan


def names_of(name: str) -> Names:
    """The names in C of a model `name`. Raises EdgestitchError where no identifier comes of it."""
    prefix = re.sub("[^A-Za-z0-9]+", "_", name).strip("_")
    if not prefix or prefix[0].isdigit() or prefix.lower() in KEYWORDS:
        why = "a keyword of C or C++" if prefix.lower() in KEYWORDS else "no identifier of C"
        raise EdgestitchError(
            f"the name {name!r} is {why}", hint="--name gives another, as --name my_model"
        )
    return Names(stem=f"{name}-int8", prefix=prefix, macro=prefix.upper())


def check_model(name: str, model: bytes) -> None:
    """Raises EdgestitchError for a model that cannot be written as C."""
    _program(name, model)


def c_files(
    name: str, model: bytes, *, card: dict[str, Any], golden: Golden, host: bool = False
) -> CFiles:
    """NAME-int8.c and .h for `model`, an int8 .tflite without its card.

    `card` is that of the C (`card_in_c`); a copy of it gets the plan and the hash of the C.
    `golden` are the model's vectors with the scores of `reference`, of which the gate is written.
    `host`: with kernels for computers, which take more memory (gcc and clang alone compile them).
    ASCII; the same arguments give the same bytes.
    Raises EdgestitchError for a model that cannot be written.
    """
    names, program = _program(name, model, host=host)
    plan = plan_of(program)
    about = _about(card)
    extras = Extras(
        labels=tuple(card["labels"]),
        images_u8=golden.images_u8[golden.gate],
        scores=golden.scores[golden.gate],
    )
    out = card["output"]
    output = Output(
        kind=out["kind"],
        scale=f"{out['scale']:.9g}" if "." in f"{out['scale']:.9g}" else f"{out['scale']:.9e}",
        zero_point=out["zero_point"],
        ground=f"the ground being {card['preprocessing']['background']}",
        golden=len(extras.images_u8),
    )
    header = header_text(names, program, plan, about=about, output=output)
    source = source_text(names, program, plan, about=about, extras=extras).encode("ascii")
    card = copy.deepcopy(card) | {"memory": _memory(program, plan)}
    card["hashes"] |= {
        "tflite": card["hashes"]["weights"],
        "weights": hashlib.sha256(without_c_card(source)).hexdigest(),
    }
    return CFiles(
        card=card,
        files={
            f"{names.stem}.c": with_c_card(source, card_text(card)),
            f"{names.stem}.h": header.encode("ascii"),
        },
        program=program,
        plan=plan,
    )


def card_in_c(card: dict[str, Any]) -> dict[str, Any]:
    """The card of the C, of that of the same model as TFLite: pixels go in, `reference` answers."""
    told = copy.deepcopy(card)
    told["format"] = "c"
    told["input"] |= {"shape": [1, *card["input"]["shape"][1:3]], "dtype": "uint8", "zero_point": 0}
    told["output"] |= {"shape": [1, len(card["labels"])]}
    told["least_engines"] = {}
    told["golden"] |= {"close_calls": 0, "tolerance": 0.0, "recorded": None}
    told["golden"].pop("sha256", None)
    told.pop("reference", None)
    return told


def _memory(program: Program, plan: Plan) -> dict[str, Any]:
    """The plan as the card has it."""
    names = {step.output: step.name for step in program.steps}
    return {
        "arena_bytes": plan.arena_bytes,
        "weight_bytes": sum(step.weight_bytes for step in program.steps),
        "steps": [step.name for step in program.steps],
        "titles": [" ".join(step.title.split()) for step in program.steps],
        "blocks": [
            {
                "offset": block.offset,
                "bytes": block.bytes,
                "first": block.first,
                "last": block.last,
                "holds": [names[k] for k in block.tensors] or "scratch",
            }
            for block in plan.blocks
        ],
        "scores": [names[k] for k in plan.scores],
    }


def _program(name: str, model: bytes, *, host: bool = False) -> tuple[Names, Program]:
    names = names_of(name)
    try:
        graph = integer_graph(read_tflite(model), f"{names.stem}.tflite")
    except Damaged as error:
        raise EdgestitchError(f"{names.stem} is damaged: {error}", hint="export it again") from None
    height, width = checked_size(graph)
    return replace(names, height=height, width=width), program_of(graph, host=host)


def _about(card: dict[str, Any]) -> str:
    right = card["accuracy"]["artifact"]
    share = f"{100 * right['correct'] / right['n']:.2f} % right"
    images = f"{right['correct']:,} of {right['n']:,} test images of {card['data']['name']}"
    return (
        f"{card['name']} as plain C, by edgestitch {card['versions']['edgestitch-export']}. {share}"
        f" ({images}, on {right['engine']}). int8 weights, integers only, no heap, no floating "
        "point. The answers are those of TensorFlow Lite's reference kernels, to the bit.\n"
        f"SHA-256 of the model as TFLite: {card['hashes']['weights']}"
    )
