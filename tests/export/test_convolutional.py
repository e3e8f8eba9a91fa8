"""Every artifact of the shipped convolutional networks, on real images and real weights."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgestitch_export.exporting import Exported, export_source
from edgestitch_export.inference_model import for_inference
from edgestitch_export.pairs import PRECISIONS_OF
from edgestitch_export.source import Source, open_source
from edgestitch_runtime.classifier import Classifier

TRAIN = Path(__file__).parents[2] / "train" / "edgestitch_train"
NETWORKS = ["dscnn", "dscnn-l"]
PAIRS = [(f, p) for f, precisions in PRECISIONS_OF.items() for p in precisions]
# Convolutions, depthwise ones, and shortcuts of each network.
COUNTS = {"dscnn": (6, 5, 2), "dscnn-l": (8, 7, 4)}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Source]:
    """The shipped weights as bare .keras files, with the bundled sample to judge them on."""
    folder = tmp_path_factory.mktemp("networks")
    found = {}
    for name in NETWORKS:
        path = folder / f"{name}.keras"
        shutil.copy(TRAIN / "pretrained" / name / "model.keras", path)
        found[name] = open_source(path, data=TRAIN / "fashion_mnist_mini")
    return found


@pytest.fixture(scope="module")
def exported(sources: dict[str, Source]) -> dict[tuple[str, str, str], Exported]:
    """All seven artifacts of both networks, made in this process."""
    return {
        (name, format_, precision): export_source(
            sources[name],
            format=format_,
            precision=precision,
            name=name,
            out=None,
            calibration_images=200,
            seed=0,
            overwrite=False,
        )
        for name in NETWORKS
        for format_, precision in PAIRS
    }


Artifacts = dict[tuple[str, str, str], Exported]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_rewritten_network_answers_as_the_trained_one(
    sources: dict[str, Source], name: str
) -> None:
    images = sources[name].dataset.test.images_u8[:300]
    model: Any = sources[name].model
    rewritten: Any = for_inference(model)
    found = rewritten.predict(images.astype(np.float32), verbose=0)
    assert np.abs(found - model.predict(images, verbose=0)).max() < 1e-5
    kinds = Counter(type(layer) for layer in rewritten.layers)
    assert kinds[keras.layers.BatchNormalization] == kinds[keras.layers.Rescaling] == 0


@pytest.mark.parametrize("name", NETWORKS)
def test_float32_onnx_has_a_node_for_each_convolution_and_none_for_a_normalization(
    exported: Artifacts, name: str
) -> None:
    convolutions, depthwise, shortcuts = COUNTS[name]
    nodes = Counter(exported[name, "onnx", "float32"].card["operators"])
    assert nodes["Conv"] == convolutions + depthwise
    assert nodes["Add"] == shortcuts
    assert nodes["Gemm"] == nodes["GlobalAveragePool"] == nodes["Softmax"] == 1
    assert not nodes.keys() & {"Mul", "BatchNormalization", "Transpose", "Sub", "Div"}


@pytest.mark.parametrize("precision", PRECISIONS_OF["tflite"])
@pytest.mark.parametrize("name", NETWORKS)
def test_tflite_has_an_operator_for_each_layer_and_none_for_a_normalization(
    exported: Artifacts, name: str, precision: str
) -> None:
    convolutions, depthwise, shortcuts = COUNTS[name]
    operators = Counter(exported[name, "tflite", precision].card["operators"])
    operators.pop("DEQUANTIZE", None)  # of float16 weights
    assert operators == {
        "RESHAPE": 1,
        "CONV_2D": convolutions,
        "DEPTHWISE_CONV_2D": depthwise,
        "ADD": shortcuts,
        "MEAN": 1,
        "FULLY_CONNECTED": 1,
        "SOFTMAX": 1,
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_int8_convolutions_have_a_scale_for_each_output_channel(
    exported: Artifacts, name: str
) -> None:
    content = exported[name, "tflite", "int8"].path.read_bytes()
    graph: Any = schema.ModelT.InitFromPackedBuf(content, 0)
    codes = [c.builtinCode for c in graph.operatorCodes]
    wanted = {schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D}
    counted = 0
    for operator in graph.subgraphs[0].operators:
        if codes[operator.opcodeIndex] in wanted:
            weights = graph.subgraphs[0].tensors[operator.inputs[1]]
            output = graph.subgraphs[0].tensors[operator.outputs[0]]
            assert len(weights.quantization.scale) == output.shape[-1] >= 16
            assert len(set(weights.quantization.scale.tolist())) > 1
            counted += 1
    assert counted == sum(COUNTS[name][:2])

    model = onnx.load(exported[name, "onnx", "int8"].path)
    values = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    maker = {output: node for node in model.graph.node for output in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == counted
    for node in convolutions:
        weights = maker[node.input[1]]
        assert values[weights.input[1]].shape == values[weights.input[0]].shape[:1]


def test_int8_tflite_takes_pixel_minus_128_and_holds_no_float_tensor(exported: Artifacts) -> None:
    """Read from the flatbuffer's own schema, not from what export told of it."""
    for name in NETWORKS:
        content = exported[name, "tflite", "int8"].path.read_bytes()
        flatbuffer: Any = schema.ModelT.InitFromPackedBuf(content, 0)
        (graph,) = flatbuffer.subgraphs
        (source,), (target,) = graph.inputs, graph.outputs
        taken = graph.tensors[source].quantization
        assert (taken.scale.tolist(), taken.zeroPoint.tolist()) == ([1.0], [-128])
        kinds = Counter(tensor.type for tensor in graph.tensors)
        assert set(kinds) == {schema.TensorType.INT8, schema.TensorType.INT32}
        for index in (source, target):
            assert graph.tensors[index].type == schema.TensorType.INT8


