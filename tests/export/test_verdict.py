"""The words of the verdict at their boundaries, and what an export says counted anew."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_export.verdict import CANNOT_TELL, GAINS, LOSES, NO_LOSS, gather, verdict
from edgestitch_export.verdict_text import class_lines
from edgestitch_runtime import Classifier
from edgestitch_runtime.agreement import (
    Z95,
    Agreement,
    ClassAgreement,
    compare,
    paired_interval,
)
from edgestitch_runtime.card import read_artifact
from edgestitch_runtime.cli import main

Labelled = tuple[np.ndarray, np.ndarray]


def agreement(low: float, high: float, *, n: int = 1000, lost: int = 0, won: int = 0) -> Agreement:
    """An agreement with the interval `low` to `high`, whatever its counts are."""
    return Agreement(
        n=n,
        float_correct=n - 100,
        artifact_correct=n - 100 - lost + won,
        changed=lost + won,
        lost=lost,
        won=won,
        drop_pp=(low + high) / 2,
        drop_interval_pp=(low, high),
        drop_upper_pp=high - 0.01,
        mcnemar_p=0.5,
    )


def counted(*, both: int, lost: int, won: int, n: int) -> Agreement:
    float_right = np.arange(n) < both + lost
    artifact_right = (np.arange(n) < both) | (np.arange(n) >= n - won)
    return compare(np.ones(n, int), float_right.astype(int), artifact_right.astype(int))


@pytest.mark.parametrize(
    ("low", "high", "outcome", "text"),
    [
        (-0.1, 0.5, NO_LOSS, "no measurable loss: at most 0.50 points, 0.5 allowed"),
        (-0.1, 0.5001, CANNOT_TELL, "cannot tell with 1,000 images: it may lose 0.51 points"),
        (0.0, 0.5, NO_LOSS, "no measurable loss"),
        (0.0, 0.9, CANNOT_TELL, "cannot tell"),
        (-0.2, 0.0, NO_LOSS, "no measurable loss: at most 0.00 points"),
        (-0.2, 0.0123, NO_LOSS, "no measurable loss: at most 0.02 points"),
        (-0.5, -0.1, GAINS, "gains 0.30 points (0.10 to 0.50)"),
        (0.1, 0.7, LOSES, "loses 0.40 points (0.10 to 0.70), perhaps more than the 0.5 allowed"),
        (0.1, 0.5, LOSES, "loses 0.30 points (0.10 to 0.50), within the 0.5 allowed"),
        (0.5, 0.7, LOSES, "loses 0.60 points (0.50 to 0.70), perhaps more than the 0.5 allowed"),
        (0.6, 0.8, LOSES, "loses 0.70 points (0.60 to 0.80), more than the 0.5 allowed"),
    ],
)
def test_the_words_at_their_boundaries(low: float, high: float, outcome: str, text: str) -> None:
    found = verdict(agreement(low, high))
    assert found.outcome == outcome
    assert found.text.startswith(text)
    assert found.budget_pp == 0.5


def test_another_budget_moves_the_boundary_and_is_named() -> None:
    assert verdict(agreement(-0.1, 0.3), 0.3).text.endswith("at most 0.30 points, 0.3 allowed")
    assert verdict(agreement(-0.1, 0.3), 0.25).outcome == CANNOT_TELL
    assert verdict(agreement(-0.1, 0.3), 0).outcome == CANNOT_TELL
    assert verdict(agreement(0.1, 0.3), 0.25).text.endswith("perhaps more than the 0.25 allowed")


def test_one_image_cannot_tell_nor_say_how_many_would() -> None:
    for lost in (0, 1):
        found = verdict(counted(both=1 - lost, lost=lost, won=0, n=1))
        assert found.outcome == CANNOT_TELL
        assert found.text.startswith("cannot tell with 1 image: it may lose ")
        assert found.images_needed is None


def test_a_rate_takes_ten_answers_that_switched() -> None:
    known = verdict(counted(both=440, lost=6, won=4, n=500))
    assert known.images_needed is not None
    assert known.text.endswith(f"; about {known.images_needed:,} would tell")
    unknown = verdict(counted(both=440, lost=5, won=4, n=500))
    assert unknown.outcome == CANNOT_TELL
    assert unknown.images_needed is None
    assert unknown.text.endswith(" allowed")


@pytest.mark.parametrize(("lost", "won", "budget_pp"), [(7, 4, 0.5), (9, 4, 0.1), (6, 8, 0.3)])
def test_four_test_sets_in_five_of_the_size_named_would_tell(
    lost: int, won: int, budget_pp: float
) -> None:
    found = verdict(counted(both=440, lost=lost, won=won, n=500), budget_pp)
    needed = found.images_needed
    assert needed is not None
    assert needed > 500
    assert needed % 10 ** (len(str(needed)) - 2) == 0
    rates = np.array([440, lost, won, 500 - 440 - lost - won]) / 500
    telling = 0
    for both, more, fewer, _ in np.random.default_rng(0).multinomial(needed, rates, 500).tolist():
        low, high = paired_interval(both=both, lost=more, won=fewer, n=needed, z=Z95)
        telling += low > 0 or 100 * high <= budget_pp
    assert 0.7 < telling / 500 < 0.92


def test_the_largest_change_is_up_or_down_of_any_class_and_the_first_of_two_equal() -> None:
    before = np.array([[0.75, 0.125, 0.125], [0.25, 0.625, 0.125], [0.25, 0.5, 0.25]])
    after = np.array([[0.875, 0.125, 0.0], [0.375, 0.375, 0.25], [0.25, 0.25, 0.5]])
    truth = np.array([0, 0, 1])
    found = gather(truth, before.argmax(axis=1), after.argmax(axis=1), before, after)
    change = found.largest_change
    assert (change.image, change.class_index) == (1, 1)
    assert (change.float_probability, change.artifact_probability) == (0.625, 0.375)
    assert [(c.n, c.float_correct, c.lost, c.won) for c in found.classes] == [
        (2, 1, 0, 1),
        (1, 1, 1, 0),
        (0, 0, 0, 0),
    ]
    # a bin for each: 0.75 right, 0.625 wrong, 0.5 right; then 0.875 right, 0.375 right, 0.5 wrong
    assert found.float_calibration_error_pp == pytest.approx(100 * (0.25 + 0.625 + 0.5) / 3)
    assert found.artifact_calibration_error_pp == pytest.approx(100 * (0.125 + 0.625 + 0.5) / 3)


@pytest.mark.parametrize("name", ["mlp-int8.tflite", "mlp-int8.onnx", "mlp-float32.tflite"])
def test_the_card_holds_what_can_be_counted_again(
    mini_run: Path, mini_test: Labelled, float_rows: np.ndarray, name: str
) -> None:
    path = mini_run / "export" / name
    card = read_artifact(path).card
    assert card is not None
    told = card["accuracy"]
    images, truth = mini_test
    classifier = Classifier.open(path)
    answers = [classifier.classify(image) for image in images]
    rows = np.array([answer.probabilities for answer in answers])
    for k in range(10):
        float_right = float_rows[truth == k].argmax(axis=1) == k
        right = np.array([a.index for a, t in zip(answers, truth, strict=True) if t == k]) == k
        assert {column: values[k] for column, values in told["classes"].items()} == {
            "n": int((truth == k).sum()),
            "float_correct": int(float_right.sum()),
            "lost": int((float_right & ~right).sum()),
            "won": int((~float_right & right).sum()),
        }
    change = told["largest_change"]
    at = change["image"], change["class"]
    assert change["float"] == pytest.approx(float(float_rows[at]), abs=1e-5)
    assert change["artifact"] == pytest.approx(float(rows[at]), abs=1e-5)
    furthest = float(np.abs(rows - float_rows).max())
    assert abs(change["float"] - change["artifact"]) == pytest.approx(furthest, abs=1e-5)
    for which, of in (("float", float_rows), ("artifact", rows)):
        error = 0.0
        for m in range(15):
            low, high = m / 15, (m + 1) / 15
            gaps = [
                float(row.max()) - float(row.argmax() == label)
                for row, label in zip(of, truth, strict=True)
                if low < float(row.max()) <= high
            ]
            error += abs(sum(gaps))
        assert told[which]["calibration_error_pp"] == pytest.approx(error / 10, abs=1e-3)
    again = verdict(compare(truth, float_rows.argmax(axis=1), np.array([a.index for a in answers])))
    assert (told["verdict"], told["budget_pp"]) == (again.text, 0.5)


def test_an_export_says_the_verdict_first_in_lines_that_fit(
    own_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(own_run.parent.parent)
    words = ["export", "--format", "tflite", "--int8"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert main([*words, "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    evidence, labels = record["evidence"], record["card"]["labels"]
    assert "mlp-int8.tflite" in lines[0]
    assert lines[1] == f"  {record['verdict']['text']}"
    assert max(map(len, lines)) <= 100
    shown = [re.split(r" {2,}", line.strip()) for line in lines if line.strip()[-1:].isdigit()]
    table = [row for row in shown if row[0] in labels]
    assert [row[0] for row in table] == labels
    for row, one in zip(table, evidence["classes"], strict=True):
        assert row[1:] == [
            str(one["n"]),
            f"{100 * one['float_correct'] / one['n']:.2f}",
            f"{100 * one['artifact_correct'] / one['n']:.2f}",
            str(one["lost"]),
            str(one["won"]),
        ]
    change = evidence["largest_change"]
    said = next(line for line in lines if "largest change" in line)
    assert f"{labels[change['class_index']]} in test image {change['image']}," in said
    accuracy = record["card"]["accuracy"]
    assert f"float {accuracy['float']['calibration_error_pp']:.2f}" in "\n".join(lines)


def test_a_test_set_of_one_image_is_exported_and_cannot_tell(
    mini_run: Path,
    mini_train: Labelled,
    mini_test: Labelled,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    np.savez(
        tmp_path / "data.npz",
        x_train=mini_train[0][:300], y_train=mini_train[1][:300],
        x_test=mini_test[0][:1], y_test=mini_test[1][:1],
    )  # fmt: skip
    shutil.copy(mini_run / "model.keras", tmp_path / "boots.keras")
    monkeypatch.chdir(tmp_path)
    code = main(["export", "boots.keras", "--data", "data.npz", "--format", "tflite", "--int8"])
    out, err = capsys.readouterr()
    assert code == 0, err
    assert out.splitlines()[1].startswith("  cannot tell with 1 image: it may lose ")
    card: Any = read_artifact(tmp_path / "export" / "boots-int8.tflite").card
    assert card["accuracy"]["artifact"]["n"] == 1
    assert sum(card["accuracy"]["classes"]["n"]) == 1


def test_of_many_classes_the_worst_are_printed_and_long_names_are_cut() -> None:
    def one(lost: int, won: int) -> ClassAgreement:
        return ClassAgreement(
            n=100, float_correct=90, artifact_correct=90 - lost + won, lost=lost, won=won
        )

    classes = [one(0, 0)] * 46 + [one(9, 2)]
    classes[7], classes[3] = one(30, 0), one(4, 9)
    labels = [f"letter {k}" for k in range(46)] + ["a name that nobody would care to read in full"]
    lines = class_lines(tuple(classes), labels)
    names = [line[:24].rstrip() for line in lines[1:-1]]
    assert names[:3] == ["letter 7", "a name that nobody wo...", "letter 0"]
    assert len(names) == 10
    assert "letter 3" not in names
    assert lines[-1] == "the 10 worst of 47 classes; --json has them all"
    empty = ClassAgreement(n=0, float_correct=0, artifact_correct=0, lost=0, won=0)
    lines = class_lines((one(0, 1), empty), labels[:2])
    assert re.split(r" {2,}", lines[2].strip()) == ["letter 1", "0", "-", "-", "0", "0"]
    assert class_lines((one(0, 0), empty), labels[:2]) == []
