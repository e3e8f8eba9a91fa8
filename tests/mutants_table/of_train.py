"""The faults planted in train."""

from __future__ import annotations

from .mutant import Mutant, faults_in

TRAIN: list[Mutant] = [
    *faults_in(
        "train/acquisition",
        "train/test_acquisition train/test_training",
        (
            "Fashion-MNIST's checksums are not compared",
            "different = [f.name for f in found.files if known.sha256[f.name] != f.sha256]",
            "different: list[str] = []",
        ),
    ),
    *faults_in(
        "train/acquisition",
        "train/test_own_data",
        (
            "a size of any kind is accepted",
            "    if size is not None:\n        check_size",
            "    if False:\n        check_size",
        ),
        ("an empty class is trained on", "    if empty:\n", "    if False:\n"),
        ("a class only in test is accepted", "    if only_test:\n", "    if False:\n"),
        ("strict accepts copies", "if count and strict:", "if False:"),
    ),
    *faults_in(
        "train/data_checks",
        "train/test_own_data",
        ("a class may lose all its images", "    if not counts.all():", "    if False:"),
    ),
    *faults_in(
        "train/class_pictures",
        "train/test_class_pictures",
        (
            "the least confident mistakes are shown",
            "np.argsort(-confidence",
            "np.argsort(confidence",
        ),
    ),
    *faults_in(
        "train/pictures",
        "train/test_class_pictures",
        (
            "only the first class is shown",
            "if in_order else range(shown)",
            "if False else range(shown)",
        ),
        ("a dollar begins mathematics", '"text.parse_math": False', '"text.parse_math": True'),
    ),
    *faults_in(
        "train/tensorboard_log",
        "train/test_fitting",
        ("every epoch is logged as the first", "step=epoch.epoch", "step=1"),
    ),
    *faults_in(
        "train/model_list",
        "train/test_shipped",
        ("MACs are listed as parameters", "{each.macs:,}", "{each.parameters:,}"),
    ),
    *faults_in(
        "train/run_record",
        "train/test_class_pictures train/test_run_folder_written",
        (
            "the confusion is transposed",
            "truth * classes + answers",
            "answers * classes + truth",
        ),
    ),
    *faults_in(
        "train/download",
        "train/test_acquisition",
        ("a download's checksum is not compared", "if found != expected:", "if not found:"),
    ),
    *faults_in(
        "train/fitting",
        "train/test_mutants_train train/test_run_folder_written train/test_fitting "
        "train/test_resume",
        (
            "label smoothing is ignored",
            "label_smoothing=recipe.label_smoothing",
            "label_smoothing=0.0",
        ),
        (
            "the worst epoch is kept",
            "line.val_loss <= history[kept_epoch - 1].val_loss",
            "line.val_loss > history[kept_epoch - 1].val_loss",
        ),
        (
            "a training goes on from the averaged weights",
            "    _assign(network.variables, inside.variables)\n    return State(",
            "    return State(",
        ),
        ("batch normalization is not fused", "    fuse(network)\n", ""),
        (
            "every epoch has the same order and augmentation",
            "default_rng((recipe.seed, number))",
            "default_rng((recipe.seed, 0))",
        ),
        (
            "the optimizer's state is not resumed",
            "    _assign(optimizer.variables, state.optimizer)\n",
            "",
        ),
        (
            "a resumed dropout begins anew",
            "variables=inside.variables,",
            "variables=[0 * v if v.dtype.kind in 'iu' else v for v in inside.variables],",
        ),
        ("patience is one epoch short", "<= done - state.kept_epoch", "< done - state.kept_epoch"),
        (
            "a loss that is not finite is kept",
            "if not all(math.isfinite(v) for v in (line.loss, line.val_loss)):",
            "if False:",
        ),
    ),
    *faults_in(
        "train/fused_norm",
        "train/test_fused_norm",
        ("the moving variance is the sample's", "variance * ((n - 1) / n)", "variance"),
        ("gamma is left out", "own.gamma if own.scale else", "tf.ones(channels) if own.scale else"),
        ("a frozen layer is trained", "training and self.trainable", "training"),
        ("the axis is not asked", "and layer.axis in (-1, 3)", "and True"),
    ),
    *faults_in(
        "train/augmentation",
        "train/test_augmentation",
        ("images are mirrored top to bottom", "[:, :, ::-1]", "[:, ::-1]"),
        (
            "a shift goes only one way",
            "generator.integers(0, 2 * most + 1",
            "generator.integers(0, most + 1",
        ),
        ("what a shift uncovers is dark", "constant_values=background", "constant_values=0"),
        ("an erased rectangle may be as large as the image", "(1 / 8, 1 / 2)", "(1 / 8, 1)"),
    ),
    *faults_in(
        "train/optimization",
        "train/test_recipes train/test_fitting train/test_run_folder_written",
        ("the schedule is ignored", "shape=recipe.schedule,", 'shape="constant",'),
        ("the mean of the weights spans ten times as much", "1 - 1 / spanned", "1 - 0.1 / spanned"),
    ),
    *faults_in(
        "train/checkpoint",
        "train/test_resume",
        (
            "another recipe is resumed",
            'if entry == "command" or old == value:',
            'if entry in ("command", "recipe") or old == value:',
        ),
        (
            "other data is resumed",
            'if entry == "command" or old == value:',
            'if entry in ("command", "data") or old == value:',
        ),
        (
            "other layers are resumed",
            'if entry == "command" or old == value:',
            'if entry in ("command", "layers_sha256") or old == value:',
        ),
        (
            "an unfinished training is thrown away without --force",
            "if path.is_file() and not (resume or overwrite):",
            "if False:",
        ),
    ),
    *faults_in(
        "train/own_code",
        "train/test_own_code",
        (
            "an input of another size is accepted",
            "if takes not in (size, (*size, 1)):",
            "if False:",
        ),
        (
            "an output of another size is accepted",
            "if gives != (None, shape.classes):",
            "if False:",
        ),
        ("a custom layer is accepted", "    if foreign:", "    if False:"),
        (
            "logits are taken for probabilities",
            'if within else "logits"',
            'if within else "probabilities"',
        ),
        ("a zero start passes for probabilities", "rows.sum(axis=1).min() > 0", "True"),
        ("what a file gives back is not tried", "if not np.allclose(", "if False and np.allclose("),
        (
            "a registered function is accepted",
            "            if any(_foreign(",
            "            if False and any(_foreign(",
        ),
        ("the user's optimizer is saved", "    either.compiled = False", "    pass"),
        (
            "what lies beside is not let go",
            "                del sys.modules[name]",
            "                pass",
        ),
    ),
    *faults_in(
        "train/models",
        "train/test_models",
        ("the shortcut is left out", "    if block.shortcut:", "    if False:"),
    ),
    *faults_in(
        "train/layers",
        "train/test_models train/test_own_code",
        (
            "the positions of a convolution are not counted",
            "math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)",
            "math.prod(layer.kernel.shape)",
        ),
    ),
    *faults_in(
        "train/shipped",
        "train/test_shipped",
        ("a laid run keeps its old name", '{"name": name}', "{}"),
        ("a run is replaced unasked", "replace=overwrite", "replace=True"),
    ),
    *faults_in(
        "train/training",
        "train/test_mutants_train train/test_run_folder_written train/test_resume "
        "train/test_own_code",
        (
            "another background is resumed",
            '("labels", "files", "background")',
            '("labels", "files")',
        ),
        (
            "an own network's layers are counted on",
            "    keras.utils.clear_session()\n",
            "",
        ),
        (
            "the seed of the weights is ignored",
            "keras.utils.set_random_seed(recipe.seed)",
            "keras.utils.set_random_seed(0)",
        ),
        (
            "the split has another seed than the record says",
            "seed=recipe.seed,\n        )\n        check_split",
            "seed=recipe.seed + 1,\n        )\n        check_split",
        ),
        (
            "a finished training leaves its unfinished state",
            "        saved.unlink(missing_ok=True)\n",
            "        pass\n",
        ),
    ),
    *faults_in(
        "train/keras_file",
        "train/test_run_folder_written",
        (
            "model.keras carries the time it was saved",
            '_json(json.loads(part) | {"date_saved": _DATE_SAVED})',
            "part",
        ),
    ),
    *faults_in(
        "train/new_folder",
        "train/test_training",
        (
            "a run is replaced without --force",
            "if os.path.lexists(target) and not replace:",
            "if False:",
        ),
    ),
]
