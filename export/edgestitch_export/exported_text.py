"""What `edgestitch export` says in a terminal of what it wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgestitch_runtime.distance import Distance

from .pairs import PLAIN_C, TFLM
from .verdict_text import verdict_lines

if TYPE_CHECKING:
    from .c_command import MadeFromTflite
    from .exporting import Exported
    from .slowdown import Slowdown


def written_line(made: Exported | MadeFromTflite) -> str:
    """What was written, for a terminal."""
    line = f"{made.path}  {made.bytes:,} bytes"
    if made.format == TFLM:
        line = f"{made.path} and .h  {made.bytes:,} bytes of model"
    elif made.format == PLAIN_C:
        line = f"{made.path} and .h"
    if made.arena_bytes is not None:
        line += f", an arena of {made.arena_bytes:,}" + (" bytes" if made.format == PLAIN_C else "")
    return f"{line}, {made.status}"


def exported_text(exported: Exported) -> str:
    """An export in lines: what was written, the verdict, the distance from `reference`."""
    return (
        written_line(exported)
        + "".join(f"\n  {line}" for line in verdict_lines(exported))
        + _beside_reference(exported)
    )


def _beside_reference(exported: Exported) -> str:
    if exported.engine == "reference":
        return ""
    if isinstance(exported.distance, Distance):
        return f"\n  distance from reference: {exported.distance.line()}"
    if (exported.format, exported.precision) == ("tflite", "int8"):
        return f"\n  reference cannot run it: {exported.distance.reason}"
    return ""


def slowdown_text(name: str, found: Slowdown) -> str:
    """The warning of an artifact that is slower than float32."""
    return (
        f"warning: {name} takes {found.ratio:.1f} times as long as float32 here: "
        f"{found.artifact_us:.0f} us against {found.float32_us:.0f} us for one image, medians of "
        "the bare call; it is smaller, not faster: for speed take --int8 or --float32"
    )
