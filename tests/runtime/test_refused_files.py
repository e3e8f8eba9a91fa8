"""Files that mean nothing certain, as altered ones have shown: refused in a line, not answered."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_runtime import Classifier, EdgestitchError, inspect_artifact
from edgestitch_runtime.card import CARD_FILE, append_to_tflite, model_bytes, read_artifact
from edgestitch_runtime.inspect_text import as_text
from flatbuffer_places import places_of
from one_operator import int8
from rewritten_models import packed, schema
from small_classifiers import dense
from tflite_builder import Op, Spec, build, reference_rows

PIXELS = int8(1.0, -128, (1, 2, 3))


def refusal(content: bytes, folder: Path) -> str:
    """The line with which the engine `reference` refuses a file."""
    path = folder / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(EdgestitchError) as caught:
        Classifier.open(path, engine="reference")
    return caught.value.message


def reshaped(name: str, shape: list[int], out: list[int], told: Any = None) -> bytes:
    """RESHAPE or SQUEEZE from `shape` to `out`; `told` is the shape that stands in a constant."""
    tensors = [int8(1.0, -128, shape), int8(1.0, -128, out)]
    if told is not None:
        tensors.append(Spec(data=np.array(told, np.int32)))
    inputs = [0] if told is None else [0, 2]
    return build(
        [Op(name=name, inputs=inputs, outputs=[1], options=f"{name.title()}Options")], tensors
    )


@pytest.mark.parametrize("told", [[1, 6], [-1, 6], [1, -1]])
def test_a_reshape_whose_constant_says_its_output_is_taken(told: list[int], tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(reshaped("RESHAPE", [1, 2, 3], [1, 6], told))
    images = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    with Classifier.open(path, engine="reference") as classifier:
        assert classifier.scores(images).tolist() == [[k - 128 for k in range(6)]]


@pytest.mark.parametrize("told", [[2, 3], [6], [1, 1, 6], [1, 3], [1, 7], [-1, -1], [-7, 6]])
def test_a_reshape_whose_constant_says_another_shape_is_refused(
    told: list[int], tmp_path: Path
) -> None:
    content = reshaped("RESHAPE", [1, 2, 3], [1, 6], told)
    assert f"{told} is not the output's shape" in refusal(content, tmp_path)
    codes = np.zeros((1, 2, 3), np.int8)
    if np.prod(told) == 6 and min(told) > 0:  # LiteRT gives what the constant says
        assert reference_rows(content, codes).shape == tuple(told)
    else:
        with pytest.raises(RuntimeError, match="RESHAPE"):
            reference_rows(content, codes)


def test_a_squeeze_that_takes_no_axis_away_is_refused(tmp_path: Path) -> None:
    content = reshaped("SQUEEZE", [1, 2, 3], [1, 2, 3])
    assert "is not (1, 2, 3) without axes of 1" in refusal(content, tmp_path)
    assert reference_rows(content, np.zeros((1, 2, 3), np.int8)).shape == (2, 3)


@pytest.mark.parametrize(
    "scale, taken", [(0.01, True), (0.0295, True), (0.031, False), (9.0, False)]
)
def test_a_dense_bias_is_on_the_scale_of_its_products(
    scale: float, taken: bool, tmp_path: Path
) -> None:
    flat = Op(name="RESHAPE", inputs=[0, 1], outputs=[2], options="ReshapeOptions")
    dense = Op(
        name="FULLY_CONNECTED", inputs=[2, 3, 4], outputs=[5], options="FullyConnectedOptions",
        version=4,
    )  # fmt: skip
    tensors = [
        PIXELS,
        Spec(data=np.array([-1, 6], np.int32)),
        int8(1.0, -128, (1, 6)),
        Spec(data=np.ones((3, 6), np.int8), scales=0.01),
        Spec(data=np.zeros(3, np.int32), scales=scale),
        int8(1.0, 0, (1, 3)),
    ]
    content = build([flat, dense], tensors)
    codes = np.zeros((1, 2, 3), np.int8)
    if taken:
        (tmp_path / "model.tflite").write_bytes(content)
        Classifier.open(tmp_path / "model.tflite", engine="reference").close()
        reference_rows(content, codes)
        return
    assert f"a bias at the scale {scale:.3g}" in refusal(content, tmp_path)
    with pytest.raises(RuntimeError, match="scale_diff"):
        reference_rows(content, codes)


@pytest.mark.parametrize("given, last", [(1, 2), (0, 2), (3, 2)])
def test_a_tensor_that_two_operators_give_is_refused(given: int, last: int, tmp_path: Path) -> None:
    """Also where the second is of no use; tensor 0 is the input, 3 a constant."""
    tensors = [int8(1.0, -128, (1, 2, 3))] * 2 + [int8(1.0, -128, (1, 6))]
    tensors.append(Spec(data=np.zeros((1, 2, 3), np.int8), scales=1.0, zero_points=-128))
    operators = [
        Op(name="RELU", inputs=[0], outputs=[1], version=2),
        Op(name="RESHAPE", inputs=[1], outputs=[2], options="ReshapeOptions"),
        Op(name="RELU", inputs=[0], outputs=[given], version=2),
    ]
    content = build(operators, tensors, outputs=[last])
    assert f"gives tensor {given}, which is there before it" in refusal(content, tmp_path)


def test_a_reshape_whose_shape_is_left_out_is_refused(tmp_path: Path) -> None:
    """On which LiteRT ends the process."""
    tensors = [PIXELS, int8(1.0, -128, (1, 6))]
    content = build(
        [Op(name="RESHAPE", inputs=[0, -1], outputs=[1], options="ReshapeOptions")], tensors
    )
    assert "input 1 is left out" in refusal(content, tmp_path)


def altered_tensor(content: bytes, index: int, **fields: Any) -> bytes:
    """The file with fields of a tensor set."""
    model: Any = schema.ModelT.InitFromPackedBuf(content, 0)
    for name, value in fields.items():
        setattr(model.subgraphs[0].tensors[index], name, value)
    return packed(model)


@pytest.mark.parametrize("index", [0, 1])
def test_a_tensor_that_keeps_its_content_is_refused(index: int, tmp_path: Path) -> None:
    content = altered_tensor(
        reshaped("RESHAPE", [1, 2, 3], [1, 6], [-1, 6]), index, isVariable=True
    )
    assert f"tensor {index} is a variable" in refusal(content, tmp_path)
    assert inspect_artifact(tmp_path / "model.tflite").facts is not None


def test_weights_that_are_packed_as_sparse_are_not_read_as_they_stand(tmp_path: Path) -> None:
    content = altered_tensor(dense(), 3, sparsity=schema.SparsityParametersT())
    assert "expected constant int8" in refusal(content, tmp_path)
    assert inspect_artifact(tmp_path / "model.tflite").facts is not None


def test_a_vtable_of_an_odd_size_is_damaged(tmp_path: Path) -> None:
    """Where a field would end beyond it: some readers see the field, others its default."""
    content = bytearray(dense())
    vtable = next(place for place in places_of(dense()) if place.kind == "vtable")
    content[vtable.start] -= 1
    assert "a vtable of" in refusal(bytes(content), tmp_path)


def test_paddings_of_three_columns_are_inspected(tmp_path: Path) -> None:
    held = Spec(data=np.zeros((3, 3), np.int32))
    operator = Op(name="PAD", inputs=[0, 1], outputs=[2], options="PadOptions")
    path = tmp_path / "model.tflite"
    path.write_bytes(build([operator], [PIXELS, held, PIXELS]))
    facts = inspect_artifact(path).facts
    assert facts is not None
    assert [layer.operator for layer in facts.layers] == ["PAD"]


@pytest.fixture
def with_card(mini_run: Path, tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """An artifact whose card is altered by some entries."""
    found = read_artifact(mini_run / "export" / "mlp-int8.tflite")
    flatbuffer, card = model_bytes("tflite", found.content), found.card
    assert card is not None

    def write(entries: dict[str, Any]) -> Path:
        path = tmp_path / "model.tflite"
        path.write_bytes(append_to_tflite(flatbuffer, card | entries, found.golden))
        return path

    return write


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_card_that_is_compressed_is_refused(packing: int, mini_run: Path, tmp_path: Path) -> None:
    found = read_artifact(mini_run / "export" / "mlp-int8.tflite")
    path = tmp_path / "model.tflite"
    path.write_bytes(model_bytes("tflite", found.content))
    with zipfile.ZipFile(path, "a", packing) as archive:
        archive.writestr(CARD_FILE, json.dumps(found.card))
    with pytest.raises(EdgestitchError, match="is compressed"):
        read_artifact(path)


@pytest.mark.parametrize(
    "entry, value",
    [
        ("calibration", 1),
        ("calibration", {"count": 500}),
        ("float_operators", "Softmax"),
        ("float_operators", [1]),
    ],
)
def test_an_entry_of_another_kind_that_inspect_would_print_is_refused(
    with_card: Callable[[dict[str, Any]], Path], entry: str, value: Any
) -> None:
    with pytest.raises(EdgestitchError, match=f"its entry {entry}"):
        read_artifact(with_card({entry: value}))


def test_an_interval_of_a_card_has_two_ends(with_card: Callable[[dict[str, Any]], Path]) -> None:
    accuracy = {
        "float": {"correct": 9, "n": 10, "engine": "keras"},
        "artifact": {"correct": 9, "n": 10, "engine": "litert"},
        "changed": 0,
        "drop_pp": 0.0,
    }
    for ends in ([0.0], [0.0, 0.1, 0.2], ["0", "1"]):
        with pytest.raises(EdgestitchError, match="drop_interval_pp"):
            read_artifact(with_card({"accuracy": accuracy | {"drop_interval_pp": ends}}))
    read_artifact(with_card({"accuracy": accuracy | {"drop_interval_pp": [0.0, 0.1]}}))


def test_a_number_of_hundreds_of_digits_in_a_card_is_refused(
    with_card: Callable[[dict[str, Any]], Path],
) -> None:
    with pytest.raises(EdgestitchError, match="it is no JSON"):
        read_artifact(with_card({"later": 10**400}))
    assert read_artifact(with_card({"later": 10**19})).card is not None


def test_a_distance_of_a_later_version_is_printed(
    with_card: Callable[[dict[str, Any]], Path],
) -> None:
    counted = {"n": 10, "rows_equal": 9, "largest_step": 1, "flips": 0, "of a later version": 5}
    reference = {"engine": "reference 0.1.0", "distances": {"litert 2.1.0": counted}}
    text = as_text(inspect_artifact(with_card({"reference": reference})), layers=False)
    assert "9 of 10 rows equal" in text
    mixed = {"engine": "reference 0.1.0", "refuses": "an operator", "distances": 3}
    assert "an operator" in as_text(inspect_artifact(with_card({"reference": mixed})), layers=False)
