"""`--model my_network.py:build`: a network of the user's own, and what is refused of one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from edgestitch_runtime.cli import main

QUICK = ["train", "--dataset", "fashion-mnist-mini", "--epochs", "1", "--batch", "500"]
GOOD = """
import keras
from keras import layers

print("building")

def build(height, width, classes):
    return keras.Sequential([
        keras.Input((height, width, 1)),
        layers.Rescaling(1 / 255),
        layers.Conv2D(8, 3, strides=2, activation="relu"),
        layers.Flatten(),
        layers.Dropout(0.1),
        layers.Dense(classes{last}),
    ])
"""
HEAD = "import keras\nfrom keras import layers, Input, Sequential, Model\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("last", ["", ", activation='softmax'"])
def test_an_own_network_is_trained_saved_and_judged_with_logits_as_with_probabilities(
    here: Path, capsys: pytest.CaptureFixture[str], last: str
) -> None:
    import keras

    (here / "my_network.py").write_text(GOOD.replace("{last}", last))
    words = [*QUICK, "--model", "my_network.py:build", "--learning-rate", "0.01", "--json"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)  # what the file prints is not among the data
    assert "building" in err and "my_network on fashion-mnist-mini" in err
    record = json.loads(Path("runs/my_network/run.json").read_text())
    assert record["model"]["architecture"] == "my_network.py:build"
    content = (here / "my_network.py").read_bytes()
    assert record["model"]["source_sha256"] == hashlib.sha256(content).hexdigest()
    assert record["model"]["macs"] == 13 * 13 * 9 * 8 + 13 * 13 * 8 * 10
    assert record["recipe"]["learning_rate"] == 0.01
    assert "--model my_network.py:build" in record["command"]
    loaded: Any = keras.saving.load_model("runs/my_network/model.keras", compile=False)
    from edgestitch_train import acquire

    test = acquire("fashion-mnist-mini").test
    answers = loaded.predict(test.images_u8, verbose=0).argmax(1)
    assert told["test_correct"] == int((answers == test.labels).sum()) > 600
    assert record["history"][0]["val_loss"] < 1.5  # as logits or as probabilities, not the other


def test_a_recipe_of_another_model_can_be_chosen(here: Path) -> None:
    (here / "my_network.py").write_text(GOOD.replace("{last}", ", activation='softmax'"))
    words = ["train", "--dataset", "fashion-mnist-mini", "--epochs", "2", "--name", "mine"]
    words += ["--model", "my_network.py", "--recipe", "dscnn", "--progress", "none"]
    assert main(words) == 0
    recipe = json.loads(Path("runs/mine/run.json").read_text())["recipe"]
    assert (recipe["flip"], recipe["batch"], recipe["epochs"]) == (0.5, 128, 2)


def test_a_file_beside_it_can_be_imported(here: Path) -> None:
    (here / "deep").mkdir()
    (here / "deep/width_of.py").write_text("WIDTH = 12\n")
    (here / "deep/net.py").write_text(
        HEAD + "from width_of import WIDTH\ndef build(classes=10):\n"
        "  return Sequential([Input((28, 28)), layers.Rescaling(1/255), layers.Flatten(),"
        " layers.Dense(WIDTH), layers.Dense(classes, activation='softmax')])\n"
    )
    assert main([*QUICK, "--model", "deep/net.py:build"]) == 0
    assert json.loads(Path("runs/net/run.json").read_text())["model"]["parameters"] == (
        784 * 12 + 12 + 12 * 10 + 10
    )


DENSE = "layers.Flatten(), layers.Dense(10, activation='softmax')"


@pytest.mark.parametrize(
    ("code", "says", "hint"),
    [
        (f"def build(): return Sequential([Input((32, 32)), {DENSE}])", "takes (None, 32, 32)", ""),
        (f"def build(): return Sequential([Input((28, 28, 3)), {DENSE}])", "28, 28, 3)", "28, 1)"),
        (
            "def build(): return Sequential([Input((28, 28)), layers.Flatten(), layers.Dense(9)])",
            "gives (None, 9), the data has 10 classes",
            "(None, 10)",
        ),
        ("def build(): return Sequential([Input((28, 28))])", "without a fixed input", ""),
        (f"def build(): return Sequential([{DENSE}])", "without a fixed input", "keras.Input"),
        ("def build(): return 3", "returned int, no keras.Model", ""),
        ("def build(): return None", "returned NoneType", ""),
        ("def build(depth): return 1", "wants depth", "height, width and classes"),
        ("def build(): return 1 / 0", "raised ZeroDivisionError at line 3", ""),
        ("def build(): raise SystemExit(3)", "raised SystemExit at line 3", ""),
        ("raise ImportError('no such thing')", "raised ImportError at line 3", ""),
        ("def build(:", "raised SyntaxError at line 3", ""),
        ("def other(): pass", "has no function 'build'", "it has other"),
        ("build = 3", "has no function 'build'", ""),
        (
            "def build(): return Sequential([Input((28, 28)), layers.Lambda(lambda x: x), "
            f"{DENSE}])",
            "uses Lambda, whose code would not be in the saved file",
            "",
        ),
        (
            "class Mine(layers.Layer):\n  def call(self, x): return x\n"
            f"def build(): return Sequential([Input((28, 28)), Mine(), {DENSE}])",
            "uses Mine",
            "",
        ),
        (
            "def build():\n  x = Input((28, 28)); y = layers.Flatten()(x)\n"
            "  return Model(x, [layers.Dense(10)(y), layers.Dense(10)(y)])",
            "1 inputs and 2 outputs",
            "",
        ),
        (
            "def build(): return Sequential([Input((28, 28)), layers.AveragePooling1D(28), "
            "layers.Flatten(), layers.Reshape((28,)), layers.Softmax()])",
            "gives (None, 28)",
            "",
        ),
    ],
)
def test_what_is_no_classifier_of_this_data_is_refused_in_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], code: str, says: str, hint: str
) -> None:
    (here / "net.py").write_text(HEAD + code + "\n")
    assert main([*QUICK, "--model", "net.py:build"]) == 2
    out, err = capsys.readouterr()
    last = err.strip().splitlines()[-2:]
    assert out == "" and "Traceback" not in err
    assert last[0].startswith("edgestitch: ") and "net.py" in last[0] and says in last[0]
    assert last[1].startswith("hint: ") and hint in last[1]
    assert not Path("runs").exists()


def test_a_missing_file_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--model", "nowhere.py:build"]) == 2
    assert "cannot read nowhere.py: no such file" in capsys.readouterr().err


def test_unscaled_pixels_are_pointed_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "net.py").write_text(
        HEAD + f"def build(): return Sequential([Input((28, 28)), {DENSE}])\n"
    )
    assert main([*QUICK, "--model", "net.py:build", "--learning-rate", "1e-6"]) == 0
    assert "net.py:build has no Rescaling layer" in capsys.readouterr().err


def test_weights_that_overflow_before_training_are_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "net.py").write_text(
        HEAD + "def build(): return Sequential([Input((28, 28)), layers.Rescaling(1e38), "
        "layers.Rescaling(1e38), layers.Flatten(), layers.Dense(10)])\n"
    )
    assert main([*QUICK, "--model", "net.py:build"]) == 2
    assert "gives values that are not finite" in capsys.readouterr().err


BODY = "layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(10, activation='softmax')"


@pytest.mark.parametrize(
    "code",
    [
        # What two nested models share is apart in the saved file.
        "def build():\n"
        "  conv = layers.Conv2D(4, 3, padding='same')\n"
        "  i = Input((28, 28, 1)); a = Model(i, conv(i))\n"
        "  j = Input((28, 28, 1)); b = Model(j, layers.ReLU()(conv(j)))\n"
        "  x = Input((28, 28, 1)); y = layers.Add()([a(x), b(x)])\n"
        "  return Model(x, layers.Dense(10, activation='softmax')(layers.Flatten()(y)))",
        # Functions: one of the user's own, one that is called like Keras's, one without a name.
        "def mine(x): return 2 * x\ndef build(): return Sequential([Input((28, 28)), "
        "layers.Flatten(), layers.Dense(10, activation=mine)])",
        "def gelu(x): return 2 * x\ndef build(): return Sequential([Input((28, 28)), "
        "layers.Flatten(), layers.Dense(10, activation=gelu)])",
        "def build(): return Sequential([Input((28, 28)), layers.Flatten(), "
        "layers.Dense(10, activation=lambda x: x)])",
        "@keras.saving.register_keras_serializable(package='own')\ndef mine(x): return 2 * x\n"
        "def build(): return Sequential([Input((28, 28)), layers.Flatten(), "
        "layers.Dense(10, activation=mine)])",
        "class Start(keras.initializers.Initializer):\n"
        "  def __call__(self, shape, dtype=None): return keras.ops.zeros(shape)\n"
        "def build(): return Sequential([Input((28, 28)), layers.Flatten(), "
        "layers.Dense(10, kernel_initializer=Start())])",
    ],
)
def test_what_a_saved_file_would_not_give_back_is_refused_before_the_training(
    here: Path, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    (here / "net.py").write_text(HEAD + code + "\n")
    assert main([*QUICK, "--model", "net.py:build"]) == 2
    err = capsys.readouterr().err
    assert "net.py:build builds a model that a file cannot hold" in err
    assert "Traceback" not in err and "epoch 1" not in err and not Path("runs").exists()


def test_a_compiled_model_leaves_its_optimizer_out_of_the_file(here: Path) -> None:
    sizes = []
    for compiled in ("", "  model.compile('adam', loss=lambda t, p: 0)\n"):
        (here / "net.py").write_text(
            HEAD + f"def build():\n  model = Sequential([Input((28, 28)), {BODY}])\n{compiled}"
            "  return model\n"
        )
        words = ["--model", "net.py:build", "--progress", "none", "--force"]
        assert main([*QUICK, *words]) == 0
        sizes.append(Path("runs/net/model.keras").stat().st_size)
    assert sizes[0] == sizes[1]


def test_own_code_may_use_dataclasses_and_import_late_and_gives_the_same_bytes_again(
    here: Path,
) -> None:
    import sys

    (here / "deep").mkdir()
    (here / "deep/late.py").write_text("WIDTH = 12\n")
    (here / "deep/net.py").write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        + HEAD
        + "@dataclass\nclass Shape:\n  width: int\n"
        "HIDDEN = layers.Dense(9)\n"  # made, and its weights seeded, when the file is run
        "def build(classes):\n  from late import WIDTH\n"
        "  return Sequential([Input((28, 28)), layers.Rescaling(1 / 255), layers.Flatten(), "
        "HIDDEN, layers.Dense(Shape(WIDTH).width), layers.Dense(classes)])\n"
    )
    path, contents = list(sys.path), []
    for _ in range(2):
        assert main([*QUICK, "--model", "deep/net.py:build", "--force"]) == 0
        contents.append(Path("runs/net/model.keras").read_bytes())
        assert sys.path == path and "late" not in sys.modules
    assert contents[0] == contents[1]


def test_scores_that_begin_at_zero_are_logits(here: Path) -> None:
    (here / "net.py").write_text(
        HEAD + "def build(): return Sequential([Input((28, 28)), layers.Rescaling(1 / 255), "
        "layers.Flatten(), layers.Dense(10, kernel_initializer='zeros')])\n"
    )
    words = ["--model", "net.py:build", "--learning-rate", "0.01"]
    assert main([*QUICK, *words]) == 0
    assert json.loads(Path("runs/net/run.json").read_text())["accuracy"]["test"]["correct"] > 600
