"""The ladder: what it chooses by, takes and refuses, and what its rungs do to a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import onnxruntime
import pytest

from edgestitch_export import calibration as calibrating
from edgestitch_export import ladder
from edgestitch_export.attempt import Attempt, keeping
from edgestitch_export.bias_correction import bias_corrected
from edgestitch_export.budget import Budget
from edgestitch_export.equalization import equalized
from edgestitch_export.exporting import export_source
from edgestitch_export.fine_tuning import fine_tuned
from edgestitch_export.formats import FORMATS
from edgestitch_export.held_out import answers, hold_out
from edgestitch_export.imitation import (
    copied,
    imitate,
    kernel_axes,
    round_weights,
    rounded_layers,
    set_ranges,
    switch,
)
from edgestitch_export.inference_model import for_inference
from edgestitch_export.source import Source, open_source
from edgestitch_runtime import EdgestitchError
from edgestitch_runtime.agreement import Z95_ONE_SIDED, paired_interval
from edgestitch_runtime.card import Artifact
from edgestitch_runtime.onnx_engine import open_onnxruntime

TRAIN = Path(__file__).parents[2] / "train" / "edgestitch_train"


@pytest.fixture(scope="module")
def mlp(mini_run: Path) -> Source:
    return open_source(mini_run, data=None)


@pytest.fixture(scope="module")
def dscnn(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """The shipped weights with the bundled sample."""
    path = tmp_path_factory.mktemp("shipped") / "dscnn.keras"
    path.write_bytes((TRAIN / "pretrained" / "dscnn" / "model.keras").read_bytes())
    return open_source(path, data=TRAIN / "fashion_mnist_mini")


def calibration_of(source: Source, count: int = 100) -> calibrating.Calibration:
    return calibrating.choose(
        source.dataset.train.images_u8, source.train_indices, count=count, seed=0
    )


def rows_of(model: Any, images_u8: np.ndarray) -> np.ndarray:
    shape = model.inputs[0].shape[1:]
    return np.asarray(model(images_u8.reshape(-1, *shape).astype(np.float32)))


def weights_rounded(imitation: Any, levels: int) -> Any:
    axes = kernel_axes(imitation)
    for layer in imitation.layers:
        if id(getattr(layer, "kernel", None)) in axes:
            layer.kernel.assign(round_weights(layer.kernel.value, axes[id(layer.kernel)], levels))
    return imitation


def test_what_is_held_out_is_seen_by_nothing_that_is_fitted(mlp: Source) -> None:
    held = hold_out(mlp, seed=0)
    train = mlp.dataset.train
    validation = np.setdiff1d(np.arange(len(train.labels)), mlp.train_indices)
    assert held.validation == len(validation) == 300
    assert len(held.labels) + len(held.fit_indices) == len(train.labels) == 6000
    assert not np.intersect1d(held.fit_indices, validation).size
    judged = {image.tobytes() for image in held.images_u8}
    fitted = {image.tobytes() for image in train.images_u8[held.fit_indices]}
    assert len(judged & fitted) <= 5  # the sample holds a few images twice
    assert judged & {image.tobytes() for image in train.images_u8[validation]}
    other = hold_out(mlp, seed=1)
    assert not np.array_equal(held.fit_indices, other.fit_indices)


@pytest.mark.parametrize(
    "budget",
    [
        Budget(max_drop_pp=2.0),
        Budget(max_changed_percent=4.0),
        Budget(max_drop_pp=90.0, max_changed_percent=4.0),
    ],
)
def test_the_first_rung_within_the_budget_is_taken_and_all_go_into_the_card(
    mlp: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: Budget
) -> None:
    """Conversions by min-max are spoilt here: noise in the first kernel."""
    real = FORMATS["tflite"]
    spoilt: Any = copied(mlp.rewritten)
    kernel, bias = spoilt.get_layer("hidden").get_weights()
    noise = np.random.default_rng(0).normal(0, kernel.std(), kernel.shape)
    spoilt.get_layer("hidden").set_weights([kernel + noise, bias])

    def convert(model: Any, precision: str, calibration: Any, kind: str) -> bytes:
        return real.convert(
            spoilt if calibration.method == "min-max" else model, precision, calibration, kind
        )

    monkeypatch.setitem(FORMATS, "tflite", replace(real, convert=convert))
    said: list[str] = []
    exported = export_source(
        mlp,
        format="tflite",
        precision="int8",
        name="budget",
        out=tmp_path,
        calibration_images=200,
        seed=0,
        overwrite=False,
        budget=budget,
        say=said.append,
    )
    told = exported.card["ladder"]
    assert [rung["rung"] for rung in told["rungs"]] == ["min-max", "percentile"]
    assert exported.card["calibration"]["method"] == "percentile"
    assert exported.path.name == "budget-int8.tflite"
    assert [line.split(":")[0] for line in said[1:]] == ["min-max", "percentile"]
    held = hold_out(mlp, seed=0)
    assert (told["n"], told["validation"]) == (len(held.labels), 300)
    scores, engine = answers(exported.path.read_bytes(), "tflite", held.images_u8)
    found = scores.argmax(axis=1)
    assert engine == told["engine"] and engine.startswith("litert ")
    right, floats = found == held.labels, held.float_index == held.labels
    last = told["rungs"][-1]
    assert last["changed"] == int((found != held.float_index).sum())
    assert last["lost"] == int((floats & ~right).sum())
    for rung in told["rungs"]:
        _, upper = paired_interval(
            both=int(floats.sum()) - rung["lost"],
            lost=rung["lost"],
            won=rung["won"],
            n=told["n"],
            z=Z95_ONE_SIDED,
        )
        assert rung["upper_pp"] == pytest.approx(100 * upper, abs=1e-4)
        most = rung["changed_upper_percent"] / 100  # where the score test is at its quantile
        off = most - rung["changed"] / told["n"]
        assert off / np.sqrt(most * (1 - most) / told["n"]) == pytest.approx(Z95_ONE_SIDED, 1e-3)
        bounds = (
            (rung["upper_pp"], told["max_drop_pp"]),
            (rung["changed_upper_percent"], told["max_changed_percent"]),
        )
        within = [upper <= allowed for upper, allowed in bounds if allowed is not None]
        assert all(within) == (rung is last)


def test_what_both_parts_of_a_budget_ask_decides_which_rung_is_best() -> None:
    bounds = {"drop_upper_pp": 0.6, "changed_upper_percent": 1.5}
    assert Budget(max_drop_pp=0.5).beyond(**bounds) == pytest.approx(0.1)
    assert Budget(max_changed_percent=2).beyond(**bounds) == pytest.approx(-0.5)
    both = Budget(max_drop_pp=0.5, max_changed_percent=2)
    assert both.beyond(**bounds) == pytest.approx(0.1)
    assert both.allowance() == "0.5 points and 2 % of answers changed"
    assert Budget(max_changed_percent=2).allowance() == "2 % of answers changed"
    assert Budget(qat=True).beyond(**bounds) < -100, "the first rung is taken"


@pytest.mark.parametrize("format_", FORMATS)
def test_when_nothing_fits_the_worst_operators_are_named_and_nothing_is_left(
    mlp: Source, tmp_path: Path, format_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "tuned", lambda *args: iter(()))  # fine-tuning takes longest
    said: list[str] = []
    with pytest.raises(
        EdgestitchError, match="within 0 points and 0 % of answers changed; the closest"
    ) as no:
        export_source(
            mlp,
            format=format_,
            precision="int8",
            name=None,
            out=tmp_path / "e",
            calibration_images=50,
            seed=0,
            overwrite=False,
            budget=Budget(max_drop_pp=0.0, max_changed_percent=0.0, confidence=0.9999),
            say=said.append,
        )
    assert no.value.exit_code == 1
    assert "hidden" in no.value.hint and "\n" not in no.value.message + no.value.hint
    assert not (tmp_path / "e").exists()
    shares = [float(line.split("%")[0]) for line in said if line.startswith("  ")]
    assert len(shares) >= 1 and shares == sorted(shares, reverse=True)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--int8", "--max-drop", "-1"), "a drop of at most -1 points"),
        (("--int8", "--max-drop", "nan"), "a drop of at most nan points"),
        (("--int8", "--max-changed", "-1"), "at most -1 % of changed answers"),
        (("--int8", "--max-drop", "1", "--confidence", "1"), "a confidence of 1 "),
        (("--int8", "--mixed"), "none was given"),
        (("--float32", "--max-drop", "1"), "no int8 artifact is asked for"),
        (("--int8", "--max-drop", "1", "--calibration-images", "0"), "must be at least 1"),
    ],
)
def test_what_is_no_budget_is_refused_in_one_line(
    mini_run: Path, tmp_path: Path, refused: Callable[..., str], flags: tuple[str, ...], said: str
) -> None:
    line = refused("export", mini_run, "--format", "tflite", *flags, cwd=tmp_path)
    assert said in line


def test_an_empty_calibration_set_is_refused(mlp: Source) -> None:
    with pytest.raises(EdgestitchError, match="0 calibration images") as no:
        calibrating.choose(mlp.dataset.train.images_u8, np.array([], np.int64), count=None, seed=0)
    assert no.value.exit_code == 2


@pytest.mark.parametrize("name", ["mlp", "dscnn"])
def test_the_imitation_answers_as_the_model_and_rounded_as_the_artifact(
    request: pytest.FixtureRequest, name: str
) -> None:
    source: Source = request.getfixturevalue(name)
    images = source.dataset.test.images_u8[:300]
    imitation = imitate(source.rewritten)
    np.testing.assert_allclose(
        rows_of(imitation, images), rows_of(source.rewritten, images), atol=1e-5
    )
    calibration = calibration_of(source)
    set_ranges(imitation, "min-max", calibration.images_u8)
    switch(rounded_layers(imitation), share=1.0)
    rounded = rows_of(weights_rounded(imitation, 127), images)
    content = FORMATS["tflite"].convert(source.rewritten, "int8", calibration, source.kind)
    scores, _ = answers(content, "tflite", images)
    artifact = (scores.astype(float) + 128) / 256
    floats = rows_of(source.rewritten, images)
    apart, from_floats = (
        float(np.abs(np.round(rows * 256) / 256 - artifact).mean()) for rows in (rounded, floats)
    )
    assert apart < 0.6 * from_floats


def test_equalization_keeps_the_answers_and_brings_channels_together(dscnn: Source) -> None:
    calibration = calibration_of(dscnn)
    equal, pairs = equalized(dscnn.rewritten, calibration.images_u8)
    assert pairs == 7  # dscnn's activations that one layer alone takes
    images = dscnn.dataset.test.images_u8[:200]
    np.testing.assert_allclose(rows_of(equal, images), rows_of(dscnn.rewritten, images), atol=1e-4)

    def spread(model: Any) -> float:
        inner = keras.Model(model.inputs, model.get_layer("stem_relu").output)
        high = rows_of(inner, calibration.images_u8).max(axis=(0, 1, 2))
        return float(high.max() / high.min())

    assert spread(dscnn.rewritten) > 1.2 > 1.01 > spread(equal)  # before a depthwise layer


def joined(*, first: str = "relu", axis: int = -1, twice: bool = False) -> keras.Model:
    """The pixels as they come beside two convolutions, pooled and concatenated, then a layer."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((28, 28, 1))
    one = keras.layers.Conv2D(1, 3, padding="same", activation=first, name="one")(pixels)
    other = keras.layers.Conv2D(1, 1, activation="relu", name="other")(pixels)
    halves = [keras.layers.AveragePooling2D(2)(x) for x in (pixels, one, other)]
    x = keras.layers.Concatenate(axis=axis, name="joined")(halves + halves[2:] * twice)
    x = keras.layers.Flatten()(keras.layers.MaxPooling2D(7)(x))
    return keras.Model(pixels, keras.layers.Dense(10, activation="softmax")(x))


