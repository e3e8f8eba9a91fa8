"""Models in files of every kind: what is loaded, what put inside, what refused by name."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from edgestitch_export import export
from edgestitch_export.foreign_model import load_foreign
from edgestitch_export.input_range import RAW, parse_range
from edgestitch_export.scaling_check import check_scaling
from edgestitch_runtime import Classifier, EdgestitchError
from edgestitch_runtime.card import read_artifact

Labelled = tuple[np.ndarray, np.ndarray]
SCALED: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # by numpy, as a user would before `fit`
    "0..255": lambda pixels: pixels,
    "0..1": lambda pixels: pixels / 255,
    "-1..1": lambda pixels: pixels / 127.5 - 1,
    "mean=0.286,std=0.353": lambda pixels: (pixels / 255 - 0.286) / 0.353,
}
CODE = """
import keras
from pathlib import Path

Path(__file__).with_suffix(".ran").write_text("ran")
print("loaded")


class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


class Subclassed(keras.Model):
    def __init__(self, units=10, **more):
        super().__init__(**more)
        self.units = units
        self.scale = keras.layers.Rescaling(1 / 255)
        self.convolve = keras.layers.Conv2D(4, 3, strides=2, activation="relu")
        self.flatten = keras.layers.Flatten()
        self.dense = keras.layers.Dense(units)

    def call(self, inputs):
        return self.dense(self.flatten(self.convolve(self.scale(inputs))))

    def get_config(self):
        return super().get_config() | {"units": self.units}
"""


def small(*, activation: str | None = "softmax") -> Any:
    """Without scaling; the padded convolution is where an offset cannot go into the weights."""
    return keras.Sequential(
        [keras.Input((28, 28, 1)), layers.Conv2D(4, 3, strides=2, padding="same"), layers.ReLU(),
         layers.Flatten(), layers.Dense(10, activation=activation)]
    )  # fmt: skip


def fit(model: Any, given: Labelled, taken: str = "0..255", *, from_logits: bool = False) -> Any:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    model.compile(keras.optimizers.Adam(3e-3), loss)
    images = SCALED[taken](given[0][:2000].astype(np.float32))[..., None]
    model.fit(images, given[1][:2000], batch_size=25, verbose=0)
    return model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, mini_train: Labelled, mini_test: Labelled):
    """600 training and 200 test images of the real sample."""
    path = tmp_path_factory.mktemp("data") / "theirs.npz"
    (images, labels), (test, truth) = mini_train, mini_test
    np.savez(
        path, x_train=images[:600], y_train=labels[:600], x_test=test[:200], y_test=truth[:200]
    )
    return path


@pytest.fixture(scope="module")
def trained(mini_train: Labelled) -> dict[str, Any]:
    """A model trained on pixels of each range."""
    found = {}
    for taken in SCALED:
        keras.utils.set_random_seed(0)
        found[taken] = fit(small(), mini_train, taken)
    return found


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("code") / "theirs.py"
    path.write_text(CODE)
    return path


@pytest.fixture(scope="module")
def own(code: Path) -> dict[str, Any]:
    """The classes in CODE, as the user's own process has them."""
    spaces: dict[str, Any] = {"__file__": str(code.with_name("own.py")), "__name__": "own_code"}
    exec(compile(CODE, "own.py", "exec"), spaces)
    return spaces


@pytest.fixture(scope="module")
def subclassed(own: dict[str, Any], mini_train: Labelled) -> Any:
    keras.utils.set_random_seed(0)
    return fit(own["Subclassed"](), mini_train, from_logits=True)


def rows_of(path: Path, images_u8: np.ndarray, engine: str = "auto") -> np.ndarray:
    with Classifier.open(path, engine=engine) as classifier:
        return classifier.probabilities(images_u8)


