"""The faults that tests/mutants.py plants: where, right text, wrong text, and who must notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One small fault. `file` is MEMBER/MODULE; `old` stands in it exactly once.

    `tests` are files below tests/. `retrains` when the fault lies in what makes the shared run, so
    that the tests must train and export with the fault in place.
    """

    meaning: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    retrains: bool = False


def _in(
    file: str, tests: str, *faults: tuple[str, str, str], retrains: bool = False
) -> list[Mutant]:
    return [
        Mutant(
            meaning=meaning,
            file=file,
            old=old,
            new=new,
            tests=tuple(f"{name}.py" for name in tests.split()),
            retrains=retrains,
        )
        for meaning, old, new in faults
    ]


RUNTIME = [
    *_in(
        "runtime/classifier",
        "runtime/test_mutants_runtime runtime/test_classifier",
        (
            "input zero point -128 becomes -127 in a batch",
            "lambda images: (images ^ 128).view(np.int8)",
            "lambda images: (images.astype(int) - 127).clip(-128, 127).astype(np.int8)",
        ),
        (
            "a tie in a batch goes to the highest class",
            "scores.argmax(axis=1).tolist()",
            "(scores.shape[1] - 1 - scores[:, ::-1].argmax(axis=1)).tolist()",
        ),
        (
            "a tie of one image goes to the highest class",
            "index = int(scores.argmax())",
            "index = int(scores.size - 1 - scores.reshape(-1)[::-1].argmax())",
        ),
        (
            "probabilities are normalised over the images",
            "np.float32(self.scale)\n        total = values.sum(axis=-1",
            "np.float32(self.scale)\n        total = values.sum(axis=0",
        ),
        (
            "the output zero point is not taken off",
            "(values - np.float32(self.zero_point))",
            "(values - np.float32(0))",
        ),
        (
            "the fast confidence forgets that int8 begins at -128",
            "bytes((code - lowest) & 255 for",
            "bytes(code & 255 for",
        ),
        (
            "logits are taken for probabilities",
            'if self.kind != "probabilities":',
            'if self.kind == "unknown":',
        ),
        (
            "more labels than outputs are accepted",
            'if len(card["labels"]) != classes:',
            'if len(card["labels"]) < classes:',
        ),
        ("threads share one engine call", "call = idle.pop()", "call = idle[0]"),
        ("threads share the batch interpreter", "with self._batch_lock:", "if True:"),
        (
            "float images are guessed, not refused",
            "if images.dtype != np.uint8:",
            "if images.dtype == object:",
        ),
    ),
    *_in(
        "runtime/tflite_engine",
        "runtime/test_classifier",
        (
            "input zero point of one image is off by one bit",
            "np.array(128, np.uint8)",
            "np.array(129, np.uint8)",
        ),
        (
            "the last image of a batch's remainder is left out",
            "in range(whole, len(shaped)):",
            "in range(whole, len(shaped) - 1):",
        ),
        (
            "each batch answers the first images again",
            "shaped[start : start + BATCH]",
            "shaped[0:BATCH]",
        ),
    ),
    *_in(
        "runtime/card",
        "runtime/test_card",
        (
            "the weights' hash is not compared",
            'if card["hashes"]["weights"] != digest:',
            'if card["hashes"]["weights"] is None:',
        ),
        ("a card of the next schema is read", "schema > CARD_SCHEMA:", "schema > CARD_SCHEMA + 1:"),
        (
            "a card without labels is taken",
            '    "labels": labels,\n',
            "",
        ),
        (
            "the hash takes in the card itself",
            "_ONNX_METADATA_FIELD = 14",
            "_ONNX_METADATA_FIELD = 15",
        ),
    ),
    *_in(
        "runtime/card",
        "runtime/test_card export/test_export",
        (
            "an artifact carries the time of its export",
            "_EPOCH = (1980, 1, 1, 0, 0, 0)",
            '_EPOCH = __import__("time").localtime()[:6]',
        ),
        retrains=True,
    ),
    *_in(
        "runtime/agreement",
        "runtime/test_agreement runtime/test_mutants_runtime",
        (
            "lost counts the won",
            "lost = int(np.sum(float_right & ~artifact_right))",
            "lost = int(np.sum(~float_right & artifact_right))",
        ),
        (
            "McNemar's tail lacks its last term",
            "range(min(lost, won) + 1)",
            "range(min(lost, won))",
        ),
        ("McNemar is one-sided", "min(1.0, 2 * tail / 2", "min(1.0, tail / 2"),
        ("Wilson's half width", "z * z / (4 * n * n))", "z * z / (4 * n))"),
        ("Wilson's centre", "centre = p + z * z / (2 * n)", "centre = p + z * z / n"),
        ("Newcombe without its continuity correction", "covariance - n / 2", "covariance"),
        (
            "Newcombe's lower limit takes the upper one's margins",
            "_joined(p1 - low_1, high_2 - p2, phi)",
            "_joined(high_1 - p1, p2 - low_2, phi)",
        ),
        (
            "the one-sided bound is the two-sided one",
            "n=n, z=Z95_ONE_SIDED)",
            "n=n, z=Z95)",
        ),
        (
            "changed counts only the flips",
            "changed=int(np.sum(float_index != artifact_index))",
            "changed=lost + won",
        ),
    ),
    *_in(
        "runtime/dataset",
        "runtime/test_dataset",
        ("the split is not seeded", "default_rng(seed)", "default_rng()"),
        (
            "the split takes the same count from every class",
            "shares = counts * validation_count / n",
            "shares = np.full(len(counts), validation_count / len(counts))",
        ),
        (
            "the split takes the first images of a class",
            "generator.permutation(np.flatnonzero(labels == c))[:k]",
            "np.flatnonzero(labels == c)[:k]",
        ),
        (
            "other data with the run's name is taken for the run's",
            "if {f.name: f.sha256 for f in dataset.files} == wanted:",
            "if {f.name for f in dataset.files} == set(wanted):",
        ),
    ),
    *_in(
        "runtime/array_files",
        "runtime/test_dataset",
        (
            "an IDX file may be too long",
            "if len(content) != expected:",
            "if len(content) < expected:",
        ),
    ),
    *_in(
        "runtime/picture",
        "runtime/test_picture",
        (
            "transparency ignores the inversion",
            'under = 255 - background if invert == "yes" else background',
            "under = background",
        ),
        ("a picture is not inverted", "gray = ImageOps.invert(gray)", "gray = gray.copy()"),
        ("an array is not inverted", '~images if invert == "yes" else images', "images"),
        ("EXIF orientation is ignored", "ImageOps.exif_transpose(opened)", "opened.copy()"),
        ("pixels are picked, not averaged", "Image.Resampling.LANCZOS", "Image.Resampling.NEAREST"),
        ("padding is bright", "color=background,", "color=255 - background,"),
        ("16-bit gray keeps its low bits", ".astype(np.int64) >> 8)", ".astype(np.int64) & 255)"),
        ("a bright border goes unsaid", "> 127:", "> 255:"),
    ),
    *_in(
        "runtime/writing",
        "runtime/test_writing",
        (
            "a file is written in place",
            "Path(temporary).replace(path)",
            "path.write_bytes(content)",
        ),
        ("another content is overwritten unasked", "path.exists() and not overwrite:", "False:"),
        ("a temporary file stays behind", "Path(temporary).unlink()", "pass"),
    ),
    *_in(
        "runtime/engines",
        "runtime/test_engines",
        ("an engine counts when it imports", "        _answers(session)\n", ""),
    ),
    *_in(
        "runtime/run_folder",
        "runtime/test_writing",
        ("the newest run is the oldest", "newest = max(records", "newest = min(records"),
    ),
    *_in(
        "runtime/timing",
        "runtime/test_timing",
        ("p99 is the 95th percentile", "(50, 90, 99)", "(50, 90, 95)"),
        ("latency in nanoseconds", "(50, 90, 99)) / 1000", "(50, 90, 99))"),
        ("the collector stays on", "    gc.disable()\n", "    pass\n"),
    ),
    *_in(
        "runtime/worker",
        "runtime/test_worker",
        ("what an engine prints reaches the protocol", "        os.dup2(2, 1)\n", ""),
        (
            "a refusal is told as a success",
            '{"ok": False, "message": error.message',
            '{"ok": True, "message": error.message',
        ),
    ),
    *_in(
        "runtime/cli",
        "runtime/test_writing runtime/test_profile end_to_end/test_commands",
        ("a refusal exits with 1", "return error.exit_code", "return 1"),
        ("Ctrl-C exits with 2", "return 130", "return 2"),
    ),
    *_in(
        "runtime/cli_classify",
        "end_to_end/test_commands",
        ("--top ranks ties backwards", "(-row[k], k)", "(-row[k], -k)"),
        (
            "the model by default is not the int8 one",
            'not p.stem.endswith("-int8")',
            'p.stem.endswith("-int8")',
        ),
    ),
]

