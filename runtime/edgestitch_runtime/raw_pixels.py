"""How uint8 pixels become a model's input: the identity in value, whatever the dtype."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import EdgestitchError

if TYPE_CHECKING:
    from .engines import Session


def input_conversion(path: Path, session: Session) -> Callable[[np.ndarray], np.ndarray]:
    """The function from (..., height, width) uint8 to the dtype that `session` takes.

    Raises EdgestitchError when the model does not take raw pixels; `path` is for the message.
    """
    dtype = session.input_dtype
    if dtype == np.float32:
        return lambda images: images.astype(np.float32)
    if dtype == np.uint8:
        return np.ascontiguousarray
    scale, zero_point = session.input_scale, session.input_zero_point
    if dtype == np.int8 and (scale, zero_point) == (1.0, -128):
        return lambda images: (images ^ 128).view(np.int8)  # pixel - 128
    raise EdgestitchError(
        f"{path} takes {dtype} with scale {scale} and zero point {zero_point}; raw pixels need "
        "float32, uint8, or int8 with scale 1 and zero point -128",
        hint="export it with `edgestitch export`, which fixes the input range to 0..255",
    )