def raw_answers(path: Path, images_u8: np.ndarray) -> np.ndarray:
    """The engine's own answer to all images in one call, without edgestitch's runtime."""
    if path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        source = session.get_inputs()[0]
        dtype = np.uint8 if source.type == "tensor(uint8)" else np.float32
        return np.asarray(session.run(None, {source.name: images_u8.astype(dtype)})[0])
    opened = Interpreter(str(path), num_threads=1)
    source, target = opened.get_input_details()[0], opened.get_output_details()[0]
    opened.resize_tensor_input(source["index"], images_u8.shape)
    opened.allocate_tensors()
    value = images_u8.astype(np.float32)
    if source["dtype"] == np.int8:
        value = (images_u8.astype(np.int16) - 128).astype(np.int8)
    opened.set_tensor(source["index"], value)
    opened.invoke()
    return opened.get_tensor(target["index"])


@pytest.mark.parametrize(("format_", "precision"), PAIRS)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_batch_of_2_or_7_in_one_call_answers_as_its_images_do(
    exported: Artifacts, sources: dict[str, Source], name: str, format_: str, precision: str
) -> None:
    path = exported[name, format_, precision].path
    images = sources[name].dataset.test.images_u8[:14]
    alone = np.concatenate([raw_answers(path, image[None]) for image in images])
    assert alone.shape == (14, 10)
    for batch in (2, 7):
        rows = np.concatenate(
            [raw_answers(path, images[k : k + batch]) for k in range(0, 14, batch)]
        )
        assert rows.shape == alone.shape
        if precision == "int8":
            assert np.array_equal(rows, alone)
        elif (format_, precision) != ("onnx", "dynamic"):  # one range for the whole batch
            assert np.abs(rows - alone).max() < 1e-4


@pytest.mark.parametrize("format_", PRECISIONS_OF)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_dynamic_artifact_gives_an_image_the_same_answer_whatever_stands_beside_it(
    exported: Artifacts, sources: dict[str, Source], name: str, format_: str
) -> None:
    images = sources[name].dataset.test.images_u8[:71]  # a block of 64, and a remainder
    with Classifier.open(exported[name, format_, "dynamic"].path) as classifier:
        alone = np.concatenate([classifier.scores(image[None]) for image in images])
        for batch in (2, 7, 71):
            rows = [classifier.scores(images[k : k + batch]) for k in range(0, 71, batch)]
            assert np.array_equal(np.concatenate(rows), alone)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_artifact_keeps_most_answers_of_the_float_model(
    exported: Artifacts, name: str
) -> None:
    for format_, precision in PAIRS:
        agreement = exported[name, format_, precision].agreement
        assert agreement.n == 1000
        most = {"float32": 0, "float16": 3}.get(precision, 80)
        assert agreement.changed <= most, (format_, precision)
    assert exported[name, "tflite", "int8"].agreement.float_accuracy > 0.9


@pytest.mark.parametrize("name", NETWORKS)
def test_dynamic_onnx_is_told_to_be_slower(exported: Artifacts, name: str) -> None:
    found = exported[name, "onnx", "dynamic"].slowdown
    assert found is not None
    assert found.ratio > 2  # 15 on a quiet machine


# The larger network is slow, and goes the same way.
@pytest.mark.parametrize("name", ["dscnn", pytest.param("dscnn-l", marks=pytest.mark.slow)])
def test_the_command_warns_of_a_slow_artifact_and_the_same_model_gives_the_same_bytes_elsewhere(
    exported: Artifacts, tmp_path: Path, cli: Callable[..., Any], name: str
) -> None:
    shutil.copy(TRAIN / f"pretrained/{name}/model.keras", tmp_path)
    (tmp_path / "model.keras").rename(tmp_path / f"{name}.keras")
    words = ["export", f"{name}.keras", "--data", TRAIN / "fashion_mnist_mini", "--format", "onnx"]
    words += ["--format", "tflite", "--dynamic", "--int8", "--calibration-images", "200"]
    done = cli(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    slow = f"warning: {name}-dynamic.onnx takes "
    warnings = [x for x in done.stderr.splitlines() if x.startswith(slow)]
    assert len(warnings) == 1 and "times as long as float32 here" in warnings[0]
    for format_, precision in (("onnx", "dynamic"), ("onnx", "int8"), ("tflite", "int8")):
        there = tmp_path / "export" / exported[name, format_, precision].path.name
        digest = hashlib.sha256(there.read_bytes()).hexdigest()
        assert digest == exported[name, format_, precision].sha256
