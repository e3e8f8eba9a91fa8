"""`edgestitch inspect` against the schema's own reader, the interpreter, Keras and onnx."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

import edgestitch_runtime
from branched_model import converted, keras_model, macs_of_keras
from edgestitch_runtime import EdgestitchError, inspect_artifact, inspecting
from edgestitch_runtime.card import append_to_tflite, model_bytes, read_artifact
from edgestitch_runtime.cli import main
from edgestitch_runtime.inspecting import Inspection
from tflite_builder import Op, Spec, build

PRECISIONS = ("float32", "float16", "dynamic", "int8")
_NAMES = {v: k for k, v in vars(schema.BuiltinOperator).items() if not k.startswith("_")}
_SIZES = {"INT8": 1, "UINT8": 1, "FLOAT32": 4, "INT32": 4, "FLOAT16": 2, "INT64": 8, "BOOL": 1}
_DTYPES = {v: k for k, v in vars(schema.TensorType).items() if not k.startswith("_")}


@pytest.fixture(scope="module")
def files(mini_run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of edgestitch at each precision, and of TensorFlow's converter alone."""
    folder = tmp_path_factory.mktemp("files")
    found = {f"mlp {p}": mini_run / "export" / f"mlp-{p}.tflite" for p in PRECISIONS}
    for precision in ("float32", "dynamic", "int8"):
        found[f"branched {precision}"] = folder / f"branched-{precision}.tflite"
        found[f"branched {precision}"].write_bytes(converted(precision))
    return found


ALL = [f"mlp {p}" for p in PRECISIONS] + [f"branched {p}" for p in ("float32", "dynamic", "int8")]


def unpacked(path: Path) -> Any:
    """The file through the schema's generated reader: the oracle of what it holds."""
    content = path.read_bytes()
    return schema.ModelT.InitFromPackedBuf(content, 0)


def facts_of(path: Path) -> Any:
    facts = inspect_artifact(path).facts
    assert facts is not None
    return facts


def dense(tmp_path: Path, weights: np.ndarray, scales: Any, name: str = "dense.tflite") -> Path:
    """One int8 dense layer on a 4 x 6 picture."""
    out = len(weights)
    tensors = [
        Spec(shape=(1, 4, 6), scales=1.0, zero_points=-128),
        Spec(data=weights.astype(np.int8), scales=scales),
        Spec(data=np.zeros(out, np.int32), scales=scales),
        Spec(shape=(1, out), scales=0.5),
    ]
    operator = Op(
        name="FULLY_CONNECTED",
        inputs=(0, 1, 2),
        outputs=(3,),
        options="FullyConnectedOptions",
        version=4,
    )
    path = tmp_path / name
    path.write_bytes(build([operator], tensors))
    return path


def test_the_public_names_are_these_and_each_is_there() -> None:
    assert edgestitch_runtime.__all__ == [
        "Classifier",
        "EdgestitchError",
        "Inspection",
        "Result",
        "inspect_artifact",
    ]
    for name in edgestitch_runtime.__all__:
        assert getattr(edgestitch_runtime, name).__name__ == name
    with pytest.raises(AttributeError):
        edgestitch_runtime.nothing  # noqa: B018


@pytest.mark.parametrize("which", ALL)
def test_operators_and_their_order_are_the_schemas(files: dict[str, Path], which: str) -> None:
    model, facts = unpacked(files[which]), facts_of(files[which])
    codes = [model.operatorCodes[op.opcodeIndex] for op in model.subgraphs[0].operators]
    names = [_NAMES[max(c.builtinCode, c.deprecatedBuiltinCode)] for c in codes]
    assert [layer.operator for layer in facts.layers] == names
    assert [layer.version for layer in facts.layers] == [c.version for c in codes]
    tensors = model.subgraphs[0].tensors
    outputs = [tensors[op.outputs[0]] for op in model.subgraphs[0].operators]
    assert [layer.shape for layer in facts.layers] == [
        tuple([] if t.shape is None else list(t.shape)) for t in outputs
    ]
    counted: Counter[str] = Counter()
    for one in facts.operators:
        counted[one.operator] += one.count
    assert counted == Counter(names)


@pytest.mark.parametrize("which", ALL)
def test_the_bytes_by_part_are_those_of_the_buffers_and_sum_to_the_file(
    files: dict[str, Path], which: str
) -> None:
    content = files[which].read_bytes()
    model, facts = unpacked(files[which]), facts_of(files[which])
    used = {t.buffer for t in model.subgraphs[0].tensors}
    lengths = {k: 0 if b.data is None else len(b.data) for k, b in enumerate(model.buffers)}
    held = facts.bytes
    assert held.file == len(content)
    assert held.card == len(content) - len(model_bytes("tflite", content))
    assert (held.card > 0) == which.startswith("mlp")
    constants = held.weights + held.biases + held.other_constants
    assert constants == sum(lengths[k] for k in used)
    assert held.structure > 500


