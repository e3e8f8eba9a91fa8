"""Code that a model file carries, or asks for: found in its configuration, by reading alone."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten
from types import FunctionType
from typing import Any

import h5py
import keras

from edgestitch_runtime.errors import EdgestitchError

from .keras_file import H5_SUFFIXES

_LAMBDAS = ("Lambda", "__lambda__")


def configuration(path: Path) -> Any:
    """The configuration in a .keras or .h5 file, as JSON holds it; None in one of weights alone.

    Raises what reading raises.
    """
    if path.suffix.lower() not in H5_SUFFIXES:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    with h5py.File(path) as file:
        found: Any = file.attrs.get("model_config")
    return None if found is None else json.loads(found)


def lambdas(config: Any) -> list[str]:
    """The names of the Lambda layers in a configuration: Python code, in the file itself."""
    found = [entry for entry in _entries(config) if entry["class_name"] in _LAMBDAS]
    layers = [str(_settings(e).get("name")) for e in found if e["class_name"] == "Lambda"]
    return layers or ["an activation" for _ in found[:1]]


def unknown_classes(config: Any) -> list[str]:
    """The names of layers and functions that neither Keras nor anything registered defines."""
    found = []
    for entry in _entries(config):
        name = entry.get("registered_name") or entry["class_name"]
        if name == "function":
            name = entry.get("config")
        module = entry.get("module")  # an .h5 file tells none of a layer: Keras itself looks for it
        ours = module is None or str(module).split(".")[0] == "keras"
        if module == "builtins":
            ours = hasattr(keras.activations, str(name))
        if ours or str(name).startswith("__") or _registered(name):
            continue
        found.append(str(name))
    return list(dict.fromkeys(found))


def run_code(path: Path) -> dict[str, Any]:
    """Runs the Python file at `path`: the classes and functions that it has then, by name.

    As when Python runs it, it can import what lies beside it. What it prints goes to stderr. Raises
    EdgestitchError when the file cannot be run.
    """
    name = f"edgestitch_code_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise EdgestitchError(
            f"{path} is no Python file", hint="name the .py file that defines the model's layers"
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the file does
        del sys.modules[name]
        reason = shorten(f"{type(error).__name__}: {error}", width=240, placeholder=" ...")
        raise EdgestitchError(
            f"{path} cannot be run: {reason}", hint="see that python runs the file by itself"
        ) from None
    finally:
        sys.path.remove(str(path.resolve().parent))
    return {
        key: value for key, value in vars(module).items() if isinstance(value, (type, FunctionType))
    }


def _registered(name: Any) -> bool:
    return isinstance(name, str) and any(
        keras.saving.get_registered_object(known) is not None for known in (name, f"Custom>{name}")
    )


def _settings(entry: dict[str, Any]) -> dict[str, Any]:
    found = entry.get("config")
    return found if isinstance(found, dict) else {}


def _entries(config: Any) -> Iterator[dict[str, Any]]:
    """Every object in a configuration: what has a class_name."""
    waiting = [config]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if isinstance(part.get("class_name"), str):
                yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
