import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_runtime.agreement import compare
from edgestitch_runtime.card import model_bytes, read_artifact
from edgestitch_runtime.dataset import split_train

ARTIFACTS = [
    "mlp-dynamic.onnx",
    "mlp-dynamic.tflite",
    "mlp-float16.tflite",
    "mlp-float32.onnx",
    "mlp-float32.tflite",
    "mlp-int8.onnx",
    "mlp-int8.tflite",
]


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_all_makes_every_format_at_every_precision(mini_run):
    assert names(mini_run / "export") == ARTIFACTS


@pytest.mark.parametrize("name", ARTIFACTS)
def test_the_card_tells_what_can_be_measured_again(mini_run, mini_test, float_rows, name):

    from edgestitch_runtime import Classifier

    path = mini_run / "export" / name
    artifact = read_artifact(path)
    card = artifact.card
    assert card is not None
    record = json.loads((mini_run / "run.json").read_text())
    assert (card["schema"], card["name"]) == (1, "mlp")
    assert card["precision"] == path.stem.split("-")[1]
    assert card["title"] == record["title"]
    assert "sample" in card["title"]
    assert card["labels"] == record["data"]["labels"]
    assert card["hashes"] == {
        "source_model": hashlib.sha256((mini_run / "model.keras").read_bytes()).hexdigest(),
        "weights": hashlib.sha256(model_bytes(artifact.format, artifact.content)).hexdigest(),
    }
    assert card["data"]["files"] == {f["name"]: f["sha256"] for f in record["data"]["files"]}
    counts = record["data"]["counts"]
    assert card["data"]["counts"] == {k: counts[k] for k in ("train", "validation", "test")}
    assert card["output"]["kind"] == "probabilities"
    images, truth = mini_test
    float_index = float_rows.argmax(axis=1)
    classifier = Classifier.open(path)
    answers = np.array([classifier.classify(i).index for i in images])
    found = compare(truth, float_index, answers)
    accuracy = card["accuracy"]
    assert accuracy["float"]["correct"] == found.float_correct
    assert accuracy["artifact"]["correct"] == found.artifact_correct
    assert accuracy["artifact"]["n"] == accuracy["float"]["n"] == 1000
    assert accuracy["artifact"]["engine"] == f"{classifier.engine} {classifier.engine_version}"
    assert (accuracy["lost"], accuracy["won"]) == (found.lost, found.won)
    assert accuracy["changed"] == found.changed
    assert accuracy["drop_pp"] == pytest.approx(found.drop_pp, abs=1e-6)
    text = json.dumps(card)
    assert str(mini_run) not in text
    assert "/" not in text.replace("T-shirt/top", "")


def test_calibration_images_come_from_train_alone_seeded_and_counted(mini_run, mini_train):
    from edgestitch_export import calibration

    record = json.loads((mini_run / "run.json").read_text())
    images, labels = mini_train
    train, validation = split_train(
        labels,
        validation_count=record["split"]["validation_count"],
        seed=record["split"]["seed"],
    )
    card = read_artifact(mini_run / "export" / "mlp-int8.tflite").card
    assert card is not None
    stated = card["calibration"]
    assert (stated["count"], stated["seed"], stated["source"]) == (500, 0, "train")
    chosen = calibration.choose(images, train, count=500, seed=0)
    assert chosen.indices_sha256 == stated["indices_sha256"]
    held_out = {images[k].tobytes() for k in validation} - {images[k].tobytes() for k in train}
    assert not held_out & {i.tobytes() for i in chosen.images_u8}
    assert len({i.tobytes() for i in chosen.images_u8}) > 490
    other = calibration.choose(images, train, count=500, seed=1)
    assert other.indices_sha256 != chosen.indices_sha256


def test_the_same_run_gives_the_same_bytes_in_another_process_and_folder(own_run, mini_run, cli):
    shutil.rmtree(own_run / "export")
    done = cli("export", own_run, "--all", "--out", "elsewhere", cwd=own_run.parent.parent)
    assert done.returncode == 0, done.stderr
    for name in ARTIFACTS:
        again = own_run.parent.parent / "elsewhere" / name
        assert again.read_bytes() == (mini_run / "export" / name).read_bytes(), name