def test_equalization_goes_through_a_concatenation_with_the_pixels(mlp: Source) -> None:
    images = mlp.dataset.train.images_u8[:200]
    model: Any = for_inference(joined())
    for name, size in (("one", 1e-2), ("other", 3e-3)):
        layer = model.get_layer(name)
        layer.set_weights([np.full_like(layer.get_weights()[0], size), layer.get_weights()[1]])
    equal, pairs = equalized(model, images)
    assert pairs == 2
    np.testing.assert_allclose(rows_of(equal, images), rows_of(model, images), atol=1e-4)

    def highest(of: Any) -> np.ndarray:
        seen = keras.Model(of.inputs, of.get_layer("joined").output)
        return rows_of(seen, images).max(axis=(0, 1, 2))

    before, after = highest(model), highest(equal)
    assert before[0] > 10 * before[1] > 100 * before[2]
    assert after[0] == before[0], "the pixels stay as they are"
    used = np.abs(model.layers[-1].get_weights()[0].reshape(-1, 3, 10)).max(axis=(0, 2))
    assert after == pytest.approx(before[0] * np.sqrt(before * used / (before * used)[0]), rel=1e-3)


def test_equalization_leaves_what_passes_no_factor(mlp: Source) -> None:
    images = mlp.dataset.train.images_u8[:50]
    for model, expected in (
        (joined(first="tanh"), 1),
        (joined(twice=True), 1),
        (joined(axis=1), 0),
    ):
        ready = for_inference(model)
        equal, pairs = equalized(ready, images)
        assert pairs == expected
        np.testing.assert_allclose(rows_of(equal, images), rows_of(ready, images), atol=1e-4)


