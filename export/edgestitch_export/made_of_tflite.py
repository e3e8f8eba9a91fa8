"""The formats that are made of the int8 TFLite model: tflm, c and native."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.golden import unpack_golden
from edgestitch_runtime.golden_check import REFERENCE
from edgestitch_runtime.tflite_graph import read_tflite_graph

from . import native_format, tflm_format
from .c_format import CFiles, c_files, card_in_c, check_model, names_of
from .native_compiler import find_compiler
from .native_targets import find_target
from .pairs import NATIVE, PLAIN_C, TFLM
from .tflm_arena import estimated_arena


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """`files` by path, the artifact first; `held` is what its bytes and its hash are said of."""

    files: dict[Path, bytes]
    held: bytes
    card: dict[str, Any]
    arena_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeOfTflite:
    """One such format. `engine` answers as it does; the checks raise EdgestitchError early.

    `write` takes the path without a suffix, the model, its card and golden vectors as TFLite has
    them, and the target.
    """

    engine: str
    check_asked: Callable[[str, str | None], None]
    check_model: Callable[[str, bytes, dict[str, Any]], None]
    write: Callable[[Path, bytes, dict[str, Any], bytes, str | None], Written]


def _no_target(name: str, target: str | None) -> None:
    if target is not None:
        raise EdgestitchError(
            f"the target {target!r} was given for source code", hint="--target is for native"
        )


def _c_asked(name: str, target: str | None) -> None:
    _no_target(name, target)
    names_of(name)


def _native_asked(name: str, target: str | None) -> None:
    names_of(name)
    find_compiler(find_target(target))


def _write_tflm(
    stem: Path, model: bytes, card: dict[str, Any], golden: bytes, target: str | None
) -> Written:
    arena = estimated_arena(read_tflite_graph(model, f"{stem.name}.tflite")[0])
    files = tflm_format.sources(stem, model, card, arena=arena)
    return Written(files=files, held=model, card=card, arena_bytes=arena)


def _c(model: bytes, card: dict[str, Any], golden: bytes, *, host: bool) -> CFiles:
    vectors = unpack_golden(golden, card["name"])
    return c_files(card["name"], model, card=card_in_c(card), golden=vectors, host=host)


def _write_c(
    stem: Path, model: bytes, card: dict[str, Any], golden: bytes, target: str | None
) -> Written:
    made = _c(model, card, golden, host=False)
    files = {stem.with_name(name): content for name, content in made.files.items()}
    return Written(
        files=files,
        held=next(iter(files.values())),
        card=made.card,
        arena_bytes=made.plan.arena_bytes,
    )


def _write_native(
    stem: Path, model: bytes, card: dict[str, Any], golden: bytes, target: str | None
) -> Written:
    built = native_format.build(_c(model, card, golden, host=True).files, target)
    artifact, told = native_format.artifact_of(built, card, golden)
    path = stem.with_name(f"{stem.name}{built.suffix}")
    return Written(files={path: artifact}, held=artifact, card=told)


MADE: dict[str, MadeOfTflite] = {
    TFLM: MadeOfTflite(
        engine="litert",
        check_asked=_no_target,
        check_model=lambda name, model, facts: tflm_format.check(facts),
        write=_write_tflm,
    ),
    PLAIN_C: MadeOfTflite(
        engine=REFERENCE,
        check_asked=_c_asked,
        check_model=lambda name, model, facts: check_model(name, model),
        write=_write_c,
    ),
    NATIVE: MadeOfTflite(
        engine=REFERENCE,
        check_asked=_native_asked,
        check_model=lambda name, model, facts: check_model(name, model),
        write=_write_native,
    ),
}
