"""`edgestitch diff`: flips against Keras and LiteRT themselves, and faults planted in one layer."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from keras import layers
from PIL import Image

from edgestitch_export import calibration, onnx_format, tflite_format
from edgestitch_export.diffing import diff
from edgestitch_export.flip_picture import Flip, flips_png
from edgestitch_export.inference_model import for_inference
from edgestitch_export.keras_layers import keras_layers
from edgestitch_export.parting import spread
from edgestitch_runtime.dataset import read_dataset

TRAIN = Path(__file__).parents[2] / "train" / "edgestitch_train"
MINI = TRAIN / "fashion_mnist_mini"
DSCNN = TRAIN / "pretrained" / "dscnn" / "model.keras"
Labelled = tuple[np.ndarray, np.ndarray]


def load(path: Path) -> Any:
    return keras.models.load_model(path)


def saved(model: Any, path: Path) -> Path:
    model.save(path)
    return path


def predicted(model: Any, images: np.ndarray) -> np.ndarray:
    return model.predict(images, verbose=0)


def sample() -> np.ndarray:
    return read_dataset(MINI).test.images_u8


def with_fault(path: Path, layer: str, *, change: Callable[[np.ndarray], np.ndarray]) -> Any:
    """The model in `path` with the first weights of one layer changed."""
    model = load(path)
    first, *others = model.get_layer(layer).get_weights()
    model.get_layer(layer).set_weights([change(first), *others])
    return model


def written(model: Any, format_: str, precision: str, folder: Path, images: np.ndarray) -> Path:
    """`model` as a file without a card, by the converter alone."""
    chosen = calibration.choose(images, np.arange(len(images)), count=100, seed=0)
    rewritten = for_inference(model)
    content = (
        tflite_format.convert(rewritten, precision, chosen)
        if format_ == "tflite"
        else onnx_format.convert(rewritten, precision, chosen, "probabilities")
    )
    path = folder / f"{precision}.{format_}"
    path.write_bytes(content)
    return path


def litert_int8(path: Path, images: np.ndarray) -> dict[str, np.ndarray]:
    """Every tensor of an int8 file as real numbers for one image after another, by name."""
    interpreter: Any = Interpreter(
        str(path),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    found: dict[str, list[np.ndarray]] = {}
    for image in images:
        pixels = (image.astype(int) - 128).astype(np.int8)
        shape = interpreter.get_input_details()[0]["shape"]
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels.reshape(shape))
        interpreter.invoke()
        for detail in interpreter.get_tensor_details():
            scale, zero_point = detail["quantization"]
            if scale:
                codes = interpreter.get_tensor(detail["index"]).astype(float)
                found.setdefault(detail["name"], []).append((codes - zero_point) * scale)
    return {name: np.concatenate(values) for name, values in found.items()}


def test_flips_and_their_kinds_are_those_of_keras_and_litert(
    mini_run: Path, mini_test: Labelled, float_rows: np.ndarray
) -> None:
    images, truth = mini_test
    path = mini_run / "export" / "mlp-int8.tflite"
    interpreter: Any = Interpreter(str(path))
    interpreter.allocate_tensors()
    codes = []
    for image in images:
        interpreter.set_tensor(0, (image.astype(int) - 128).astype(np.int8)[None])
        interpreter.invoke()
        codes.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    answers = np.argmax(codes, axis=1)
    expected = float_rows.argmax(axis=1)
    found = diff(mini_run / "model.keras", path)
    assert set(found.flips) == set(np.flatnonzero(answers != expected))
    assert found.agreement.n == 1000 and found.agreement.changed == len(found.flips) > 0
    assert found.agreement.lost == np.sum((expected == truth) & (answers != truth))
    assert found.agreement.won == np.sum((expected != truth) & (answers == truth))
    assert (found.a.correct, found.b.correct) == (
        np.sum(expected == truth),
        np.sum(answers == truth),
    )
    weights = np.array(codes).astype(float) + 128
    change = np.abs(weights / weights.sum(axis=1, keepdims=True) - float_rows).max(axis=1)
    assert found.largest_change == pytest.approx(change.max(), abs=1e-5)
    assert found.largest_change_image == change.argmax()
    assert list(found.flips) == sorted(found.flips, key=lambda k: -change[k])


def test_the_error_of_a_layer_is_that_of_its_values(mini_run: Path, mini_test: Labelled) -> None:
    """The hidden layer in numpy from Keras's weights, beside LiteRT's own tensor."""
    path = mini_run / "export" / "mlp-int8.tflite"
    images = mini_test[0][spread(1000, 32)]
    kernel, bias = load(mini_run / "model.keras").get_layer("hidden").get_weights()
    hidden = np.maximum(images.reshape(32, -1) / 255 @ kernel + bias, 0)
    (name,) = (n for n in litert_int8(path, images[:1]) if "hidden" in n and "Relu" in n)
    told = litert_int8(path, images)[name]
    error = np.sqrt(np.mean((told - hidden) ** 2) / np.mean(hidden**2))
    found = diff(mini_run / "model.keras", path).layers
    (row,) = (r for r in found.rows if r.layer == "hidden")
    assert row.error == pytest.approx(error, rel=1e-3)
    assert row.correlation == pytest.approx(np.corrcoef(told.ravel(), hidden.ravel())[0, 1])
    assert (row.values, row.before, row.a[-1]) == (128, 0.0, "hidden")
    assert (found.first, found.kind, found.tolerance_db) == (None, "none", 20)
    json_row = next(r for r in found.to_json()["rows"] if r["layer"] == "hidden")
    assert json_row["sqnr_db"] == pytest.approx(-20 * math.log10(error), abs=0.01)


@pytest.mark.parametrize("name", ["mlp-float32.tflite", "mlp-float32.onnx", "mlp-float16.tflite"])
def test_no_layer_of_a_sound_float_artifact_parts_from_the_model(mini_run: Path, name: str) -> None:
    found = diff(mini_run / "model.keras", mini_run / "export" / name)
    assert found.flips == () or name == "mlp-float16.tflite"
    assert found.layers.reason is None and found.layers.related
    assert (found.layers.first, found.layers.kind) == (None, "none")
    assert [r.layer for r in found.layers.rows] == ["hidden", "probabilities"]
    assert found.layers.tolerance_db == (40 if "16" in name else 60)


@pytest.mark.parametrize(
    "layer", ["stem", "block2_depthwise_norm", "block4_pointwise", "probabilities"]
)
def test_a_fault_between_two_keras_files_is_found_in_its_layer(layer: str, tmp_path: Path) -> None:
    model = with_fault(DSCNN, layer, change=lambda w: w * 1.5)
    found = diff(DSCNN, saved(model, tmp_path / "b.keras"), data=MINI, images=200).layers
    assert found.first is not None and found.kind == "jump"
    row = found.rows[found.first]
    assert row.layer == layer and row.a == row.b == (layer,)
    assert all(r.error == 0 for r in found.rows[: found.first])
    if layer in ("stem", "block4_pointwise"):  # convolutions without a bias: half as much again
        assert row.error == pytest.approx(0.5, rel=1e-5)


def test_scaling_the_pixels_once_more_is_found_in_the_layer_that_scales(tmp_path: Path) -> None:
    model = load(DSCNN)
    twice = keras.models.clone_model(
        model,
        clone_function=lambda layer: (
            layers.Rescaling(1 / 255**2, name="scale")
            if layer.name == "scale"
            else layer.__class__.from_config(layer.get_config())
        ),
    )
    twice.set_weights(model.get_weights())
    found = diff(DSCNN, saved(twice, tmp_path / "b.keras"), data=MINI, images=50).layers
    assert found.first is not None and found.rows[found.first].layer == "scale"


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
def test_a_fault_is_found_in_its_layer_behind_a_converter(
    format_: str, tmp_path: Path, mini_train: Labelled
) -> None:
    """The file has normalizations folded and activations fused; ONNX has channels first."""
    model = with_fault(DSCNN, "block3_pointwise", change=lambda w: w * 1.5)
    path = written(model, format_, "float32", tmp_path, mini_train[0])
    found = diff(DSCNN, path, data=MINI, images=200).layers
    assert found.reason is None and found.kind == "jump" and found.first is not None
    row = found.rows[found.first]
    assert row.layer == "block3_pointwise"
    assert row.before < 1e-4 < 0.1 < row.error
    before = [r.layer for r in found.rows[: found.first]]
    assert before[-1].startswith("block3_depthwise") and before[0] == "stem"


def test_a_fault_in_an_int8_file_stands_out_of_its_rounding(
    tmp_path: Path, mini_train: Labelled
) -> None:
    model = with_fault(DSCNN, "block4_depthwise", change=lambda w: w * 1.5)
    path = written(model, "tflite", "int8", tmp_path, mini_train[0])
    found = diff(DSCNN, path, data=MINI, images=200).layers
    assert found.first is not None and found.kind == "jump" and found.tolerance_db == 20
    row = found.rows[found.first]
    assert row.layer == "block4_depthwise"
    assert 0.02 < row.before < 0.1  # what eight bits cost before it


def test_layers_of_another_network_cannot_be_matched_and_the_flips_stand(mini_run: Path) -> None:
    found = diff(mini_run / "model.keras", DSCNN)
    assert found.layers.reason is not None and found.layers.rows == ()
    assert (found.layers.first, found.layers.kind) == (None, "none")
    rows = [predicted(load(p), sample()) for p in (mini_run / "model.keras", DSCNN)]
    expected = np.flatnonzero(rows[0].argmax(axis=1) != rows[1].argmax(axis=1))
    assert set(found.flips) == set(expected) and len(expected) > 50


def test_two_trainings_of_one_network_part_at_the_first_layer_with_weights(
    mini_run: Path, tmp_path: Path
) -> None:
    model = load(mini_run / "model.keras")
    rng = np.random.default_rng(0)
    model.set_weights([rng.permutation(w.ravel()).reshape(w.shape) for w in model.get_weights()])
    found = diff(mini_run / "export" / "mlp-float32.tflite", saved(model, tmp_path / "b.keras"))
    assert found.layers.reason is None and not found.layers.related
    assert found.layers.first is not None
    assert found.layers.rows[found.layers.first].layer == "hidden"


def branched() -> Any:
    """Two branches of one size, a shared layer, a model in the model."""
    pixels = keras.Input((28, 28, 1))
    x = layers.Conv2D(8, 3, strides=2, activation="relu", name="stem")(
        layers.Rescaling(1 / 255)(pixels)
    )
    left = layers.Conv2D(8, 3, padding="same", activation="relu", name="left")(x)
    right = layers.Conv2D(8, 1, activation="relu", name="right")(x)
    x = layers.Concatenate(name="joined")([right, left]) * 0.5
    shared = layers.Conv2D(16, 3, padding="same", activation="relu", name="shared")
    x = shared(shared(x))
    head = keras.Sequential(
        [keras.Input((16,)), layers.Dense(12, activation="tanh", name="inner")], name="head"
    )
    x = head(layers.GlobalAveragePooling2D(name="pooled")(x))
    return keras.Model(pixels, layers.Dense(10, activation="softmax", name="answer")(x))


@pytest.fixture(scope="module")
def branching(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(0)
    return saved(branched(), tmp_path_factory.mktemp("branched") / "branched.keras")


def test_what_keras_layers_give_is_recorded_in_branches_shared_and_nested_layers(
    branching: Path, mini_test: Labelled
) -> None:
    model = load(branching)
    images = mini_test[0][:7]
    before = model.predict(images, verbose=0)
    found = keras_layers(model, images)
    names = [o.name for o in found]
    assert names.count("shared") == 2 and "inner" in names and names[-1] == "answer"
    assert np.allclose(found[-1].values, before, atol=1e-6)
    place = {name: k for k, name in enumerate(names)}
    assert found[place["joined"]].inputs == tuple(sorted((place["left"], place["right"])))
    first_shared = names.index("shared")
    assert found[place["shared"]].inputs == (first_shared,)
    probe = keras.Model(model.inputs, model.get_layer("right").output)
    expected = predicted(probe, images).reshape(7, -1)
    assert np.allclose(found[place["right"]].values, expected, atol=1e-5)
    assert np.allclose(model.predict(images, verbose=0), before)  # nothing of it is left behind
    assert all("call" not in vars(o) for o in model.operations)


@pytest.mark.parametrize("layer", ["left", "right"])
def test_a_fault_in_either_branch_is_found_whatever_order_the_file_has(
    branching: Path, layer: str, tmp_path: Path, mini_train: Labelled
) -> None:
    model = with_fault(branching, layer, change=lambda w: w * 2)
    found = diff(
        branching,
        written(model, "onnx", "float32", tmp_path, mini_train[0]),
        data=MINI,
        images=50,
    ).layers
    assert found.first is not None and found.rows[found.first].layer == layer
    matched = {r.layer: r for r in found.rows}
    other = {"left": "right", "right": "left"}[layer]
    assert matched[other].error < 1e-5


def test_a_fault_in_a_branch_is_found_in_an_int8_file_whose_answer_hardly_changes(
    branching: Path, tmp_path: Path, mini_train: Labelled
) -> None:
    model = with_fault(branching, "right", change=lambda w: w * 1.6)
    path = written(model, "tflite", "int8", tmp_path, mini_train[0])
    found = diff(branching, path, data=MINI, images=50).layers
    assert found.reason is None
    assert found.first is not None and found.rows[found.first].layer == "right"


def test_channels_may_come_first_in_a_too(tmp_path: Path, mini_train: Labelled) -> None:
    model = with_fault(DSCNN, "block3_pointwise", change=lambda w: w * 1.5)
    path = written(model, "onnx", "float32", tmp_path, mini_train[0])
    found = diff(path, DSCNN, data=MINI, images=50).layers
    assert found.first is not None and found.rows[found.first].layer == "block3_pointwise"
    assert all(row.error < 1e-4 for row in found.rows[: found.first])
    assert len(found.rows) > 20


def test_a_layer_that_the_other_file_has_folded_away_is_no_difference(
    tmp_path: Path, mini_train: Labelled
) -> None:
    """The convolution before a normalization has as many values as the activation after it."""
    pixels = keras.Input((28, 28, 1))
    x = layers.Conv2D(8, 3, strides=2, use_bias=False, name="conv")(
        layers.Rescaling(1 / 255)(pixels)
    )
    norm = layers.BatchNormalization(name="norm")
    x = layers.ReLU(name="relu")(norm(x))
    left = layers.Conv2D(8, 1, activation="relu", name="left")(x)
    right = layers.MaxPooling2D(3, 1, padding="same", name="right")(x)
    x = layers.GlobalAveragePooling2D()(layers.Concatenate(name="joined")([left, right]))
    model = keras.Model(pixels, layers.Dense(10, activation="softmax", name="answer")(x))
    rng = np.random.default_rng(0)
    norm.set_weights([rng.uniform(0.5, 2, 8) for _ in range(4)])
    path = saved(model, tmp_path / "normed.keras")
    other = written(load(path), "onnx", "float32", tmp_path, mini_train[0])
    found = diff(path, other, data=MINI, images=50).layers
    assert (found.first, found.kind, found.reason) == (None, "none", None)


def test_the_picture_shows_each_flip_with_both_answers(mini_run: Path, tmp_path: Path) -> None:
    """The images are found again in the PNG, five pixels a pixel, the largest change first."""
    path = tmp_path / "new" / "flips.png"
    words = [str(mini_run / "export" / n) for n in ("mlp-float32.onnx", "mlp-int8.onnx")]
    found = diff(*words, picture=path)
    assert found.picture_status == "written" and found.flips
    drawn = Image.open(path)
    pixels = np.asarray(drawn.convert("L"))
    images = sample()
    places = []
    for k in found.flips[:24]:
        block = images[k].repeat(5, axis=0).repeat(5, axis=1)
        places.append(place_of(block, pixels))
    assert places == sorted(places) and len(set(places)) == len(places)
    colors = {color for _, color in drawn.getcolors(1 << 20) or ()}
    assert {(0x0B, 0x55, 0x9F), (0xC4, 0x4E, 0x00)} <= colors
    assert diff(*words, picture=path).picture_status == "unchanged"


def place_of(block: np.ndarray, picture: np.ndarray) -> tuple[int, int]:
    height, width = block.shape
    for top in range(picture.shape[0] - height + 1):
        for left in range(22, picture.shape[1] - width + 1, 205):  # the columns
            if np.array_equal(picture[top : top + height, left : left + width], block):
                return top, left
    raise AssertionError("the image is not in the picture")


def test_a_picture_of_no_flip_and_of_long_names_can_be_drawn(mini_test: Labelled) -> None:
    nothing = flips_png([], names=("a.keras", "b.keras"), flips_of=0, n=1)
    one = Flip(image_u8=mini_test[0][0], truth="x" * 99, answers=(("y" * 99, 0.5), ("é", 1.0)))
    drawn = flips_png([one], names=("a" * 500, "b.keras"), flips_of=1, n=1)
    sizes = [Image.open(io.BytesIO(content)).size for content in (nothing, drawn)]
    assert sizes[0][0] == sizes[1][0] and sizes[0][1] < sizes[1][1] < 500


def test_two_artifacts_are_compared_without_tensorflow(mini_run: Path) -> None:
    code = (
        "import sys\nfrom edgestitch_runtime.cli import main\n"
        "assert main(['diff', 'export/mlp-int8.tflite', 'export/mlp-int8.onnx', '--json']) == 0\n"
        "print([n for n in ('tensorflow', 'keras') if n in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=mini_run, capture_output=True, text=True, timeout=120
    )
    assert done.stderr.splitlines()[-1] == "[]", done.stderr
    told = json.loads(done.stdout)
    assert told["schema"] == 1
    assert [told[side]["engine"].split()[0] for side in "ab"] == ["litert", "onnxruntime"]
    assert [row["values"] for row in told["layers"]["rows"]] == [784, 128, 10, 10]
    assert told["agreement"]["changed"] == len(told["flips"])