def test_another_calibration_seed_gives_other_int8_bytes(own_run, cli):
    done = cli(
        "export", own_run, "--format", "tflite", "--int8", "--seed", "5", "--out", "e",
        cwd=own_run.parent.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    again = own_run.parent.parent / "e" / "mlp-int8.tflite"
    assert again.read_bytes() != (own_run / "export" / "mlp-int8.tflite").read_bytes()


def test_exporting_again_is_unchanged_and_other_content_needs_force(own_run, cli, refused):
    folder = own_run.parent.parent
    words = ("export", "--format", "tflite", "--int8")
    done = cli(*words, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "unchanged" in done.stdout
    before = (own_run / "export" / "mlp-int8.tflite").read_bytes()
    said = refused(*words, "--calibration-images", "20", cwd=folder)
    assert "exists and differs" in said
    assert "--force" in said
    assert (own_run / "export" / "mlp-int8.tflite").read_bytes() == before
    forced = cli(*words, "--calibration-images", "20", "--force", cwd=folder)
    assert forced.returncode == 0, forced.stderr
    assert (own_run / "export" / "mlp-int8.tflite").read_bytes() != before
    assert names(own_run / "export") == ARTIFACTS


def test_json_goes_to_stdout_and_progress_to_stderr(own_run, cli):
    done = cli(
        "export", "--format", "onnx", "--format", "tflite", "--int8", "--json",
        cwd=own_run.parent.parent,
    )  # fmt: skip
    for record in json.loads(done.stdout):
        path = own_run.parent.parent / record["path"]
        assert path.parent == own_run / "export"
        assert record["bytes"] == path.stat().st_size
        assert record["agreement"]["n"] == 1000
    assert len(json.loads(done.stdout)) == 2
    noise = [x for x in done.stderr.splitlines() if not x.endswith("...")]
    assert noise == []


def test_a_keras_file_of_ones_own_is_exported_with_its_data(own_run, cli, refused):
    folder = own_run.parent.parent
    model = folder / "boots.keras"
    shutil.copy(own_run / "model.keras", model)
    record = json.loads((own_run / "run.json").read_text())
    data = record["data"]["folder"]
    said = refused("export", model, "--format", "tflite", "--int8", cwd=folder)
    assert "stands alone" in said
    assert "--data" in said
    done = cli("export", model, "--format", "tflite", "--int8", "--data", data, cwd=folder)
    assert done.returncode == 0, done.stderr
    card = read_artifact(folder / "export" / "boots-int8.tflite").card
    assert card is not None
    assert card["name"] == "boots"
    assert card["data"]["counts"]["validation"] == 0
    inside = cli("export", own_run / "model.keras", "--format", "tflite", "--int8", cwd=folder)
    assert inside.returncode == 0, inside.stderr
    assert "unchanged" in inside.stdout


def test_data_that_is_not_the_runs_is_refused(own_run, refused, tmp_path):
    record = json.loads((own_run / "run.json").read_text())
    other = tmp_path / "other"
    shutil.copytree(record["data"]["folder"], other)
    import gzip

    images = other / "t10k-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(images.read_bytes()))
    content[8] = (content[8] + 1) % 10
    images.write_bytes(gzip.compress(bytes(content)))
    shutil.rmtree(own_run / "export")
    said = refused(
        "export", "--format", "tflite", "--int8", "--data", other, cwd=own_run.parent.parent
    )
    assert "is not the data of this run" in said
    assert "t10k-labels-idx1-ubyte" in said
    assert not (own_run / "export").exists()


def test_a_model_that_is_not_the_runs_is_refused(own_run, refused):
    import keras

    model: Any = keras.models.load_model(own_run / "model.keras")
    model.layers[-1].set_weights([w * 1.01 for w in model.layers[-1].get_weights()])
    model.save(own_run / "model.keras")
    said = refused("export", "--format", "tflite", "--int8", cwd=own_run.parent.parent)
    assert "its hash differs" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "a format and a precision are needed"),
        (("--format", "tflite"), "a format and a precision are needed"),
        (("--int8",), "a format and a precision are needed"),
        (("--format", "coreml", "--int8"), "no format 'coreml'"),
        (("--format", "onnx", "--float16"), "onnx at float16 is not made"),
        (("--all", "--int8"), "contradict"),
        (("--format", "tflite", "--int8", "--calibration-images", "0"), "at least 1"),
        (("--format", "tflite", "--int8", "--calibration-images", "many"), "invalid int value"),
        (("--format", "tflite", "--int4"), "unrecognized arguments"),
        (("--format", "tflite", "--int8", "--name", "../x"), "is not a name for a run or artifact"),
        (("nowhere", "--format", "tflite", "--int8"), "no run.json"),
        (("nowhere.keras", "--format", "tflite", "--int8"), "not there"),
        (("--format", "tflite", "--int8", "--calibration-images", "99999"), "cannot be taken"),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_is_written(own_run, refused, words, said):
    before = names(own_run / "export")
    assert said in refused("export", *words, cwd=own_run.parent.parent)
    assert names(own_run / "export") == before


@pytest.mark.parametrize("content", [b"", b"PK", b"not a model", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_keras_model_is_refused(tmp_path, refused, content):
    (tmp_path / "my.keras").write_bytes(content)
    said = refused(
        "export", "my.keras", "--data", ".", "--format", "tflite", "--int8", cwd=tmp_path
    )
    assert "my.keras" in said
    assert names(tmp_path) == ["my.keras"]


def test_without_any_run_the_hint_is_to_train(tmp_path, refused):
    said = refused("export", "--format", "tflite", "--int8", cwd=tmp_path)
    assert "edgestitch train" in said
    assert names(tmp_path) == []


def test_help_reads_without_tensorflow(tmp_path):
    import sys

    code = (
        "import sys; from edgestitch_runtime.cli import main; c = main(['export', '--help']); "
        "sys.exit(c or any(m in sys.modules for m in ('tensorflow', 'numpy', 'keras')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "--int8" in done.stdout
