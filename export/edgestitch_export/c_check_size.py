"""How much flash and RAM generated C takes, from the compiler's object and the linked image."""

from __future__ import annotations

from dataclasses import dataclass

from edgestitch_runtime.errors import EdgestitchError

from .c_check_elf import ElfFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Flash:
    """Bytes in flash. `weights` are the model's int8 weights and int32 biases, `constants` the
    rest of its read-only data, `library` what the compiler's and C library's functions take that
    it calls: None where nothing could be linked."""

    code: int
    weights: int
    constants: int
    library: int | None

    @property
    def total(self) -> int:
        return self.code + self.weights + self.constants + (self.library or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What of an object a function needs: bytes by kind, and names that the object lacks."""

    code: int
    constants: int  # weights too
    variables: int  # with first values: in flash and in RAM
    zeroed: int
    missing: tuple[str, ...]


def reached_from(object_: ElfFile, function: str) -> Reached:
    """What `function` needs of `object_`, by following its references; a section whole or not."""
    start = object_.find(function).section
    seen: set[int] = set()
    missing: set[str] = set()
    waiting = [] if start is None else [start]
    while waiting:
        section = waiting.pop()
        if section in seen:
            continue
        seen.add(section)
        for reference in object_.references:
            if reference.section == section:
                if reference.symbol.section is not None:
                    waiting.append(reference.symbol.section)
                elif reference.symbol.undefined and reference.symbol.name:
                    missing.add(reference.symbol.name)
    kept = [object_.sections[k] for k in seen if object_.sections[k].loaded]
    return Reached(
        code=sum(one.size for one in kept if one.executable),
        constants=sum(one.size for one in kept if not one.executable and not one.writable),
        variables=sum(one.size for one in kept if one.writable and one.stored),
        zeroed=sum(one.size for one in kept if one.writable and not one.stored),
        missing=tuple(sorted(missing)),
    )


def flash_of(own: Reached, *, weight_bytes: int, linked: ElfFile | None) -> Flash:
    """The split of flash. Raises EdgestitchError when the constants are less than the weights."""
    if own.constants + own.code < weight_bytes:
        raise EdgestitchError(
            f"the compiled file holds {own.constants:,} bytes of constants, less than the "
            f"{weight_bytes:,} of weights that the header names",
            hint="are the .c and the .h of the same model, and as edgestitch wrote them?",
        )
    mine = own.code + own.constants + own.variables
    library = None if linked is None else max(0, stored_bytes(linked) - mine)
    constants = own.constants - weight_bytes + own.variables
    return Flash(
        code=own.code + min(0, constants),  # where a compiler keeps constants among the code
        weights=weight_bytes,
        constants=max(0, constants),
        library=library if own.missing else 0,
    )


def stored_bytes(linked: ElfFile) -> int:
    """What the image takes in flash."""
    return sum(one.size for one in linked.sections if one.stored)


def static_bytes(linked: ElfFile) -> int:
    """What the image's variables take in RAM."""
    return sum(one.size for one in linked.sections if one.writable)
