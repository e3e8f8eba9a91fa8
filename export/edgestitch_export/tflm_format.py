"""An int8 model as C source for TensorFlow Lite Micro: an aligned array and what a build needs.

The names of the array and its size are those of TensorFlow Lite Micro's own generate_cc_arrays.py,
the Add... methods those of its micro_mutable_op_resolver.h.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edgestitch_runtime.errors import EdgestitchError

from .c_text import literal_text

OPERATORS = (
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEQUANTIZE",
    "FULLY_CONNECTED", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "MAX_POOL_2D", "MEAN", "MUL", "PAD",
    "QUANTIZE", "REDUCE_MAX", "RELU", "RELU6", "RESHAPE", "SOFTMAX", "SQUEEZE", "SUB", "TANH",
)  # fmt: skip
_A_LINE = 16  # bytes of the array
# Of the wheels of tflite-micro that of 20 May 2024 answers the mlp by up to 84 steps wrongly, those
# of 18 June to 17 September refuse it, that of 25 October is right.
_DENSE = """
 * Dense layers have a scale for each output: that needs a TensorFlow Lite Micro of
 * 25 October 2024 or later. Those from before June 2024 answer wrongly, without a word."""
_HEADER = """\
/* {stem} for TensorFlow Lite Micro, by edgestitch {version}.
 *
 * {name}_model_data is the model of {stem}.tflite, byte for byte, without its card:
 * SHA-256 {digest}
 * {accuracy}
 *
 * In: {pixels} int8, each a pixel of 0 to 255 less 128; the ground is {background} of 255.
 * Out: {classes} int8 scores s; {scale!r} * (s - ({zero_point})) are the {kind}.
 *
 * The arena, to be aligned to 16, is computed: it suffices for TensorFlow Lite Micro's own kernels
 * on 64 bits, and 32 bits take less. Kernels for one processor, as CMSIS-NN's, may want scratch
 * memory besides: interpreter.arena_used_bytes() says what was used.{dense}
 */
#ifndef {guard}
#define {guard}

#ifdef __cplusplus
extern "C" {{
#endif

extern const unsigned char {name}_model_data[];
extern const unsigned int {name}_model_data_size;
extern const char *const {name}_labels[];

enum {{
  {name}_arena_bytes = {arena},
  {name}_classes = {classes},
  {name}_operators = {count} /* for tflite::MicroMutableOpResolver */
}};

#ifdef __cplusplus
}}

/* True when `resolver` has room for all of them. */
template <typename Resolver>
bool {name}_add_operators(Resolver &resolver) {{
  return {added};
}}
#endif

#endif
"""
_SOURCE = """\
#include "{stem}-tflm.h"

#ifdef __cplusplus
alignas(16)
#else
_Alignas(16)
#endif
const unsigned char {name}_model_data[] = {{
{array}
}};
const unsigned int {name}_model_data_size = {size};
const char *const {name}_labels[] = {{
{labels}
}};
"""


def check(facts: dict[str, Any]) -> None:
    """Raises EdgestitchError unless TensorFlow Lite Micro is known to have all operators."""
    for operator in facts["operators"]:
        if operator not in OPERATORS:
            raise EdgestitchError(
                f"{operator} is not among the operators made for TensorFlow Lite Micro",
                hint=f"they are {', '.join(OPERATORS)}; --format tflite knows more",
                exit_code=1,
            )


def sources(stem: Path, model: bytes, card: dict[str, Any], *, arena: int) -> dict[Path, bytes]:
    """`stem`-tflm.c and .h, C11 or C++11 both, with `model`, which `card` describes.

    `arena` is in bytes. ASCII; the same arguments give the same bytes.
    """
    name = identifier(stem.name)
    used = sorted(set(card["operators"]))
    right, out = card["accuracy"]["artifact"], card["output"]
    header = _HEADER.format(
        stem=stem.name,
        name=name,
        guard=f"{name.upper()}_TFLM_H",
        version=card["versions"]["edgestitch-export"],
        digest=card["hashes"]["weights"],
        accuracy=f"{100 * right['correct'] / right['n']:.2f} % right "
        f"({right['correct']:,} of {right['n']:,}, {right['engine']}).",
        pixels="x".join(str(size) for size in card["input"]["shape"][1:]),
        background=card["preprocessing"]["background"],
        classes=len(card["labels"]),
        scale=out["scale"],
        zero_point=out["zero_point"],
        kind=out["kind"],
        arena=arena,
        dense=_DENSE if "FULLY_CONNECTED" in used else "",
        count=len(used),
        added=" &&\n         ".join(f"resolver.{_method(one)}() == 0" for one in used),
    )
    lines = (model[k : k + _A_LINE] for k in range(0, len(model), _A_LINE))
    source = _SOURCE.format(
        stem=stem.name,
        name=name,
        array="\n".join("  " + "".join(f"0x{byte:02x}," for byte in line) for line in lines),
        size=len(model),
        labels="\n".join(f"  {literal_text(label)}," for label in card["labels"]),
    )
    return {
        stem.with_name(f"{stem.name}-tflm.c"): source.encode("ascii"),
        stem.with_name(f"{stem.name}-tflm.h"): header.encode("ascii"),
    }


def identifier(stem: str) -> str:
    """g_ and the letters and digits of a file's name: no keyword of C or C++, and not reserved."""
    return "g_" + re.sub("[^A-Za-z0-9]+", "_", stem).strip("_")


def _method(operator: str) -> str:
    """The resolver's method: AddConv2D for CONV_2D."""
    return "Add" + "".join(word.capitalize() for word in operator.split("_")).replace("2d", "2D")
