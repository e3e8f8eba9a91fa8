"""The pictures of the classes: what is chosen and counted, against plain Python, and their form."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from edgestitch_runtime.dataset import Part
from edgestitch_train import class_pictures, pictures
from edgestitch_train.class_pictures import (
    confusion_png,
    dataset_png,
    mistakes_png,
    most_confident_mistakes,
)
from edgestitch_train.pictures import predictions_png
from edgestitch_train.run_record import confusion_of

Labelled = tuple[np.ndarray, np.ndarray]


def opened(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    assert picture.format == "PNG"
    return picture


def rows_for(labels: np.ndarray, classes: int) -> np.ndarray:
    """(n, classes) probabilities that are right for most."""
    generator = np.random.default_rng(0)
    rows = generator.dirichlet(np.ones(classes), len(labels)).astype(np.float32)
    rows[np.arange(len(labels)), labels] += 0.3
    return rows / rows.sum(axis=1, keepdims=True)


def test_the_confusion_counts_each_pair(mini_test: Labelled) -> None:
    truth = mini_test[1]
    answers = rows_for(truth, 10).argmax(axis=1)
    by_hand = [[0] * 10 for _ in range(10)]
    for right, answer in zip(truth.tolist(), answers.tolist(), strict=True):
        by_hand[right][answer] += 1
    found = confusion_of(truth, answers, 10)
    assert found.tolist() == by_hand
    assert (answers != truth).sum() > 50 and not np.array_equal(found, found.T)


def test_the_most_confident_mistakes_are_the_wrong_answers_with_the_highest_probability(
    mini_test: Labelled,
) -> None:
    truth = mini_test[1]
    rows = rows_for(truth, 10)
    wrong = [
        (-float(row.max()), k)
        for k, (row, right) in enumerate(zip(rows, truth, strict=True))
        if int(row.argmax()) != right
    ]
    assert most_confident_mistakes(truth, rows).tolist() == [k for _, k in sorted(wrong)[:15]]
    assert len(most_confident_mistakes(truth[:1], np.eye(10)[truth[:1]])) == 0


def test_each_class_s_first_images_are_drawn_in_its_row(
    mini_train: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[np.ndarray] = []
    names: list[str] = []

    def look(figure: object) -> bytes:
        for axes in figure.axes:  # type: ignore[attr-defined]
            drawn.extend(np.asarray(image.get_array()) for image in axes.images)
            names.append(axes.get_ylabel())
        return b""

    monkeypatch.setattr(class_pictures, "png", look)
    images, labels = mini_train
    part = Part(images_u8=images, labels=labels)
    dataset_png(part, labels=[f"class {k}" for k in range(10)], title="t")
    expected = [images[np.flatnonzero(labels == k)[:10]] for k in range(10)]
    assert np.array_equal(np.stack(drawn), np.concatenate(expected))
    assert [n for n in names if n] == [f"class {k}\n600" for k in range(10)]


@pytest.mark.parametrize("classes", [2, 10, 17, 26, 200, 256])
def test_any_number_of_classes_gives_pictures_of_a_readable_size(
    classes: int, mini_test: Labelled
) -> None:
    images = mini_test[0]
    labels = np.arange(len(images)) % classes
    part = Part(images_u8=images, labels=labels)
    names = [f"Größe $5_$10 of quite a long class name {k}" for k in range(classes)]
    rows = rows_for(labels, classes)
    confusion = confusion_of(labels, rows.argmax(axis=1), classes)
    made = [
        dataset_png(part, labels=names, title="$5_$10"),
        confusion_png(confusion, labels=names, title="$5_$10", accuracy="a"),
        mistakes_png(part, rows, labels=names, title="$5_$10", accuracy="a"),
        predictions_png(part, rows, labels=names, title="$5_$10", accuracy="a"),
    ]
    for content in made:
        picture = opened(content)
        assert 500 <= picture.width <= 1600 and 200 <= picture.height <= 2000
        assert len(np.unique(np.asarray(picture.convert("L")))) > 20


def test_the_same_answers_give_the_same_bytes_and_others_give_others(mini_test: Labelled) -> None:
    images, labels = mini_test
    part = Part(images_u8=images, labels=labels)
    names = [str(k) for k in range(10)]
    rows = rows_for(labels, 10)
    first, second = (
        mistakes_png(part, rows, labels=names, title="t", accuracy="a") for _ in range(2)
    )
    assert first == second
    assert mistakes_png(part, rows[::-1], labels=names, title="t", accuracy="a") != first
    eye = np.eye(10)[labels]
    none = opened(mistakes_png(part, eye, labels=names, title="t", accuracy="a"))
    assert none.height < opened(first).height


def test_of_images_in_the_order_of_their_classes_all_classes_are_shown(
    mini_test: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []
    monkeypatch.setattr(pictures, "_draw_picture", lambda *given: shown.append(given[3]))
    images, labels = mini_test
    for order in (np.argsort(labels, kind="stable"), np.arange(len(labels))):
        part = Part(images_u8=images[order], labels=labels[order])
        rows = rows_for(part.labels, 10)
        predictions_png(part, rows, labels=[str(k) for k in range(10)], title="t", accuracy="a")
    assert shown[15:] == labels[:15].tolist()
    assert set(shown[:15]) == set(range(10))