def softmax(rows: Any) -> np.ndarray:
    raised = np.exp(np.asarray(rows) - np.max(rows, axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("taken", list(SCALED)[1:])
def test_scaling_outside_the_model_is_put_inside(
    trained: dict[str, Any], data: Path, mini_test: Labelled, tmp_path: Path, taken: str
) -> None:
    model = trained[taken]
    model.save(tmp_path / "theirs.keras")
    images = mini_test[0][:100]
    expected = np.asarray(model(SCALED[taken](images.astype(np.float32))[..., None]))
    words: dict[str, Any] = {"data": data, "input_range": taken, "out": tmp_path}
    format_ = "onnx" if taken == "-1..1" else "tflite"
    made = export(tmp_path / "theirs.keras", format=format_, precision="float32", **words)
    assert np.abs(rows_of(made.path, images) - expected).max() < 1e-3
    assert made.card["preprocessing"]["input_range"] == taken
    if taken == "0..1":  # a range without an offset costs no operator
        assert made.card["operators"] == ["CONV_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]


@pytest.mark.parametrize(
    ("trained_on", "said", "right"),
    [("0..1", None, "0..1"), ("-1..1", None, "-1..1"), ("-1..1", "0..1", "-1..1"),
     ("0..255", "0..1", "0..255")],
)  # fmt: skip
def test_a_wrong_guess_about_scaling_is_refused_with_the_right_one(
    trained: dict[str, Any], mini_train: Labelled, trained_on: str, said: str | None, right: str
) -> None:
    given, (images, labels) = parse_range(said or RAW.text), (part[:600] for part in mini_train)
    check_scaling(trained[trained_on], images, labels, parse_range(right))
    with pytest.raises(EdgestitchError, match=rf"taken as {right} .*than as {given.text}") as no:
        check_scaling(trained[trained_on], images, labels, given)
    assert no.value.hint.startswith(f"--input-range {right}")
    assert no.value.exit_code == 2


def test_a_model_near_chance_is_refused_before_anything_is_made(
    trained: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    arrays = dict(np.load(data))
    arrays["y_train"] = (arrays["y_train"] + 3) % 10  # as if the classes stood in another order
    np.savez(tmp_path / "other.npz", **arrays)
    trained["0..1"].save(tmp_path / "theirs.keras")
    words: dict[str, Any] = {"data": tmp_path / "other.npz", "input_range": "0..1"}
    said = "near chance, 10.0 %, with its input taken as 0..1"
    with pytest.raises(EdgestitchError, match=said) as no:
        export(tmp_path / "theirs.keras", format="tflite", precision="int8", **words)
    assert no.value.hint.startswith("--input-range says what it takes")
    assert not (tmp_path / "export").exists()


def test_a_handful_of_images_is_enough_for_a_model_that_is_right(
    trained: dict[str, Any], mini_train: Labelled
) -> None:
    images, model = mini_train[0][:200], trained["0..255"]
    answers = np.asarray(model(images[..., None].astype(np.float32))).argmax(axis=1)
    chosen = np.concatenate([np.flatnonzero(answers == k)[:1] for k in range(10)])
    check_scaling(model, images[chosen], answers[chosen], RAW)
    check_scaling(model, images[chosen[:2]], answers[chosen[:2]], RAW)  # as of two classes


def test_an_h5_file_answers_as_the_model_that_was_saved(
    trained: dict[str, Any], data: Path, mini_test: Labelled, tmp_path: Path
) -> None:
    model, images = trained["0..255"], mini_test[0][:100]
    model.save(tmp_path / "theirs.h5")
    made = export(tmp_path / "theirs.h5", format="tflite", precision="int8", data=data)
    expected = np.asarray(model(images[..., None].astype(np.float32)))
    assert np.abs(rows_of(made.path, images) - expected).mean() < 0.01
    digest = hashlib.sha256((tmp_path / "theirs.h5").read_bytes()).hexdigest()
    assert made.card["hashes"]["source_model"] == digest


def test_a_savedmodel_folder_with_a_range(
    trained: dict[str, Any], data: Path, mini_test: Labelled, tmp_path: Path
) -> None:
    model = trained["-1..1"]
    model.export(tmp_path / "theirs", verbose=False)
    images = mini_test[0][:100]
    expected = np.asarray(model(SCALED["-1..1"](images.astype(np.float32))[..., None]))
    words: dict[str, Any] = {"data": data, "input_range": "-1..1", "precision": "int8"}
    made = export(tmp_path / "theirs", format="tflite", **words)
    assert made.path.parent == tmp_path / "export"
    assert np.abs(rows_of(made.path, images) - expected).max() < 0.1
    assert len(made.card["hashes"]["source_model"]) == 64


@pytest.mark.parametrize("way", ["SavedModel", "code"])
def test_a_subclassed_model(
    subclassed: Any, code: Path, data: Path, mini_test: Labelled, tmp_path: Path, way: str
) -> None:
    images = mini_test[0][:100]
    expected = softmax(subclassed(images[..., None].astype(np.float32)))
    words: dict[str, Any] = {"data": data}
    if way == "SavedModel":
        subclassed.export(tmp_path / "theirs", verbose=False)
        path = tmp_path / "theirs"
    else:
        subclassed.save(tmp_path / "theirs.keras")
        path = tmp_path / "theirs.keras"
        words |= {"code": code, "trust_code": True}
    for format_ in ("tflite",) if way == "code" else ("tflite", "onnx"):
        made = export(path, format=format_, precision="int8", **words)
        assert np.abs(rows_of(made.path, images) - expected).max() < 0.1
        assert not {"SHAPE", "PACK", "Shape"} & set(made.card["operators"])
        if format_ == "tflite":
            assert made.card["reference"]["distances"]
            by_reference = rows_of(made.path, images[:70], "reference")
            assert np.abs(by_reference - expected[:70]).max() < 0.1


def with_custom(own: dict[str, Any]) -> Any:
    layer = own["Doubled"](name="twice")
    return keras.Sequential([keras.Input((28, 28)), layer, layers.Flatten(), layers.Dense(10)])


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_custom_layer_needs_its_code_and_trust_in_it(
    own: dict[str, Any], code: Path, tmp_path: Path, suffix: str, capsys: Any
) -> None:
    model = with_custom(own)
    path = tmp_path / f"theirs{suffix}"
    model.save(path)
    ran = code.with_suffix(".ran")
    ran.unlink(missing_ok=True)
    with pytest.raises(EdgestitchError, match="uses Doubled, which is not of Keras") as no:
        load_foreign(path)
    assert "--code FILE --trust-code" in no.value.hint
    with pytest.raises(EdgestitchError, match="would be run, and is not trusted") as no:
        load_foreign(path, code=code)
    assert "--trust-code" in no.value.hint
    assert not ran.exists()
    loaded: Any = load_foreign(path, code=code, trust_code=True)
    assert ran.exists()
    assert capsys.readouterr().out == ""  # stdout is for results
    image = np.ones((1, 28, 28), np.float32)
    np.testing.assert_allclose(loaded(image), model(image), rtol=1e-6)


def test_a_class_that_the_process_registered_needs_no_file(tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable(package="tests_of_edgestitch")
    class Halved(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs / 2

    keras.Sequential([keras.Input((28, 28)), Halved(), layers.Flatten()]).save(tmp_path / "m.keras")
    assert load_foreign(tmp_path / "m.keras").layers


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_lambda_layer_is_not_run_unless_trusted(
    mini_train: Labelled, data: Path, tmp_path: Path, suffix: str
) -> None:
    ran = tmp_path / "ran"
    scale = eval(f"lambda x: (open({str(ran)!r}, 'w').close(), x / 255)[1]")
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), layers.Lambda(scale, name="theirs"), layers.Flatten(),
         layers.Dense(10)]
    )  # fmt: skip
    path = tmp_path / f"theirs{suffix}"
    fit(model, mini_train, from_logits=True).save(path)
    ran.unlink()
    with pytest.raises(EdgestitchError, match=r"has a Lambda layer \(theirs\): Python code") as no:
        load_foreign(path)
    assert "--trust-code runs it" in no.value.hint
    assert not ran.exists()
    if suffix == ".h5":
        load_foreign(path, trust_code=True)
    else:
        made = export(path, format="tflite", precision="float32", data=data, trust_code=True)
        assert made.agreement.changed == 0
    assert ran.exists()


def test_code_may_define_any_class_and_import_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text(
        "import keras\nclass Least(keras.constraints.Constraint):\n"
        "    def __call__(self, w):\n        return w\n"
    )
    (tmp_path / "theirs.py").write_text(
        "from beside import Least\ndef halved(x):\n    return x / 2\n"
        "def softmax(x):\n    raise RuntimeError('in the place of that of Keras')\n"
    )
    spaces: dict[str, Any] = {"__name__": "elsewhere"}
    exec((tmp_path / "beside.py").read_text() + "def halved(x):\n    return x / 2\n", spaces)
    dense = layers.Dense(10, activation=spaces["halved"], kernel_constraint=spaces["Least"]())
    model: Any = keras.Sequential(
        [keras.Input((28, 28)), layers.Flatten(), dense, layers.Activation("softmax")]
    )
    model.save(tmp_path / "m.keras")
    with pytest.raises(EdgestitchError, match=r"uses (halved, Least|Least, halved), which is not"):
        load_foreign(tmp_path / "m.keras")
    path = list(sys.path)
    loaded: Any = load_foreign(tmp_path / "m.keras", code=tmp_path / "theirs.py", trust_code=True)
    assert sys.path == path
    image = np.ones((1, 28, 28), np.float32)
    np.testing.assert_allclose(loaded(image), model(image), rtol=1e-6)


def test_a_savedmodel_folder_has_no_use_for_code(tmp_path: Path, code: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(EdgestitchError, match=r"needs no .*theirs\.py") as no:
        load_foreign(tmp_path, code=code, trust_code=True)
    assert no.value.hint == "leave out --code"


def test_code_that_fails_is_told_in_one_line(tmp_path: Path, own: dict[str, Any]) -> None:
    with_custom(own).save(tmp_path / "m.keras")
    (tmp_path / "bad.py").write_text("import keras\nraise SystemExit('no\\nway')\n")
    for name, said in (("bad.py", "cannot be run: SystemExit: no way"), ("none.py", "no Python")):
        with pytest.raises(EdgestitchError, match=said) as no:
            load_foreign(tmp_path / "m.keras", code=tmp_path / name, trust_code=True)
        assert no.value.exit_code == 2 and no.value.hint


def ends(shape: tuple[int, ...], *body: Any) -> Any:
    return keras.Sequential([keras.Input(shape), *body])


def two_inputs() -> Any:
    a, b = keras.Input((28, 28)), keras.Input((28, 28))
    return keras.Model([a, b], layers.Dense(10)(layers.Flatten()(layers.Add()([a, b]))))


def not_finite() -> Any:
    model: Any = ends((28, 28), layers.Flatten(), layers.Dense(10))
    model.set_weights([np.full((784, 10), np.nan), np.zeros(10)])
    return model


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (two_inputs, "has 2 inputs and 1 outputs"),
        (lambda: ends((32, 32), layers.Flatten(), layers.Dense(10)), "takes images of .32, 32."),
        (lambda: ends((28, 28), layers.Dense(10)), "expected .n, classes."),
        (lambda: ends((28, 28), layers.Flatten(), layers.Dense(9)), "9 classes, the data 10"),
        (not_finite, "has weights that are not finite"),
    ],
    ids=["two inputs", "another size", "no vector", "nine classes", "nan"],
)
def test_a_keras_model_that_will_not_do_is_refused_by_name(
    data: Path, tmp_path: Path, make: Callable[[], Any], said: str, suffix: str
) -> None:
    make().save(tmp_path / f"theirs{suffix}")
    with pytest.raises(EdgestitchError, match=said) as no:
        export(tmp_path / f"theirs{suffix}", format="tflite", precision="int8", data=data)
    assert no.value.exit_code == 2 and no.value.hint
    assert not (tmp_path / "export").exists()


def test_damaged_files_are_refused_in_one_line(trained: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("no model")
    trained["0..1"].save_weights(tmp_path / "only.weights.h5")
    trained["0..1"].save(tmp_path / "whole.h5")
    whole = (tmp_path / "whole.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/saved_model.pb").write_bytes(b"\xff no model")
    trained["0..1"].export(tmp_path / "bare", verbose=False)
    for path in (tmp_path / "bare/variables").iterdir():
        path.write_bytes(b"")
    for name, said in {
        "text.h5": "it is no HDF5 file",
        "none.h5": "is not there",
        "only.weights.h5": "has weights alone",
        "cut.h5": "cannot be loaded by Keras",
        "folder": "is damaged, or no SavedModel",
        "bare": "cannot be loaded by TensorFlow",
    }.items():
        with pytest.raises(EdgestitchError, match=said) as no:
            load_foreign(tmp_path / name)
        assert no.value.exit_code == 2 and no.value.hint, name


def test_calibration_images_without_black_or_white_keep_the_input_of_0_to_255(
    trained: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    arrays = dict(np.load(data))
    gray = {k: 20 + v // 2 if k.startswith("x") else v for k, v in arrays.items()}
    np.savez(tmp_path / "gray.npz", **gray)
    trained["-1..1"].save(tmp_path / "theirs.keras")
    words: dict[str, Any] = {"data": tmp_path / "gray.npz", "input_range": "-1..1"}
    made = export(tmp_path / "theirs.keras", format="tflite", precision="int8", **words)
    assert "QUANTIZE" not in made.card["operators"]
    assert (made.card["input"]["scale"], made.card["input"]["zero_point"]) == (1.0, -128)
    assert made.card == read_artifact(made.path).card


def test_activations_without_an_integer_kernel_are_looked_up_in_onnx(
    mini_train: Labelled, data: Path, mini_test: Labelled, tmp_path: Path
) -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), layers.Flatten()]
        + [layers.Dense(24, activation=kind) for kind in ("elu", "selu", "softplus", "gelu")]
        + [layers.Dense(10, activation="softmax")]
    )
    fit(model, mini_train).save(tmp_path / "m.keras")
    made = export(tmp_path / "m.keras", format="onnx", precision="int8", data=data)
    assert made.card["operators"].count("Gather") == 4
    assert made.card["float_operators"] == []
    expected: Any = model(mini_test[0][:200, ..., None].astype(np.float32))
    assert np.abs(rows_of(made.path, mini_test[0][:200]) - expected).mean() < 0.02
