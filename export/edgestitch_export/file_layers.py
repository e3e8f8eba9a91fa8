"""What the layers of a .tflite or .onnx file compute: the outputs of its operators, for images.

A value that the file holds as integers is given as the real number that they stand for. Each
image is run by itself, so that a range taken over a batch cannot mix them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgestitch_runtime.card import Artifact
from edgestitch_runtime.native_output import quiet_native_output
from edgestitch_runtime.tflite_graph import read_tflite_graph

from .layer_outputs import QUANTIZING, Key, LayerOutput, Step, linked

Run = Callable[[np.ndarray], dict[Key, np.ndarray | None]]  # one image; None: no layer's output


def file_layers(artifact: Artifact, images_u8: np.ndarray) -> tuple[LayerOutput, ...]:
    """The outputs of the file's operators, in order, for (n, height, width) uint8 images.

    .tflite: by LiteRT's reference kernels. .onnx: by ONNX Runtime; of a file with quantizers only
    the integers are looked at, since looking between them would undo their fusion.
    """
    with quiet_native_output():
        steps, sources, run = (_of_tflite if artifact.format == "tflite" else _of_onnx)(artifact)
        usable = [k for k, value in run(images_u8[0]).items() if value is not None]
        watched = linked(steps, sources, usable)
        rows: dict[Key, list[np.ndarray]] = {w.key: [] for w in watched}
        for image in images_u8:
            found = run(image)
            for key, kept in rows.items():
                value = found[key]
                assert value is not None
                kept.append(value)
    return tuple(
        LayerOutput(
            name=w.name,
            weighted=w.weighted,
            shape=rows[w.key][0].shape,
            values=np.stack(rows[w.key]).reshape(len(images_u8), -1),
            inputs=w.inputs,
        )
        for w in watched
    )


def _of_tflite(artifact: Artifact) -> tuple[list[Step], Sequence[Key], Run]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    graph, _ = read_tflite_graph(artifact.content, str(artifact.path))
    interpreter: Any = Interpreter(
        model_content=artifact.content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
        num_threads=1,
    )
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]
    steps = [
        Step(
            name=o.layer,
            operator=o.name,
            takes=tuple(k for k in o.inputs if k >= 0),
            gives=o.outputs,
        )
        for o in graph.operators
    ]
    looked_at = [k for step in steps for k in step.gives]

    def real(index: Any) -> np.ndarray | None:
        tensor = graph.tensors[index]
        if not tensor.floating and tensor.scale is None:
            return None
        value = interpreter.get_tensor(index)
        if not tensor.floating:
            value = (value.astype(np.float32) - (tensor.zero_point or 0)) * tensor.scale
        return _of_one(value, batch=source["shape"][0])

    def run(image: np.ndarray) -> dict[Key, np.ndarray | None]:
        # The scale of an integer input is 1, or the Classifier has refused the file.
        values = (image.astype(np.int16) + source["quantization"][1]).astype(source["dtype"])
        interpreter.set_tensor(source["index"], _batch(values, source["shape"]))
        interpreter.invoke()
        return {k: real(k) for k in looked_at}

    return steps, graph.inputs, run


def _of_onnx(artifact: Artifact) -> tuple[list[Step], Sequence[Key], Run]:
    import onnx
    import onnxruntime

    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(artifact.content))
    nodes = model.graph.node
    codes = _integers(model)
    floats = [
        v.name
        for v in model.graph.value_info
        if v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    ]
    output = model.graph.output[0]
    wanted = [name for name in codes or floats if name != output.name]
    kinds = {v.name: v.type.tensor_type.elem_type for v in model.graph.value_info}
    for name in wanted:
        kind = kinds.get(name, onnx.TensorProto.UINT8)
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, kind, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (source,) = session.get_inputs()
    dtype = {"tensor(uint8)": np.uint8, "tensor(int8)": np.int8}.get(source.type, np.float32)
    dims = [n if isinstance(n, int) else 1 for n in source.shape]

    def run(image: np.ndarray) -> dict[Key, np.ndarray | None]:
        names = [*wanted, output.name]
        found: Any = session.run(names, {source.name: _batch(image.astype(dtype), dims)})
        real: dict[Key, np.ndarray | None] = {}
        for name, value in zip(names, found, strict=True):
            if name in codes:
                scale, zero_point = codes[name]
                value = (value.astype(np.float32) - zero_point) * scale
            real[name] = _of_one(value, batch=dims[0])
        return real

    steps = [
        Step(
            name=n.name or n.output[0],
            operator=n.op_type,
            takes=tuple(k for k in n.input if k),
            gives=tuple(k for k in n.output if k),
        )
        for n in nodes
    ]
    return steps, [source.name], run


def _integers(model: Any) -> dict[str, tuple[float, int]]:
    """Scale and zero point of what a QuantizeLinear gives, or a node for a DequantizeLinear."""
    import onnx

    constants = {i.name: i for i in model.graph.initializer}
    computed = {name for node in model.graph.node for name in node.output}
    found = {}
    for node in model.graph.node:
        if node.op_type not in QUANTIZING:
            continue
        name = (node.output if node.op_type == "QuantizeLinear" else node.input)[0]
        values = [
            onnx.numpy_helper.to_array(constants[k]) for k in node.input[1:] if k in constants
        ]
        if name in computed and values and all(v.size == 1 for v in values):
            found[name] = (float(values[0].item()), int(values[1].item()) if values[1:] else 0)
    return found


def _batch(image: np.ndarray, dims: Sequence[int]) -> np.ndarray:
    """The image as the file takes it; as often as its batch has room for."""
    return np.repeat(image.reshape(1, *dims[1:]), dims[0], axis=0)


def _of_one(value: np.ndarray, *, batch: int) -> np.ndarray | None:
    """The part of the first image, float32; None for what is no output of a layer for images."""
    if value.ndim < 2 or value.shape[0] != batch:
        return None
    return np.array(value[0], np.float32)
