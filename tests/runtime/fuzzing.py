"""Runs a bundle of files through a worker process, which may die, and gathers how each ended."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fuzz_worker import bundled
from mutated_files import Mutant, Source, past_header_and_root

HERE = Path(__file__).parent
MOST_DEATHS = 60  # of one bundle
MOST_S = 1800  # of one worker


@dataclass(slots=True)
class Tally:
    """What became of the files of one fuzzing. A defect names the mutant's number."""

    files: int = 0
    past_root: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    no_oracle: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    defects: list[str] = field(default_factory=list)
    grown_mib: float = 0.0

    def lines(self) -> list[str]:
        """The counts as a table."""
        share = 100 * self.past_root / self.files
        told = [f"{self.files:,} files, {share:.1f} % past header and root"]
        told += [f"  {count:6,}  {name}" for name, count in self.outcomes.most_common()]
        told.append(f"  memory grew by at most {self.grown_mib:.0f} MiB; exit codes: "
                    f"{', '.join(f'{n} x {c}' for c, n in self.codes.most_common())}")  # fmt: skip
        told.append(f"refused, by {len(self.reasons)} reasons:")
        told += [f"  {count:6,}  {name}" for name, count in self.reasons.most_common()]
        told.append("answered, and not compared, since LiteRT:")
        told += [f"  {count:6,}  {name}" for name, count in self.no_oracle.most_common()]
        return told


def fuzzed(
    mutants: Iterable[Mutant],
    sources: Sequence[Source],
    pixels: np.ndarray,
    folder: Path,
    *,
    suffix: str = ".tflite",
) -> Tally:
    """Runs the mutants through the runtime, and what it answers through LiteRT."""
    tally = Tally()
    np.save(folder / "pixels.npy", pixels)
    kept = {mutant.number: mutant for mutant in mutants}
    originals = [bundled(-1 - k, suffix, s.content) for k, s in enumerate(sources)]
    files = [bundled(n, suffix, m.content) for n, m in kept.items()]
    # The originals twice: once to warm up, once to be asked.
    bundle = _written(folder / "bundle", [*originals, *originals, *files])
    first = -len(sources)
    found = _asked("fuzz_worker.py", bundle, folder, first=first, more=[str(len(sources))])
    answers = {number: one for number, one in found.items() if "rows" in one}
    by_name = {source.name: answers.get(-1 - k) for k, source in enumerate(sources)}
    asked = [bundled(n, suffix, kept[n].content) for n in answers if n >= 0]
    theirs = _asked("litert_worker.py", _written(folder / "asked", asked), folder, first=0, more=[])
    for number, mutant in kept.items():
        one = found.get(number, {"defect": "it was not come to"})
        tally.files += 1
        tally.past_root += past_header_and_root(mutant.content)
        tally.grown_mib = max(tally.grown_mib, one.get("grown_kib", 0) / 1024)
        tally.codes.update(map(str, one.get("codes", [])))
        name, why = _judged(mutant, one, theirs.get(number), by_name[mutant.source])
        tally.outcomes[name] += 1
        if name == "DEFECT":
            tally.defects.append(f"{number} ({mutant.source}, {mutant.alteration}): {why}")
        elif name.startswith("refused"):
            tally.reasons[why] += 1
        elif name.startswith("answered, "):
            tally.no_oracle[why] += 1
    tally.defects += [
        f"{number}: {one.get('defect', one)}"
        for number, one in found.items()
        if number < 0 and ("defect" in one or "refused" in one or "not inspected" in one)
    ]
    return tally


def reason_of(line: str) -> str:
    """An error without numbers, names and operators: what files are refused for alike."""
    line = re.sub(r"operator \d+, ([A-Z0-9_]+)( \(.*?\))?", "operator", line)
    line = re.sub(r"[\[(][-\d., None]*[\])]", "(...)", line)
    line = re.sub(r"-?(inf|nan|\d[\d,]*(\.\d+)?(e[-+]?\d+)?)", "#", line)
    line = re.sub(r"operator has (#|no) inputs", "operator has # inputs", line)
    line = re.sub(r"(float|uint|int|bfloat|complex)#(_\w+)?|\b(string|bool|variant|resource)\b",
                  "DTYPE", line)  # fmt: skip
    return re.sub(r"CUSTOM.*? is not", "CUSTOM is not", line)[:110]


