"""The faults planted in what generated C does without weights: kernels, and what calls them."""

from __future__ import annotations

from .mutant import Mutant, faults_in

_TESTS = "export/test_c_pointwise"

C_STEPS: list[Mutant] = [
    *faults_in(
        "export/c_kernels/rescale.c",
        _TESTS,
        ("+ 0; for + (product < 0);", "+ (product < 0);", "+ 0;"),
        (
            "shift < 0 && lost > half for shift < 0 && lost >= half",
            "shift < 0 && lost >= half",
            "shift < 0 && lost > half",
        ),
        (
            "if (shift > 30) return for if (shift > 0) return",
            "if (shift > 0) return",
            "if (shift > 30) return",
        ),
    ),
    *faults_in(
        "export/c_kernels/product.c",
        _TESTS,
        ("0 for ((int32_t)1 << 30)", "((int32_t)1 << 30)", "0"),
    ),
    *faults_in(
        "export/c_kernels/lookup.c",
        _TESTS,
        ("(uint8_t)in[i] ^ 128 for (uint8_t)in[i]", "(uint8_t)in[i]", "(uint8_t)in[i] ^ 128"),
    ),
    *faults_in(
        "export/c_kernels/sum.c",
        _TESTS,
        (
            "code - s->first_zero for code - s->second_zero",
            "code - s->second_zero",
            "code - s->first_zero",
        ),
        ("-128, s->high for s->low, s->high", "s->low, s->high", "-128, s->high"),
    ),
    *faults_in(
        "export/c_kernels/subtract.c",
        _TESTS,
        ("b - a for a - b", "a - b", "b - a"),
    ),
    *faults_in(
        "export/c_kernels/add.c",
        _TESTS,
        ("i for i * second_step", "i * second_step", "i"),
        ("a - b for a + b", "a + b", "a - b"),
    ),
    *faults_in(
        "export/c_kernels/multiply.c",
        _TESTS,
        ("i for i * first_step", "i * first_step", "i"),
        ("p.low, 127 for p.low, p.high", "p.low, p.high", "p.low, 127"),
    ),
    *faults_in(
        "export/c_kernels/weighted_sum.c",
        _TESTS,
        (
            "s.second * second[i] for s.second * second[i * second_step]",
            "s.second * second[i * second_step]",
            "s.second * second[i]",
        ),
        ("code for code > s.high ? s.high : code", "code > s.high ? s.high : code", "code"),
    ),
    *faults_in(
        "export/c_kernels/copy_rows.c",
        _TESTS,
        ("in += length for in += in_step", "in += in_step", "in += length"),
        ("out += length for out += out_step", "out += out_step", "out += length"),
    ),
    *faults_in(
        "export/c_kernels/pool.c",
        _TESTS,
        ("from for from > 0 ? from : 0", "from > 0 ? from : 0", "from"),
        (
            "from + size for from + size < length ? from + size : ...",
            "from + size < length ? from + size : length",
            "from + size",
        ),
    ),
    *faults_in(
        "export/c_kernels/average_pool.c",
        _TESTS,
        (
            "sum + seen / 2 for sum > 0 ? sum + seen / 2 : sum - seen...",
            "sum > 0 ? sum + seen / 2 : sum - seen / 2",
            "sum + seen / 2",
        ),
        ("p->top for p->left", "p->left", "p->top"),
    ),
    *faults_in(
        "export/c_kernels/max_pool.c",
        _TESTS,
        ("most = 0 for most = -128", "most = -128", "most = 0"),
        ("p->stride_height for p->stride_width", "p->stride_width", "p->stride_height"),
    ),
    *faults_in(
        "export/c_kernels/mean.c",
        _TESTS,
        ("sum = 0 for sum = m->offset", "sum = m->offset", "sum = 0"),
        ("in += length for in += count * length", "in += count * length", "in += length"),
    ),
    *faults_in(
        "export/c_kernels/reduce_max.c",
        _TESTS,
        ("i = 1; i < count - 1 for i = 1; i < count", "i = 1; i < count", "i = 1; i < count - 1"),
    ),
    *faults_in(
        "export/c_kernels/softmax.c",
        _TESTS,
        (
            "steps > s->reach + 40 for steps >= s->reach",
            "steps >= s->reach",
            "steps > s->reach + 40",
        ),
        (
            "if (steps == 0) return INT32_MAX - 1; for if (steps == 0) return INT32_MAX;",
            "if (steps == 0) return INT32_MAX;",
            "if (steps == 0) return INT32_MAX - 1;",
        ),
        ("x4 for (x4 + 2)", "(x4 + 2)", "x4"),
        ("tail for (tail + 1)", "(tail + 1)", "tail"),
        ("720402 for 720401", "720401", "720402"),
        ("39332534 for 39332535", "39332535", "39332534"),
        ("round < 2 for round < 3", "round < 3", "round < 2"),
        (
            "if (shift > 33) shift = 33; for if (shift > 32) shift = 32;",
            "if (shift > 32) shift = 32;",
            "if (shift > 33) shift = 33;",
        ),
        ("share for share > 255 ? 255 : share", "share > 255 ? 255 : share", "share"),
        (">> 11)) >> 1 for >> 11) + 1) >> 1", ">> 11) + 1) >> 1", ">> 11)) >> 1"),
    ),
    *faults_in(
        "export/c_softmax",
        _TESTS,
        ("_NOTHING = -13 for _NOTHING = -16", "_NOTHING = -16", "_NOTHING = -13"),
        ("_NOTHING = -32 for _NOTHING = -16", "_NOTHING = -16", "_NOTHING = -32"),
        (
            "scratch_bytes=4 * classes - 4 for scratch_bytes=4 * classes",
            "scratch_bytes=4 * classes",
            "scratch_bytes=4 * classes - 4",
        ),
    ),
    *faults_in(
        "export/c_pooling",
        _TESTS,
        (
            "(later > np.arange(len(later)) - 2) for (later > np.arange(len(later)))",
            "(later > np.arange(len(later)))",
            "(later > np.arange(len(later)) - 2)",
        ),
        (
            "over=(source.index,) for over=(source.index,) if _only_behind(...",
            "over=(source.index,) if _only_behind(window, source.shape[2]) else ()",
            "over=(source.index,)",
        ),
        (
            "max(values) > 1 << 20 for max(values) > _MOST_INT16",
            "max(values) > _MOST_INT16",
            "max(values) > 1 << 20",
        ),
        (
            "together = True for together = math.prod(shape[axes[0] : ...",
            "together = math.prod(shape[axes[0] : axes[-1] + 1]) == count",
            "together = True",
        ),
        (
            "by = min(count.bit_length() - 1, 32) for by = min(count.bit_length() - 1, 32, ...",
            "by = min(count.bit_length() - 1, 32, 31 + shift)",
            "by = min(count.bit_length() - 1, 32)",
        ),
        ("if True: for if not clamps:", "if not clamps:", "if True:"),
    ),
    *faults_in(
        "export/c_moving",
        _TESTS,
        ("before += 1 for before += size", "before += size", "before += 1"),
        (
            "start = sum(0 * step for start = sum(before * step",
            "start = sum(before * step",
            "start = sum(0 * step",
        ),
        ("target, 0, math for target, zero, math", "target, zero, math", "target, 0, math"),
    ),
    *faults_in(
        "export/c_loops",
        _TESTS,
        (
            "== tuple(axis.count * step for step i... for == tuple(axis.count * step for step i...",
            "== tuple(axis.count * step for step in axis.steps)",
            "== tuple(axis.count * step for step in axis.steps[:1]) + kept[-1].steps[1:]",
        ),
        (
            "left and left[-1].steps[0] == 1 for left and left[-1].steps == (1, 1)",
            "left and left[-1].steps == (1, 1)",
            "left and left[-1].steps[0] == 1",
        ),
        (
            "left and left[-1].steps[1] == 1 for left and left[-1].steps == (1, 1)",
            "left and left[-1].steps == (1, 1)",
            "left and left[-1].steps[1] == 1",
        ),
    ),
    *faults_in(
        "export/c_arithmetic",
        _TESTS,
        ("and True for and t.shape == shape", "and t.shape == shape", "and True"),
        ("[step for [0 if n == 1 else step", "[0 if n == 1 else step", "[step"),
        (
            "bounds = -128, 127 for bounds = int(answers.min()), int(answ...",
            "bounds = int(answers.min()), int(answers.max())",
            "bounds = -128, 127",
        ),
        (
            "numbers = _weights(node, 1) for numbers = _weights(node, -1)",
            "numbers = _weights(node, -1)",
            "numbers = _weights(node, 1)",
        ),
    ),
    *faults_in(
        "export/c_weighted_sum",
        _TESTS,
        (
            "True for bool((np.clip(sums >> found.down, low...",
            "bool((np.clip(sums >> found.down, low, high) == answers).all())",
            "True",
        ),
    ),
    *faults_in(
        "export/c_pointwise",
        _TESTS,
        (
            "low, high = -128, int(answers.max()) for low, high = int(answers.min()), int(a...",
            "low, high = int(answers.min()), int(answers.max())",
            "low, high = -128, int(answers.max())",
        ),
        (
            "[] if True else [called for [] if before == after else [called",
            "[] if before == after else [called",
            "[] if True else [called",
        ),
        (
            'source.dtype == "bool" for source.dtype != "int8"',
            'source.dtype != "int8"',
            'source.dtype == "bool"',
        ),
    ),
]