@pytest.mark.parametrize("which", ALL)
def test_input_and_output_are_what_the_interpreter_says(files: dict[str, Path], which: str) -> None:
    interpreter, facts = Interpreter(model_path=str(files[which])), facts_of(files[which])
    for end, detail in (
        (facts.inputs[0], interpreter.get_input_details()[0]),
        (facts.outputs[0], interpreter.get_output_details()[0]),
    ):
        assert end.dtype == np.dtype(detail["dtype"]).name
        assert [-1 if n is None else n for n in end.shape] == detail["shape_signature"].tolist()
        scale, zero_point = detail["quantization"]
        assert (end.scale or 0.0, end.zero_point or 0) == (pytest.approx(scale), zero_point)


@pytest.mark.parametrize("which", ALL)
def test_the_peak_of_activations_is_the_most_that_is_needed_around_one_operator(
    files: dict[str, Path], which: str
) -> None:
    """By the definition, in squares: made so far, and needed now or later."""
    graph, facts = unpacked(files[which]).subgraphs[0], facts_of(files[which])
    steps = [(list(op.inputs), list(op.outputs)) for op in graph.operators]
    running = set(graph.inputs)
    for inputs, outputs in steps:
        if running & set(inputs):
            running |= set(outputs)
    sizes = {
        k: int(np.prod(graph.tensors[k].shape if graph.tensors[k].shape is not None else []))
        * _SIZES[_DTYPES[graph.tensors[k].type]]
        for k in running
    }
    peaks = []
    for now in range(len(steps)):
        made = set(graph.inputs).union(*(outputs for _, outputs in steps[: now + 1]))
        needed = set(graph.outputs).union(*(i for i, _ in steps[now:]), steps[now][1])
        peaks.append(sum(sizes[k] for k in made & needed & running))
    assert facts.live_peak.bytes == max(peaks)
    assert facts.live_peak.operator == int(np.argmax(peaks))


@pytest.mark.parametrize("precision", ["float32", "dynamic", "int8"])
def test_macs_and_parameters_are_those_of_the_keras_layers(
    files: dict[str, Path], precision: str
) -> None:
    facts = facts_of(files[f"branched {precision}"])
    theirs = macs_of_keras()
    assert facts.macs == sum(theirs.values())
    assert facts.parameters == keras_model().count_params()
    ours = {
        re.sub(r"_\d+$", "", layer.layer): (layer.macs, layer.parameters)
        for layer in facts.layers
        if layer.macs
    }
    counts = {layer.name: layer.count_params() for layer in keras_model().layers}
    softmaxed = {name: (macs, counts[name]) for name, macs in theirs.items()}
    assert ours == softmaxed


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_artifact_of_edgestitch_has_its_precision_macs_and_parameters(
    files: dict[str, Path], precision: str
) -> None:
    facts = facts_of(files[f"mlp {precision}"])
    assert facts.precision == precision
    assert facts.macs == 784 * 128 + 128 * 10
    assert facts.parameters == facts.macs + 128 + 10
    assert facts.bytes.weights == facts.macs * {"float32": 4, "float16": 2}.get(precision, 1)
    assert facts.unpacked_bytes == (4 * facts.parameters if precision == "float16" else 0)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_least_versions_are_those_that_the_converter_recorded(
    files: dict[str, Path], precision: str
) -> None:
    facts = facts_of(files[f"mlp {precision}"])
    least = {one.engine: one for one in facts.least_versions}
    assert least["litert"].version == "1.0.0"
    recorded = facts.recorded_version
    if tuple(map(int, recorded.split("."))) > (2, 14, 0):
        assert least["tflite-runtime"].version is None
        assert recorded in least["tflite-runtime"].because
    elif precision == "int8":  # more than the converter knows: its dense weights have many scales
        assert (recorded, least["tflite-runtime"].version) == ("1.14.0", "2.10.0")
    else:
        assert least["tflite-runtime"].version == recorded


def test_a_float_operator_in_an_int8_file_is_a_warning(files: dict[str, Path]) -> None:
    found = inspect_artifact(files["branched int8"])
    assert found.facts is not None and found.facts.precision == "int8"
    last = len(found.facts.layers) - 1
    (said,) = [w for w in found.warnings if w.startswith("float in an int8 file")]
    assert f"QUANTIZE (0), DEQUANTIZE ({last})" in said
    for which in ("mlp int8", "mlp float32", "mlp dynamic", "branched float32"):
        assert not [w for w in inspect_artifact(files[which]).warnings if "float in" in w]


