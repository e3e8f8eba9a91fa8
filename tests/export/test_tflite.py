from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgestitch_runtime.card import model_bytes, read_artifact

PRECISIONS = ["float32", "float16", "dynamic", "int8"]


def interpreter(path: Path) -> Interpreter:
    opened = Interpreter(str(path), num_threads=1)
    opened.allocate_tensors()
    return opened


def operators(path: Path) -> list[str]:
    details = interpreter(path)._get_ops_details()
    return [d["op_name"] for d in details if d["op_name"] != "DELEGATE"]


def answers(path: Path, images_u8: np.ndarray) -> np.ndarray:
    opened = interpreter(path)
    source, target = opened.get_input_details()[0], opened.get_output_details()[0]
    opened.resize_tensor_input(source["index"], [len(images_u8), 28, 28])
    opened.allocate_tensors()
    value = images_u8.astype(np.float32)
    if source["dtype"] == np.int8:
        value = (images_u8.astype(np.int16) - 128).astype(np.int8)
    opened.set_tensor(source["index"], value)
    opened.invoke()
    return opened.get_tensor(target["index"])


def test_the_int8_mlp_holds_exactly_four_integer_operators(mini_run):
    path = mini_run / "export" / "mlp-int8.tflite"
    assert operators(path) == ["RESHAPE", "FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX"]
    for tensor in interpreter(path).get_tensor_details():
        assert tensor["dtype"] in (np.int8, np.int32), tensor["name"]


def test_scaling_is_folded_into_the_float_weights_too(mini_run):
    path = mini_run / "export" / "mlp-float32.tflite"
    assert operators(path) == ["RESHAPE", "FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX"]


def test_int8_takes_pixel_minus_128_and_gives_steps_of_a_256th(mini_run):
    opened = interpreter(mini_run / "export" / "mlp-int8.tflite")
    source, target = opened.get_input_details()[0], opened.get_output_details()[0]
    assert source["dtype"] == np.int8
    assert source["quantization"] == (1.0, -128)
    assert target["dtype"] == np.int8
    assert target["quantization"] == (1 / 256, -128)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_batches_of_1_2_and_7_run_after_a_resize(mini_run, mini_test, precision):
    path = mini_run / "export" / f"mlp-{precision}.tflite"
    images = mini_test[0][:7]
    singles = np.concatenate([answers(path, images[k : k + 1]) for k in range(7)])
    for count in (1, 2, 7):
        rows = answers(path, images[:count])
        assert rows.shape == (count, 10)
        np.testing.assert_allclose(rows, singles[:count], atol=1e-5)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_answers_follow_the_float_model(mini_run, mini_test, float_rows, precision):
    expected = float_rows
    found = answers(mini_run / "export" / f"mlp-{precision}.tflite", mini_test[0])
    if precision == "int8":
        found = (found.astype(np.float32) + 128) / 256
    limit = {"float32": 1e-5, "float16": 5e-3, "dynamic": 0.05, "int8": 0.08}[precision]
    assert np.abs(found - expected).max() < limit
    changed = (found.argmax(axis=1) != expected.argmax(axis=1)).mean()
    assert changed <= {"float32": 0.0, "float16": 0.005, "dynamic": 0.02, "int8": 0.03}[precision]


def test_int8_weights_are_quantized_per_channel(mini_run):
    tensors = interpreter(mini_run / "export" / "mlp-int8.tflite").get_tensor_details()
    scales = [len(t["quantization_parameters"]["scales"]) for t in tensors if t["shape"].size == 2]
    assert 128 in scales
    assert 10 in scales


def test_smaller_precisions_are_smaller_files(mini_run):
    sizes = {  # of the flatbuffer: card and golden vectors are the same size at any precision
        p: len(model_bytes("tflite", (mini_run / "export" / f"mlp-{p}.tflite").read_bytes()))
        for p in PRECISIONS
    }
    assert sizes["float16"] < 0.55 * sizes["float32"]
    assert sizes["dynamic"] < 0.3 * sizes["float32"]
    assert sizes["int8"] < 0.3 * sizes["float32"]


def test_the_input_range_stays_0_to_255_when_calibration_is_dark(own_run, mini_train, monkeypatch):
    from edgestitch_export import calibration, export

    real = calibration.choose

    def dark(images_u8, train_indices, *, count, seed):
        return real(images_u8 // 8, train_indices, count=count, seed=seed)

    monkeypatch.setattr(calibration, "choose", dark)
    assert mini_train[0].max() == 255
    for format_ in ("tflite", "onnx"):
        exported = export(own_run, format=format_, precision="int8", name="dark")
        card = read_artifact(exported.path).card
        assert card is not None
        assert card["input"]["scale"] == 1.0
        assert card["input"]["zero_point"] == (-128 if format_ == "tflite" else 0)
    source = interpreter(own_run / "export" / "dark-int8.tflite").get_input_details()[0]
    assert source["quantization"] == (1.0, -128)


def test_a_file_that_breaks_the_contract_is_not_written(own_run, monkeypatch, tmp_path):
    from edgestitch_export import export, tflite_format
    from edgestitch_runtime.errors import EdgestitchError

    real = tflite_format.frozen_function
    monkeypatch.setattr(
        tflite_format,
        "frozen_function",
        lambda model, fixed_input_range: real(model, fixed_input_range="none"),
    )
    monkeypatch.setattr(tflite_format, "_whole_range", lambda images_u8: images_u8[:0])

    def dark(self_images_u8, train_indices, *, count, seed):
        return real_choose(self_images_u8 // 2, train_indices, count=count, seed=seed)

    from edgestitch_export import calibration

    real_choose = calibration.choose
    monkeypatch.setattr(calibration, "choose", dark)
    with pytest.raises(EdgestitchError, match="breaks edgestitch's contract") as caught:
        export(own_run, format="tflite", precision="int8", out=tmp_path / "new")
    assert caught.value.exit_code == 1
    assert not (tmp_path / "new").exists()
