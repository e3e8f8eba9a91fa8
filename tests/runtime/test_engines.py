import sys
import types

import pytest

from edgestitch_runtime import Classifier, EdgestitchError, engines


@pytest.fixture
def int8(mini_run):
    return mini_run / "export" / "mlp-int8.tflite"


def test_an_absent_engine_says_what_to_install(int8, monkeypatch):
    monkeypatch.setattr(engines, "installed", lambda name: False)
    with pytest.raises(EdgestitchError, match="litert is not installed") as caught:
        Classifier.open(int8, engine="litert")
    assert caught.value.hint == "pip install 'edgestitch-runtime[litert]'"
    with pytest.raises(EdgestitchError, match="no engine for tflite") as caught:
        Classifier.open(int8.with_name("mlp-float32.tflite"))
    assert "edgestitch-runtime[litert]" in caught.value.hint
    assert "edgestitch-runtime[tflite-runtime]" in caught.value.hint


def test_an_unknown_engine_and_one_for_another_format_are_refused(int8):
    with pytest.raises(EdgestitchError, match="no engine 'tensorrt'") as caught:
        Classifier.open(int8, engine="tensorrt")
    assert "litert" in caught.value.hint
    with pytest.raises(EdgestitchError, match="onnxruntime does not run tflite"):
        Classifier.open(int8, engine="onnxruntime")


def _plant(monkeypatch, interpreter: type) -> None:
    """A module in the place of tflite-runtime, as an engine that is installed but does not work."""
    package, module = types.ModuleType("tflite_runtime"), types.ModuleType("interpreter")
    module.Interpreter = interpreter  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "tflite_runtime", package)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", module)
    monkeypatch.setattr(engines, "installed", lambda name: True)


def test_an_engine_that_opens_but_cannot_answer_is_broken(int8, monkeypatch):
    from ai_edge_litert.interpreter import Interpreter

    class FailsLate(Interpreter):
        def set_tensor(self, tensor_index, value):
            raise ValueError("numpy.core.multiarray failed to import")

    _plant(monkeypatch, FailsLate)
    with pytest.raises(EdgestitchError, match=r"multiarray failed to import") as caught:
        Classifier.open(int8, engine="tflite-runtime")
    assert caught.value.hint


def test_auto_goes_past_a_broken_engine(int8, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)  # import fails

    class Works:
        def __init__(self, *args, **more):
            raise RuntimeError("this one was tried")

    _plant(monkeypatch, Works)
    with pytest.raises(EdgestitchError, match="litert is installed but broken"):
        Classifier.open(int8.with_name("mlp-float32.tflite"))
    assert Classifier.open(int8).engine == "reference"  # which needs numpy alone


def test_the_reference_engine_refuses_what_is_not_int8(int8):
    with pytest.raises(EdgestitchError, match="reference runs int8 files only") as caught:
        Classifier.open(int8.with_name("mlp-float32.tflite"), engine="reference")
    assert caught.value.hint


def test_a_broken_import_is_said_with_its_reason(int8, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(EdgestitchError, match="litert is installed but broken") as caught:
        Classifier.open(int8, engine="litert")
    assert "edgestitch-runtime[litert]" in caught.value.hint


@pytest.mark.parametrize("name", ["mlp-int8.tflite", "mlp-int8.onnx"])
def test_a_model_cut_before_its_card_is_refused_in_one_line(mini_run, tmp_path, name):
    whole = (mini_run / "export" / name).read_bytes()
    for share in (0.1, 0.5, 0.9):
        cut = tmp_path / name
        cut.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(EdgestitchError) as caught:
            Classifier.open(cut)
        assert "\n" not in caught.value.message
        assert "copy" in caught.value.hint


def test_a_model_of_another_task_is_refused_by_its_shapes(tmp_path):
    from onnx import TensorProto, helper, save

    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Relu", ["a"], ["b"])],
        "g",
        [value("a", TensorProto.FLOAT, ["n", 16000])],
        [value("b", TensorProto.FLOAT, ["n", 16000])],
    )
    opset = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "audio.onnx")
    with pytest.raises(EdgestitchError, match="16000") as caught:
        Classifier.open(tmp_path / "audio.onnx")
    assert "grayscale" in caught.value.hint
