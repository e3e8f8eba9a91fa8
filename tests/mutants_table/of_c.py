"""The faults planted in the generator of C: scaling, plan, program, text, and the portable kernels.

A table, and so longer than a module should be.
"""

from __future__ import annotations

from .mutant import Mutant, faults_in

_SCALING, _NETWORKS, _PLAN = "export/test_c_scaling", "export/test_c_networks", "export/test_c_plan"
_LARGE = "export/test_c_large_dense"
_PROGRAM, _FILES = "export/test_c_program", "export/test_c_files"

C: list[Mutant] = [
    *faults_in(
        "export/c_scaling",
        _SCALING,
        (
            "a step lies a sum too high",
            "return Steps(least=low, most=",
            "return Steps(least=low + 1, most=",
        ),
        (
            "the lowest code is no step",
            "codes = np.arange(-127, 128)[:, None]\n    low",
            "codes = np.arange(-126, 129)[:, None]\n    low",
        ),
        (
            "an offset goes one too low",
            "low = np.where(reached, codes - at, -far)",
            "low = np.where(reached, codes - at - 1, -far)",
        ),
        (
            "an offset goes to the next step",
            "high = np.where(below, codes - 1 - before, far)",
            "high = np.where(below, codes - before, far)",
        ),
        (
            "the sum before a step is the step's",
            "before = ((least - 1) * multipliers) >> lost",
            "before = (least * multipliers) >> lost",
        ),
        (
            "a line may leave some channels",
            "    if left.any():\n        return None\n    return Line(",
            "    return Line(",
        ),
        (
            "a wide line may leave some channels",
            "        if not left.any():\n            return Wide",
            "        if True:\n            return Wide",
        ),
        (
            "a long line may leave some channels",
            "    if left.any():\n        return None\n    return Wide",
            "    return Wide",
        ),
        ("a long offset is one too low", "(low + (high - low >> 1))[fits]", "(low - 1)[fits]"),
        (
            "an offset loses a bit in its record",
            "self.offsets & ((1 << _OFFSET) - 1))",
            "self.offsets & ((1 << _OFFSET) - 2))",
        ),
        (
            "a multiplier keeps its low bits",
            "(self.multipliers >> _LOST, self.more",
            "(self.multipliers >> (_LOST - 1), self.more",
        ),
        (
            "more lies a bit further",
            "places = (0, _MULTIPLIER, _MULTIPLIER + _MORE)",
            "places = (0, _MULTIPLIER + 1, _MULTIPLIER + _MORE)",
        ),
        (
            "a channel's more is its neighbours'",
            "tried[fits], offset[fits], finer\n",
            "tried[fits], offset[fits], 0\n",
        ),
        ("an offset of 28 bits may have 29", "limit = 1 << (_OFFSET - 1)", "limit = 1 << _OFFSET"),
        (
            "sums are shifted out of 32 bits",
            "max(0, 31 - int(steps.most.max()).bit_length())",
            "max(0, 33 - int(steps.most.max()).bit_length())",
        ),
        (
            "an offset is rounded out of its place",
            "fits = left & (low <= offset << up) & (offset << up <= high)",
            "fits = left & (offset << up <= high)",
        ),
    ),
    *faults_in(
        "export/c_layer",
        _NETWORKS,
        (
            "a bias is left out where sums are rounded twice",
            'records["bias"], records["mantissa"] = sums.offsets, mantissas',
            'records["bias"], records["mantissa"] = 0, mantissas',
        ),
        (
            "shifts to the right are lost",
            "np.maximum(shifts, 0), np.maximum(-shifts, 0)",
            "np.maximum(shifts, 0), np.maximum(-shifts, 1)",
        ),
        (
            "the zero point is that of the input",
            "scaling.up, scaling.down,\n                zero_point_of(node.output)",
            "scaling.up, scaling.down,\n                zero_point_of(operand(node, 0))",
        ),
        (
            "activations do not hold codes",
            '    return "\\n" + called("clamp", at.of(node.output.index), count, low, high)',
            '    return ""',
        ),
        ("an activation's limits are exchanged", "count, low, high)", "count, low, 127)"),
    ),
    *faults_in(
        "export/c_linear",
        _NETWORKS,
        ("rows of a dense layer read the first", "behind(source, row * inputs)", "source"),
        ("rows of a dense layer write the first", "behind(target, row * outputs)", "target"),
        ("blocks of four rows lie row by row", ".swapaxes(1, 2)", ""),
        (
            "the last rows lie in blocks of four",
            "fours = outputs // 4 * 4",
            "fours = (outputs - 1) // 4 * 4",
        ),
        (
            "a window's rows and columns are exchanged",
            "*window.before, height, width,\n",
            "*window.before, width, height,\n",
        ),
        (
            "the border of a convolution is 0",
            "*window.dilation, zero_point_of(source)),",
            "*window.dilation, 0),",
        ),
        (
            "a stride of 1x1 windows is skipped",
            "if (height, width, groups) == (1, 1, 1) and window.stride == (1, 1):",
            "if (height, width, groups) == (1, 1, 1):",
        ),
        ("lanes have half the room", "return max(dsp, mve)", "return max(dsp, mve) // 2"),
    ),
    *faults_in(
        "export/c_linear",
        _LARGE,
        (
            "sums that lanes do not hold are given to them",
            "    if not fits_lanes(node):\n        return None\n",
            "",
        ),
    ),
    *faults_in(
        "export/c_planes",
        _NETWORKS,
        (
            "a tile has no border",
            "height, width = (n + a + b for",
            "height, width = (n + 0 * (a + b) for",
        ),
        (
            "a dilated window is taken for a plain one",
            "(window.size, window.dilation) == ((3, 3), (1, 1))",
            "window.size == (3, 3)",
        ),
        (
            "planes that multiply are in place",
            "if plane.each == 1 and plane.shrinks else ()",
            "if plane.shrinks else ()",
        ),
        ("a clamp between two layers is left out", " or clamp_of(node) != (-128, 127):\n", ":\n"),
        (
            "two tiles are one",
            'f"(lane_t *)({at.scratch} + {first.bytes})"',
            'f"(lane_t *)({at.scratch})"',
        ),
    ),
    *faults_in(
        "export/c_plan",
        _PLAN,
        ("an input that is needed later is written over", "and last_read[k] == n and", "and"),
        ("what grows is in place", " and sizes[step.output] <= sizes[k]\n", "\n"),
        (
            "a block ends at its first reading",
            "last=max(last_read.get(k, first_of[k]) for k in tensors)",
            "last=min(last_read.get(k, first_of[k]) for k in tensors)",
        ),
        (
            "steps that meet are apart",
            "apart = other.last < block.first or",
            "apart = other.last <= block.first or",
        ),
        (
            "blocks lie on each other",
            "offset = max(offset, other.offset + other.bytes)",
            "offset = max(offset, other.offset)",
        ),
        ("nothing is aligned", "return -(-count // ALIGNMENT) * ALIGNMENT", "return count"),
        (
            "the arena is the largest block",
            "max((b.offset + b.bytes for b in placed), default=0)",
            "max((b.bytes for b in placed), default=0)",
        ),
        (
            "scores take one more",
            "sizes[tensors[at - 1]] <= program.classes:",
            "sizes[tensors[at - 1]] <= program.classes + 1:",
        ),
        ("scratch has no room", "if step.scratch_bytes:", "if step.scratch_bytes > 1000:"),
        (
            "the smallest block comes first",
            "key=lambda b: (-b.bytes, b.first, b.tensors)",
            "key=lambda b: (b.bytes, b.first, b.tensors)",
        ),
    ),
    *faults_in(
        "export/c_program",
        f"{_PROGRAM} {_NETWORKS}",
        ("layers of one name stay so", "while found in taken:", "while False:"),
        (
            "a name may begin with a digit",
            'return f"layer_{name}" if name[0].isdigit() else name',
            "return name",
        ),
        (
            "every layer reads pixels",
            '_READ_PIXELS = ("FULLY_CONNECTED",',
            '_READ_PIXELS = ("TANH", "RELU", "FULLY_CONNECTED",',
        ),
        (
            "images of many channels are read as pixels",
            'return node.operator == "FULLY_CONNECTED" or operand(node, 0).shape[-1] == 1',
            "return True",
        ),
        (
            "a pair is made of what others read",
            "if nodes and taken.count(node.output.index) == 1:",
            "if nodes:",
        ),
        (
            "any scale is pixels",
            "(scale_of(source), zero_point_of(source)) != (1, -128)",
            "zero_point_of(source) != -128",
        ),
        (
            "any zero point is pixels",
            "(scale_of(source), zero_point_of(source)) != (1, -128)",
            "scale_of(source) != 1",
        ),
        ("float scores pass", 'if target.dtype != "int8":', "if False:"),
    ),
    *faults_in(
        "export/c_format",
        f"{_FILES} {_PROGRAM}",
        ("keywords are names", "or prefix.lower() in KEYWORDS:", "or False:"),
        ("digits are names", "not prefix or prefix[0].isdigit() or", "not prefix or"),
        (
            "golden images come in another order",
            "images_u8=golden.images_u8[golden.gate],",
            "images_u8=golden.images_u8[golden.gate][::-1],",
        ),
        (
            "the card's input is int8",
            '"dtype": "uint8", "zero_point": 0}',
            '"dtype": "int8", "zero_point": 0}',
        ),
    ),
    *faults_in(
        "export/c_writing",
        f"{_FILES} {_NETWORKS}",
        (
            "golden vectors that differ are not counted",
            "sizeof scores) != 0;",
            "sizeof scores) == 9;",
        ),
        (
            "a self-test looks at the first score",
            "{p}_golden_scores[k], sizeof scores)",
            "{p}_golden_scores[k], 1)",
        ),
        (
            "weights are those of the first layer",
            "weights = sum(step.weight_bytes for step in program.steps)",
            "weights = program.steps[0].weight_bytes",
        ),
        ("macros do not hide the card", "#ifdef {m}_WITH_CARD", "#ifndef {m}_WITHOUT_CARD"),
        (
            "scratch lies at the start",
            "scratch=_place(self.plan.scratch_of(k))",
            "scratch=_place(0)",
        ),
        (
            "tensors lie at the start",
            "return _place(self.plan.offset_of(tensor))",
            "return _place(0)",
        ),
    ),
    *faults_in(
        "export/c_text",
        f"{_FILES} export/test_tflm",
        ("strings are not escaped", "b not in b'\"\\\\?' else", "True else"),
        ("trigraphs and quotes go unescaped", "and b not in b'\"\\\\?'", "and b != 92"),
        ("an escape is as long as it needs", ":03o}", ":o}"),
    ),
    *faults_in(
        "export/c_kernels/dense.c",
        _NETWORKS,
        (
            "the last inputs are left out",
            "for (int32_t i = 0; i < inputs; i += 16) {",
            "for (int32_t i = 0; i + 16 <= inputs; i += 16) {",
        ),
        ("zeros behind the inputs are read", "inputs - i < 16 ? inputs - i : 16;", "16;"),
        (
            "three rows are four",
            "outputs - k >= 4 ? 4 : 1;\n    int32_t sums[4] = {0, 0, 0, 0};\n    for",
            "outputs - k >= 3 ? 4 : 1;\n    int32_t sums[4] = {0, 0, 0, 0};\n    for",
        ),
        ("codes of 0 and more are pixels", "(int8_t)(in[i + j] ^ flip)", "(in[i + j] - 128)"),
    ),
    *faults_in(
        "export/c_kernels/products.c",
        _NETWORKS,
        (
            "a pixel of four is the third's",
            "sums[3] += (int32_t)v[i] * w;",
            "sums[3] += (int32_t)z[i] * w;",
        ),
        (
            "the last pixels of a block are written too",
            "p < pixels; p++) {\n      out[p * outputs + k] = code_of(sums[p], by, scalings, 0);",
            "p < BLOCK; p++) {\n      out[p * outputs + k] = code_of(sums[p], by, scalings, 0);",
        ),
    ),
    *faults_in(
        "export/c_kernels/conv.c",
        _NETWORKS,
        (
            "the border is one row later",
            "c->top + i * c->dilation_height",
            "c->top + 1 + i * c->dilation_height",
        ),
        ("columns are not dilated", "c->left + j * c->dilation_width", "c->left + j"),
        ("the last column is border", "column >= c->width)", "column >= c->width - 1)"),
        ("groups see the first channels", "see(in + g * depth, c,", "see(in, c,"),
        ("groups have the first weights", "weights + g * each * inputs", "weights"),
    ),
    *faults_in(
        "export/c_kernels/planes.c",
        _NETWORKS,
        ("the border is 0", "(lane_t)(p->zero * (1 << LANE_SHIFT))", "(lane_t)0"),
        (
            "a plane lies in the corner",
            "tile += (int32_t)p->top * p->full_width + p->left;",
            "tile += (int32_t)p->top * p->full_width;",
        ),
    ),
    *faults_in(
        "export/c_kernels/depthwise.c",
        _NETWORKS,
        ("each plane is the first", "load_plane(in + g, inputs,", "load_plane(in, inputs,"),
    ),
    *faults_in(
        "export/c_kernels/slide.c",
        _NETWORKS,
        ("rows are not dilated", "row + i * p->dilation_height * width;", "row + i * width;"),
        (
            "channels have the first scaling",
            "scaling_of(&p->scalings, k)",
            "scaling_of(&p->scalings, 0)",
        ),
    ),
    *faults_in(
        "export/c_kernels/slide3.c",
        _NETWORKS,
        ("the last tap is the first of its row", "last[2] * weights[8];", "last[2] * weights[6];"),
    ),
    *faults_in(
        "export/c_kernels/scaling.c",
        _NETWORKS,
        (
            "a function stands there that nothing calls",
            "//@ if line twice\n\nstatic inline int8_t int8_of",
            "//@ if line twice wide\n\nstatic inline int8_t int8_of",
        ),
        ("codes wrap", "value > 127 ? 127 : value < -128 ? -128 : value);", "value);"),
        ("more is 1 bit", "(low >> 26 & 3);", "(low >> 26 & 1);"),
        ("halves below zero go up", "(steps >> 31)) >> by.right", "0) >> by.right"),
        (
            "a wide sum has 32 bits",
            "unless long\n  const int64_t steps = (int64_t)sum * by.multiplier + by",
            "unless long\n  const int64_t steps = (int32_t)((uint32_t)sum * (uint32_t)"
            "by.multiplier) + by",
        ),
    ),
    *faults_in(
        "export/c_kernels/scaling.c",
        _LARGE,
        (
            "a long multiplier has 32 bits",
            "found.long_multiplier = int64_at(record);",
            "found.long_multiplier = int32_at(record);",
        ),
        (
            "the lower half of 64 bits has a sign",
            "(uint64_t)(uint32_t)int32_at(b) |",
            "(uint64_t)int32_at(b) |",
        ),
        ("long records have 8 bytes", "s->records + 16 * channel", "s->records + 8 * channel"),
    ),
    *faults_in(
        "export/c_kernels/top.c",
        _NETWORKS,
        ("ties go to the last", "scores[k] > scores[best]", "scores[k] >= scores[best]"),
        ("the first class is never found", "int32_t best = 0;", "int32_t best = classes > 1;"),
    ),
    *faults_in(
        "export/c_kernels/pointwise.c",
        _NETWORKS,
        (
            "a block's codes lie on the last one's",
            "out += some * outputs;",
            "out += some;",
        ),
    ),
]
