"""The table of least versions against the engines: what their resolvers find and what they open."""

from __future__ import annotations

import json
import os
import subprocess
from importlib.metadata import version
from pathlib import Path

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgestitch_runtime import engine_versions
from edgestitch_runtime.engine_versions import (
    in_order,
    least_for_onnx,
    least_for_tflite,
    litert_release,
    tensorflow_release,
)
from edgestitch_runtime.operator_rules import RULES

ROOT = Path(__file__).parents[2]
NEWEST = 16  # no operator has so many versions
PAIRS = [(name, v) for name in engine_versions._RELEASES for v in range(1, NEWEST)]


def file_of(name: str, version: int) -> bytes:
    """A file that names one version of an operator and uses none: a resolver is asked for it."""
    model, code, graph, tensor = (
        schema.ModelT(), schema.OperatorCodeT(), schema.SubGraphT(), schema.TensorT()
    )  # fmt: skip
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = version
    tensor.shape, tensor.name = [1], "x"
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [tensor], [0], [0], []
    model.version, model.buffers = 3, [schema.BufferT()]
    model.operatorCodes, model.subgraphs = [code], [graph]
    builder = flatbuffers.Builder(256)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def finds(package: type, content: bytes) -> bool:
    try:
        package(model_content=content)
    except (ValueError, RuntimeError) as error:
        if "Didn't find op" in str(error):
            return False
    return True


def test_the_table_holds_every_operator_of_the_integer_graph() -> None:
    for name in RULES:
        assert tensorflow_release(name, 1) is not None, name


def test_litert_finds_the_versions_that_the_table_gives_it_and_no_others() -> None:
    installed = in_order(version("ai-edge-litert"))
    assert installed >= (2, 3, 0)
    wrong = []
    for name, number in PAIRS:
        least = litert_release(name, number)
        if least is None and installed > (2, 3, 0):
            continue  # a newer litert may find more
        if finds(Interpreter, file_of(name, number)) != (least is not None):
            wrong.append((name, number, least))
    assert wrong == []


def test_tflite_runtime_finds_what_the_table_gives_to_2_14_0_and_no_more(tmp_path: Path) -> None:
    python = ROOT / ".venv-tflite-runtime" / "bin" / "python"
    if not python.is_file():
        pytest.skip("there is no .venv-tflite-runtime: `make setup` builds it")
    asked = tmp_path / "files.json"
    asked.write_text(json.dumps([file_of(name, number).hex() for name, number in PAIRS]))
    code = (
        "import json, sys\n"
        "from tflite_runtime.interpreter import Interpreter\n"
        "def finds(content):\n"
        "    try: Interpreter(model_content=content)\n"
        '    except (ValueError, RuntimeError) as e: return "Didn\'t find op" not in str(e)\n'
        "    return True\n"
        "print(json.dumps([finds(bytes.fromhex(x)) for x in json.load(open(sys.argv[1]))]))"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", code, asked], capture_output=True, text=True, check=True, env=environment
    )
    wrong = []
    for (name, number), found in zip(PAIRS, json.loads(done.stdout), strict=True):
        release = tensorflow_release(name, number)
        if found != (release is not None and in_order(release) <= (2, 14, 0)):
            wrong.append((name, number, release))
    assert wrong == []


def test_the_least_version_is_the_highest_of_all_operators_and_says_which() -> None:
    litert, runtime = least_for_tflite(
        [("ADD", 1), ("FULLY_CONNECTED", 9), ("ADD", 2)], per_channel_dense=False
    )
    assert (litert.version, runtime.version) == ("1.0.0", "2.3.0")
    assert runtime.because == "FULLY_CONNECTED version 9"
    litert, runtime = least_for_tflite([("PAD", 5)], per_channel_dense=False)
    assert (litert.version, runtime.version) == ("2.0.2", None)
    for unknown in (("CUSTOM thing", 1), ("ADD", 99), ("ADD", 0), ("ADD", -1)):
        assert [one.version for one in least_for_tflite([unknown], per_channel_dense=True)] == [
            None,
            None,
        ]
    assert least_for_tflite([], per_channel_dense=False)[0].version is None


def test_onnxruntime_opens_what_the_table_says_the_installed_one_does() -> None:
    import onnxruntime
    from onnx import TensorProto, helper

    here = in_order(version("onnxruntime"))
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Relu", ["a"], ["b"])],
        "g",
        [value("a", TensorProto.FLOAT, [1])],
        [value("b", TensorProto.FLOAT, [1])],
    )
    opened = 0
    for release, opset, ir in engine_versions._ONNXRUNTIME:
        if in_order(release) <= here:
            for one in (opset, max(7, opset - 1)):
                made = helper.make_model(
                    graph, opset_imports=[helper.make_opsetid("", one)], ir_version=ir
                )
                onnxruntime.InferenceSession(made.SerializeToString())
                opened += 1
    assert opened > 30


@pytest.mark.parametrize(
    ("opset", "ir", "domains", "least"),
    [
        (17, 8, [""], "1.12.0"),
        (7, 3, ["", "ai.onnx"], "0.1.4"),
        (17, 9, [""], "1.15.0"),
        (21, 10, [""], "1.18.0"),
        (99, 8, [""], None),
        (17, 8, ["", "com.microsoft"], None),
    ],
)
def test_the_least_onnxruntime_follows_opset_ir_and_domains(
    opset: int, ir: int, domains: list[str], least: str | None
) -> None:
    found = least_for_onnx(opset, ir, domains)
    assert found.version == least and found.because


def test_a_dense_layer_of_many_scales_asks_for_the_release_that_reads_them() -> None:
    """tflite-runtime 2.9.1 opens the int8 mlp and answers the same to every image."""
    old, new = [("FULLY_CONNECTED", 4)], [("FULLY_CONNECTED", 11)]
    for pairs, asked, expected in (
        (old, False, "2.10.0"), (old, True, "2.10.0"), (new, True, "2.15.0"),
    ):  # fmt: skip
        litert, runtime = least_for_tflite(pairs, per_channel_dense=asked)
        assert litert.version == "1.0.0"
        if pairs is new:
            assert runtime.version is None and expected in runtime.because
        elif asked:
            assert runtime.version == expected and "each channel" in runtime.because
        else:
            assert runtime.version == "1.14.0"
