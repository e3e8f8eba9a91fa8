"""The `native` engine: an int8 model compiled to a shared library, called through ctypes.

Opening such an artifact runs it in this process, as any program: take none from strangers. Before
that it is known to be the library that its card describes, and to be for this machine.

The library exports `edgestitch_model`, int32 {layout, height, width, classes, the bits of AT_HWCAP
that it needs}, and `edgestitch_answer(size_t n, const uint8_t *pixels, int8_t *scores)`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .card import Artifact, model_bytes
from .errors import EdgestitchError

LAYOUT = 1  # of what the library exports
_AT_HWCAP = 16  # of getauxval(3)
_LOADS = itertools.count(1)
_PROCESSORS = {3: "x86", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv"}  # ELF's e_machine


class NativeSession:
    """A library loaded once for `run` and `bare`, and once more for every `single`.

    The C code has one static arena, so a loaded library is for one thread at a time. A library is
    no larger than the model: copies cost little, and threads do not wait for each other.
    """

    def __init__(self, artifact: Artifact, ctypes: Any) -> None:
        card = artifact.card or {}
        self._ctypes, self._path = ctypes, artifact.path
        self._library = model_bytes(artifact.format, artifact.content)
        self._classify, layout, *sizes = self._load()
        expected = [*card["input"]["shape"][1:], len(card["labels"])]
        if layout != LAYOUT or sizes != expected:
            raise EdgestitchError(
                f"{artifact.path} holds a library of layout {layout} for {sizes} (height, width, "
                f"classes), expected layout {LAYOUT} and, by its card, {expected}",
                hint="export it again with an edgestitch of this version",
            )
        height, width, self.classes = sizes
        self.input_shape = (height, width)
        self.input_dtype, self.output_dtype = np.dtype(np.uint8), np.dtype(np.int8)
        self.input_scale, self.input_zero_point = 1.0, 0
        self.output_scale = float(card["output"]["scale"])
        self.output_zero_point = int(card["output"]["zero_point"])

    def run(self, batch: np.ndarray) -> np.ndarray:
        pixels = np.ascontiguousarray(batch.reshape(-1, *self.input_shape), np.uint8)
        scores = np.empty((len(pixels), self.classes), np.int8)
        pointer, count = self._ctypes.c_void_p, self._ctypes.c_size_t(len(pixels))
        self._classify(count, pointer(pixels.ctypes.data), pointer(scores.ctypes.data))
        return scores

    def shape_one(self, image: np.ndarray) -> np.ndarray:
        return image.reshape(1, *self.input_shape)

    def bare(self) -> Callable[[np.ndarray], np.ndarray]:
        return self._one(self._classify)

    def single(self) -> Callable[[np.ndarray], np.ndarray]:
        return self._one(self._load()[0])

    def _one(self, classify: Any) -> Callable[[np.ndarray], np.ndarray]:
        scores = np.zeros((1, self.classes), np.int8)
        one, target = self._ctypes.c_size_t(1), self._ctypes.c_void_p(scores.ctypes.data)

        def call(image: np.ndarray) -> np.ndarray:
            classify(one, image.tobytes(), target)  # the address of an array takes ctypes longer
            return scores.copy()

        return call

    def _load(self) -> tuple[Any, ...]:
        """The function, then the layout, height, width and classes of a library of its own."""
        ctypes = self._ctypes
        try:
            library = _loaded(self._library, ctypes)
            classify = library.edgestitch_answer
            *told, needs = (ctypes.c_int32 * 5).in_dll(library, "edgestitch_model")
        except (AttributeError, OSError, ValueError) as error:
            raise EdgestitchError(
                f"{self._path} cannot be loaded: {' '.join(str(error).split())[:200]}",
                hint="export it again for this machine",
            ) from None
        if needs and ctypes.CDLL(None).getauxval(_AT_HWCAP) & needs != needs:
            raise _other_machine(self._path, "this processor cannot run its instructions")
        classify.restype = None
        return classify, *told


def open_native(artifact: Artifact, package: Any, threads: int) -> NativeSession:
    """A session on `artifact`. `package` is ctypes, and `threads` says nothing here."""
    theirs, own = _processor(artifact.content), _processor(_this_program())
    if theirs != own:
        raise _other_machine(artifact.path, f"it is for {theirs}, this Python for {own}")
    return NativeSession(artifact, package)


def _processor(head: bytes) -> str:
    """What a program file is for: "x86_64, 64 bits, little-endian"."""
    if head[:4] != b"\x7fELF" or len(head) < 20:
        return "another system than Linux"
    number, order = int.from_bytes(head[18:20], "little"), "little"
    if head[5] != 1:
        number, order = int.from_bytes(head[18:20], "big"), "big"
    name = _PROCESSORS.get(number, f"processor {number} of ELF's list")
    return f"{name}, {32 * head[4]} bits, {order}-endian"


def _this_program() -> bytes:
    with contextlib.suppress(OSError), Path("/proc/self/exe").open("rb") as stream:
        return stream.read(20)
    return b""


def _other_machine(path: Path, why: str) -> EdgestitchError:
    return EdgestitchError(
        f"{path} is for another machine: {why}",
        hint="`edgestitch export --format native --target` makes one for this machine; "
        "the .tflite runs on any",
    )


def _loaded(content: bytes, ctypes: Any) -> Any:
    """Loads these very bytes, not a file that may be another by then. Raises OSError."""
    library = None
    with contextlib.suppress(AttributeError, OSError):  # no such call, or no /proc
        handle = os.memfd_create("edgestitch-native")  # pyright: ignore[reportAttributeAccessIssue]
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            # The loader takes a name that it knows for what it loaded by it, and numbers return.
            unlike = "".join("./" if bit == "1" else "/" for bit in f"{next(_LOADS):b}")
            library = ctypes.CDLL(f"/proc/self/fd/{unlike}{handle}")
    if library is None:
        with tempfile.NamedTemporaryFile(prefix="edgestitch-", suffix=".so") as stream:
            stream.write(content)
            stream.flush()
            library = ctypes.CDLL(stream.name)
    # ctypes never unloads. Not at exit, when a thread may still be inside.
    unload = ctypes.CDLL(None).dlclose
    weakref.finalize(library, unload, ctypes.c_void_p(library._handle)).atexit = False
    return library
