"""The recipes: everything that decides how a model is trained, in one place.

Each field of `Recipe` is a flag of `edgestitch train`: `label_smoothing` is --label-smoothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from edgestitch_runtime.errors import EdgestitchError

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "linear", "constant")


def _number(metavar: str, help_: str, low: float, high: float) -> Any:
    return field(metadata={"metavar": metavar, "help": help_, "low": low, "high": high})


def _word(help_: str, choices: tuple[str, ...]) -> Any:
    return field(metadata={"help": help_, "choices": choices})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a model is trained. `checked` says whether the values make sense."""

    epochs: int = _number("EPOCHS", "passes over the training images", 1, 10_000)
    batch: int = _number("IMAGES", "images a step", 1, 65_536)
    optimizer: str = _word("what turns gradients into steps", OPTIMIZERS)
    learning_rate: float = _number("RATE", "the highest rate of the schedule", 1e-9, 100)
    schedule: str = _word("how the rate falls to zero, step by step", SCHEDULES)
    warmup: float = _number(
        "EPOCHS", "epochs over which the rate first climbs from zero", 0, 10_000
    )
    weight_decay: float = _number("SHARE", "share of each weight taken off, times the rate", 0, 1)
    label_smoothing: float = _number("SHARE", "share of each label spread over all classes", 0, 0.9)
    dropout: float = _number("SHARE", "share of the hidden values dropped in training", 0, 0.9)
    flip: float = _number("SHARE", "share of the images mirrored left to right, each epoch", 0, 1)
    shift: int = _number("PIXELS", "by up to how much each image is moved, each epoch", 0, 16)
    erase: float = _number("SHARE", "share of the images with a rectangle erased, each epoch", 0, 1)
    average: float = _number(
        "SHARE", "share of all steps that the kept mean of the weights spans, 0 for none", 0, 1
    )
    patience: int = _number(
        "EPOCHS", "stop after so many without a lower validation loss, 0 for never", 0, 10_000
    )
    validation: float = _number(
        "COUNT|SHARE", "taken out of train: a count, or a share below 1", 1e-9, 1e9
    )
    seed: int = _number("SEED", "of the split, the first weights and the shuffling", 0, 2**32 - 1)


_MLP = Recipe(
    epochs=15,
    batch=32,
    optimizer="adamw",
    learning_rate=1e-3,
    schedule="cosine",
    warmup=0.0,
    weight_decay=0.0,
    label_smoothing=0.1,
    dropout=0.0,
    flip=0.0,
    shift=0,
    erase=0.0,
    average=0.0,
    patience=0,
    validation=0.05,
    seed=0,
)
_DSCNN = replace(
    _MLP,
    epochs=40,
    batch=128,
    learning_rate=3e-3,
    warmup=1.0,
    weight_decay=0.05,
    flip=0.5,
    shift=1,
    erase=0.15,
    average=0.02,
)
RECIPES = {"mlp": _MLP, "dscnn": replace(_DSCNN, epochs=32), "dscnn-l": replace(_DSCNN, epochs=50)}


def usual(model: str) -> Recipe:
    """The recipe for `model` unless told otherwise; for a network of the user's own the mlp's."""
    return RECIPES.get(model, _MLP)


def told(recipe: Recipe) -> str:
    """The recipe in a line, without what it leaves out: what is printed before a training."""
    values = {k: v for k, v in asdict(recipe).items() if v != 0 or k == "seed"}
    return ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in values.items())


def flag(name: str) -> str:
    """The command-line flag of a recipe's field."""
    return "--" + name.replace("_", "-")


def changed(recipe: Recipe, changes: dict[str, Any]) -> Recipe:
    """`recipe` with the fields of `changes` that are not None, checked."""
    unknown = changes.keys() - asdict(recipe).keys()
    if unknown:
        raise EdgestitchError(
            f"a recipe has no {', '.join(sorted(unknown))}",
            hint=f"it has {', '.join(asdict(recipe))}",
        )
    return checked(replace(recipe, **{k: v for k, v in changes.items() if v is not None}))


def checked(recipe: Recipe) -> Recipe:
    """`recipe` itself. Raises EdgestitchError when a value has the wrong type or range."""
    for each in fields(recipe):
        value = getattr(recipe, each.name)
        choices = each.metadata.get("choices")
        if choices is not None:
            if value not in choices:
                raise EdgestitchError(
                    f"{each.name} is {value!r}", hint=f"choose {' or '.join(choices)}"
                )
            continue
        low, high = each.metadata["low"], each.metadata["high"]
        whole = each.type == "int"
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            raise EdgestitchError(
                f"{each.name} is {value!r}, expected a {'whole ' if whole else ''}number",
                hint=f"choose one from {low:g} to {high:g}",
            )
        if not low <= value <= high:  # also false for nan
            raise EdgestitchError(
                f"{each.name} is {value}, expected {low:g} to {high:g}",
                hint=f"{flag(each.name)}: {each.metadata['help']}",
            )
    if recipe.warmup > recipe.epochs:
        raise EdgestitchError(
            f"warmup is {recipe.warmup:g} epochs of {recipe.epochs}",
            hint="the warm-up is a part of the training: choose fewer epochs for it",
        )
    return recipe


def validation_count(recipe: Recipe, n: int) -> int:
    """How many of `n` training images are held out: the recipe's count, or its share of them."""
    if recipe.validation < 1:
        return max(1, round(recipe.validation * n))
    if recipe.validation != int(recipe.validation):
        raise EdgestitchError(
            f"validation is {recipe.validation:g}, expected a whole number or a share below 1",
            hint="for example 3000, or 0.05",
        )
    return int(recipe.validation)
