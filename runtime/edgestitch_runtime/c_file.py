r"""The card in a generated C file: one string constant of its JSON, behind a macro.

    #ifdef MLP_WITH_CARD
    ...
    const char mlp_card[] =
      "{\"schema\":1, ...
      ...}";
    /* SHA-256 of the JSON: 64 digits */
    #endif

The file without the lines between that of the declaration and `#endif` is what computes: the card
holds its SHA-256, and the last line the card's own. Any bytes may be read here.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from .errors import EdgestitchError

_OPENS = b"_card[] =\n"
_CLOSES = b"#endif\n"
_HASH = b"/* SHA-256 of the JSON: %s */\n"
_ROOM = 92  # columns of a line of the string
_MOST_BYTES = 1 << 20  # of the string: a card has thousands
_ESCAPED = re.compile(rb'\\(["\\]|[0-7]{3})')
_MAKE = "`edgestitch export --format c --int8`"


def with_c_card(source: bytes, card: str) -> bytes:
    """`source`, whose card has no lines yet, with `card`, JSON, as its string. ASCII."""
    place = _place(source)
    assert place is not None and place[0] == place[1], "the declaration stands before its #endif"
    return source[: place[0]] + _lines(card.encode()) + source[place[1] :]


def without_c_card(content: bytes) -> bytes:
    """What computes, of a generated file. Raises ValueError where there is no card."""
    place = _place(content)
    if place is None:
        raise ValueError("no card")
    return content[: place[0]] + content[place[1] :]


def read_c_card(path: Path, content: bytes) -> bytes:
    """The JSON of the card. Raises EdgestitchError for a file that is cut, damaged, or not ours."""
    place = _place(content)
    if place is None and b"_card[] =\r\n" in content:
        raise EdgestitchError(
            f"{path} was altered after its export: its lines end as those of Windows",
            hint="copy it again as it is; for git, `*.c -text` in .gitattributes keeps it so",
        )
    if place is None:
        raise EdgestitchError(
            f"{path} is C without a card: edgestitch did not write it, or it is cut short",
            hint=f"copy it again, or make one with {_MAKE}",
        )
    if not content.endswith(b"\n" + _CLOSES):
        raise EdgestitchError(
            f"{path} is cut short, or something follows its end",
            hint=f"copy it again, or make it again with {_MAKE}",
        )
    lines = content[slice(*place)][: _MOST_BYTES + 1]
    string = lines.rpartition(b";\n")[0].split(b"\n")
    card = _ESCAPED.sub(_plain, b"".join(line[3:].removesuffix(b'"') for line in string))
    # Nothing else stands in those lines, which the other hash leaves out.
    if lines != _lines(card):
        raise EdgestitchError(
            f"{path} was altered after its export: its card does not match the hash behind it",
            hint=f"copy it again, or make it again with {_MAKE}",
        )
    return card


def is_compiled(path: Path, content: bytes) -> EdgestitchError:
    """What to say where C was to be run."""
    name = content[: content.find(_OPENS)].rpartition(b" ")[2].decode("ascii", "replace")[:60]
    return EdgestitchError(
        f"{path} is C: it is compiled, and not run by edgestitch",
        hint=f"compile it with -D{name.upper()}_WITH_GOLDEN and call {name}_selftest(), or make a "
        "library that runs here with `edgestitch export --format native --int8`",
    )


def _place(content: bytes) -> tuple[int, int] | None:
    """Where the lines of the card begin and end; None where there is no such place."""
    start = content.find(_OPENS)
    if start < 0:
        return None
    start += len(_OPENS)
    end = content.find(b"\n" + _CLOSES, start - 1)
    return None if end < 0 else (start, end + 1)


def _lines(text: bytes) -> bytes:
    """The lines of the card `text`: a string constant, no escape of which a next digit would join,
    and the hash.
    """
    lines, line = [], b""
    for byte in text:
        plain = b"%c" % byte if 32 <= byte < 127 and byte != ord("?") else b"\\%03o" % byte
        plain = b"\\" + plain if plain in (b'"', b"\\") else plain
        if len(line) + len(plain) > _ROOM:
            lines.append(line)
            line = b""
        line += plain
    string = b"\n".join(b'  "%s"' % one for one in [*lines, line])
    return string + b";\n" + _HASH % hashlib.sha256(text).hexdigest().encode()


def _plain(escaped: re.Match[bytes]) -> bytes:
    found = escaped[1]
    return found if found in (b'"', b"\\") else bytes([int(found, 8) & 255])
