"""The versions in the Pythons that run the engines: a measurement goes on only with the same."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence

from edgestitch_runtime.engines import ENGINES
from edgestitch_runtime.rounds import Subject

PATIENCE_S = 20.0
_ASK = """
import json, platform, sys
from importlib.metadata import PackageNotFoundError, version
told = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        told[name] = version(name)
    except PackageNotFoundError:
        told[name] = None
print(json.dumps(told))
"""
_ALWAYS = ("numpy", "edgestitch-runtime", "edgestitch-benchmarks")
_KERAS = ("keras", "tensorflow")


def versions_of(subjects: Sequence[Subject]) -> dict[str, dict[str, str | None]]:
    """By Python: its version and those of what the subjects need of it; None where it has none.

    A Python that does not answer, or not in time, has no versions: whether it changed is not known.
    """
    wanted: dict[str, set[str]] = {}
    for subject in subjects:
        if subject.command is not None:
            engine = ENGINES.get(subject.engine)
            names = _KERAS if engine is None else (engine.distribution,)
            wanted.setdefault(subject.command[0], set()).update(names)
    return {python: _asked(python, sorted({*names, *_ALWAYS})) for python, names in wanted.items()}


def _asked(python: str, names: Iterable[str]) -> dict[str, str | None]:
    isolated = () if python == sys.executable else ("-I",)
    try:
        done = subprocess.run(
            [python, *isolated, "-c", _ASK, *names],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            stdin=subprocess.DEVNULL,
        )
        told = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
