"""The self-test: does each engine here still answer an artifact's golden vectors as exported?"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .c_file import is_compiled
from .card import read_artifact
from .engines import ENGINES, engine_version, installed, open_session, runs
from .errors import EdgestitchError
from .golden_check import DIFFERS, GoldenCheck, check_golden
from .native_output import quiet_native_output

SELFTEST_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTest:
    """One engine's self-test. Without a `check` it did not run, and `reason` says why.

    `seconds` are those of opening the artifact and answering, with the import of the engine.
    """

    engine: str
    engine_version: str
    check: GoldenCheck | None
    reason: str | None
    seconds: float

    @property
    def failed(self) -> bool:
        """Whether the engine answered otherwise, or could not."""
        return self.check is None or self.check.verdict == DIFFERS


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """The self-test of one artifact: `engines` were tested, `absent` run it and are not here."""

    artifact: str
    golden_engine: str  # what gave the answers, with its version
    golden_cpu: str
    engines: tuple[EngineTest, ...]
    absent: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not any(one.failed for one in self.engines)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, schema 1."""
        return {"schema": SELFTEST_SCHEMA, "passed": self.passed, **asdict(self)}


def selftest(artifact: str | Path, *, engine: str = "auto") -> SelfTest:
    """Runs the golden vectors of `artifact` on `engine`; "all": on every engine that is here.

    "auto" is the engine that `Classifier.open` would take. Raises EdgestitchError when the file is
    missing, damaged or altered, when it has no golden vectors, and when a named engine is not here
    (exit code 2); with "auto" also when no engine passes (exit code 1).
    """
    found = read_artifact(artifact)
    if found.format == "c":
        raise is_compiled(found.path, found.content)
    if found.card is None or not found.golden:
        raise EdgestitchError(
            f"{found.path} holds no golden vectors: it cannot test itself",
            hint="copy it again if it may be cut short; else `edgestitch export` puts them in",
        )
    able = [one.name for one in ENGINES.values() if runs(one, found)]
    names = [name for name in able if installed(name)] if engine == "all" else [engine]
    if not names:
        raise EdgestitchError(
            f"no engine for {found.format} is installed here",
            hint=" or ".join(ENGINES[name].install for name in able),
        )
    tests = []
    for name in names:
        started = time.perf_counter()
        check, reason, opened = None, None, name
        try:
            with quiet_native_output():  # an engine says which delegate it made
                opened, session = open_session(found, engine=name, threads=1)
                check = check_golden(
                    found, session, engine=opened, engine_version=engine_version(opened)
                )
        except EdgestitchError as error:
            if engine != "all":
                raise
            reason = error.message
        tests.append(
            EngineTest(
                engine=opened,
                engine_version=engine_version(opened),
                check=check,
                reason=reason,
                seconds=time.perf_counter() - started,
            )
        )
    golden = found.card["golden"]
    return SelfTest(
        artifact=found.path.name,
        golden_engine=golden["engine"],
        golden_cpu=golden["cpu"],
        engines=tuple(tests),
        absent=tuple(name for name in able if not installed(name)) if engine == "all" else (),
    )
