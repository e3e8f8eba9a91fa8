"""The faults planted in export."""

from __future__ import annotations

from .mutant import Mutant, faults_in

EXPORT: list[Mutant] = [
    *faults_in(
        "export/source",
        "export/test_export",
        (
            "calibration sees the validation images",
            "train_indices=train_indices,\n        split={k: split[k]",
            "train_indices=np.arange(6000),\n        split={k: split[k]",
        ),
        (
            "the hash of the run's model is not compared",
            'if digest != run.record["model"]["sha256"]:',
            "if not digest:",
        ),
        retrains=True,
    ),
    *faults_in(
        "export/calibration",
        "export/test_export",
        ("calibration is not seeded", "default_rng(seed)", "default_rng()"),
        retrains=True,
    ),
    *faults_in(
        "export/inference_model",
        "export/test_inference_model",
        ("1/255 is not folded in", "(kernel * scale)", "kernel"),
        ("the offset of the scaling is lost", "bias + offset * summed", "bias"),
        (
            "an offset is smeared over a padded border",
            "if not padded or float(layer.offset) == 0.0:",
            "if True:",
        ),
    ),
    *faults_in(
        "export/batch_norm",
        "export/test_batch_norm",
        ("the epsilon is left out", "np.sqrt(variance + norm.epsilon)", "np.sqrt(variance)"),
        ("the old bias is forgotten", "((bias - mean) * factor", "((0 - mean) * factor"),
        ("gamma is forgotten", "    if statistics.scale:", "    if False:"),
        ("beta is forgotten", "    if statistics.center:", "    if False:"),
        (
            "an activation between is overlooked",
            "layer.activation is keras.activations.linear",
            "True",
        ),
        ("any axis will do", "either.axis in (-1, either.input_spec.ndim - 1)", "True"),
        ("a shared layer is folded", "if _calls(layer) != 1 or", "if"),
        ("a layer of two models is folded", "places[id(layer)] == 1 and", ""),
        (
            "a layer that others take too is folded",
            "takers[0] if len(takers) == 1 and",
            "takers[-1] if takers and",
        ),
    ),
    *faults_in(
        "export/slowdown",
        "export/test_convolutional",
        ("nothing is called slow", "measured.ratio > CLEARLY", "measured.ratio > 1000"),
        ("everything is called slow", "measured.ratio > CLEARLY", "measured.ratio > 0"),
    ),
    *faults_in(
        "export/frozen_graph",
        "export/test_tflite",
        ("the fake quantization ends at 254", "0.0, 255.0, num_bits=8", "0.0, 254.0, num_bits=8"),
        retrains=True,
    ),
    *faults_in(
        "export/tflite_format",
        "export/test_mutants_export export/test_tflite",
        (
            "the input range is left to the calibration images",
            'pinned = "0..255" if precision == "int8" else "none"',
            'pinned = "none"',
        ),
        ("a broken contract exits with 2", "exit_code=1", "exit_code=2"),
        (
            "a float tensor in int8 is accepted",
            't.startswith(("FLOAT", "BFLOAT"))',
            't.startswith("BFLOAT")',
        ),
        retrains=True,
    ),
    *faults_in(
        "export/onnx_format",
        "export/test_mutants_export export/test_onnx",
        (
            "ONNX weights are quantized per tensor",
            "per_channel=True,\n        reduce_range=True,\n        extra",
            "per_channel=False,\n        reduce_range=True,\n        extra",
        ),
        (
            "ONNX int8 weights use all eight bits",
            "reduce_range=True,\n        extra",
            "reduce_range=False,\n        extra",
        ),
        (
            "ONNX dynamic weights use all eight bits",
            "reduce_range=True,\n    )",
            "reduce_range=False,\n    )",
        ),
        (
            "the scale of ONNX probabilities is 1/256",
            "np.float32(1 / 255)",
            "np.float32(1 / 256)",
        ),
        retrains=True,
    ),
    *faults_in(
        "export/onnx_contract",
        "export/test_onnx",
        ("weights that can saturate are accepted", "SEVEN_BIT = 64", "SEVEN_BIT = 127"),
        ("float compute nodes are accepted", 'if facts["unquantized"]:', "if False:"),
    ),
    *faults_in(
        "export/onnx_canonical",
        "export/test_onnx",
        (
            "initializers stay in the converter's order",
            "sorted(initializers, key=lambda t: t.name)",
            "initializers[::-1]",
        ),
        (
            "nodes keep the converter's names",
            "        copy.name = label\n",
            "",
        ),
        retrains=True,
    ),
    *faults_in(
        "export/exporting",
        "export/test_mutants_export export/test_export",
        (
            "lost and won are swapped in the card",
            '"lost": agreement.lost,',
            '"lost": agreement.won,',
        ),
        (
            "an artifact that loses its card is written",
            "if read_artifact(draft).card != card:",
            "if False:",
        ),
        retrains=True,
    ),
]