TRAIN = [
    *_in(
        "train/acquisition",
        "train/test_acquisition train/test_training",
        (
            "Fashion-MNIST's checksums are not compared",
            "different = [f.name for f in found.files if known.sha256[f.name] != f.sha256]",
            "different: list[str] = []",
        ),
    ),
    *_in(
        "train/download",
        "train/test_acquisition",
        ("a download's checksum is not compared", "if found != expected:", "if not found:"),
    ),
    *_in(
        "train/fitting",
        "train/test_mutants_train train/test_run_folder_written train/test_training",
        (
            "label smoothing is ignored",
            "label_smoothing=recipe.label_smoothing",
            "label_smoothing=0.0",
        ),
        (
            "the worst epoch is kept",
            "line.val_loss <= best.val_loss",
            "line.val_loss > best.val_loss",
        ),
        ("the schedule is ignored", "shape=recipe.schedule,", 'shape="constant",'),
    ),
    *_in(
        "train/training",
        "train/test_mutants_train train/test_run_folder_written",
        (
            "the seed of the weights is ignored",
            "keras.utils.set_random_seed(recipe.seed)",
            "keras.utils.set_random_seed(0)",
        ),
        (
            "the split has another seed than the record says",
            "validation_count=count, seed=recipe.seed)",
            "validation_count=count, seed=recipe.seed + 1)",
        ),
    ),
    *_in(
        "train/keras_file",
        "train/test_run_folder_written",
        (
            "model.keras carries the time it was saved",
            '_json(json.loads(part) | {"date_saved": _DATE_SAVED})',
            "part",
        ),
    ),
    *_in(
        "train/new_folder",
        "train/test_training",
        (
            "a run is replaced without --force",
            "if os.path.lexists(target) and not replace:",
            "if False:",
        ),
    ),
]

