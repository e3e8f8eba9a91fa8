import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_runtime import Classifier, EdgestitchError
from edgestitch_runtime.card import append_to_tflite, model_bytes, read_artifact

ARTIFACTS = [
    "mlp-float32.tflite",
    "mlp-float16.tflite",
    "mlp-dynamic.tflite",
    "mlp-int8.tflite",
    "mlp-float32.onnx",
    "mlp-dynamic.onnx",
    "mlp-int8.onnx",
]


@pytest.fixture(params=ARTIFACTS)
def path(request, mini_run) -> Path:
    return mini_run / "export" / request.param


def raw_scores(path: Path, images_u8: np.ndarray) -> np.ndarray:
    """The engines called by hand, one image at a time: the oracle for what the runtime gives."""
    rows = []
    if path.suffix == ".tflite":
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
        source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        for image in images_u8:
            value = image.astype(np.float32)
            if source["dtype"] == np.int8:
                value = (image.astype(int) - 128).astype(np.int8)
            interpreter.set_tensor(source["index"], value[None])
            interpreter.invoke()
            rows.append(interpreter.get_tensor(target["index"])[0])
    else:
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        source = session.get_inputs()[0]
        dtype = np.uint8 if source.type == "tensor(uint8)" else np.float32
        for image in images_u8:
            answer: Any = session.run(None, {source.name: image[None].astype(dtype)})[0]
            rows.append(answer[0])
    return np.array(rows)


def test_one_image_a_batch_and_the_bare_engine_agree(path, mini_test):
    images = mini_test[0][:150]  # more than two batches of 64, and a remainder
    expected = raw_scores(path, images)
    with Classifier.open(path) as classifier:
        singles = np.concatenate([classifier.classify(i).scores.reshape(1, -1) for i in images])
        batch = classifier.scores(images)
    if expected.dtype == np.float32:
        np.testing.assert_allclose(singles, expected, atol=1e-6)
        np.testing.assert_allclose(batch, expected, atol=1e-6)
    else:
        np.testing.assert_array_equal(singles, expected)
        np.testing.assert_array_equal(batch, expected)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 63, 64, 65, 128, 129])
@pytest.mark.parametrize("name", ["mlp-int8.tflite", "mlp-int8.onnx"])
def test_every_batch_size_gives_the_same_rows(mini_run, mini_test, name, count):
    with Classifier.open(mini_run / "export" / name) as classifier:
        whole = classifier.probabilities(mini_test[0][:129])
        np.testing.assert_array_equal(classifier.probabilities(mini_test[0][:count]), whole[:count])
        assert len(classifier.classify(mini_test[0][:count])) == count


def test_probabilities_are_float32_rows_that_sum_to_one_and_match_the_float_model(
    path, mini_test, float_rows
):
    images = mini_test[0][:200]
    rows = Classifier.open(path).probabilities(images)
    assert rows.shape == (200, 10)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)
    expected = float_rows[:200]
    limit = {"float32": 1e-5, "float16": 5e-3, "dynamic": 0.08, "int8": 0.08}
    assert np.abs(rows - expected).max() < limit[path.stem.split("-")[1]]


def test_a_result_names_the_best_class_with_its_probability(path, mini_test):
    with Classifier.open(path) as classifier:
        for image in mini_test[0][:30]:
            result = classifier.classify(image)
            row = classifier.probabilities(image[None])[0]
            assert result.index == int(np.argmax(row))
            assert result.label == classifier.labels[result.index]
            assert result.confidence == pytest.approx(row[result.index], abs=1e-6)
            np.testing.assert_allclose(result.probabilities, row, atol=1e-6)
            assert "Result(label=" in repr(result)


def test_labels_come_out_of_the_file(mini_run):
    classifier = Classifier.open(mini_run / "export" / "mlp-int8.onnx")
    assert classifier.labels[0] == "T-shirt/top"
    assert classifier.labels[9] == "Ankle boot"
    assert classifier.shape == (28, 28)
    assert classifier.engine == "onnxruntime"


