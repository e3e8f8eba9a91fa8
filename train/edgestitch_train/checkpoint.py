"""An unfinished training on disk: written after each epoch beside the run, read by --resume."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgestitch_runtime.array_files import read_regular
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.writing import write_file

from .fitting import Epoch, State

SCHEMA = 2  # 1 was of trainings without fused batch normalization
_LISTS = ("kept", "variables", "optimizer")


def path_of(run: Path) -> Path:
    """Where the unfinished training of the run folder `run` is kept: hidden, beside it."""
    return run.parent / f".{run.name}.unfinished.npz"


def write(path: Path, state: State, about: dict[str, Any]) -> None:
    """Puts `state` at `path`, whole or not at all. `about` is plain JSON: what is being trained."""
    told = {
        "schema": SCHEMA,
        "about": about,
        "history": [asdict(epoch) for epoch in state.history],
        "kept_epoch": state.kept_epoch,
        "lengths": {name: len(getattr(state, name)) for name in _LISTS},
    }
    arrays = {
        f"{name}.{index}": array
        for name in _LISTS
        for index, array in enumerate(getattr(state, name))
    }
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, told=np.array(json.dumps(told)), **arrays)
    write_file(path, out.getvalue(), overwrite=True)


def read(path: Path) -> tuple[State, dict[str, Any]]:
    """The state at `path`, and what it is of. Raises EdgestitchError when it is not whole."""
    content = read_regular(path)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            told = json.loads(str(arrays["told"]))
            if told["schema"] != SCHEMA:
                raise ValueError(f"schema {told['schema']}")
            lists = {
                name: [arrays[f"{name}.{index}"] for index in range(told["lengths"][name])]
                for name in _LISTS
            }
            history = tuple(Epoch(**epoch) for epoch in told["history"])
        return State(history=history, kept_epoch=told["kept_epoch"], **lists), told["about"]
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile):
        raise EdgestitchError(
            f"{path} is no unfinished training that this edgestitch can read",
            hint="without --resume and with --force the training starts anew",
        ) from None


def check_place(path: Path, run: Path, *, overwrite: bool, resume: bool) -> None:
    """Raises EdgestitchError when `path` holds no training to go on with, or one to be lost."""
    if resume and not path.is_file():
        raise EdgestitchError(
            f"there is no unfinished training of {run}",
            hint="--name and --runs say whose; without --resume a training begins",
        )
    if path.is_file() and not (resume or overwrite):
        raise EdgestitchError(
            f"an unfinished training of {run} is there",
            hint="--resume goes on with it, --force begins anew; --name or --runs keeps both",
        )


def was_interrupted(run: Path) -> bool:
    """Whether `run` is what an interrupted training left: going on with that may replace it."""
    try:
        return json.loads((run / "run.json").read_text(encoding="utf-8"))["stopped"] == (
            "interrupted"
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def state_of(path: Path, wanted: dict[str, Any]) -> State:
    """The state at `path`. Raises EdgestitchError unless it is of the training that is `wanted`.

    The weights come out the same to the bit only when model, recipe, data and versions do.
    """
    state, about = read(path)
    for entry, value in wanted.items():
        old = about.get(entry)
        if entry == "command" or old == value:
            continue
        if entry in ("recipe", "versions") and isinstance(old, dict):
            parts = [f"{k} {old.get(k)}, now {v}" for k, v in value.items() if old.get(k) != v]
            different = f"other {entry}: {'; '.join(parts)}"
        elif entry == "data":
            different = "other data: the hashes, the class names or the background differ"
        elif entry == "source_sha256":
            different = "another model: the file that builds it has changed"
        elif entry == "layers_sha256":
            different = "another model: its layers differ"
        else:
            different = f"another {entry}: {old}, now {value}"
        raise EdgestitchError(
            f"{path} is an unfinished training with {different}",
            hint=f"it was begun by `{about.get('command')}`: add --resume to that, or begin anew "
            "with --force",
        )
    return state
