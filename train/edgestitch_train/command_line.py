"""The command line that makes a run again, for run.json and for whoever resumes."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path

from .recipes import Recipe, flag, usual


def command_of(
    model: str,
    dataset: str,
    recipe: Recipe,
    *,
    data: Path | None,
    labels: Path | None,
    size: tuple[int, int] | None,
    background: str,
    strict: bool,
    name: str | None,
    runs: Path,
) -> str:
    """The command line that makes the same run; what is as by default is left out."""
    words = ["edgestitch", "train", "--model", model, "--dataset", dataset]
    words += ["--data", str(data)] if data is not None else []
    words += ["--labels", str(labels)] if labels is not None else []
    words += ["--size", f"{size[0]}x{size[1]}"] if size is not None else []
    words += ["--background", background] if background != "dark" else []
    words += ["--strict"] if strict else []
    words += ["--name", name] if name is not None else []
    words += ["--runs", str(runs)] if runs != Path("runs") else []
    default = asdict(usual(model))
    for field, value in asdict(recipe).items():
        if field == "seed" or value != default[field]:
            words += [flag(field), f"{value}"]
    return shlex.join(words)
