"""The recipes and the schedule that they set."""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgestitch_train
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_train import cli
from edgestitch_train.models import ARCHITECTURES
from edgestitch_train.recipes import RECIPES, Recipe, changed, checked, flag, validation_count


def test_every_model_has_a_recipe_that_checks() -> None:
    assert RECIPES.keys() == ARCHITECTURES.keys()
    for recipe in RECIPES.values():
        assert checked(recipe) is recipe


def test_every_field_has_a_flag_that_changes_it_alone() -> None:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    others = {"optimizer": "sgd", "schedule": "linear"}
    for field in fields(Recipe):
        value = others.get(field.name, 3 if field.type == "int" else 0.5)
        given_ = parser.parse_args([flag(field.name), str(value)])
        recipe = changed(RECIPES["mlp"], {f.name: getattr(given_, f.name) for f in fields(Recipe)})
        assert asdict(recipe) == asdict(RECIPES["mlp"]) | {field.name: value}


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": True},
        {"epochs": 2.0},
        {"seed": 2**32},
        {"learning_rate": "0.1"},
        {"learning_rate": math.nan},
        {"weight_decay": math.inf},
        {"optimizer": "adam"},
        {"momentum": 0.9},
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(EdgestitchError) as caught:
        changed(RECIPES["mlp"], changes)
    assert next(iter(changes)) in caught.value.message
    assert caught.value.hint


@given(n=st.integers(2, 100_000), share=st.floats(0.001, 0.999))
def test_validation_is_a_share_below_one_and_a_count_from_one_up(n: int, share: float) -> None:
    as_share = validation_count(replace(RECIPES["mlp"], validation=share), n)
    assert as_share >= 1
    assert abs(as_share - share * n) <= 1
    assert validation_count(replace(RECIPES["mlp"], validation=7.0), n) == 7


def test_the_default_holds_out_3000_of_fashion_mnist() -> None:
    assert validation_count(RECIPES["mlp"], 60_000) == 3_000


def test_the_rate_climbs_then_falls_as_the_formula_says() -> None:
    from edgestitch_train.optimization import Schedule

    def by_hand(step: int, shape: str) -> float:
        done = max(0.0, (step - 10) / 90)
        factor = {"cosine": (1 + math.cos(math.pi * done)) / 2, "linear": 1 - done, "constant": 1}
        return 0.5 * factor[shape] * min(1.0, (step + 1) / 10)

    for shape in ("cosine", "linear", "constant"):
        schedule = Schedule(peak=0.5, shape=shape, warmup_steps=10, steps=100)
        for step in (0, 4, 9, 10, 55, 99, 100):
            assert float(schedule(step)) == pytest.approx(by_hand(step, shape), abs=1e-6)


def test_the_public_names_are_these_and_each_is_there() -> None:
    assert edgestitch_train.__all__ == [
        "RECIPES",
        "Recipe",
        "TrainResult",
        "acquire",
        "pretrained",
        "train",
    ]
    for name in edgestitch_train.__all__:
        assert callable(getattr(edgestitch_train, name)) or name == "RECIPES"
    with pytest.raises(AttributeError):
        _ = edgestitch_train.nothing  # type: ignore[attr-defined]