EXPORT = [
    *_in(
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
    *_in(
        "export/calibration",
        "export/test_export",
        ("calibration is not seeded", "default_rng(seed)", "default_rng()"),
        retrains=True,
    ),
    *_in(
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
    *_in(
        "export/frozen_graph",
        "export/test_tflite",
        ("the fake quantization ends at 254", "0.0, 255.0, num_bits=8", "0.0, 254.0, num_bits=8"),
        retrains=True,
    ),
    *_in(
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
    *_in(
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
    *_in(
        "export/onnx_contract",
        "export/test_onnx",
        ("weights that can saturate are accepted", "SEVEN_BIT = 64", "SEVEN_BIT = 127"),
        ("float compute nodes are accepted", 'if facts["unquantized"]:', "if False:"),
    ),
    *_in(
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
    *_in(
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

BENCHMARKS = [
    *_in(
        "benchmarks/measure",
        "benchmarks/test_measure benchmarks/test_mutants_benchmarks",
        (
            "the report's lost counts the won",
            "flips_lost=agreement.lost",
            "flips_lost=agreement.won",
        ),
        (
            "the report's drop has the wrong sign",
            "drop_pp=agreement.drop_pp",
            "drop_pp=-agreement.drop_pp",
        ),
        ("images a second are a thousandth", "images_per_s=1e6 /", "images_per_s=1e3 /"),
        (
            "rows are timed one after another",
            "for block in range(effort.blocks):",
            "for block in range(1):",
        ),
    ),
    *_in(
        "benchmarks/table",
        "benchmarks/test_report",
        ("shares are shown as percent", "{100 * share:.2f}", "{share:.2f}"),
        ("kB are KiB", "count / 1000:,.1f", "count / 1024:,.1f"),
    ),
    *_in(
        "benchmarks/writer",
        "benchmarks/test_bench",
        (
            "an existing report is measured again",
            "if (folder / name).exists():",
            "if False:",
        ),
    ),
    *_in(
        "benchmarks/plans",
        "benchmarks/test_plans",
        ("a damaged artifact is run", "        if damage is not None:\n", "        if False:\n"),
    ),
]

MUTANTS = [*RUNTIME, *TRAIN, *EXPORT, *BENCHMARKS]
