"""What `edgestitch diff` prints, and what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from keras import layers

from edgestitch_export import parting
from edgestitch_export.diff_models import Opened
from edgestitch_export.layer_outputs import LayerOutput
from edgestitch_runtime.cli import main

MINI = Path(__file__).parents[2] / "train" / "edgestitch_train" / "fashion_mnist_mini"
Labelled = tuple[np.ndarray, np.ndarray]


def chain(scales: list[float], noise: float, precision: str) -> Opened:
    """A made-up model: each layer halves the images' rows, times a factor, plus noise."""

    def outputs(images: np.ndarray) -> tuple[LayerOutput, ...]:
        found = []
        values = images.astype(np.float32).reshape(len(images), -1) + 1
        for k, scale in enumerate(scales):
            values = (values[:, ::2] - values[:, 1::2]) * np.float32(scale)
            rng = np.random.default_rng(k)
            values = values + rng.normal(size=values.shape) * noise * values.std()
            inputs = (k - 1,) if k else ()
            found.append(
                LayerOutput(
                    name=f"layer{k}",
                    weighted=True,
                    shape=values.shape[1:],
                    values=values.astype(np.float32),
                    inputs=inputs,
                )
            )
        return tuple(found)

    return Opened(
        path=Path("made-up"),
        format="keras",
        precision=precision,
        engine="",
        shape=(28, 28),
        classes=49,
        labels=None,
        background=0,
        probabilities=lambda images: images,
        layers=outputs,
    )


@pytest.mark.parametrize(
    ("scales", "noise", "precision", "kind", "first"),
    [
        ([1, 1, 1], 0, "float32", "none", None),
        ([1, 1.3, 1], 0, "float32", "jump", 1),
        ([1, 1.0005, 1], 0, "float32", "none", None),  # 66 dB, and 60 is normal
        ([1, 1.05, 1], 0, "int8", "none", None),  # 26 dB, and 20 is normal
        ([1, 1.05, 1], 0, "float16", "jump", 1),
        ([1, 1, 1], 0.07, "int8", "gradual", 2),  # each layer adds as much as the one before
        ([1, 1, 3], 0.07, "int8", "jump", 2),
        ([1, 1, 4], 0.085, "int8", "jump", 2),  # although the second is above it already
        ([1, 0, 1], 0, "float32", "jump", 1),
    ],
)
def test_where_two_models_part_is_the_first_layer_that_adds_more_than_it_was_given(
    scales: list[float],
    noise: float,
    precision: str,
    kind: str,
    first: int | None,
    mini_test: Labelled,
) -> None:
    found = parting.part(
        chain([1, 1, 1], 0, "float32"), chain(scales, noise, precision), mini_test[0]
    )
    assert (found.kind, found.first) == (kind, first)
    assert [row.layer for row in found.rows] == ["layer0", "layer1", "layer2"]
    if scales[1] == 1.3:
        assert found.rows[1].error == pytest.approx(0.3, rel=1e-5)
        assert (found.rows[1].before, found.rows[2].before) == (0, found.rows[1].error)


def test_layers_that_cannot_be_looked_at_do_not_keep_the_answers_back(mini_test: Labelled) -> None:
    def broken(images: np.ndarray) -> Any:
        raise RuntimeError("Node number 3\nfailed")

    from dataclasses import replace

    whole = chain([1], 0, "float32")
    found = parting.part(whole, replace(whole, layers=broken), mini_test[0][:1])
    assert found.reason == "those of made-up cannot be looked at: Node number 3 failed"
    found = parting.part(whole, chain([float("nan")], 0, "float32"), mini_test[0])
    assert (
        found.reason is not None and "layer0 of made-up gives values that are not" in found.reason
    )


