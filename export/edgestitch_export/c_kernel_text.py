"""The text of the kernels that a C program needs, each once, what it needs in front of it.

A kernel is a file of c_kernels. Its first line may name others, `// needs: a b`; what lies between
`//@ if x` or `//@ unless x` and `//@ end` is kept where x, or one of several, is among the kinds of
scaling and the variants that the program has, or is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).with_name("c_kernels")
_NEEDS = re.compile(r"// needs: (.*)\n")


def kernel_text(names: Iterable[str], kinds: frozenset[str]) -> str:
    """C99: the kernels `names` with all that they need, for the scaling `kinds` and variants."""
    order: dict[str, None] = {}
    for name in names:
        _ordered(name, order)
    return "\n".join(_kept(_read(name)[1], kinds) for name in order)


def _ordered(name: str, order: dict[str, None]) -> None:
    for needed in _read(name)[0]:
        _ordered(needed, order)
    order.setdefault(name)


@cache
def _read(name: str) -> tuple[tuple[str, ...], str]:
    text = (_FOLDER / f"{name}.c").read_text("ascii")
    found = _NEEDS.match(text)
    return (tuple(found[1].split()), text[found.end() :]) if found else ((), text)


def _kept(text: str, kinds: frozenset[str]) -> str:
    kept, open_ = [], []
    for line in text.splitlines():
        if line.startswith(("//@ if ", "//@ unless ")):
            _, word, *named = line.split()
            open_.append(kinds.isdisjoint(named) == (word == "unless"))
        elif line == "//@ end":
            open_.pop()
        elif all(open_):
            kept.append(line)
    return "\n".join(kept) + "\n"
