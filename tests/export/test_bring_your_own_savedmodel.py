"""SavedModel folders: what may run in one, and which are refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

from edgestitch_export import export
from edgestitch_export.foreign_model import load_foreign
from edgestitch_export.saved_model import operators_of
from edgestitch_runtime import EdgestitchError

Labelled = tuple[np.ndarray, np.ndarray]

FILE = "file:" + 2 * "/"  # the scheme


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, mini_train: Labelled, mini_test: Labelled):
    """200 training and 100 test images of the real sample."""
    path = tmp_path_factory.mktemp("data") / "theirs.npz"
    (images, labels), (test, truth) = mini_train, mini_test
    np.savez(
        path, x_train=images[:200], y_train=labels[:200], x_test=test[:100], y_test=truth[:100]
    )
    return path


class Graph(tf.Module):
    """A SavedModel without Keras: logits that `body` makes of the flat pixels."""

    def __init__(self, body: Callable[..., Any], *shapes: tuple[int | None, ...]) -> None:
        super().__init__()
        values: Any = np.random.default_rng(0).normal(0, 0.01, (784, 10)).astype(np.float32)
        self.kernel = tf.Variable(values)
        takes = [tf.TensorSpec(shape, tf.float32, name=f"x{k}") for k, shape in enumerate(shapes)]
        self.serve = tf.function(lambda *x: {"y": body(self.kernel, *x)}, takes)

    def save(self, folder: Path) -> Path:
        tf.saved_model.save(self, str(folder), signatures=self.serve)
        return folder


def flat(kernel: Any, x: Any) -> Any:
    return tf.reshape(x, (tf.shape(x)[0], 784)) @ kernel


def written(kernel: Any, x: Any) -> Any:
    with tf.control_dependencies([tf.io.write_file("never-written", "x")]):
        return flat(kernel, x)


def printed(kernel: Any, x: Any) -> Any:
    """PrintV2 appends to any file that it is told."""
    with tf.control_dependencies([tf.print("x", output_stream=f"{FILE}never-written")]):
        return flat(kernel, x)


def saved(kernel: Any, x: Any) -> Any:
    written = tf.raw_ops.SaveV2(
        prefix="never-written", tensor_names=["k"], shape_and_slices=[""], tensors=[kernel]
    )
    with tf.control_dependencies([written]):
        return flat(kernel, x)


def listed(kernel: Any, x: Any) -> Any:
    return flat(kernel, x) + tf.cast(tf.size(tf.io.matching_files("*")), tf.float32)


def watched(kernel: Any, x: Any) -> Any:
    """An operator of numbers alone, which writes them where its text says."""
    return tf.raw_ops.DebugIdentity(input=flat(kernel, x), debug_urls=[f"{FILE}never-written"])


def called_back(kernel: Any, x: Any) -> Any:
    answers = tf.numpy_function(lambda y: y, [flat(kernel, x)], tf.float32)
    return tf.ensure_shape(answers, (None, 10))


IMAGES = (None, 28, 28)


def test_a_savedmodel_that_writes_as_it_is_loaded_is_not_loaded(tmp_path: Path) -> None:
    """TensorFlow 1 runs an operator of the folder's choice on loading; here it writes a file."""
    v1, ran = tf.compat.v1, tmp_path / "ran"
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, IMAGES, name="x")
        y = tf.reshape(x, (tf.shape(x)[0], 784))[:, :10]
        at_load = tf.print("x", output_stream=f"{FILE}{ran}")
        builder = v1.saved_model.builder.SavedModelBuilder(str(tmp_path / "theirs"))
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature}, main_op=at_load
        )
        builder.save()
    with pytest.raises(EdgestitchError, match=r"may reach out of its graph with .*PrintV2"):
        load_foreign(tmp_path / "theirs")
    assert not ran.exists()
    load_foreign(tmp_path / "theirs", trust_code=True)
    assert ran.exists()  # else nothing was shown