def test_a_dense_layer_with_a_scale_for_each_channel_is_a_warning(tmp_path: Path) -> None:
    weights = np.arange(72).reshape(3, 24)
    one = inspect_artifact(dense(tmp_path, weights, 0.01))
    each = inspect_artifact(dense(tmp_path, weights, [0.01, 0.02, 0.03]))
    assert one.warnings == ()
    assert len(each.warnings) == 1 and each.warnings[0].startswith("FULLY_CONNECTED (0)")


def test_scales_that_take_more_than_the_weights_save_are_a_warning(tmp_path: Path) -> None:
    """One weight a channel: 12 bytes for its scale, 12 for the bias's, 3 saved."""
    channels = 64
    scales = np.full(channels, 0.1)
    tensors = [
        Spec(shape=(1, 4, 6, channels), scales=1.0, zero_points=-128),
        Spec(data=np.ones((1, 1, 1, channels), np.int8), scales=scales, axis=3),
        Spec(data=np.zeros(channels, np.int32), scales=scales),
        Spec(shape=(1, 4, 6, channels), scales=1.0),
    ]
    fields = {"strideH": 1, "strideW": 1, "depthMultiplier": 1}
    op = Op(
        name="DEPTHWISE_CONV_2D",
        inputs=(0, 1, 2),
        outputs=(3,),
        options="DepthwiseConv2DOptions",
        fields=fields,
        version=3,
    )
    path = tmp_path / "scales.tflite"
    path.write_bytes(build([op], tensors))
    (said,) = inspect_artifact(path).warnings
    assert said.startswith("larger than its float source would be")
    assert f"{12 * (2 * channels + 2):,} bytes" in said and f"{3 * channels:,}" in said


def test_an_int8_file_larger_than_the_float_file_beside_it_is_a_warning(
    files: dict[str, Path], tmp_path: Path
) -> None:
    int8 = read_artifact(files["mlp int8"])
    assert int8.card is not None
    (tmp_path / "mlp-int8.tflite").write_bytes(int8.content)
    small = dense(tmp_path, np.ones((3, 24)), 0.01).read_bytes()
    card = json.loads(json.dumps(int8.card)) | {"precision": "float32"}
    card["hashes"]["weights"] = hashlib.sha256(small).hexdigest()
    (tmp_path / "mlp-float32.tflite").write_bytes(append_to_tflite(small, card, int8.golden))
    told = [w for w in inspect_artifact(tmp_path / "mlp-int8.tflite").warnings if "larger" in w]
    assert len(told) == 1 and f"mlp-float32.tflite has {len(small):,}" in told[0]
    card["hashes"]["source_model"] = "0" * 64  # of another model: no comparison
    (tmp_path / "mlp-float32.tflite").write_bytes(append_to_tflite(small, card, int8.golden))
    told = [w for w in inspect_artifact(tmp_path / "mlp-int8.tflite").warnings if "larger" in w]
    assert told == []


