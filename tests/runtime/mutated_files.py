"""Altered .tflite files: from flipped bytes and broken offsets to plausible other weights.

Found like tflite_builder. Mutant k of a seed is the same on every machine.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from altered_cards import altered_card, signing
from edgestitch_runtime.card import append_to_tflite
from flatbuffer_places import Place, places_of, unused_of
from rewritten_models import rewritten

_WIDTHS = (1, 2, 4, 8)
_WHOLE = (
    0, 1, 2, 3, 4, 5, 7, 8, 12, 15, 16, 31, 32, 64, 100, 127, 128, 255, 256, 1000, 1023, 1024,
    4095, 4096, 32767, 32768, 65535, 65536, 1 << 20, (1 << 24) - 1, 1 << 28, (1 << 30) + 1,
    (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 33, (1 << 63) - 1, 1 << 63,
)  # fmt: skip
_REALS = (
    0.0, -0.0, -1.0, 1.0, 0.5, 1e-45, 1e-38, 1e-30, 1e-20, 1e-9, 1e-6, 1e9, 1e20, 1e30, 3.4e38,
    math.inf, -math.inf, math.nan, 1 / 256, 1 / 128, 6 / 255, 255.0, 1 << 24,
)  # fmt: skip
_STRUCTURE = ("root", "soffset", "vtable", "offset", "length")
_NEAR = (-64, -16, -8, -4, -3, -2, -1, 1, 2, 3, 4, 8, 16, 64)


@dataclass(frozen=True)
class Source:
    """A sound file: the flatbuffer, and the card and the golden vectors behind it, if any."""

    name: str
    flatbuffer: bytes
    card: dict | None = None
    weight: float = 1.0
    golden: bytes = b""

    @cached_property
    def content(self) -> bytes:
        """The whole file."""
        if self.card is None:
            return self.flatbuffer
        return append_to_tflite(self.flatbuffer, self.card, self.golden)

    @cached_property
    def places(self) -> list[Place]:
        return places_of(self.flatbuffer)

    @cached_property
    def neutral(self) -> list[int]:
        """The bytes that say nothing of what is computed: names, and what only aligns."""
        names = [k for p in self.places if p.kind == "name" for k in _span(p)]
        gaps = unused_of(self.flatbuffer, self.places)
        return names + [k for k in gaps if self.flatbuffer[k] == 0]

    def of_kinds(self, *kinds: str) -> list[Place]:
        return [place for place in self.places if place.kind in kinds and place.length]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """An altered file. A neutral alteration must not change what it answers."""

    number: int
    source: str
    alteration: str
    content: bytes

    @property
    def neutral(self) -> bool:
        return self.alteration == "neutral"


Alter = Callable[[np.random.Generator, Source, Sequence[Source]], bytes]


def mutants(sources: Sequence[Source], *, seed: int, numbers: range) -> Iterator[Mutant]:
    """The mutants of `numbers`; `sources` are drawn by their weights."""
    weights = np.array([source.weight for source in sources])
    names, shares = zip(*((a, s) for a, (s, _) in ALTERATIONS.items()), strict=True)
    for number in numbers:
        rng = np.random.default_rng([seed, number])
        source = sources[int(rng.choice(len(sources), p=weights / weights.sum()))]
        name = str(rng.choice(names, p=np.array(shares) / sum(shares)))
        if source.card is not None:
            plain = "bytes" if name == "neutral" else name  # nothing in it is: it is signed
            name = str(rng.choice(["card", plain, "re-signed"], p=[0.45, 0.15, 0.4]))
        altered = _with_card(name, rng, source, sources)
        yield Mutant(number=number, source=source.name, alteration=name, content=altered)


def past_header_and_root(content: bytes) -> bool:
    """Whether a file has TFLite's mark, and a root table with a vtable inside the file."""
    if content[4:8] != b"TFL3":
        return False
    position = int.from_bytes(content[:4], "little")
    if position + 4 > len(content):
        return False
    vtable = position - struct.unpack_from("<i", content, position)[0]
    if not 0 <= vtable <= len(content) - 4:
        return False
    return 4 <= int.from_bytes(content[vtable : vtable + 2], "little") <= len(content) - vtable


