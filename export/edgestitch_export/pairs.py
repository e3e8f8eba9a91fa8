"""Which precisions each format is made at. Apart from the converters: nothing heavy is imported."""

from __future__ import annotations

from edgestitch_runtime.errors import EdgestitchError

PRECISIONS_OF: dict[str, tuple[str, ...]] = {
    "tflite": ("float32", "float16", "dynamic", "int8"),
    "onnx": ("float32", "dynamic", "int8"),
}


def check_pair(format_: str, precision: str | None) -> None:
    """Raises EdgestitchError for an unknown format, or a precision it is not made at."""
    if format_ not in PRECISIONS_OF:
        raise EdgestitchError(
            f"there is no format {format_!r}", hint=f"the formats are {', '.join(PRECISIONS_OF)}"
        )
    if precision is not None and precision not in PRECISIONS_OF[format_]:
        raise EdgestitchError(
            f"{format_} at {precision} is not made",
            hint=f"{format_} is made at {', '.join(PRECISIONS_OF[format_])}",
        )


def hint_for(precision: str) -> str:
    """What to try when a converter refuses a model at `precision`."""
    if precision == "float32":
        return "a layer of this model has no counterpart in this format; the reason may name it"
    return "see whether --float32 works: if it does, a layer does not quantize"