def test_bias_correction_takes_the_mean_error_off_each_layer(dscnn: Source) -> None:
    calibration = calibration_of(dscnn)
    images = calibration.images_u8
    corrected = bias_corrected(dscnn.rewritten, method="mse", levels=16, images_u8=images)

    def logits(model: Any, *, rounded: bool) -> np.ndarray:
        imitation = imitate(model)
        if rounded:
            set_ranges(imitation, "mse", images)
            switch(rounded_layers(imitation), share=1.0)
            weights_rounded(imitation, 16)
        output = imitation.get_layer("probabilities").output
        return rows_of(keras.Model(imitation.inputs, output), images).mean(axis=0)

    wanted = logits(dscnn.rewritten, rounded=False)
    before = np.abs(logits(dscnn.rewritten, rounded=True) - wanted).max()
    after = np.abs(logits(corrected, rounded=True) - wanted).max()
    assert after < 0.2 * before


def test_fine_tuning_teaches_a_coarsely_rounded_network_its_float_answers(mlp: Source) -> None:
    images = mlp.dataset.train.images_u8[mlp.train_indices][:3000]
    calibration = calibration_of(mlp)

    def made() -> Any:
        return fine_tuned(
            mlp.rewritten,
            teacher=mlp.rewritten,
            kind=mlp.kind,
            method="min-max",
            levels=3,
            images_u8=images,
            calibration_u8=calibration.images_u8,
            rate=1e-3,
            seed=0,
        )

    model = made()
    test = mlp.dataset.test.images_u8
    wanted = rows_of(mlp.rewritten, test)

    def error(of: Any) -> float:
        return float(np.abs(rows_of(weights_rounded(copied(of), 3), test) - wanted).mean())

    assert error(model) < 0.9 * error(mlp.rewritten)
    for one, other in zip(model.get_weights(), made().get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def onnx_scores(
    content: bytes, card: dict[str, Any], images_u8: np.ndarray
) -> tuple[np.ndarray, int]:
    """What the runtime's session answers, and how many times ONNX Runtime was called for it."""
    calls = 0

    class Counted(onnxruntime.InferenceSession):
        def run(self, *args: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            return super().run(*args, **more)

    package = SimpleNamespace(InferenceSession=Counted, SessionOptions=onnxruntime.SessionOptions)
    path = Path("draft.onnx")
    draft = Artifact(path=path, format="onnx", content=content, weights_sha256="", card=card)
    return open_onnxruntime(draft, package, 1).run(images_u8), calls


@pytest.mark.parametrize("format_", FORMATS)
def test_mixed_keeps_the_named_operators_float_and_no_others(
    dscnn: Source, tmp_path: Path, format_: str
) -> None:
    record = FORMATS[format_]
    calibration = calibration_of(dscnn)
    plain = Attempt(title="min-max", model=dscnn.rewritten, calibration=calibration)
    operators = record.operators(dscnn.rewritten, calibration)
    images = dscnn.dataset.test.images_u8[:300]
    floats = rows_of(dscnn.rewritten, images)

    def content_of(attempt: Attempt) -> bytes:
        return record.convert(attempt.model, "mixed", attempt.calibration, dscnn.kind)

    def error(attempt: Attempt) -> float:
        scores, _ = answers(content_of(attempt), format_, images)
        lowest = -128 if format_ == "tflite" else 0
        return float(np.abs((scores.astype(float) - lowest) / 255 - floats).mean())

    everything = keeping(plain, {op.name: op.kind for op in operators})
    assert error(everything) < 0.6 * error(plain)
    first = operators[0]  # takes the pixels
    one = keeping(plain, {first.name: first.kind})
    assert one.precision == "mixed"
    facts = record.read_back(content_of(one), "mixed")
    record.check(facts, "mixed")
    kinds = facts["operators"]
    if format_ == "tflite":
        assert (kinds.count("DEQUANTIZE"), kinds.count("QUANTIZE")) == (1, 1)
        assert kinds.index("DEQUANTIZE") + 1 == kinds.index("CONV_2D")
        with pytest.raises(EdgestitchError, match="FLOAT32 tensors"):
            record.check(facts, "int8")
    else:
        assert facts["input"]["dtype"] == facts["output"]["dtype"] == "uint8"
        scores, called = onnx_scores(content_of(one), {"precision": "mixed"}, images)
        alone, times = onnx_scores(content_of(one), {}, images)
        np.testing.assert_array_equal(scores, alone)
        assert (called, times) == (-(-len(images) // 64), len(images))


def test_the_worst_operator_is_found_and_kept_float(
    dscnn: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One layer is spoilt wherever it is rounded: the ladder has to find it, and keep it float."""
    real = FORMATS["tflite"]
    spoilt: Any = copied(dscnn.rewritten)
    layer = spoilt.get_layer("block3_pointwise")
    layer.set_weights([layer.get_weights()[0] * 0.2, layer.get_weights()[1]])

    def convert(model: Any, precision: str, calibration: Any, kind: str) -> bytes:
        kept = any("block3_pointwise" in name for name in calibration.kept)
        return real.convert(model if kept else spoilt, precision, calibration, kind)

    monkeypatch.setitem(FORMATS, "tflite", replace(real, convert=convert))
    start = lambda material, best: iter(  # noqa: E731
        [Attempt(title="min-max", model=material.model, calibration=material.calibration)]
    )
    monkeypatch.setattr(ladder, "calibrated", start)
    monkeypatch.setattr(ladder, "tuned", lambda *args: iter(()))
    smaller = hold_out(dscnn, seed=0)
    few = replace(
        smaller,
        images_u8=smaller.images_u8[:500],
        labels=smaller.labels[:500],
        float_index=smaller.float_index[:500],
    )
    monkeypatch.setattr(ladder, "hold_out", lambda source, seed: few)
    exported = export_source(
        dscnn,
        format="tflite",
        precision="int8",
        name="dscnn",
        out=tmp_path,
        calibration_images=50,
        seed=0,
        overwrite=False,
        budget=Budget(max_drop_pp=1.5, mixed=True),
    )
    assert exported.path.name == "dscnn-mixed.tflite"
    assert exported.precision == exported.card["precision"] == "mixed"
    assert exported.card["ladder"]["kept_float"] == ["CONV_2D block3_pointwise"]
    assert json.dumps(exported.card["ladder"])  # plain JSON
    assert exported.agreement.drop_pp < 1.5