def save_data(path: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    return path


def test_ties_at_the_top_are_counted_on_images_and_many_are_a_warning(
    files: dict[str, Path], mini_test: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    images, labels = mini_test[0][:200], mini_test[1][:200]
    data = save_data(tmp_path / "mini.npz", images, labels)
    found = inspect_artifact(files["mlp int8"], data=data)
    interpreter = Interpreter(model_path=str(files["mlp int8"]))
    interpreter.allocate_tensors()
    tied = 0
    for image in images:
        interpreter.set_tensor(0, (image.astype(np.int16) - 128).astype(np.int8)[None])
        interpreter.invoke()
        row = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
        tied += int((row == row.max()).sum() > 1)
    assert found.ties is not None
    assert (found.ties.tied, found.ties.n) == (tied, 200)
    equal = np.ones((3, 24))
    every = inspect_artifact(
        dense(tmp_path, equal, 0.01),
        data=save_data(tmp_path / "small.npz", images[:, :4, :6], labels),
    )
    assert every.ties is not None and every.ties.tied == 200
    assert "tied at the top for 200 of 200 images" in every.warnings[-1]


def onnx_file(mini_run: Path, precision: str) -> Path:
    return mini_run / "export" / f"mlp-{precision}.onnx"


@pytest.mark.parametrize("precision", ["float32", "dynamic", "int8"])
def test_an_onnx_file_is_read_with_the_onnx_package(mini_run: Path, precision: str) -> None:
    import onnx

    path = onnx_file(mini_run, precision)
    model, facts = onnx.load(path), facts_of(path)
    assert facts.precision == precision
    assert [layer.operator for layer in facts.layers] == [n.op_type for n in model.graph.node]
    assert facts.parameters == 101_770 and facts.macs == 101_632
    constants = sum(onnx.numpy_helper.to_array(i).nbytes for i in model.graph.initializer)
    held = facts.bytes
    assert held.weights + held.biases + held.other_constants == constants
    assert held.file == path.stat().st_size and held.card > 1000
    (least,) = facts.least_versions  # opset 9, 11, 13: ONNX Runtime's table of compatibility
    version = {"float32": "0.4.0", "dynamic": "1.0.0", "int8": "1.6.0"}[precision]
    assert (least.engine, least.version) == ("onnxruntime", version)


def test_without_the_onnx_package_the_card_is_printed_and_the_rest_refused(
    mini_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(inspecting, "onnx_installed", lambda: False)
    path = str(onnx_file(mini_run, "int8"))
    assert main(["inspect", path]) == 0
    told = capsys.readouterr().out
    assert "Ankle boot" in told and "not installed here: pip install onnx" in told
    for more in (["--layers"], ["--svg", str(tmp_path / "a.svg")]):
        assert main(["inspect", path, *more]) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.splitlines()[-1] == "hint: pip install onnx"
    assert not (tmp_path / "a.svg").exists()


def test_float_outside_the_pairs_of_an_onnx_file_is_a_warning(
    mini_run: Path, tmp_path: Path
) -> None:
    """Softmax made float again: what its card said goes with the card."""
    import onnx

    model = onnx.load(onnx_file(mini_run, "int8"))
    del model.metadata_props[:]
    path = tmp_path / "plain.onnx"
    onnx.save(model, path)
    assert inspect_artifact(path).warnings == ()
    last = model.graph.node[-1]
    assert last.op_type == "QuantizeLinear"
    softmax = model.graph.node[-2]
    model.graph.node.remove(last)
    softmax.output[0] = model.graph.output[0].name
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    onnx.save(model, path)
    (said,) = inspect_artifact(path).warnings
    assert said.startswith("float in an int8 file: Softmax (")


def test_the_text_gives_the_facts_and_layers_lists_each(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(files["branched int8"]), "--layers"]) == 0
    told = capsys.readouterr().out
    facts = facts_of(files["branched int8"])
    assert "it has no card" in told and "computed from operator versions, not tried" in told
    assert f"{facts.macs:,}" in told and f"{facts.live_peak.bytes:,} bytes at once" in told
    assert "warning: float in an int8 file" in told
    rows = [line.split() for line in told.splitlines() if re.match(r" *\d+  ", line)]
    assert [row[0] for row in rows] == [str(layer.index) for layer in facts.layers]
    for row, layer in zip(rows, facts.layers, strict=True):
        assert layer.operator in row
        assert row[-3:] == [f"{layer.macs:,}", f"{layer.parameters:,}", f"{layer.bytes:,}"]


def test_json_is_everything_and_what_the_function_gives(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(files["mlp int8"]), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    found = inspect_artifact(files["mlp int8"])
    assert isinstance(found, Inspection)
    assert told == json.loads(json.dumps(found.to_json()))
    assert told["card"] == found.card and told["bytes"] == len(files["mlp int8"].read_bytes())
    assert len(told["facts"]["layers"]) == 4 and told["warnings"] == list(found.warnings)


def test_what_cannot_be_inspected_is_said_in_one_line_with_a_hint(
    files: dict[str, Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    whole = files["branched float32"].read_bytes()
    (tmp_path / "cut.tflite").write_bytes(whole[:3000])
    assert "damaged TFLite file" in refused("inspect", "cut.tflite", cwd=tmp_path)
    (tmp_path / "cut.onnx").write_bytes(b"\x08\x08\x3a\x02\x0a\x00")
    assert "cut.onnx" in refused("inspect", "cut.onnx", "--svg", "a.svg", cwd=tmp_path)
    (tmp_path / "x.tflite").write_bytes(whole)
    assert "ends in .svg" in refused("inspect", "x.tflite", "--svg", "x.tflite", cwd=tmp_path)
    assert "no-data" in refused("inspect", "x.tflite", "--data", "no-data", cwd=tmp_path)
    assert (tmp_path / "x.tflite").read_bytes() == whole
    with pytest.raises(EdgestitchError):
        inspect_artifact(tmp_path)


def test_the_verdict_and_the_counts_of_the_data_stand_in_a_row_each(
    mini_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = mini_run / "export" / "mlp-int8.onnx"
    card = read_artifact(path).card
    assert card is not None
    assert main(["inspect", str(path)]) == 0
    rows = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line]
    assert ["verdict", card["accuracy"]["verdict"]] in rows
    assert ["data", "fashion-mnist-mini: 5,700 train, 300 validation, 1,000 test"] in rows
