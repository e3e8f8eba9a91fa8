"""The trained models that ship: whole, small, what `--list` says of them, and laid in a second."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from edgestitch_runtime.cli import main
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.run_folder import read_run
from edgestitch_train import RECIPES, acquire, pretrained
from edgestitch_train.model_list import table
from edgestitch_train.models import ARCHITECTURES
from edgestitch_train.shipped import FOLDER, expected

README = Path(__file__).parents[2] / "README.md"
MODELS = list(ARCHITECTURES)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_they_are_weights_and_a_record_and_small() -> None:
    files = [p for p in FOLDER.rglob("*") if p.is_file()]
    assert {str(p.relative_to(FOLDER)) for p in files} == {
        "int8_bytes.json",
        *(f"{model}/{name}" for model in MODELS for name in ("model.keras", "run.json")),
    }
    assert sum(p.stat().st_size for p in files) < 1_500_000
    for model in MODELS:
        with zipfile.ZipFile(FOLDER / model / "model.keras") as archive:
            content = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(content) as weights:
            assert "optimizer" not in weights


@pytest.mark.parametrize("model", MODELS)
def test_a_laid_run_is_the_run_that_its_training_left(here: Path, model: str) -> None:
    import keras

    folder = pretrained(model)
    assert folder == Path("runs") / model
    assert {p.name for p in folder.iterdir()} == {"model.keras", "run.json", "history.csv"}
    run = read_run(folder)
    digest = hashlib.sha256((folder / "model.keras").read_bytes()).hexdigest()
    assert run.record["model"]["sha256"] == digest
    recipe = run.record["recipe"]
    assert recipe == {f: getattr(RECIPES[model], f) for f in recipe}  # made by today's recipe
    assert recipe["seed"] == 0 and run.record["stopped"] == "finished"
    assert run.record["command"] == (
        f"edgestitch train --model {model} --dataset fashion-mnist --seed 0"
    )
    assert len((folder / "history.csv").read_text().splitlines()) == recipe["epochs"] + 1
    loaded: Any = keras.saving.load_model(folder / "model.keras", compile=False)
    names = [layer.name for layer in loaded.layers]
    assert loaded.count_params() == expected(model).parameters
    assert names[-1] == "probabilities"


@pytest.mark.parametrize("model", MODELS)
def test_a_shipped_model_answers_real_images_as_well_as_its_record_says(
    model: str, mini_test: tuple[np.ndarray, np.ndarray]
) -> None:
    import keras

    loaded: Any = keras.saving.load_model(FOLDER / model / "model.keras", compile=False)
    images, labels = mini_test
    right = (loaded.predict(images, verbose=0).argmax(axis=1) == labels).mean()
    told = expected(model)
    assert abs(right - told.test_correct / told.test_n) < 0.04  # 1,000 of the same 10,000


def test_a_run_is_laid_under_another_name_and_replaced_only_when_asked(here: Path) -> None:
    folder = pretrained("mlp", name="mine", runs=here / "deep" / "er")
    assert read_run(folder).name == "mine"
    (folder / "export").mkdir()
    with pytest.raises(EdgestitchError, match="mine exists"):
        pretrained("mlp", name="mine", runs=here / "deep" / "er")
    assert (folder / "export").is_dir()
    pretrained("mlp", name="mine", runs=here / "deep" / "er", overwrite=True)
    assert not (folder / "export").exists()
    with pytest.raises(EdgestitchError, match="no trained model 'vgg'"):
        pretrained("vgg")
    with pytest.raises(EdgestitchError, match="is not a name for a run"):
        pretrained("mlp", name="../x")


def test_the_command_takes_about_a_second_and_imports_neither_tensorflow_nor_keras(
    here: Path,
) -> None:
    check = (
        "import sys; from edgestitch_runtime.cli import main; "
        "code = main(['train', '--pretrained', 'dscnn']); "
        "heavy = {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 4  # 0.4 s when nothing else runs
    told = expected("dscnn")
    assert f"({told.test_correct:,} of 10,000 right, keras)" in done.stdout
    assert done.stdout.rstrip().endswith("next: edgestitch export --format tflite --int8")
    assert (here / "runs/dscnn/model.keras").is_file()


def test_what_contradicts_a_trained_model_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        ["--epochs", "3"],
        ["--flip", "0"],
        ["--patience", "0"],
        ["--background", "bright"],
        ["--dataset", "fashion-mnist-mini"],
        ["--resume"],
        ["--model", "dscnn"],
    ):
        assert main(["train", "--pretrained", "mlp", *words]) == 2
        assert f"--pretrained is trained already: {words[0]}" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_data_that_is_nowhere_is_fetched_and_else_told(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise EdgestitchError("the network is unreachable", hint="x")

    monkeypatch.setattr("edgestitch_runtime.dataset.places", lambda name: [here])
    monkeypatch.setattr("edgestitch_train.acquisition.places", lambda name: [here])
    defaults: Any = acquire.__kwdefaults__
    monkeypatch.setitem(defaults, "fetch", no_network)
    assert main(["train", "--pretrained", "mlp"]) == 0
    out, err = capsys.readouterr()
    assert "next: edgestitch export" in out
    assert "note: export will need the data" in err and "unreachable" in err


def test_the_list_tells_each_model_s_figures_and_readme_shows_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["train", "--list"]) == 0
    shown = capsys.readouterr().out.strip()
    assert shown == table()
    for model in MODELS:
        told = expected(model)
        (row,) = [x for x in shown.splitlines() if x.startswith(f"| {model} ")]
        for figure in (told.parameters, told.macs, told.int8_bytes):
            assert f"{figure:,}" in row
        assert f"{100 * told.test_correct / told.test_n:.2f} % of 10,000" in row
    rows = [line for line in shown.splitlines() if line.startswith("|")]
    assert "\n".join(rows) in README.read_text(encoding="utf-8")
    assert main(["train", "--list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["model"] for each in told] == MODELS
    assert told[0]["parameters"] == 101_770 and told[0]["macs"] == 101_632
