"""Which precisions each format is made at. Apart from the converters: nothing heavy is imported."""

from __future__ import annotations

from edgestitch_runtime.errors import EdgestitchError

PRECISIONS_OF: dict[str, tuple[str, ...]] = {
    "tflite": ("float32", "float16", "dynamic", "int8"),
    "onnx": ("float32", "dynamic", "int8"),
}
# What is made of the int8 TFLite model. Not of --all: it is that model once more.
TFLM = "tflm"  # C source for TensorFlow Lite Micro
PLAIN_C = "c"
NATIVE = "native"  # the same C, compiled
MADE_OF_TFLITE = (TFLM, PLAIN_C, NATIVE)


def precisions_of(format_: str) -> tuple[str, ...]:
    """What `format_` is made at. Raises EdgestitchError when there is no such format."""
    known = PRECISIONS_OF | dict.fromkeys(MADE_OF_TFLITE, ("int8",))
    if format_ not in known:
        raise EdgestitchError(
            f"there is no format {format_!r}", hint=f"the formats are {', '.join(known)}"
        )
    return known[format_]


def check_pair(format_: str, precision: str | None) -> None:
    """Raises EdgestitchError for an unknown format, or a precision it is not made at."""
    made = precisions_of(format_)
    if precision is not None and precision not in made:
        raise EdgestitchError(
            f"{format_} at {precision} is not made",
            hint=f"{format_} is made at {', '.join(made)}",
        )


def hint_for(precision: str) -> str:
    """What to try when a converter refuses a model at `precision`."""
    if precision == "float32":
        return "a layer of this model has no counterpart in this format; the reason may name it"
    return "see whether --float32 works: if it does, a layer does not quantize"