def _judged(
    mutant: Mutant,
    ours: dict[str, Any],
    theirs: dict[str, Any] | None,
    original: dict[str, Any] | None,
) -> tuple[str, str]:
    """The outcome of one file and its reason."""
    if "defect" in ours:
        return "DEFECT", ours["defect"]
    if "rows" not in ours:
        if "refused" not in ours and "not inspected" not in ours:
            return "inspected", ""
        line = ours.get("refused") or ours["not inspected"]
        if mutant.neutral:
            return "DEFECT", f"a neutral alteration is refused: {line}"
        seen = "refused by classify and inspect" if "not inspected" in ours else "refused"
        return seen, reason_of(line)
    if mutant.neutral and original is not None and ours["rows"] != original["rows"]:
        return "DEFECT", "a neutral alteration changes the answer"
    if theirs is None or "died" in theirs:
        why = "was not asked" if theirs is None else f"{theirs['died']} on {mutant.number}"
        return "answered, LiteRT ends the process", why
    if "refused" in theirs:
        return "answered, LiteRT refuses", _refusal_of(theirs["refused"])
    if (ours["dtype"], ours["shape"]) != (theirs["dtype"], theirs["shape"]):
        return "DEFECT", f"{ours['dtype']} {ours['shape']}, LiteRT {theirs}"
    if not _same(ours, theirs):
        return "DEFECT", f"answers {ours['rows']}, LiteRT {theirs['rows']}"
    return "answered as LiteRT", ""


def _refusal_of(line: str) -> str:
    """LiteRT's own words without numbers; what it says of many operators alike in one line."""
    alike = {
        "no flatbuffer": "it is no sound flatbuffer in parts that are not used",
        "Didn't find op": "an operator has a version or code that it does not know",
        "codec can't decode": "a name is no UTF-8",
    }
    return next((told for part, told in alike.items() if part in line), reason_of(line))


def _same(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Equal to the bit; what is no number in one is none in the other."""
    if ours["rows"] == theirs["rows"]:
        return True
    rows = [np.frombuffer(bytes.fromhex(one["rows"]), one["dtype"]) for one in (ours, theirs)]
    return rows[0].dtype.kind == "f" and np.array_equal(*rows, equal_nan=True)


def _written(path: Path, files: Sequence[bytes]) -> Path:
    path.write_bytes(b"".join(files))
    return path


def _asked(
    program: str, bundle: Path, folder: Path, *, first: int, more: Sequence[str]
) -> dict[int, dict[str, Any]]:
    """What a worker says of each file from number `first` on. One that dies is started again."""
    found: dict[int, dict[str, Any]] = {}
    for _ in range(MOST_DEATHS):
        log = folder / f"{program}.log"
        command = [sys.executable, HERE / program, bundle, folder / "pixels.npy", str(first), *more]
        with log.open("w") as stream, (folder / f"{program}.err").open("w") as errors:
            done = subprocess.run(command, stdout=stream, stderr=errors, timeout=MOST_S)
        number = None
        for line in log.read_text().splitlines():
            if line[0] != "{":
                number = int(line)
            elif number is not None:
                found[number] = json.loads(line)
        if done.returncode == 0:
            return found
        died = f"the process ended with {done.returncode}"
        if number is None or number in found:  # not by a file
            text = (folder / f"{program}.err").read_text()
            raise AssertionError(f"{program}: {died}\n{text[-3000:]}")
        found[number] = {"died": died, "defect": died}
        first = number + 1
    raise AssertionError(f"{program} died {MOST_DEATHS} times")
