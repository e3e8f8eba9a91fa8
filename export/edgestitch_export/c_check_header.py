"""What the header of generated C says: the names and the sizes that a check needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgestitch_runtime.errors import EdgestitchError, os_error

_NEEDED = ("HEIGHT", "WIDTH", "CLASSES", "ARENA_BYTES", "WEIGHT_BYTES")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelHeader:
    """`prefix` begins the model's functions, `macro` its macros; sizes are pixels and bytes."""

    prefix: str
    macro: str
    height: int
    width: int
    classes: int
    arena_bytes: int
    weight_bytes: int

    @property
    def classify(self) -> str:
        return f"{self.prefix}_classify"

    @property
    def selftest(self) -> str:
        return f"{self.prefix}_selftest"

    @property
    def with_golden(self) -> str:
        """The macro that compiles the golden vectors in."""
        return f"{self.macro}_WITH_GOLDEN"


def read_header(header: Path) -> ModelHeader:
    """Reads NAME-int8.h. Raises EdgestitchError when it is not one that edgestitch wrote."""
    try:
        text = header.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise os_error(f"read {header}", error) from None
    found = re.search(r"\bint\s+(\w+)_classify\s*\(", text)
    prefix = found.group(1) if found else ""
    macro = prefix.upper()
    defined = dict(re.findall(rf"^#define\s+{macro}_(\w+)\s+(\d+)\b", text, re.MULTILINE))
    lacking = [f"{macro}_{name}" for name in _NEEDED if name not in defined]
    if not found or lacking:
        raise EdgestitchError(
            f"{header} is no header of a generated model: it has no "
            f"{lacking[0] if found else 'NAME_classify'}",
            hint="make it with edgestitch export --format c --int8",
        )
    return ModelHeader(
        prefix=prefix,
        macro=macro,
        height=int(defined["HEIGHT"]),
        width=int(defined["WIDTH"]),
        classes=int(defined["CLASSES"]),
        arena_bytes=int(defined["ARENA_BYTES"]),
        weight_bytes=int(defined["WEIGHT_BYTES"]),
    )
