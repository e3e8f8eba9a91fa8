"""What a planted fault is: where, right text, wrong text, and which tests must notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One small fault. `file` is MEMBER/MODULE, or a kernel's .c; `old` stands in it exactly
    once.

    `tests` are files below tests/. `retrains` when the fault lies in what makes the shared run, so
    that the tests must train and export with the fault in place.
    """

    meaning: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    retrains: bool = False


def faults_in(
    file: str, tests: str, *faults: tuple[str, str, str], retrains: bool = False
) -> list[Mutant]:
    return [
        Mutant(
            meaning=meaning,
            file=file,
            old=old,
            new=new,
            tests=tuple(f"{name}.py" for name in tests.split()),
            retrains=retrains,
        )
        for meaning, old, new in faults
    ]
