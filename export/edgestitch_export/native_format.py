"""Format native: the generated C as a shared library that the runtime loads, and its card."""

from __future__ import annotations

import copy
import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgestitch_runtime.card import append_card
from edgestitch_runtime.engine_versions import FIRST_NATIVE
from edgestitch_runtime.errors import EdgestitchError, os_error
from edgestitch_runtime.golden import pack_golden, unpack_golden
from edgestitch_runtime.native_engine import LAYOUT

from .native_compiler import find_compiler
from .native_targets import TARGETS, Target, find_target, own_target

# An array of the generated C: the library holds it once, however many codes read it. Without its
# alignment, which is for words: gcc 12 takes that of a static array for more than it makes it.
_ARRAY = re.compile(
    rb"^static (const u?int\d+_t \w+\[\d+\])(?: ALIGNED)? = (\{[^{}]*\});$",
    re.DOTALL | re.MULTILINE,
)
_FAST = """
int {prefix}_classify_{name}(const uint8_t pixels[], int8_t scores[]);
"""
_ENTRY = """\
#include "{header}"

#include <stddef.h>

#define EXPORTED __attribute__((visibility("default")))
typedef int classify_t(const uint8_t *, int8_t *);
{declared}
{detect}
static classify_t *best(void) {{
{choices}  return {prefix}_classify;
}}

extern const int32_t edgestitch_model[5];
EXPORTED const int32_t edgestitch_model[5] = {{
  {layout}, {macro}_HEIGHT, {macro}_WIDTH, {macro}_CLASSES, {hwcap}
}};

void edgestitch_answer(size_t n, const uint8_t *pixels, int8_t *scores);
EXPORTED void edgestitch_answer(size_t n, const uint8_t *pixels, int8_t *scores) {{
  static classify_t *classify;
  if (!classify) classify = best();
  for (; n > 0; n--, pixels += {macro}_HEIGHT * {macro}_WIDTH, scores += {macro}_CLASSES) {{
    classify(pixels, scores);
  }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A compiled library without its card. `isa` says in words what processor it needs."""

    library: bytes
    target: str
    isa: str
    faster: tuple[str, ...]  # what it uses besides where the processor has it
    compiler: str
    compiler_version: str

    @property
    def suffix(self) -> str:
        """What follows NAME-int8 in the file's name."""
        return f"-{self.target}.so"


def build(files: Mapping[str, bytes], target: str | None) -> Built:
    """Compiles generated C, a .c and its .h by name, for `target` (None: this machine).

    The same arguments and compiler give the same bytes. Raises EdgestitchError for an unknown
    target, when no compiler for it is here, and when that does not take the C.
    """
    target = find_target(target)
    record = TARGETS[target]
    compiler = find_compiler(target)
    zig = compiler.name == "ziglang"
    (source,) = (name for name in files if name.endswith(".c"))
    header = source.removesuffix(".c") + ".h"
    found = re.search(rb"int (\w+)_classify\(", files[header])
    assert found is not None, "the generator's header declares it"
    prefix = found[1].decode()
    try:
        with tempfile.TemporaryDirectory(prefix="edgestitch-native-") as scratch:
            folder = Path(scratch)
            (folder / header).write_bytes(files[header])
            (folder / "entry.c").write_text(_entry(header, prefix, record))
            own = record.zig if zig else record.cc
            (folder / "model.c").write_bytes(_ARRAY.sub(rb"\1 = \2;", files[source]))
            (folder / "faster.c").write_bytes(_ARRAY.sub(rb"extern \1;", files[source]))
            compiler.compile(folder / "entry.c", "entry.o", *own)
            compiler.compile(folder / "model.c", "model.o", *own)
            for one in record.faster:
                renamed = f"-D{prefix}_classify={prefix}_classify_{one.name}"
                flags = one.zig if zig else one.cc
                compiler.compile(folder / "faster.c", f"{one.name}.o", renamed, *flags)
            objects = ["entry.o", "model.o", *(f"{one.name}.o" for one in record.faster)]
            compiler.link(objects, folder / "model.so", *own, helpers=record.helpers)
            library = (folder / "model.so").read_bytes()
    except OSError as error:
        raise os_error("compile in a temporary folder", error) from None
    return Built(
        library=library,
        target=target,
        isa=record.isa,
        faster=tuple(one.isa for one in record.faster),
        compiler=compiler.name,
        compiler_version=compiler.version,
    )


def artifact_of(built: Built, card: dict[str, Any], golden: bytes) -> tuple[bytes, dict[str, Any]]:
    """The artifact's bytes and its card, from the `card` of the same model as int8 TFLite.

    `golden` are that artifact's vectors. The answers are those of the engine reference, to the bit:
    nothing is tolerated. `card` is left as it is. Raises EdgestitchError when the vectors are not
    those of reference, or when this machine is the target and the library does not answer them
    (exit code 1): compilers were seen to err.
    """
    told = copy.deepcopy(card)
    if not card["golden"]["engine"].startswith("reference "):
        raise EdgestitchError(
            f"the golden vectors are those of {card['golden']['engine']}, not of reference",
            hint="this is a defect in edgestitch: please report it",
        )
    packed = pack_golden(replace(unpack_golden(golden, card["name"]), recorded=None))
    told["format"] = "native"
    told["input"] |= {"shape": [1, *card["input"]["shape"][1:3]], "dtype": "uint8", "zero_point": 0}
    told["output"] |= {"shape": [1, len(card["labels"])]}
    told["hashes"]["weights"] = hashlib.sha256(built.library).hexdigest()
    told["golden"] |= {
        "sha256": hashlib.sha256(packed).hexdigest(), "tolerance": 0.0, "recorded": None,
    }  # fmt: skip
    told["versions"][built.compiler] = built.compiler_version
    told["least_engines"] = {"native": FIRST_NATIVE}
    told["native"] = {"target": built.target, "isa": built.isa, "faster": list(built.faster)}
    told.pop("reference", None)
    artifact = append_card(built.library, told, packed)
    if built.target == own_target():
        _prove(artifact, built)
    return artifact, told


def _prove(artifact: bytes, built: Built) -> None:
    """The self-test, in a process of its own: wrong code may crash."""
    try:
        with tempfile.TemporaryDirectory(prefix="edgestitch-native-") as scratch:
            path = Path(scratch) / f"compiled{built.suffix}"
            path.write_bytes(artifact)
            words = [sys.executable, "-m", "edgestitch_runtime", "selftest", path]
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except OSError as error:
        raise os_error("test the library in a temporary folder", error) from None
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[0]
        raise EdgestitchError(
            f"what {built.compiler} {built.compiler_version} made of the C does not answer as "
            f"reference: {said.removeprefix('edgestitch: ').replace(f'{path}', 'the library')}",
            hint="another compiler may do better: CC=clang, or --target with ziglang",
            exit_code=1,
        )


def _entry(header: str, prefix: str, target: Target) -> str:
    """The C of what the library exports."""
    return _ENTRY.format(
        header=header,
        prefix=prefix,
        macro=prefix.upper(),
        declared="".join(_FAST.format(prefix=prefix, name=one.name) for one in target.faster),
        detect=target.detect,
        choices="".join(
            f"  if ({one.has}) return {prefix}_classify_{one.name};\n" for one in target.faster
        ),
        layout=LAYOUT,
        hwcap=target.hwcap,
    )
