"""Trains a Keras classifier of small grayscale images and leaves a run folder.

from edgestitch_train import train
result = train(model="mlp", dataset="fashion-mnist")
print(result.test_correct, result.test_n, result.folder)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .acquisition import acquire as acquire
    from .recipes import RECIPES as RECIPES
    from .recipes import Recipe as Recipe
    from .shipped import pretrained as pretrained
    from .training import TrainResult as TrainResult
    from .training import train as train

__all__ = ["RECIPES", "Recipe", "TrainResult", "acquire", "pretrained", "train"]

_HOMES = {
    "RECIPES": "recipes",
    "Recipe": "recipes",
    "TrainResult": "training",
    "acquire": "acquisition",
    "pretrained": "shipped",
    "train": "training",
}


def __getattr__(name: str) -> Any:
    """Imports on first use: TensorFlow takes seconds, and `--help` has no need of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
