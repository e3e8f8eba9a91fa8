"""The faults planted in what reads and refuses .tflite files."""

from __future__ import annotations

from .mutant import Mutant, faults_in

READING: list[Mutant] = [
    *faults_in(
        "runtime/reference_engine",
        "runtime/test_large_windows",
        (
            "hundreds of images are unrolled at once",
            "min(TOGETHER // largest, MOST_SEEN // seen)",
            "TOGETHER // largest",
        ),
    ),
    *faults_in(
        "runtime/flatbuffer",
        "runtime/test_refused_files",
        ("a vtable of an odd size is read", "if size < 4 or size % 2:", "if size < 4:"),
    ),
    *faults_in(
        "runtime/graph",
        "runtime/test_refused_files",
        (
            "two operators give one tensor",
            "if k in given or model.tensors[k].constant:",
            "if model.tensors[k].constant:",
        ),
        (
            "an operator writes over a constant",
            "if k in given or model.tensors[k].constant:",
            "if k in given:",
        ),
        ("a variable is read as if it were new", "    if tensor.variable:\n", "    if False:\n"),
    ),
    *faults_in(
        "runtime/tflite_file",
        "runtime/test_refused_files",
        (
            "sparse weights are read as they stand",
            "dtype in _NUMPY and not sparse:",
            "dtype in _NUMPY:",
        ),
    ),
    *faults_in(
        "runtime/tflite_graph",
        "runtime/test_refused_files",
        ("paddings of three columns break inspect", "data.shape[1:] == (2,):", "data.ndim == 2:"),
    ),
    *faults_in(
        "runtime/pointwise_rules",
        "runtime/test_refused_files",
        ("a reshape may say another shape", "all(a in (-1, b) for a, b in pairs)", "True"),
        (
            "a squeeze takes nothing away",
            "len(node.output.shape) < len(source.shape) and all",
            "len(node.output.shape) <= len(source.shape) and all",
        ),
    ),
    *faults_in(
        "runtime/operator_rules",
        "runtime/test_refused_files",
        (
            "a bias is a little off its scale",
            "/ float(scale_of(node.output)) <= 0.02",
            "/ float(scale_of(node.output)) <= 0.03",
        ),
    ),
    *faults_in(
        "runtime/card",
        "runtime/test_refused_files",
        ("a compressed card is unpacked", "!= zipfile.ZIP_STORED:", "== 99:"),
    ),
    *faults_in(
        "runtime/card_schema",
        "runtime/test_refused_files",
        ("a number of hundreds of digits is read", "_MOST_DIGITS = 20", "_MOST_DIGITS = 4000"),
        ("an interval of one end is read", "len(v) == 2 and", "len(v) > 0 and"),
    ),
    *faults_in(
        "runtime/inspect_text",
        "runtime/test_refused_files",
        (
            "a distance of a later version breaks inspect",
            "Distance(**known)",
            "Distance(**counted)",
        ),
    ),
    *faults_in(
        "runtime/flatbuffer",
        "runtime/test_fuzz",
        ("vectors run past the end", "if start + 4 + length * size > len(content):", "if False:"),
    ),
    *faults_in(
        "runtime/tflite_file",
        "runtime/test_fuzz",
        (
            "one buffer too many is asked for",
            "if place >= len(buffers):",
            "if place > len(buffers):",
        ),
        (
            "one tensor too many is asked for",
            "not least <= k < tensors for k",
            "not least <= k <= tensors for k",
        ),
        (
            "a constant may be too long",
            "if len(held) != math.prod(shape)",
            "if len(held) < math.prod(shape)",
        ),
    ),
    *faults_in(
        "runtime/operator_fields",
        "runtime/test_fuzz",
        (
            "a zero point is beyond its dtype",
            "expect(low <= zero_point <= high,",
            "expect(low <= zero_point,",
        ),
    ),
    *faults_in(
        "runtime/operator_rules",
        "runtime/test_fuzz",
        (
            "a bias may have another shape",
            "expect(bias.shape == (channels,),",
            "expect(bias.shape != (),",
        ),
        (
            "weights may have a zero point",
            "expect(bool((found.zero_points == 0).all()),",
            "expect(True,",
        ),
    ),
]
