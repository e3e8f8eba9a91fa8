"""The faults planted in the integer graph and the engine `reference`.

A table, and so longer than a module should be.
"""

from __future__ import annotations

from .mutant import Mutant, faults_in

REFERENCE: list[Mutant] = [
    *faults_in(
        "runtime/fixed_point",
        "runtime/test_fixed_point",
        (
            "a mantissa is cut, not rounded",
            "math.floor(fraction * (1 << 31) + 0.5)",
            "math.floor(fraction * (1 << 31))",
        ),
    ),
    *faults_in(
        "runtime/fixed_point",
        "runtime/test_kernels_linear runtime/test_kernels_elementwise",
        (
            "a negative half goes up when shifted",
            "(values + half - ((values < 0) & (by > 0))) >> by",
            "(values + half) >> by",
        ),
        (
            "a product is cut, not rounded",
            "return (a * b + (1 << 30)) >> 31",
            "return (a * b) >> 31",
        ),
        (
            "a left shift is left out",
            "shifted = sums << np.maximum(shift, 0)",
            "shifted = sums << np.minimum(shift, 0) * 0",
        ),
    ),
    *faults_in(
        "runtime/requantize",
        "runtime/test_kernels_linear",
        (
            "a fully connected layer takes half a step up at -1/2",
            "scaled += np.copysign(_BELOW_HALF, scaled)",
            "scaled += _BELOW_HALF",
        ),
        ("just below a half is a half", "_BELOW_HALF = 0.5 - 2.0**-54", "_BELOW_HALF = 0.5"),
        (
            "sums of floats are taken beyond what they hold",
            "np.float32 if most <= 1 << 24",
            "np.float32 if most <= 1 << 30",
        ),
        (
            "a convolution is rounded once",
            "        np.floor(scaled, out=scaled)\n        scaled *= powers",
            "        scaled *= powers",
        ),
        (
            "floats are taken where integers are needed",
            "products) >= 1 << 52",
            "products) >= 1 << 90",
        ),
        (
            "the least code is -128 whatever is fused",
            "np.maximum(scaled, target.low + 128, out=scaled)",
            "np.maximum(scaled, 0, out=scaled)",
        ),
        (
            "the most code is 127 whatever is fused",
            "np.minimum(scaled, target.high + 128.5, out=scaled)",
            "np.minimum(scaled, 255.5, out=scaled)",
        ),
    ),
    *faults_in(
        "runtime/kernels_linear",
        "runtime/test_kernels_linear",
        (
            "the zero point's share of a sum is lost",
            "offsets = -zero_point_of",
            "offsets = 0 * zero_point_of",
        ),
        ("the bias is left out", "        offsets += constant_of(node, 2)\n", "        pass\n"),
        (
            "groups are one",
            "    return kernel if groups == 1 else kernel_in_groups\n",
            "    return kernel\n",
        ),
        (
            "a fully connected layer always keeps its dimensions",
            'keeps = bool(node.options["keep_num_dims"])',
            "keeps = True",
        ),
    ),
    *faults_in(
        "runtime/sliding_window",
        "runtime/test_kernels_linear",
        (
            "the border is black",
            "wide = np.full(full, fill, dtype)",
            "wide = np.full(full, 0, dtype)",
        ),
        (
            "the padding stands after the image",
            "wide[:, top : top + height, left : left + width] = images",
            "wide[:, :height, :width] = images",
        ),
        (
            "dilation is left out of a convolution",
            "row * dilation_y, column * dilation_x)",
            "row, column)",
        ),
        (
            "dilation is left out of a depthwise convolution",
            "start = place * window.dilation[axis]",
            "start = place",
        ),
    ),
    *faults_in(
        "runtime/kernels_pooling",
        "runtime/test_kernels_linear",
        ("an average drops its fraction", "halves = counts // 2", "halves = counts * 0"),
        (
            "an average counts the border",
            "bordered(inside, window, 0, np.int64)",
            "bordered(inside, window, 1, np.int64)",
        ),
        (
            "a mean forgets its zero point",
            "offset, factor = -zero_point_of",
            "offset, factor = zero_point_of",
        ),
        (
            "the number of elements goes into the mean as a whole number",
            "by = min(count.bit_length() - 1, 32, 31 + shift)",
            "by = 0",
        ),
        ("the least is taken for the most", "values.max(axis=axes)", "values.min(axis=axes)"),
    ),
    *faults_in(
        "runtime/kernels_elementwise",
        "runtime/test_kernels_elementwise",
        (
            "a difference is taken the other way round",
            "_from_common_scale(node, first[:, None] - second)",
            "_from_common_scale(node, second - first[:, None])",
        ),
        ("operands of a sum lose their fractions", "_HEADROOM = 20", "_HEADROOM = 8"),
        (
            "a product's factor is made in float64",
            "scale_of(first) * scale_of(second) / scale_of(node.output)",
            "float(scale_of(first)) * float(scale_of(second)) / float(scale_of(node.output))",
        ),
        (
            "RELU6 ends at 127",
            "np.clip(_rescaled(node, CODES), zero, min(six, 127))",
            "np.clip(_rescaled(node, CODES), zero, 127)",
        ),
        ("PAD pads with 0", "zero = np.int8(zero_point_of(node.output))", "zero = np.int8(0)"),
        (
            "a fused activation behind a sum is left out",
            "table = np.clip(answers, *clamp_of(node))",
            "table = np.clip(answers, -128, 127)",
        ),
    ),
    *faults_in(
        "runtime/kernels_tables",
        "runtime/test_kernels_tables",
        (
            "softmax leaves out its beta",
            'step = float(node.options["beta"]) * float',
            "step = 1.0 * float",
        ),
        ("one step of Newton's is left out", "for _ in range(3):", "for _ in range(2):"),
        (
            "the exponential of -16 is that of -8",
            "39332535, 720401, 242)",
            "39332535, 720401, 720401)",
        ),
        (
            "a sigmoid is a tanh",
            "return one / (one + _rounded_each(_exp, -reals))",
            "return _rounded_each(math.tanh, reals)",
        ),
    ),
    *faults_in(
        "runtime/operator_fields",
        "runtime/test_kernels_linear",
        (
            "of an odd padding more stands before",
            "before.append(total // 2)\n        after.append(total - total // 2)",
            "before.append(total - total // 2)\n        after.append(total // 2)",
        ),
        ("RELU_N1_TO_1 is RELU", '"relu_n1_to_1": (-1.0, 1.0)', '"relu_n1_to_1": (0.0, None)'),
        (
            "images are averaged over the batch",
            "expect(bool(found) and 0 not in found",
            "expect(bool(found)",
        ),
        ("axes of 64 bits are taken", 'expect(dtype == "int32"', 'expect(dtype.startswith("int")'),
    ),
    *faults_in(
        "runtime/operator_rules",
        "runtime/test_kernels_linear",
        ("sums that leave 32 bits are taken", "expect(most < INT32_MAX - 255", "expect(most > 0"),
        (
            "a maximum is taken at another quantization",
            "same_quantization(node, source)  # LiteRT's Prepare",
            "pass  # LiteRT's Prepare",
        ),
    ),
    *faults_in(
        "runtime/tflite_schema",
        "runtime/test_kernels_linear",
        (
            "the axes of a reduction are kept unless said",
            '{"keep_dims": Field(0, "?")}',
            '{"keep_dims": Field(0, "?", 1)}',
        ),
    ),
    *faults_in(
        "runtime/reference_kernels",
        "runtime/test_kernels_linear",
        (
            "an operator has a rule and no kernel",
            '    "REDUCE_MAX": kernels_pooling.reduce_max,\n',
            "",
        ),
    ),
    *faults_in(
        "runtime/requantize",
        "runtime/test_random_networks",
        (
            "a negative half goes up in the second rounding",
            "np.copysign(0.5, scaled)",
            "np.copysign(0.5, scaled + 0.5)",
        ),
        (
            "the first rounding is down",
            "starts = sums.offsets * factors + 0.5",
            "starts = sums.offsets * factors",
        ),
    ),
    *faults_in(
        "runtime/kernels_linear",
        "runtime/test_random_networks",
        (
            "channels of groups are mixed",
            "seen.reshape(*seen.shape[:-1], groups, depth)",
            "seen.reshape(*seen.shape[:-1], depth, groups).swapaxes(-1, -2)",
        ),
        ("a depthwise filter is mirrored", "rows[y, x], out", "rows[y, width - 1 - x], out"),
    ),
    *faults_in(
        "runtime/kernels_pooling",
        "runtime/test_random_networks",
        ("the border wins a maximum", "window, -128, np.int8", "window, 0, np.int8"),
    ),
    *faults_in(
        "runtime/kernels_elementwise",
        "runtime/test_random_networks",
        (
            "QUANTIZE takes halves to even",
            "np.trunc(steps + np.copysign(nearly_half, steps))",
            "np.rint(steps)",
        ),
        ("a negative alpha is positive", "below = -below", "below = below"),
    ),
    *faults_in(
        "runtime/kernels_tables",
        "runtime/test_random_networks",
        (
            "softmax drops its fraction",
            "shares = (shares + (1 << (shifts - 1))) >> shifts",
            "shares = shares >> shifts",
        ),
        (
            "a negative product of HARD_SWISH goes down",
            "np.where(product < 0, -(-product >> 15), product >> 15)",
            "product >> 15",
        ),
        (
            "softmax takes the top over another axis",
            "below_top = codes.max(axis=-1",
            "below_top = codes.max(axis=1",
        ),
    ),
    *faults_in(
        "runtime/distance",
        "runtime/test_profile export/test_distance benchmarks/test_measure",
        (
            "a row is equal when one of its scores is",
            "(steps == 0).all(axis=1)",
            "(steps == 0).any(axis=1)",
        ),
        (
            "the smallest step is told",
            "largest_step=int(steps.max())",
            "largest_step=int(steps.min())",
        ),
        (
            "flips are counted by scores",
            "scores.argmax(axis=1) != reference_scores.argmax(axis=1)",
            "scores[:, 0] != reference_scores[:, 0]",
        ),
        (
            "int8 scores wrap when they are subtracted",
            "np.abs(scores.astype(np.int64) - reference_scores)",
            "np.abs(scores - reference_scores)",
        ),
        (
            "the folder of a file is told",
            "error.message.replace(str(path), path.name)",
            "error.message",
        ),
    ),
]
