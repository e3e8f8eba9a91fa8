"""What `--model` names: a network of edgestitch's own, or one built by the user's code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras

from edgestitch_runtime.errors import EdgestitchError

from .models import ARCHITECTURES, Shape
from .own_code import load_builder, split_reference
from .recipes import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network to train. `name` stands in titles and is the run's unless told otherwise.

    `reference` is what `--model` was; `source_sha256` is of the user's file, None for our own.
    """

    name: str
    reference: str
    source_sha256: str | None
    build: Callable[[Shape, Recipe], keras.Model]


def network_of(model: str) -> Network:
    """The network called `model`, or built by the function of `my_network.py:build`.

    Raises EdgestitchError when it is neither, or the file does not run.
    """
    known = ARCHITECTURES.get(model)
    if known is not None:
        return Network(name=model, reference=model, source_sha256=None, build=known.build)
    reference = split_reference(model)
    if reference is None:
        raise EdgestitchError(
            f"there is no model {model!r}",
            hint=f"there are {', '.join(ARCHITECTURES)}; your own is my_network.py:build",
        )
    file, function = reference
    build, digest = load_builder(file, function)
    return Network(
        name=file.stem,
        reference=f"{file}:{function}",
        source_sha256=digest,
        build=lambda shape, recipe: build(shape),
    )