def test_a_function_that_tensorflow_may_put_in_the_place_of_another_counts() -> None:
    """Grappler swaps functions of one `api_implements`, whether or not anything calls them."""
    meta: Any = MetaGraphDef()
    meta.object_graph_def.concrete_functions["called"].SetInParent()
    for name, op in (("called", "helped"), ("helped", "Relu"), ("other", "PrintV2")):
        function = meta.graph_def.library.function.add()
        function.signature.name = name
        function.node_def.add(name="n", op=op)
    assert operators_of(meta) == {"Relu"}
    meta.graph_def.library.function[1].node_def[0].attr["f"].func.name = "inner"
    inner = meta.graph_def.library.function.add()
    inner.signature.name = "inner"
    inner.node_def.add(name="n", op="Elu")
    assert operators_of(meta) == {"Relu", "Elu"}
    meta.graph_def.library.function[2].attr["api_implements"].s = b"lstm"
    assert operators_of(meta) == {"Relu", "Elu", "PrintV2"}


def test_a_recurrent_layer_is_arithmetic(tmp_path: Path) -> None:
    model: Any = keras.Sequential([keras.Input((28, 28)), layers.LSTM(4), layers.Dense(10)])
    model.export(tmp_path / "m", verbose=False)
    loaded: Any = load_foreign(tmp_path / "m")
    images = np.random.default_rng(0).random((2, 28, 28), np.float32)
    np.testing.assert_allclose(loaded(images), model(images), atol=1e-6)


def test_what_augments_when_it_answers_is_told_in_one_line(tmp_path: Path) -> None:
    stack = [layers.RandomRotation(0.1), layers.Flatten(), layers.Dense(10)]
    keras.Sequential([keras.Input((28, 28, 1)), *stack]).export(tmp_path / "m", verbose=False)
    with pytest.raises(EdgestitchError, match="changes its variables as it answers") as no:
        load_foreign(tmp_path / "m")
    assert "\n" not in no.value.message and "RandomRotation" in no.value.hint


@pytest.mark.parametrize(
    ("body", "shapes", "said"),
    [
        (written, [IMAGES], "may reach out of its graph with WriteFile"),
        (called_back, [IMAGES], "may reach out of its graph with PyFunc"),
        (printed, [IMAGES], "may reach out of its graph with PrintV2"),
        (saved, [IMAGES], "may reach out of its graph with SaveV2"),
        (listed, [IMAGES], "may reach out of its graph with MatchingFiles"),
        (watched, [IMAGES], "may reach out of its graph with DebugIdentity"),
        (lambda k, x: flat(k, x) + tf.cast(tf.timestamp(), tf.float32), [IMAGES], "with Timestamp"),
        (lambda k, a, b: flat(k, a + b), [IMAGES, IMAGES], "2 inputs and 1 outputs"),
        (lambda k, x: flat(k, x[:, :28, :28]), [(None, 32, 20)], "the data has"),
        (lambda k, x: flat(k, x[:, :28, :28]), [(None, 99, 99)], "at most 64 pixels a side"),
        (lambda k, x: flat(k, x) * np.nan, [IMAGES], "not finite"),
        (lambda k, x: flat(k, x)[:, :, None], [IMAGES], "expected \\(n, classes\\)"),
        (flat, [(1, 28, 28)], "expected a free batch"),
        (lambda k, x: tf.cast(flat(k, x), tf.float64), [IMAGES], "gives float64"),
    ],
)  # fmt: skip
def test_a_savedmodel_that_will_not_do_is_refused_by_name(
    data: Path, tmp_path: Path, body: Any, shapes: list[Any], said: str
) -> None:
    folder = Graph(body, *shapes).save(tmp_path / "theirs")
    with pytest.raises(EdgestitchError, match=said) as no:
        export(folder, format="tflite", precision="int8", data=data)
    assert no.value.exit_code == 2 and no.value.hint
    assert not (tmp_path / "export").exists()


def test_weights_of_a_savedmodel_are_finite(data: Path, tmp_path: Path) -> None:
    module = Graph(flat, IMAGES)
    module.kernel[0, 0].assign(np.nan)
    with pytest.raises(EdgestitchError, match="has weights that are not finite"):
        export(module.save(tmp_path / "m"), format="tflite", precision="int8", data=data)
