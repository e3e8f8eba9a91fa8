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
        "export/data_place",
        "export/test_pictures_of_a_keras_file",
        ("IDX files are asked for a size", "size=size if pictures else None", "size=size"),
        ("pictures keep a size of their own", "size=size if pictures else None", "size=None"),
    ),
    *faults_in(
        "export/source",
        "export/test_pictures_of_a_keras_file",
        (
            "a background on a run is ignored",
            "    if background is not None:\n        raise",
            "    if False:\n        raise",
        ),
    ),
    *faults_in(
        "export/source",
        "export/test_answers",
        (
            "the rewritten model is not compared",
            "    check_rewritten(rewritten, test, float_rows, kind)\n",
            "",
        ),
    ),
    *faults_in(
        "export/answers",
        "export/test_answers",
        (
            "logits are compared as probabilities alone",
            "np.abs(rows - float_rows).max() / largest",
            "0",
        ),
        ("the probabilities of logits are not compared", "np.maximum(np.abs(apart).max(), ", "("),
        ("a model's values may be anything", "if not np.isfinite(rows).all():", "if False:"),
        ("nan is near enough", "if not furthest <= TOLERANCE", "if furthest > TOLERANCE"),
        (
            "what TensorFlow raises of a model gets through",
            "except Exception as error",
            "except KeyError as error",
        ),
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
            "if not padded or found[1] == 0.0:",
            "if True:",
        ),
    ),
    *faults_in(
        "export/inference_model",
        "export/test_inference_model export/test_batch_norm",
        (
            "a scaling goes into a layer of two models",
            " or standing[id(layer)] + standing[id(position)] != 2",
            "",
        ),
        (
            "a scaling of two models is folded",
            "standing[id(layer)] + standing[id(position)] != 2",
            "standing[id(position)] != 1",
        ),
        ("an adapted normalization keeps no statistics", "copied.finalize_state()", "copied.built"),
        ("a flatten that transposes is a reshape", ' and layer.data_format == "channels_last"', ""),
        (
            "a flatten has one target for all shapes",
            "return (-1,)",
            "return tuple(layer.output.shape[1:])",
        ),
        (
            "what Keras raises gets through",
            "else copy\n    except Exception as",
            "else copy\n    except KeyError as",
        ),
    ),
    *faults_in(
        "export/inference_model",
        "export/test_batch_norm",
        ("a folded norm gets its weights as well", " and id(layer) not in gone", ""),
        (
            "the bias of a folded norm has no place",
            'config | {"use_bias": True} if id(layer) in norms else config',
            "config",
        ),
    ),
    *faults_in(
        "export/placement",
        "export/test_batch_norm",
        ("a shared layer is folded", "if len(_nodes(layer)) != 1 or any(", "if any("),
        (
            "a layer that others take too is folded",
            "takers[0] if len(takers) == 1 and",
            "takers[-1] if takers and",
        ),
        (
            "a second call of what takes is overlooked",
            " and len(_nodes(takers[0])) == 1 else",
            " else",
        ),
        (
            "operations that are no layers are overlooked",
            "return model.operations",
            "return model.layers",
        ),
        (
            "what a model gives is overlooked",
            " or any(t is layer.output for t in model.outputs)",
            "",
        ),
        (
            "one output or a list is all that is known",
            "in model.outputs)",
            "in (model.output if isinstance(model.output, list) else [model.output]))",
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
        ("a layer of two models is folded", "standing[id(layer)] == 1 and ", ""),
        ("a norm of two models is folded", " if standing[id(norm)] == 1}", "}"),
        (
            "channels that come first are last",
            "keras.activations.linear and channels_last",
            "keras.activations.linear",
        ),
        (
            "depthwise channels are taken in another order",
            "factor.reshape(kernel.shape[2:])",
            "factor.reshape(kernel.shape[:1:-1]).T",
        ),
        (
            "a dropout keeps a norm from folding",
            "consumer_past(owner, layer, TRAINING_ONLY)",
            "consumer_past(owner, layer, ())",
        ),
    ),
    *faults_in(
        "export/slowdown",
        "export/test_convolutional",
        ("nothing is called slow", "measured.ratio > CLEARLY", "measured.ratio > 1000"),
    ),
    *faults_in(
        "export/slowdown",
        "export/test_slowdown",
        ("everything is called slow", "measured.ratio > CLEARLY", "measured.ratio > 0"),
        (
            "the ratio is turned round",
            "self.artifact_us / self.float32_us",
            "self.float32_us / self.artifact_us",
        ),
    ),
    *faults_in(
        "export/exporting",
        "export/test_slowdown",
        (
            "int8 is timed against float32 too",
            'if precision == "dynamic":',
            'if precision != "float32":',
        ),
        ("dynamic is not timed", 'if precision == "dynamic":', "if False:"),
        (
            "dynamic is timed against itself",
            'source.rewritten, "float32", calibration',
            "source.rewritten, precision, calibration",
        ),
    ),
    *faults_in(
        "export/judging",
        "export/test_other_networks",
        (
            "what an engine raises gets through",
            "except Exception as error:",
            "except KeyError as error:",
        ),
    ),
    *faults_in(
        "export/onnx_activation",
        "export/test_other_networks",
        ("an activation stays where others take its input", "takers[node.input[0]] > 1", "False"),
        ("ReLU6 is no activation", '("Relu", "Clip")', '("Relu",)'),
    ),
    *faults_in(
        "export/onnx_format",
        "export/test_other_networks",
        (
            "what tf2onnx raises gets through",
            "except Exception as error:",
            "except RuntimeError as error:",
        ),
    ),
    *faults_in(
        "export/onnx_contract",
        "export/test_other_networks",
        (
            "operators in float are accepted",
            'if others or (stay and "Softmax" not in stay):',
            "if False:",
        ),
        (
            "what ONNX Runtime raises gets through",
            "except Exception as error:",
            "except KeyError as error:",
        ),
    ),
    *faults_in(
        "export/tflite_format",
        "export/test_other_networks",
        ("a shape of run time is accepted", 'if facts["shaped_at_run_time"]:', "if False:"),
        (
            "what the converter raises gets through",
            "except Exception as error:",
            "except RuntimeError as error:",
        ),
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
            'pinned = "0..255" if integer else "none"',
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
        "export/judging",
        "export/test_mutants_export export/test_export",
        (
            "lost and won are swapped in the card",
            '"lost": found.lost,',
            '"lost": found.won,',
        ),
    ),
    *faults_in(
        "export/judging",
        "export/test_distance",
        (
            "a model without a reference is said to have no distance",
            'return told | {"refuses": self.distance.reason}',
            'return told | {"distances": {}}',
        ),
    ),
    *faults_in(
        "export/exporting",
        "export/test_mutants_export export/test_export",
        (
            "an artifact that loses its card is written",
            "if read_artifact(draft).card != card:",
            "if False:",
        ),
        retrains=True,
    ),
    *faults_in(
        "export/equalization",
        "export/test_ladder",
        (
            "concatenated with the pixels, channels keep a mean factor of 1",
            "fixed = factor if ours.all() else factor[~ours]",
            "fixed = factor",
        ),
        (
            "what is concatenated twice is scaled once",
            " or len(here) != 1:",
            " or not here:",
        ),
        (
            "a concatenation along another axis passes for one of channels",
            "after.axis not in (-1, taken[0].ndim - 1)",
            "after.axis not in (-1, 1, taken[0].ndim - 1)",
        ),
        (
            "concatenated channels are looked for at the front",
            "return after, sum(tensor.shape[-1] for tensor in taken[: here[0]])",
            "return after, 0",
        ),
    ),
    *faults_in(
        "export/bias_correction",
        "export/test_ladder",
        (
            "biases are corrected the other way",
            "shift = wanted - _means(rounded, layer.output, images_u8)",
            "shift = _means(rounded, layer.output, images_u8) - wanted",
        ),
    ),
    *faults_in(
        "export/budget",
        "export/test_ladder",
        (
            "one part of a budget is enough",
            "return max((upper - most for",
            "return min((upper - most for",
        ),
    ),
    *faults_in(
        "export/ladder",
        "export/test_ladder",
        (
            "the bound of the changed answers is one of the lost",
            "wilson(correct=found.changed,",
            "wilson(correct=found.lost,",
        ),
        ("the first rung is taken whatever it loses", "if rung.beyond <= 0:", "if rungs:"),
    ),
    *faults_in(
        "export/held_out",
        "export/test_ladder",
        (
            "calibration sees images that judge",
            "fit_indices=np.setdiff1d(fit, taken)",
            "fit_indices=fit",
        ),
    ),
    *faults_in(
        "export/fine_tuning",
        "export/test_ladder",
        (
            "weights are not rounded while they are tuned",
            "weight if axis is None else round_weights(weight, axis, self._levels)",
            "weight",
        ),
    ),
    *faults_in(
        "export/verdict",
        "export/test_verdict",
        (
            "an interval from 0 on is a loss",
            "if low > 0:\n        outcome",
            "if low >= 0:\n        outcome",
        ),
        ("what the budget allows is too much", "elif high <= budget_pp:", "elif high < budget_pp:"),
        (
            "at most is rounded down",
            "math.ceil(round(100 * points, 6))",
            "math.floor(100 * points)",
        ),
        ("ten switched answers give no rate", "found.won < _FEWEST", "found.won <= _FEWEST"),
        ("every second test set would tell", "z=Z95 + _Z80_ONE_SIDED", "z=Z95"),
        ("the largest change is the first", "int(apart.argmax())", "0"),
        (
            "the calibration errors are one",
            "artifact_calibration_error_pp=calibration_error_pp(artifact_probabilities, truth)",
            "artifact_calibration_error_pp=calibration_error_pp(float_probabilities, truth)",
        ),
    ),
    *faults_in(
        "export/golden_choice",
        "export/test_golden_choice",
        ("the gate's margins are narrow", "_WIDE * max(float(apart.max()), least)", "0"),
        (
            "what engines may differ by is not in the margins",
            "(float(apart.max()), least)",
            "(float(apart.max()), 0)",
        ),
        (
            "what engines may differ by is not allowed",
            "(float(apart[gate].max()), least)",
            "(float(apart[gate].max()), 0)",
        ),
        (
            "what the two ways differ by is not allowed",
            "_SAFE * max(float(apart[gate].max()), least)",
            "_SAFE * least",
        ),
        ("a class without wide margins is left out", "if len(wide) < each:", "if False:"),
        ("close calls are the clearest", "argsort(margin[others]", "argsort(-margin[others]"),
        (
            "the gate comes twice",
            "np.setdiff1d(np.arange(len(truth)), gate)",
            "np.arange(len(truth))",
        ),
    ),
    *faults_in(
        "export/rivals",
        "export/test_golden_choice",
        ("a softmax does not spread a step", '("SOFTMAX", "LOGISTIC")', '("LOGISTIC",)'),
        retrains=True,
    ),
]
