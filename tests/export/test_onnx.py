import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

PRECISIONS = ["float32", "dynamic", "int8"]


@pytest.fixture(params=PRECISIONS)
def path(request, mini_run) -> Path:
    return mini_run / "export" / f"mlp-{request.param}.onnx"


def answers(path: Path, images_u8: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    dtype = np.uint8 if source.type == "tensor(uint8)" else np.float32
    return np.asarray(session.run(None, {source.name: images_u8.astype(dtype)})[0])


def values(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}


def test_the_batch_is_free_and_sizes_1_2_and_7_run(path, mini_test):
    dims = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    assert dims[0].dim_param == "n"
    assert [d.dim_value for d in dims[1:]] == [28, 28]
    for count in (1, 2, 7):
        assert answers(path, mini_test[0][:count]).shape == (count, 10)


def test_the_file_is_valid_and_holds_only_onnx_operators(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    used = {n.domain for n in model.graph.node}
    assert {o.domain for o in model.opset_import} == used | {""}
    assert "com.microsoft" not in used


def test_the_opset_is_the_oldest_that_carries_the_model(path):
    model = onnx.load(path)
    (opset,) = model.opset_import
    expected = {"float32": (9, 4), "dynamic": (11, 6), "int8": (13, 7)}
    assert (opset.version, model.ir_version) == expected[path.stem.split("-")[1]]


def test_where_an_opset_fails_the_next_is_taken_and_the_last_error_told():
    from edgestitch_export.onnx_format import _at_oldest_opset

    tried = []

    def since(least: int):
        def at(opset: int, scratch: Path) -> onnx.ModelProto:
            tried.append(opset)
            if opset < least:
                raise ValueError(f"nothing at {opset}")
            return onnx.ModelProto(ir_version=opset)

        return at

    assert _at_oldest_opset("float32", since(13)).ir_version == 13
    assert tried == [9, 11, 13]
    with pytest.raises(ValueError, match="nothing at 17"):
        _at_oldest_opset("int8", since(18))


def test_the_float_graph_is_reduced_to_gemms(mini_run):
    nodes = [n.op_type for n in onnx.load(mini_run / "export" / "mlp-float32.onnx").graph.node]
    assert nodes == ["Reshape", "Gemm", "Relu", "Gemm", "Softmax"]


def test_answers_follow_the_float_model(path, mini_test, float_rows):
    expected = float_rows
    precision = path.stem.split("-")[1]
    found = np.concatenate([answers(path, image[None]) for image in mini_test[0]])
    if precision == "int8":
        assert found.dtype == np.uint8
        found = found.astype(np.float32) / 255
    limit = {"float32": 1e-5, "dynamic": 0.06, "int8": 0.08}[precision]
    assert np.abs(found - expected).max() < limit
    changed = (found.argmax(axis=1) != expected.argmax(axis=1)).mean()
    assert changed <= {"float32": 0.0, "dynamic": 0.03, "int8": 0.03}[precision]


def test_int8_puts_qdq_around_every_compute_node(mini_run):
    model = onnx.load(mini_run / "export" / "mlp-int8.onnx")
    maker = {o: n.op_type for n in model.graph.node for o in n.output}
    takers: dict[str, set[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            takers.setdefault(name, set()).add(node.op_type)
    compute = [n for n in model.graph.node if n.op_type in ("Gemm", "Softmax", "Relu")]
    assert {n.op_type for n in compute} >= {"Gemm", "Softmax"}
    for node in compute:
        assert all(maker[name] == "DequantizeLinear" for name in node.input), node.name
        assert takers[node.output[0]] == {"QuantizeLinear"}, node.name
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert model.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_int8_weights_are_per_channel_and_within_seven_bits(mini_run):
    model = onnx.load(mini_run / "export" / "mlp-int8.onnx")
    held = values(model)
    weights = {k: v for k, v in held.items() if v.dtype == np.int8 and v.ndim == 2}
    assert sorted(v.shape for v in weights.values()) == [(128, 10), (784, 128)]
    for name, array in weights.items():
        assert np.abs(array.astype(int)).max() == 64
        taker = next(n for n in model.graph.node if name in n.input)
        assert held[taker.input[1]].shape == (array.shape[1],)


def test_int8_answers_are_exact_integer_arithmetic(mini_run, mini_test):
    """The Gemms once more in 64-bit integers: a saturating sum would differ by hundreds."""
    model = onnx.load(mini_run / "export" / "mlp-int8.onnx")
    held = values(model)
    gemms = [n for n in model.graph.node if n.op_type == "Gemm"]
    maker = {o: n for n in model.graph.node for o in n.output}
    activations = mini_test[0][:300].reshape(300, 784).astype(np.int64)
    scale = 1.0
    for gemm in gemms:
        weights, bias = (maker[gemm.input[k]] for k in (1, 2))
        total = activations @ held[weights.input[0]].astype(np.int64)
        total += held[bias.input[0]].astype(np.int64)
        real = total * (scale * held[weights.input[1]].astype(np.float64))
        after = next(n for n in model.graph.node if n.op_type == "QuantizeLinear"
                     and _follows(model, gemm, n))  # fmt: skip
        scale, zero = float(held[after.input[1]]), int(held[after.input[2]])
        activations = np.clip(np.rint(real / scale) + zero, 0, 255).astype(np.int64) - zero
    logits = activations * scale
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = answers(mini_run / "export" / "mlp-int8.onnx", mini_test[0][:300])
    assert np.abs(found / 255 - softmax).max() < 0.012


def _follows(model: onnx.ModelProto, node: onnx.NodeProto, quantizer: onnx.NodeProto) -> bool:
    """Whether `quantizer` takes `node`'s output, straight or through a Relu."""
    name = quantizer.input[0]
    maker = {o: n for n in model.graph.node for o in n.output}
    while maker[name].op_type == "Relu":
        name = maker[name].input[0]
    return name == node.output[0]


def test_int8_leaves_no_operator_in_float_after_onnxruntimes_own_rewrite(mini_run, tmp_path):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "o.onnx")
    onnxruntime.InferenceSession(
        str(mini_run / "export" / "mlp-int8.onnx"), options, providers=["CPUExecutionProvider"]
    )
    nodes = [n.op_type for n in onnx.load(tmp_path / "o.onnx").graph.node]
    assert nodes == ["Reshape", "QGemm", "QGemm", "QLinearSoftmax"]


def test_names_follow_topological_order_and_initializers_are_sorted(path):
    graph = onnx.load(path).graph
    assert graph.input[0].name == "pixels"
    assert graph.output[0].name == "scores"
    assert [n.name for n in graph.node] == [
        f"{k:03d}_{n.op_type}" for k, n in enumerate(graph.node)
    ]
    names = [i.name for i in graph.initializer]
    assert names == sorted(names)
    made = {"pixels", *names}
    for node in graph.node:
        assert set(node.input) <= made
        made |= set(node.output)


def test_canonical_form_does_not_depend_on_names_or_order(path, mini_test, tmp_path):
    from edgestitch_export.onnx_canonical import canonical

    model = onnx.load(path)
    shuffled = onnx.ModelProto()
    shuffled.CopyFrom(model)
    rename = {n: f"x{k * 7919 % 997}_{k}" for k, n in enumerate(sorted(_names(model)))}
    for value in (*shuffled.graph.input, *shuffled.graph.output, *shuffled.graph.initializer):
        value.name = rename[value.name]
    for node in shuffled.graph.node:
        node.input[:] = [rename[n] for n in node.input]
        node.output[:] = [rename[n] for n in node.output]
        node.name = f"whatever{id(node)}"
        node.doc_string = "made somewhere"
    initializers = list(shuffled.graph.initializer)[::-1]
    del shuffled.graph.initializer[:]
    shuffled.graph.initializer.extend(initializers)
    shuffled.opset_import.append(onnx.helper.make_opsetid("ai.onnx.ml", 2))
    first, second = canonical(model), canonical(shuffled)
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(
        deterministic=True
    )
    onnx.save(second, tmp_path / "c.onnx")
    np.testing.assert_array_equal(
        answers(tmp_path / "c.onnx", mini_test[0][:20]), answers(path, mini_test[0][:20])
    )


def _names(model: onnx.ModelProto) -> set[str]:
    graph = model.graph
    found = {v.name for v in (*graph.input, *graph.output, *graph.initializer)}
    for node in graph.node:
        found |= {*node.input, *node.output}
    return found


_QEMU = """
import sys, numpy as np
from edgestitch_runtime import Classifier
images = np.load(sys.argv[2])
with Classifier.open(sys.argv[1]) as classifier:
    np.save(sys.argv[3], classifier.scores(images))
    np.save(sys.argv[4], np.concatenate([classifier.classify(i).scores for i in images]))
"""


def test_300_images_on_a_processor_without_vnni_equal_the_host_to_the_bit(
    mini_run, mini_test, tmp_path
):
    qemu = shutil.which("qemu-x86_64-static")
    if qemu is None:
        pytest.skip("Debian's package qemu-user-static is not installed")
    artifact = mini_run / "export" / "mlp-int8.onnx"
    np.save(tmp_path / "images.npy", mini_test[0][:300])
    words = [sys.executable, "-c", _QEMU, str(artifact), str(tmp_path / "images.npy")]
    for name, prefix in (("host", []), ("haswell", [qemu, "-cpu", "Haswell-v4"])):
        outputs = [str(tmp_path / f"{name}-{kind}.npy") for kind in ("batch", "single")]
        subprocess.run([*prefix, *words, *outputs], check=True, capture_output=True, timeout=300)
    for kind in ("batch", "single"):
        host = np.load(tmp_path / f"host-{kind}.npy")
        assert host.shape == (300, 10)
        np.testing.assert_array_equal(host, np.load(tmp_path / f"haswell-{kind}.npy"))


def test_weights_that_could_saturate_are_refused(mini_run):
    from edgestitch_export import onnx_contract
    from edgestitch_runtime.errors import EdgestitchError

    model = onnx.load(mini_run / "export" / "mlp-int8.onnx")
    weights = next(
        i for i in model.graph.initializer
        if i.data_type == onnx.TensorProto.INT8 and len(i.dims) == 2
    )  # fmt: skip
    array = onnx.numpy_helper.to_array(weights).copy()
    array[0, 0] = 65
    weights.CopyFrom(onnx.numpy_helper.from_array(array, weights.name))
    facts = onnx_contract.read_back(model.SerializeToString(), "int8")
    with pytest.raises(EdgestitchError, match="weights beyond 64") as caught:
        onnx_contract.check(facts, "int8")
    assert caught.value.exit_code == 1


def test_a_compute_node_left_in_float_is_refused(mini_run):
    from edgestitch_export import onnx_contract
    from edgestitch_runtime.errors import EdgestitchError

    content = (mini_run / "export" / "mlp-float32.onnx").read_bytes()
    facts = onnx_contract.read_back(content, "int8")
    facts |= {"input": facts["input"] | {"dtype": "uint8"}}
    facts |= {"output": facts["output"] | {"dtype": "uint8"}}
    with pytest.raises(EdgestitchError, match="float tensors enter"):
        onnx_contract.check(facts, "int8")