def test_the_command_says_how_many_flips_and_where_they_part(
    mini_run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    a, b = (str(mini_run / "export" / f"mlp-{p}.tflite") for p in ("float32", "int8"))
    picture = tmp_path / "flips.png"
    assert main(["diff", a, b, "--picture", str(picture)]) == 0
    text = capsys.readouterr().out
    assert main(["diff", a, b, "--picture", str(picture), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    agreement = told["agreement"]
    assert told["picture_status"] == "unchanged" and picture.read_bytes()[:4] == b"\x89PNG"
    assert f"{agreement['changed']} answers differ" in text
    assert f"{agreement['lost']} lost (A alone is right)" in text
    assert "1,000 test images of mlp on fashion-mnist-mini" in text
    worst = min(row["sqnr_db"] for row in told["layers"]["rows"] if row["sqnr_db"] is not None)
    assert "no layer parts them: the worst is" in text and f"SQNR {worst:.1f} dB" in text
    rows = [line.split() for line in text.splitlines() if "hidden" in line]
    assert rows[-1][-1] == f"{told['layers']['rows'][-3]['correlation']:.5f}"
    assert main(["diff", a, a, "--images", "10"]) == 0
    text = capsys.readouterr().out
    assert "0 answers differ (0.00 %)" in text and "10 test images" in text and "equal" in text
    assert "no layer parts them: all give the same" in text
    assert main(["diff", a, b, "--images", "1"]) == 0
    assert "On 1 image;" in capsys.readouterr().out


def small(path: Path, *, size: int = 28, classes: int = 10) -> Path:
    model: Any = keras.Sequential(
        [
            keras.Input((size, size)),
            layers.Flatten(),
            layers.Dense(classes, activation="softmax", name="answer"),
        ]
    )
    model.save(path)
    return path


Refused = Callable[..., str]


def refusal(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    assert main(["diff", *map(str, words)]) == 2
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if not line.endswith("...")]
    assert out == "" and len(lines) == 2, err
    assert lines[0].startswith("edgestitch: ") and lines[1].startswith("hint: ")
    return lines[0]


def test_what_cannot_be_compared_is_refused_in_one_line(
    mini_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    int8 = mini_run / "export" / "mlp-int8.tflite"
    keras_file = mini_run / "model.keras"
    assert "ends in .txt" in refusal(capsys, int8, tmp_path / "a.txt")
    assert "no-such.keras is not there" in refusal(capsys, tmp_path / "no-such.keras", int8)
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(int8.read_bytes()[:5000])
    assert "cut.tflite" in refusal(capsys, int8, cut)
    assert "0 images" in refusal(capsys, int8, keras_file, "--images", "0")
    two = small(tmp_path / "two.keras", classes=2)
    assert "has 10 classes" in refusal(capsys, keras_file, two)
    other = small(tmp_path / "other.keras", size=20)
    assert "takes images of (28, 28)" in refusal(capsys, int8, other)
    alone = shutil.copy(int8, tmp_path / "alone.tflite")
    assert "lies in a run" in refusal(capsys, alone, small(tmp_path / "ten.keras"))
    assert "models take images of (20, 20)" in refusal(capsys, other, other, "--data", MINI)
    assert "models have 2 classes, the data 10" in refusal(capsys, two, two, "--data", MINI)
    assert "nowhere" in refusal(capsys, alone, alone, "--data", tmp_path / "nowhere")
    kept = tmp_path / "kept.png"
    kept.write_bytes(b"mine")
    words = (int8, keras_file, "--images", "20", "--picture", kept)
    assert "kept.png exists and differs" in refusal(capsys, *words)
    assert kept.read_bytes() == b"mine"
    assert main(["diff", *map(str, words), "--force"]) == 0
    assert kept.read_bytes() != b"mine"


def test_models_whose_classes_have_other_names_are_refused(
    mini_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "renamed.onnx"
    model = onnx.load(mini_run / "export" / "mlp-float32.onnx")
    for entry in model.metadata_props:
        if entry.key == "edgestitch":
            card = json.loads(entry.value)
            card["labels"][3] = "Gown"
            entry.value = json.dumps(card)
    del model.metadata_props[
        next(k for k, p in enumerate(model.metadata_props) if p.key == "edgestitch_sha256")
    ]
    onnx.save(model, path)
    said = refusal(capsys, mini_run / "model.keras", path)
    assert "class 3 of" in said and "'Dress'" in said and "'Gown'" in said
