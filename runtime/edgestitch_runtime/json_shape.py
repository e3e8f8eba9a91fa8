"""Whether a JSON value has the shape that its reader relies on, and where it has not."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

# A shape is a dict (these keys at least), a list of one shape (each item), a tuple (any one of its
# shapes), or a function that says whether the value will do.
Shape = dict[str, Any] | list[Any] | tuple[Any, ...] | Callable[[Any], bool]


def misfit(value: Any, shape: Shape, where: str = "") -> str | None:
    """Where `value` first departs from `shape`, as "data.files[0].sha256", or None when it fits."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return where or "the whole"
        for key, part in shape.items():
            name = f"{where}.{key}" if where else key
            if key not in value:
                return name
            found = misfit(value[key], part, name)
            if found:
                return found
        return None
    if isinstance(shape, list):
        if not isinstance(value, list):
            return where
        for position, item in enumerate(value):
            found = misfit(item, shape[0], f"{where}[{position}]")
            if found:
                return found
        return None
    if isinstance(shape, tuple):
        return None if any(misfit(value, one, where) is None for one in shape) else where
    return None if shape(value) else where


def count(value: Any) -> bool:
    """A whole number, 0 or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def number(value: Any) -> bool:
    """A finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def word(value: Any) -> bool:
    """Text that is not empty."""
    return isinstance(value, str) and value != ""


def sha256(value: Any) -> bool:
    """64 hexadecimal digits."""
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def null(value: Any) -> bool:
    """JSON's null."""
    return value is None


def labels(value: Any) -> bool:
    """Two class names or more, each text that is not empty."""
    return isinstance(value, list) and len(value) >= 2 and all(word(v) for v in value)