def _with_card(
    name: str, rng: np.random.Generator, source: Source, sources: Sequence[Source]
) -> bytes:
    """An alteration of a file; of one with a card also of the card, or of what it signs."""
    if name == "card":
        assert source.card is not None
        return altered_card(rng, source.flatbuffer, source.card, source.golden)
    if name != "re-signed":
        return ALTERATIONS[name][1](rng, source, sources)
    assert source.card is not None
    shares = [share for share, _ in ALTERATIONS.values()]
    inner = str(rng.choice(list(ALTERATIONS), p=np.array(shares) / sum(shares)))
    bare = Source(source.name, source.flatbuffer)
    altered = ALTERATIONS[inner][1](rng, bare, sources)
    return append_to_tflite(altered, signing(source.card, altered), source.golden)


# The alterations of a flatbuffer. Each is a function of a generator, a source, and all sources.


def _structure(rng: np.random.Generator, source: Source, sources: Sequence[Source]) -> bytes:
    """One offset, length or vtable entry is wild, or a little off."""
    kind = str(rng.choice(_STRUCTURE, p=[0.05, 0.15, 0.35, 0.25, 0.2]))
    altered = bytearray(source.content)
    _wild_number(rng, altered, _one(rng, source.of_kinds(kind)))
    return bytes(altered)


def _fields(rng: np.random.Generator, source: Source, sources: Sequence[Source]) -> bytes:
    """One to three numbers of the model itself are wild, or a little off."""
    altered = bytearray(source.content)
    kinds = (
        "size", "signature", "dtype", "buffer", "scale", "zero point", "axis", "opcode", "tensor",
        "options kind", "option", "code8", "code", "op version", "version",
    )  # fmt: skip
    for _ in range(int(rng.integers(1, 4))):
        there = source.of_kinds(str(rng.choice(kinds)))
        if there:
            _wild_number(rng, altered, _one(rng, there))
    return bytes(altered)


def _plausible(rng: np.random.Generator, source: Source, sources: Sequence[Source]) -> bytes:
    """Other weights, scales and zero points, as another training might have left them."""
    altered = bytearray(source.content)
    for _ in range(int(rng.integers(1, 5))):
        kind = str(rng.choice(["data", "scale", "zero point", "option"], p=[0.4, 0.3, 0.2, 0.1]))
        there = source.of_kinds(kind)
        if not there:
            continue
        place = _one(rng, there)
        if kind == "data":
            for _ in range(int(rng.integers(1, 9))):
                altered[int(rng.choice(_span(place)))] = int(rng.integers(256))
        elif kind == "scale":
            now = struct.unpack_from("<f", altered, place.start)[0]
            near = now * 10 ** rng.normal(0, 0.5 if rng.random() < 0.7 else 4)
            struct.pack_into("<f", altered, place.start, min(near, 3e38))
        elif kind == "zero point":
            struct.pack_into("<q", altered, place.start, int(rng.integers(-128, 128)))
        else:
            _put(altered, place, int(rng.integers(0, 4)))
    return bytes(altered)


def _neutral(rng: np.random.Generator, source: Source, sources: Sequence[Source]) -> bytes:
    altered = bytearray(source.content)
    for _ in range(int(rng.integers(1, 9))):
        altered[source.neutral[int(rng.integers(len(source.neutral)))]] = int(rng.integers(256))
    return bytes(altered)


def _bytes(rng: np.random.Generator, source: Source, sources: Sequence[Source]) -> bytes:
    """Bytes flipped anywhere behind the mark."""
    altered = bytearray(source.content)
    for _ in range(int(rng.choice([1, 1, 2, 4, 16]))):
        altered[int(rng.integers(8, len(altered)))] ^= int(rng.integers(1, 256))
    return bytes(altered)


def _words(rng: np.random.Generator, source: Source, sources: Sequence[Source]) -> bytes:
    """A wild number of 8, 16, 32 or 64 bits where one may stand."""
    altered = bytearray(source.content)
    for _ in range(int(rng.integers(1, 4))):
        width = int(rng.choice(_WIDTHS))
        start = int(rng.integers(8, len(altered) - 8)) // width * width
        value = _WHOLE[int(rng.integers(len(_WHOLE)))] % (1 << 8 * width)
        altered[start : start + width] = value.to_bytes(width, "little")
    return bytes(altered)


