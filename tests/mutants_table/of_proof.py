"""The faults planted in the comparison of two models, and in files for old and small engines."""

from __future__ import annotations

from .mutant import Mutant, faults_in

PROOF: list[Mutant] = [
    *faults_in(
        "export/layer_matching",
        "export/test_diff",
        (
            "a layer that was folded away is taken for a difference",
            "[] if reason else _without_leftovers(a, pairs, tolerance)",
            "[] if reason else pairs",
        ),
        ("channels come first in B alone", "(1, 2, 0), (2, 0, 1)]", "(1, 2, 0)]"),
        (
            "what has parted has no partner",
            "return chosen | _aligned(len(a), len(b), left)",
            "return chosen",
        ),
        ("equal sizes alone pair nothing", "_SIZE = 0.05", "_SIZE = 0.0"),
    ),
    *faults_in(
        "export/parting",
        "export/test_diff_command export/test_diff",
        ("any error is a jump", "rows[k].error > JUMP * rows[k].before", "True"),
        (
            "the first above the tolerance is taken",
            "(jumps or over or [None])[0]",
            "(over or [None])[0]",
        ),
    ),
    *faults_in(
        "export/keras_layers",
        "export/test_diff",
        ("the recorders stay in the model", 'del vars(operation)["call"]', "pass"),
    ),
    *faults_in(
        "export/onnx_dynamic",
        "export/test_mutants_export export/test_onnx",
        (
            "ONNX dynamic weights use all eight bits",
            "reduce_range=True,\n    )",
            "reduce_range=False,\n    )",
        ),
        retrains=True,
    ),
    *faults_in(
        "export/onnx_dynamic",
        "end_to_end/test_old_engines",
        ("ConvInteger keeps weights of int8", "    _shift_convolutions(model.graph)\n", ""),
        ("zero points of ConvInteger stay", "(node.input[1], node.input[3])", "(node.input[1],)"),
    ),
    *faults_in(
        "export/onnx_format",
        "export/test_onnx",
        ("an opset that fails is the last tried", "*older, newest =", "older, newest = (), *"),
        ("opsets are tried from the newest", "for opset in older:", "for opset in older[::-1]:"),
    ),
    *faults_in(
        "export/tflm_format",
        "export/test_tflm",
        ("C leaves the array where it likes", "_Alignas(16)", "_Alignas(1)"),
        ("C++ leaves the array where it likes", "\nalignas(16)", "\nalignas(1)"),
        ("an identifier may be reserved", '"[^A-Za-z0-9]+"', '"[^A-Za-z0-9_]"'),
        ("an operator is registered for each use", "sorted(set(card", "sorted((card"),
        ("unknown operators are accepted", "if operator not in OPERATORS:", "if False:"),
    ),
    *faults_in(
        "export/tflm_arena",
        "export/test_tflm",
        (
            "equal buffers are placed from the first on",
            "(living + scratch)[::-1]",
            "living + scratch",
        ),
        ("sums of kernels take nothing", "if operator.name in _SUMMED:", "if False:"),
        ("buffers are not aligned", "-(-size // ALIGNMENT) * ALIGNMENT", "size"),
    ),
]
