"""The faults planted in what loads and reads models that edgestitch did not make."""

from __future__ import annotations

from .mutant import Mutant, faults_in

BRING_YOUR_OWN: list[Mutant] = [
    *faults_in(
        "export/saved_model",
        "export/test_bring_your_own_savedmodel",
        ("a stateful operator is arithmetic", "or declared.is_stateful:", "or False:"),
        (
            "an operator of texts is arithmetic",
            "any(end.type in _NO_NUMBERS for end in ends)",
            "[]",
        ),
        (
            "an operator with a free text is arithmetic",
            "return not texts and not any",
            "return not any",
        ),
        (
            "a function that may be swapped in counts for nothing",
            "if _IMPLEMENTS in f.attr]",
            "if 0]",
        ),
        (
            "the top of a graph of TensorFlow 1 counts for nothing",
            "found |= {node.op for",
            "{node.op for",
        ),
        (
            "what a function calls counts for nothing",
            "for f in (a.func, *a.list.func)]",
            "for f in ()]",
        ),
    ),
    *faults_in(
        "export/keras_code",
        "export/test_bring_your_own_files",
        ("a Lambda layer is no code", '_LAMBDAS = ("Lambda", "__lambda__")', "_LAMBDAS = ()"),
        (
            "code finds nothing beside it",
            "sys.path.insert(0, str(path.resolve().parent))",
            "sys.path.insert(0, str(path.resolve().parent / 'no'))",
        ),
        (
            "what code prints goes to stdout",
            "contextlib.redirect_stdout(sys.stderr)",
            "contextlib.nullcontext()",
        ),
    ),
    *faults_in(
        "export/foreign_model",
        "export/test_bring_your_own_files",
        ("code runs without trust", "if code is not None and not trust_code:", "if False:"),
        ("a Lambda layer runs without trust", "if inside and not trust_code:", "if False:"),
        ("the range is not put inside", "if input_range.raw:", "if True:"),
        (
            "code for a folder is ignored",
            "        if code is not None:\n            raise",
            "        if False:\n            raise",
        ),
    ),
    *faults_in(
        "export/float32_model",
        "export/test_float32_model",
        (
            "a copy that answers otherwise is taken",
            "return copy if np.abs(apart).mean() < NEAR else model",
            "return copy",
        ),
        ("layers keep their half precision", 'config |= {"dtype": "float32"}', "pass"),
        ("the copy has no weights", "    copy.set_weights(model.get_weights())\n", ""),
    ),
    *faults_in(
        "export/input_range",
        "export/test_bring_your_own_range",
        ("a range ends above white", "scale=(high - low) / 255", "scale=(high - low) / 256"),
        ("the mean is not divided by the deviation", "offset=-mean / deviation", "offset=-mean"),
        ("a range may go down", "if not high > low or", "if high == low or"),
    ),
    *faults_in(
        "export/scaling_check",
        "export/test_bring_your_own_range export/test_bring_your_own_files",
        ("near chance is good enough", "if found.recall <= near_chance:", "if False:"),
        ("a better range is not told", "    if better:\n", "    if False:\n"),
        (
            "a frequent class is a merit",
            "float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))",
            "float(right.mean())",
        ),
        ("a handful is always near chance", "min(margin, (1 - chance) / 2)", "margin"),
    ),
    *faults_in(
        "export/graph_layer",
        "export/test_bring_your_own",
        (
            "a dilated convolution is not dilated",
            "[1, *(int(n) for n in block), 1]",
            "[1, 1, 1, 1]",
        ),
        (
            "a dilated convolution is padded by its crops as well",
            "before, pads - crops)",
            "before, pads)",
        ),
    ),
    *faults_in(
        "export/graph_layer",
        "export/test_bring_your_own_files",
        ("shapes stay as they are computed", "    if not moving:\n        return", "    return"),
    ),
    *faults_in(
        "export/onnx_lookup",
        "export/test_bring_your_own_files",
        ("a table begins at another zero", "(codes - int(zero_point)) * scale", "codes * scale"),
        (
            "a table ends elsewhere",
            "np.rint(answers / scale) + int(zero_point)",
            "np.rint(answers / scale)",
        ),
    ),
    *faults_in(
        "export/inference_model",
        "export/test_inference_model",
        ("the mean of a normalization is lost", "offset = -mean * scale", "offset = mean * 0"),
        (
            "the variance is taken for the deviation",
            "np.maximum(np.sqrt(variance),",
            "np.maximum(variance,",
        ),
    ),
]