class _Tied:
    """A session whose answers are tied at the top; everything else is as the real one has it."""

    def __init__(self, session):
        self._session = session

    def __getattr__(self, name):
        return getattr(self._session, name)

    def _scores(self, n):
        row = np.full(10, -128, np.int8)
        row[[3, 7]] = 50
        return np.tile(row, (n, 1))

    def run(self, batch):
        return self._scores(len(batch))

    def single(self):
        return lambda image: self._scores(1)


def test_ties_go_to_the_lowest_class(mini_run, mini_test, monkeypatch):
    classifier = Classifier.open(mini_run / "export" / "mlp-int8.tflite")
    monkeypatch.setattr(classifier, "_session", _Tied(classifier._session))
    monkeypatch.setattr(classifier, "_idle", [])
    assert classifier.classify(mini_test[0][0]).index == 3
    assert [r.index for r in classifier.classify(mini_test[0][:5])] == [3] * 5
    assert classifier.classify(mini_test[0][0]).confidence == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["mlp-int8.tflite", "mlp-float32.tflite", "mlp-int8.onnx"])
def test_eight_threads_get_the_answers_of_one(mini_run, mini_test, name):
    images = mini_test[0][:200]
    with Classifier.open(mini_run / "export" / name) as classifier:
        expected = [classifier.classify(i).scores.tobytes() for i in images]
        wrong: list[int] = []

        def work(offset: int) -> None:
            for k in range(400):
                position = (k * 7 + offset * 13) % len(images)
                if k % 50 == 49:
                    rows = classifier.scores(images[:70])
                    if rows[3].tobytes() != expected[3] and rows.dtype != np.float32:
                        wrong.append(-1)
                if classifier.classify(images[position]).scores.tobytes() != expected[position]:
                    wrong.append(position)

        threads = [threading.Thread(target=work, args=(t,)) for t in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert 1 <= len(classifier._idle) <= 8


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.zeros((28, 28), np.float32), "float32"),
        (np.zeros((28, 28), np.int8), "int8"),
        (np.zeros((28, 28), bool), "bool"),
        (np.zeros((28, 27), np.uint8), r"\(28, 27\)"),
        (np.zeros((784,), np.uint8), r"\(784,\)"),
        (np.zeros((2, 28, 28, 1), np.uint8), r"\(2, 28, 28, 1\)"),
        (np.uint8(3), r"\(\)"),
        ([[0] * 28] * 28, "int64"),
        ("boot.png", "<U8"),
        (None, "object"),
    ],
)
@pytest.mark.parametrize("name", ["mlp-int8.tflite", "mlp-float32.onnx"])
def test_arrays_of_another_kind_are_refused_not_guessed(mini_run, name, images, said):
    classifier = Classifier.open(mini_run / "export" / name)
    for method in (classifier.classify, classifier.probabilities):
        with pytest.raises(EdgestitchError, match=said) as caught:
            method(images)
        assert caught.value.hint


def test_views_and_lists_of_images_are_taken(mini_run, mini_test):
    images = mini_test[0]
    classifier = Classifier.open(mini_run / "export" / "mlp-int8.tflite")
    expected = classifier.scores(images[:10])
    np.testing.assert_array_equal(classifier.scores(list(images[:10])), expected)
    flipped = np.ascontiguousarray(images[:10, :, ::-1])[:, :, ::-1]  # not contiguous
    np.testing.assert_array_equal(classifier.scores(flipped), expected)
    one = classifier.classify(flipped[4])
    np.testing.assert_array_equal(one.scores.reshape(-1), expected[4])
    read_only = images[5].copy()
    read_only.flags.writeable = False
    np.testing.assert_array_equal(classifier.classify(read_only).scores.reshape(-1), expected[5])


def test_the_image_is_not_changed(mini_run, mini_test):
    image = mini_test[0][3].copy()
    Classifier.open(mini_run / "export" / "mlp-int8.tflite").classify(image)
    np.testing.assert_array_equal(image, mini_test[0][3])


def test_a_result_can_be_sent_to_another_process(mini_run, mini_test):
    result = Classifier.open(mini_run / "export" / "mlp-int8.tflite").classify(mini_test[0][0])
    assert pickle.loads(pickle.dumps(result)).confidence == result.confidence


