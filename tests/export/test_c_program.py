"""Models that there is no C for are refused in words; the steps of the others are as expected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgestitch_export.c_command import export_tflite
from edgestitch_export.c_format import KEYWORDS, check_model, names_of
from edgestitch_export.c_program import Program, program_of
from edgestitch_export.c_step import PIXELS
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.graph import integer_graph
from edgestitch_runtime.tflite_file import read_tflite
from one_operator import one_operator
from tflite_builder import Op, Spec, build

PIXELS_IN = Spec(shape=(1, 4, 5), scales=1.0, zero_points=-128)
CLASSES_OUT = Spec(shape=(1, 3), scales=1.0, zero_points=0)


def dense(
    source: Spec = PIXELS_IN, output: Spec = CLASSES_OUT, *, scale: float = 0.01, weight: int = 1
) -> bytes:
    """A dense layer of 20 inputs and 3 outputs."""
    weights = Spec(data=np.full((3, 20), weight, np.int8), scales=scale)
    return one_operator("FULLY_CONNECTED", [source, weights], output)


def refusal(model: bytes, name: str = "model") -> str:
    with pytest.raises(EdgestitchError) as refused:
        check_model(name, model)
    assert refused.value.exit_code == 2
    assert refused.value.hint
    assert "\n" not in refused.value.message
    return f"{refused.value.message} / {refused.value.hint}"


def test_a_classifier_of_pixels_is_taken() -> None:
    check_model("model", dense())
    check_model("a-2.b_c", dense())


@pytest.mark.parametrize(
    ("scale", "zero_point"), [(0.5, -128), (1.0, 0), (1 / 255, -128), (1.0, -127)]
)
def test_an_input_that_is_not_pixels_less_128_is_refused(scale: float, zero_point: int) -> None:
    source = Spec(shape=(1, 4, 5), scales=scale, zero_points=zero_point)
    assert "int8 with scale 1 and zero point -128" in refusal(dense(source))


@pytest.mark.parametrize("shape", [(1, 20), (1, 4, 5, 1, 1), (1, 2, 2, 5)])
def test_an_input_that_is_no_gray_image_is_refused(shape: tuple[int, ...]) -> None:
    source = Spec(shape=shape, scales=1.0, zero_points=-128)
    said = refusal(dense(source))
    assert str(shape) in said and "grayscale" in said


def test_an_output_that_is_no_row_of_classes_is_refused() -> None:
    output = Spec(shape=(1, 4, 5), scales=1.0, zero_points=-128)
    assert "(1, classes)" in refusal(one_operator("RELU", [PIXELS_IN], output))


def test_a_batch_is_refused() -> None:
    assert "batch size of 1" in refusal(dense(Spec(shape=(2, 4, 5), scales=1.0, zero_points=-128)))


def test_float_input_and_float_output_are_refused_with_the_export_that_makes_int8() -> None:
    row = Spec(shape=(1, 20), scales=1.0, zero_points=-128)
    floats = Spec(shape=(1, 4, 5), dtype="float32")
    behind = build(
        [
            Op(name="QUANTIZE", inputs=[0], outputs=[1], options="QuantizeOptions"),
            Op(name="RESHAPE", inputs=[1], outputs=[2], options="ReshapeOptions"),
        ],
        [floats, PIXELS_IN, row],
    )
    said = refusal(behind)
    assert "takes float32" in said and "--format tflite --int8" in said
    ahead = build(
        [
            Op(name="RESHAPE", inputs=[0], outputs=[1], options="ReshapeOptions"),
            Op(name="DEQUANTIZE", inputs=[1], outputs=[2], options="DequantizeOptions"),
        ],
        [PIXELS_IN, row, Spec(shape=(1, 20), dtype="float32")],
    )
    said = refusal(ahead)
    assert "gives float32" in said and "--format tflite --int8" in said


def test_a_model_without_an_operator_is_refused() -> None:
    row = Spec(shape=(1, 20), scales=1.0, zero_points=-128)
    reshape = Op(name="RESHAPE", inputs=[0], outputs=[1], options="ReshapeOptions")
    assert "no C" in refusal(build([reshape], [PIXELS_IN, row]))


def test_sums_that_do_not_fit_are_refused() -> None:
    assert "32 bits" in refusal(dense(scale=1e12))


def test_a_scale_that_no_multiplier_and_shift_hold_is_refused_by_the_layer() -> None:
    said = refusal(dense(scale=1e-14))
    assert "FULLY_CONNECTED" in said and "no 32-bit multiplier and shift" in said


@pytest.mark.parametrize("model", [b"", b"no model", dense()[:200]])
def test_a_damaged_file_is_refused(model: bytes) -> None:
    assert "damaged" in refusal(model)


def test_an_operator_that_the_integer_graph_lacks_is_refused_by_name() -> None:
    floor = one_operator("FLOOR", [PIXELS_IN], PIXELS_IN)
    assert "FLOOR" in refusal(floor)


@pytest.mark.parametrize(
    "name", ["int", "class", "Float", "static", "bool", "_if_", "9x", "3", "--", "", "_", "é"]
)
def test_names_that_make_no_identifier_are_refused(name: str) -> None:
    with pytest.raises(EdgestitchError, match=r"keyword of C|no identifier of C") as refused:
        names_of(name)
    assert repr(name) in refused.value.message
    assert "--name" in (refused.value.hint or "")
    assert "identifier" in refusal(dense(), name) or "keyword" in refusal(dense(), name)


def test_every_keyword_of_c99_is_refused() -> None:
    words = """auto break case char const continue default do double else enum extern float for goto
    if inline int long register restrict return short signed sizeof static struct switch typedef
    union unsigned void volatile while"""
    assert set(words.split()) <= KEYWORDS
    for word in KEYWORDS:
        with pytest.raises(EdgestitchError, match="keyword"):
            names_of(word)


@pytest.mark.parametrize(
    ("name", "stem", "prefix", "macro"),
    [
        ("mlp", "mlp-int8", "mlp", "MLP"),
        ("dscnn-l", "dscnn-l-int8", "dscnn_l", "DSCNN_L"),
        ("My.Model--2", "My.Model--2-int8", "My_Model_2", "MY_MODEL_2"),
        ("_x_", "_x_-int8", "x", "X"),
        ("integer", "integer-int8", "integer", "INTEGER"),
    ],
)
def test_names_in_c_come_of_the_model_s(name: str, stem: str, prefix: str, macro: str) -> None:
    found = names_of(name)
    assert (found.stem, found.prefix, found.macro) == (stem, prefix, macro)


@pytest.mark.parametrize("precision", ["float32", "dynamic", "float16"])
def test_an_artifact_that_is_not_int8_is_refused(precision: str, mini_run: Path) -> None:
    artifact = mini_run / "export" / f"mlp-{precision}.tflite"
    with pytest.raises(EdgestitchError, match=f"is {precision}; c is made of int8") as refused:
        export_tflite(artifact, format="c")
    assert refused.value.hint == "edgestitch export --format tflite --int8 first"
    assert not (mini_run / "export" / f"mlp-{precision}.c").exists()


def program(model: bytes) -> Program:
    return program_of(integer_graph(read_tflite(model), "model.tflite"))


def chain(*made: tuple[str, Spec, str, dict[str, int]], source: Spec = PIXELS_IN) -> bytes:
    """Operators one after another, each (name, output, options, fields)."""
    operators = [
        Op(name=name, inputs=[k], outputs=[k + 1], options=options, fields=fields)
        for k, (name, _, options, fields) in enumerate(made)
    ]
    return build(operators, [source, *(output for _, output, _, _ in made)])


def test_a_dense_layer_reads_the_pixels_themselves_through_a_reshape() -> None:
    (step,) = program(dense()).steps
    assert step.inputs == (PIXELS,)
    assert (step.kernels, step.output_bytes) == (("dense",), 3)
    assert step.weight_bytes == 60  # no bias


def test_other_operators_read_codes_that_a_first_step_makes() -> None:
    same = Spec(shape=(1, 4, 5), scales=1.0, zero_points=-128)
    found = program(chain(("RELU", same, "", {}), ("TANH", same, "", {})))
    assert found.steps[0].name == "codes"
    assert found.steps[0].inputs == (PIXELS,)
    assert found.steps[1].inputs == (found.steps[0].output,)
    assert PIXELS not in found.steps[1].over


@pytest.mark.parametrize("name", ["SUB", "MUL", "ADD", "CONCATENATION"])
def test_pixels_that_are_a_second_operand_become_codes(name: str) -> None:
    held = Spec(data=np.ones((1, 4, 5), np.int8), scales=1.0, zero_points=-128)
    shape = (1, 8, 5) if name == "CONCATENATION" else (1, 4, 5)
    output = Spec(shape=shape, scales=1.0, zero_points=-128)
    fields = {"axis": 1} if name == "CONCATENATION" else {}
    found = program(one_operator(name, [held, PIXELS_IN], output, **fields))
    assert [step.name for step in found.steps][:1] == ["codes"]
    assert found.steps[1].inputs == (found.steps[0].output,)


def test_pixels_that_a_layer_and_another_operator_read_become_codes() -> None:
    """The layer reads the codes too, which differ from pixels by their top bit."""
    row = Spec(shape=(1, 3), scales=1.0, zero_points=0)
    weights = Spec(data=np.ones((3, 20), np.int8), scales=0.01)

    def layer(source: int, output: int) -> Op:
        options = "FullyConnectedOptions"
        return Op(name="FULLY_CONNECTED", inputs=[source, 1], outputs=[output], options=options)

    tanh = Op(name="TANH", inputs=[0], outputs=[2])
    add = Op(name="ADD", inputs=[3, 4], outputs=[5], options="AddOptions")
    halves = Spec(shape=(1, 4, 5), scales=1 / 128, zero_points=0)
    model = build(
        [layer(0, 3), tanh, layer(2, 4), add], [PIXELS_IN, weights, halves, row, row, row]
    )
    found = program(model)
    assert found.steps[0].name == "codes"
    assert all(PIXELS not in step.inputs for step in found.steps[1:])


def test_reshapes_are_no_steps() -> None:
    row = Spec(shape=(1, 20), scales=1.0, zero_points=-128)
    found = program(chain(("TANH", PIXELS_IN, "", {}), ("RESHAPE", row, "ReshapeOptions", {})))
    assert [step.name for step in found.steps][1:] == ["t1"]
    assert found.output == found.steps[-1].output
    assert found.classes == 20


def test_layers_of_one_name_are_made_different_and_are_identifiers() -> None:
    def named(name: str) -> Spec:
        return Spec(shape=(1, 4, 5), scales=1.0, zero_points=-128, name=name)

    outputs = [named(name) for name in ("Relu_A/Relu", "Relu A", "relu-a", "9lives", "ünï")]
    found = program(chain(*(("TANH", output, "", {}) for output in outputs)))
    names = [step.name for step in found.steps][1:]
    assert names == ["relu_a", "relu_a_2", "relu_a_3", "layer_9lives", "n"]


@pytest.mark.parametrize("channels", [1, 2])
def test_a_convolution_reads_pixels_where_it_sees_one_channel(channels: int) -> None:
    image = Spec(shape=(1, 4, 5, channels), scales=1.0, zero_points=-128)
    weights = Spec(data=np.ones((3, 3, 3, channels), np.int8), scales=0.1)
    bias = Spec(data=np.zeros(3, np.int32), scales=0.1)
    output = Spec(shape=(1, 4, 5, 3), scales=1.0, zero_points=0)
    fields = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    model = one_operator("CONV_2D", [image, weights, bias], output, **fields)
    found = program(model)
    assert len(found.steps) == channels
    assert found.steps[-1].weight_bytes == 27 * channels + 12