def _cut(rng: np.random.Generator, source: Source, sources: Sequence[Source]) -> bytes:
    return source.content[: int(rng.integers(0, len(source.content)))]


def _longer(rng: np.random.Generator, source: Source, sources: Sequence[Source]) -> bytes:
    """Something behind the file, or in its middle."""
    more = rng.bytes(int(rng.integers(1, 300))) if rng.random() < 0.5 else bytes(64)
    place = len(source.content) if rng.random() < 0.5 else int(rng.integers(8, len(source.content)))
    return source.content[:place] + more + source.content[place:]


def _spliced(rng: np.random.Generator, source: Source, sources: Sequence[Source]) -> bytes:
    """The start of one file, the end of another."""
    other = sources[int(rng.integers(len(sources)))].content
    place = int(rng.integers(8, min(len(source.content), len(other))))
    return source.content[:place] + other[place:]


def _swapped(rng: np.random.Generator, source: Source, sources: Sequence[Source]) -> bytes:
    """Two stretches of the file have changed places."""
    size = 4 * int(rng.integers(1, 40))
    room = (len(source.content) - size) // 4
    first, second = (4 * int(k) for k in rng.integers(2, room, 2))
    altered = bytearray(source.content)
    altered[first : first + size] = source.content[second : second + size]
    altered[second : second + size] = source.content[first : first + size]
    return bytes(altered)


def _zeroed(rng: np.random.Generator, source: Source, sources: Sequence[Source]) -> bytes:
    size = int(rng.integers(1, 200))
    start = int(rng.integers(8, max(9, len(source.content) - size)))
    altered = bytearray(source.content)
    altered[start : start + size] = bytes(len(altered[start : start + size]))
    return bytes(altered)


def _rewritten(rng: np.random.Generator, source: Source, sources: Sequence[Source]) -> bytes:
    return rewritten(source.flatbuffer, rng)


ALTERATIONS: dict[str, tuple[float, Alter]] = {  # with their shares
    "structure": (0.16, _structure),
    "fields": (0.20, _fields),
    "plausible": (0.22, _plausible),
    "neutral": (0.04, _neutral),
    "bytes": (0.08, _bytes),
    "words": (0.06, _words),
    "rewritten": (0.12, _rewritten),
    "cut": (0.03, _cut),
    "longer": (0.03, _longer),
    "spliced": (0.02, _spliced),
    "swapped": (0.02, _swapped),
    "zeroed": (0.02, _zeroed),
}


_RAW = ("bytes", "words", "cut", "longer", "swapped", "zeroed")


def altered_bytes(rng: np.random.Generator, source: Source) -> bytes:
    """A file of any format, altered without knowing what stands where."""
    name = str(rng.choice(_RAW, p=[0.5, 0.2, 0.1, 0.1, 0.05, 0.05]))
    return ALTERATIONS[name][1](rng, source, [source])


def _wild_number(rng: np.random.Generator, altered: bytearray, place: Place) -> None:
    """Another number at `place`: a telling one, one near the old, or any."""
    if place.code == "f":
        value = float(rng.choice(_REALS)) if rng.random() < 0.7 else float(rng.lognormal(0, 9))
        struct.pack_into("<f", altered, place.start, min(value, 3.4e38) if value < 1e39 else value)
        return
    now = struct.unpack_from(f"<{place.code}", altered, place.start)[0]
    way = rng.random()
    if way < 0.5:
        value = now + _NEAR[int(rng.integers(len(_NEAR)))]
    elif way < 0.85:
        value = _WHOLE[int(rng.integers(len(_WHOLE)))]
    else:
        value = int.from_bytes(rng.bytes(8), "little")
    _put(altered, place, value)


def _put(altered: bytearray, place: Place, value: int) -> None:
    bits = 8 * place.length
    altered[place.start : place.start + place.length] = (value % (1 << bits)).to_bytes(
        place.length, "little"
    )


def _one(rng: np.random.Generator, places: Sequence[Place]) -> Place:
    return places[int(rng.integers(len(places)))]


def _span(place: Place) -> range:
    return range(place.start, place.start + place.length)