def test_a_file_without_a_card_numbers_its_classes(mini_run, mini_test, tmp_path):
    whole = read_artifact(mini_run / "export" / "mlp-int8.tflite")
    foreign = tmp_path / "foreign.tflite"
    foreign.write_bytes(model_bytes("tflite", whole.content))
    with Classifier.open(foreign) as classifier, Classifier.open(whole.path) as own:
        assert classifier.card is None
        assert classifier.labels == tuple("0123456789")
        images = mini_test[0][:50]
        np.testing.assert_allclose(
            classifier.probabilities(images), own.probabilities(images), atol=1e-6
        )


def test_logits_become_probabilities_by_softmax(mini_run, mini_test, tmp_path):
    whole = read_artifact(mini_run / "export" / "mlp-float32.tflite")
    assert whole.card is not None
    card = whole.card | {"output": whole.card["output"] | {"kind": "logits"}}
    claimed = tmp_path / "claimed.tflite"
    claimed.write_bytes(append_to_tflite(model_bytes("tflite", whole.content), card, whole.golden))
    with Classifier.open(claimed) as classifier:
        scores = classifier.scores(mini_test[0][:20]).astype(np.float64)
        rows = classifier.probabilities(mini_test[0][:20])
        expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(rows, expected, rtol=1e-5)
        result = classifier.classify(mini_test[0][0])
        assert result.confidence == pytest.approx(expected[0].max(), rel=1e-5)


def test_another_number_of_labels_than_outputs_is_refused(mini_run, tmp_path):
    whole = read_artifact(mini_run / "export" / "mlp-int8.tflite")
    assert whole.card is not None
    card = whole.card | {"labels": whole.card["labels"][:9]}
    short = tmp_path / "short.tflite"
    short.write_bytes(append_to_tflite(model_bytes("tflite", whole.content), card, whole.golden))
    with pytest.raises(EdgestitchError, match="10 outputs and 9 labels"):
        Classifier.open(short)


@pytest.mark.parametrize("threads", [0, -1, 100_000])
def test_a_senseless_number_of_threads_is_refused(mini_run, threads):
    with pytest.raises(EdgestitchError, match=f"threads is {threads}"):
        Classifier.open(mini_run / "export" / "mlp-int8.tflite", threads=threads)


def test_one_image_is_one_result_however_the_array_came(mini_run, mini_test, tmp_path):
    image = mini_test[0][0]
    np.save(tmp_path / "a.npy", mini_test[0][:2])
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")[0]
    with Classifier.open(mini_run / "export" / "mlp-int8.tflite") as classifier:
        expected = classifier.classify(image).scores.tobytes()
        for one in (mapped, pickle.loads(pickle.dumps(image))):
            assert classifier.classify(one).scores.tobytes() == expected


def test_a_closed_classifier_says_so(mini_run, mini_test):
    classifier = Classifier.open(mini_run / "export" / "mlp-int8.tflite")
    classifier.close()
    classifier.close()
    for call in (classifier.classify, classifier.probabilities):
        with pytest.raises(EdgestitchError, match="is closed"):
            call(mini_test[0][0] if call == classifier.classify else mini_test[0][:2])


def test_logits_in_a_file_without_a_card_still_give_probabilities(mini_run, mini_test, tmp_path):
    import onnx

    model = onnx.load(mini_run / "export" / "mlp-float32.onnx")
    del model.metadata_props[:]
    softmax = model.graph.node[-1]
    assert softmax.op_type == "Softmax"
    model.graph.output[0].name = softmax.input[0]
    del model.graph.node[-1]
    onnx.save(model, tmp_path / "logits.onnx")
    with (
        Classifier.open(tmp_path / "logits.onnx") as logits,
        Classifier.open(mini_run / "export" / "mlp-float32.onnx") as own,
    ):
        expected = own.probabilities(mini_test[0][:20])
        np.testing.assert_allclose(logits.probabilities(mini_test[0][:20]), expected, atol=1e-5)
        assert logits.probabilities(mini_test[0][:0]).shape == (0, 10)
        assert logits.classify(mini_test[0][0]).confidence == pytest.approx(expected[0].max())
