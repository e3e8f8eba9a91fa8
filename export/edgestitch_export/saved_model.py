"""A SavedModel folder as a Keras model. What is in it is a TensorFlow graph, and no Python code.

A graph may hold operators that write to any file, though (PrintV2 does), read them, or call back
into Python, and some of it runs as soon as it is loaded. So nothing is loaded that holds more than
arithmetic, by what TensorFlow itself declares of each operator.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from textwrap import shorten
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from edgestitch_runtime.errors import EdgestitchError

from .graph_layer import freeze, graph_model
from .keras_file import SAVED_MODEL

# These have a state or a free text, and yet touch nothing but the model's own variables.
_OWN_STATE = {"VarHandleOp", "ReadVariableOp", "ResourceGather", "VarIsInitializedOp"}
_OWN_STATE |= {"AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"}
_OWN_STATE |= {"RandomUniform", "RandomStandardNormal", "TruncatedNormal"}  # of training
_FLOW = {"PartitionedCall", "StatefulPartitionedCall", "If", "While", "Case"}  # their bodies count
HARMLESS = {*_OWN_STATE, *_FLOW, "Einsum", "Assert", "CheckNumerics", "ImageProjectiveTransformV3"}
_IMPLEMENTS = "api_implements"
_NO_NUMBERS = {t.as_datatype_enum for t in (tf.string, tf.variant, tf.resource)}
_SIGNATURES = ("serving_default", "serve")  # TensorFlow's name for it, and Keras's


def load_saved_model(folder: Path, *, trust_code: bool) -> keras.Model:
    """The model in a SavedModel folder: its signature, with the weights made constants.

    Raises EdgestitchError when the folder is damaged, holds an operator that may reach out of the
    graph and is not trusted, or has no signature of one input and one output, both float32.
    """
    reaching = sorted(op for op in _operators(folder) if not _is_arithmetic(op))
    if reaching and not trust_code:
        raise EdgestitchError(
            f"{folder} may reach out of its graph with {', '.join(reaching)}; it was not loaded",
            hint="--trust-code loads it all the same, where you know who made it; better is a new "
            "one, made by model.export('FOLDER')",
        )
    try:
        loaded: Any = tf.saved_model.load(str(folder))
        signatures = dict(loaded.signatures)
    except Exception as error:  # TensorFlow raises what the content happens to break
        reason = shorten(" ".join(str(error).split()), width=240, placeholder=" ...")
        raise EdgestitchError(
            f"{folder} cannot be loaded by TensorFlow: {reason}",
            hint="save it again with model.export('FOLDER')",
        ) from None
    name = next((n for n in _SIGNATURES if n in signatures), None)
    if name is None and len(signatures) != 1:
        raise EdgestitchError(
            f"{folder} has {len(signatures)} signatures ({', '.join(sorted(signatures))}), none of "
            f"them {_SIGNATURES[0]}",
            hint="save it with model.export('FOLDER'), which makes that one",
        )
    return _of_signature(folder, signatures[name or next(iter(signatures))])


def folder_sha256(folder: Path) -> str:
    """The SHA-256 of the names and the contents of all files in a folder."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _operators(folder: Path) -> set[str]:
    model: Any = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString((folder / SAVED_MODEL).read_bytes())
    except Exception:  # protobuf's own DecodeError, or that of reading
        raise EdgestitchError(
            f"{folder / SAVED_MODEL} is damaged, or no SavedModel", hint="copy the folder again"
        ) from None
    return set().union(*(operators_of(meta) for meta in model.meta_graphs))


def operators_of(meta: Any) -> set[str]:
    """The operators in the functions of a MetaGraphDef that loading or calling may run.

    Those are the functions that its objects name, and what they call. TensorFlow 1 wrote no
    objects: there it is all.
    """
    bodies = {f.signature.name: f.node_def for f in meta.graph_def.library.function}
    # Grappler puts one function that implements an interface in the place of another.
    waiting = [f.signature.name for f in meta.graph_def.library.function if _IMPLEMENTS in f.attr]
    found: set[str] = set()
    if meta.HasField("object_graph_def"):
        waiting += meta.object_graph_def.concrete_functions
    else:
        waiting += bodies
        found |= {node.op for node in meta.graph_def.node}
    while waiting:
        for node in bodies.pop(waiting.pop(), ()):
            found.add(node.op)
            waiting.append(node.op)  # a function is called by its own name, or by an attribute
            waiting += [f.name for a in node.attr.values() for f in (a.func, *a.list.func)]
    functions = {f.signature.name for f in meta.graph_def.library.function}
    return {op for op in found if op not in functions or op_def_registry.get(op) is not None}


def _is_arithmetic(op: str) -> bool:
    """Whether an operator takes and gives numbers alone, and keeps nothing from call to call."""
    declared: Any = op_def_registry.get(op)
    if op in HARMLESS or op.startswith("TensorList"):  # the states of a recurrent layer
        return True
    if declared is None or declared.is_stateful:
        return False
    ends = (*declared.input_arg, *declared.output_arg)
    texts = [a for a in declared.attr if "string" in a.type and not a.HasField("allowed_values")]
    return not texts and not any(end.type in _NO_NUMBERS for end in ends)


def _of_signature(folder: Path, signature: Any) -> keras.Model:
    sources = list(signature.structured_input_signature[1].values())
    answers = tf.nest.flatten(signature.structured_outputs)
    if len(sources) != 1 or len(answers) != 1:
        raise EdgestitchError(
            f"{folder} has {len(sources)} inputs and {len(answers)} outputs, expected one of each",
            hint="export a classifier of one image",
        )
    (source,), (answer,) = sources, answers
    if source.dtype != tf.float32 or answer.dtype != tf.float32:
        raise EdgestitchError(
            f"{folder} takes {source.dtype.name} and gives {answer.dtype.name}, expected float32",
            hint="save the network itself, without what prepares its input",
        )
    if source.shape.rank is None or source.shape[:1] != [None] or answer.shape.rank is None:
        raise EdgestitchError(
            f"{folder} takes {source.shape} and gives {answer.shape}, expected a free batch: "
            "(None, height, width) and (None, classes)",
            hint="save it again with model.export('FOLDER')",
        )
    for variable in signature.variables:
        if variable.dtype.is_floating and not np.isfinite(variable.numpy()).all():
            raise EdgestitchError(
                f"{folder} has weights that are not finite", hint="train it again at a lower rate"
            )
    try:
        frozen = freeze(signature)
    except Exception as error:  # TensorFlow raises what the content happens to break
        reason = shorten(" ".join(str(error).split()), width=240, placeholder=" ...")
        raise EdgestitchError(
            f"{folder} changes its variables as it answers, or draws at random: {reason}",
            hint="export the model without what acts in training only, such as RandomRotation",
        ) from None
    return graph_model(frozen, tuple(source.shape[1:]), tuple(answer.shape[1:]))
