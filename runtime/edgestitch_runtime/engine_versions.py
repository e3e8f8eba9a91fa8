"""The least engine versions that run a file, computed from its operator versions, not tried.

Sources. tflite-runtime: the map of LiteRT's tflite/tools/versioning/runtime_version.cc, from an
operator and its version to the TensorFlow release that brought it; tflite-runtime has TensorFlow's
numbers. litert: the wheels 1.0.0 to 2.3.0 of ai-edge-litert, each asked which versions its
resolver finds. onnxruntime: its page docs/reference/compatibility.md up to 1.14, the wheels 1.15.0
to 1.32.0, each asked the newest opset and IR version that it opens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

LAST_TFLITE_RUNTIME = "2.14.0"
FIRST_LITERT = "1.0.0"
FIRST_NATIVE = "0.1.0"  # of edgestitch-runtime: the first that loads a shared library
# Of the wheels 2.7.0 to 2.14.0 the first that answers such a file rightly; 2.9.1 gives one answer
# to everything.
FIRST_PER_CHANNEL_DENSE = "2.10.0"

# Of each operator the release for its version 1, 2, 3, ...: those of small classifiers.
_TFLITE = """
    ABS 1.13.0 2.4.0 2.5.0 2.6.0 2.12.0
    ADD 1.5.0 1.14.0 2.4.0 2.6.0 2.13.0
    ADD_N 1.14.0
    ARG_MAX 1.9.0 1.14.0 2.9.0
    AVERAGE_POOL_2D 1.5.0 1.14.0 2.3.0
    BATCH_MATMUL 2.3.0 2.3.0 2.4.0 2.5.0
    BATCH_TO_SPACE_ND 1.6.0 1.14.0 2.3.0 2.12.0
    CAST 1.5.0 2.7.0 2.8.0 2.9.0 2.12.0 2.15.0 2.17.0
    CONCATENATION 1.5.0 1.14.0 2.3.0 2.14.0
    CONV_2D 1.5.0 1.14.0 1.14.0 2.3.0 2.4.0 2.9.0 2.11.0 2.15.0
    DEPTHWISE_CONV_2D 1.5.0 1.12.0 1.14.0 2.2.0 2.3.0 2.3.0 2.11.0
    DEPTH_TO_SPACE 2.1.0 2.5.0
    DEQUANTIZE 1.13.1 1.14.0 1.15.0 2.2.0 2.7.0 2.18.0
    DIV 1.6.0 2.3.0
    ELU 1.14.0
    EXP 1.7.0 2.12.0
    EXPAND_DIMS 1.10.0
    FILL 1.13.0 2.3.0 2.5.0 2.12.0
    FLOOR 1.9.0
    FULLY_CONNECTED
        1.5.0 1.10.0 1.14.0 1.14.0 2.0.0 2.1.0 2.3.0 2.3.0 2.3.0 2.11.0 2.15.0 2.17.0 2.18.0
    GATHER 1.6.0 1.14.0 1.15.0 2.4.0 2.5.0 2.13.0 2.15.0
    GELU 2.9.0 2.9.0
    HARD_SWISH 1.15.0
    L2_NORMALIZATION 1.5.0 1.14.0
    LEAKY_RELU 1.13.1 2.3.0
    LOG 1.14.0 2.15.0
    LOGISTIC 1.14.0 1.14.0 2.3.0
    LOG_SOFTMAX 1.14.0 1.14.0
    MAXIMUM 1.14.0 1.14.0 2.3.0 2.3.0
    MAX_POOL_2D 1.5.0 1.14.0 2.3.0
    MEAN 1.6.0 1.14.0 2.4.0
    MINIMUM 1.14.0 1.14.0 2.3.0 2.3.0
    MIRROR_PAD 1.13.1 2.3.0 2.12.0
    MUL 1.5.0 1.14.0 1.15.0 2.3.0 2.6.0 2.11.0 2.13.0
    NEG 1.9.0
    PACK 1.11.0 1.14.0 2.3.0 2.13.0
    PAD 1.5.0 1.14.0 2.4.0 2.6.0
    PADV2 1.9.0 1.14.0 2.4.0 2.6.0
    POW 1.10.0
    PRELU 1.8.0
    QUANTIZE 1.14.0 1.15.0 2.7.0
    REDUCE_MAX 1.11.0 1.14.0 2.5.0
    RELU 1.5.0 2.1.0 2.5.0
    RELU6 1.5.0 1.14.0 2.5.0
    RELU_0_TO_1 2.10.0
    RELU_N1_TO_1 1.5.0
    RESHAPE 1.5.0
    RESIZE_BILINEAR 1.7.0 1.14.0 2.2.0 2.5.0
    RESIZE_NEAREST_NEIGHBOR 1.13.1 1.14.0 2.3.0 2.4.0
    RSQRT 1.10.0 2.5.0 2.15.0
    SHAPE 1.10.0
    SLICE 1.14.0 1.14.0 1.14.0 2.4.0 2.5.0 2.14.0
    SOFTMAX 1.5.0 1.14.0 2.3.0
    SPACE_TO_BATCH_ND 1.6.0 1.14.0 2.3.0 2.12.0
    SPACE_TO_DEPTH 1.5.0 1.14.0
    SPLIT 1.5.0 1.14.0 1.14.0 2.3.0
    SPLIT_V 1.13.1 2.3.0
    SQRT 1.10.0
    SQUARE 1.12.0
    SQUARED_DIFFERENCE 1.13.1 2.5.0
    SQUEEZE 1.6.0 2.5.0
    STRIDED_SLICE 1.6.0 1.14.0 2.1.0 2.2.0 2.5.0 2.6.0 2.14.0 2.14.0
    SUB 1.6.0 1.14.0 2.3.0 2.4.0 2.4.0
    SUM 1.10.0 1.15.0
    TANH 1.14.0 1.14.0 2.3.0
    TILE 1.10.1 2.2.0 2.8.0
    TRANSPOSE 1.6.0 1.14.0 1.15.0 2.3.0 2.4.0 2.12.0 2.14.4
    TRANSPOSE_CONV 1.9.0 2.2.0 2.3.0 2.13.0 2.15.0
    UNPACK 1.11.0 1.14.0 2.2.0 2.3.0
"""

# What the first litert did not find; it found all else of the table above.
_LITERT = {
    ("CAST", 7): "1.1.0",
    ("TRANSPOSE", 7): "1.2.0",
    ("PAD", 5): "2.0.2",
    ("PADV2", 5): "2.0.2",
    ("SQRT", 2): "2.0.2",
    ("CAST", 8): "2.1.0",
    ("DEQUANTIZE", 7): "2.1.0",
    ("FULLY_CONNECTED", 14): "2.1.0",
    ("QUANTIZE", 4): "2.1.0",
    ("SLICE", 7): "2.1.0",
    ("CONCATENATION", 5): "2.1.2",
    ("DEQUANTIZE", 8): "2.1.3",
    ("QUANTIZE", 5): "2.1.3",
    ("QUANTIZE", 6): "2.1.3",
    ("UNPACK", 5): "2.1.3",
    ("ADD", 6): "2.1.6",
    ("CONCATENATION", 6): "2.1.6",
    ("GELU", 3): "2.1.6",
    ("MUL", 8): "2.1.6",
    ("SLICE", 8): "2.1.6",
    ("SOFTMAX", 4): "2.1.6",
    ("TRANSPOSE", 8): "2.1.6",
    ("TRANSPOSE", 9): "2.1.6",
    ("CAST", 9): "2.2.0",
    ("CONCATENATION", 7): "2.2.0",
    ("DEQUANTIZE", 9): "2.2.0",
    ("FILL", 5): "2.2.0",
    ("GATHER", 8): "2.2.0",
    ("PACK", 5): "2.2.0",
    ("PAD", 6): "2.2.0",
    ("PADV2", 6): "2.2.0",
    ("SPLIT", 5): "2.2.0",
    ("SPLIT_V", 3): "2.2.0",
    ("UNPACK", 6): "2.2.0",
}

# (release, newest opset of ai.onnx, newest IR version), in the order of the releases.
_ONNXRUNTIME = (
    ("0.1.4", 8, 3), ("0.3.0", 9, 3), ("0.4.0", 10, 5), ("1.0.0", 11, 6), ("1.3.0", 12, 7),
    ("1.6.0", 13, 7), ("1.8.0", 14, 7), ("1.9.0", 15, 8), ("1.11.0", 16, 8), ("1.12.0", 17, 8),
    ("1.14.0", 18, 8), ("1.15.0", 19, 9), ("1.17.0", 20, 9), ("1.18.0", 21, 10),
    ("1.21.0", 22, 10), ("1.23.0", 23, 11), ("1.24.1", 25, 13), ("1.25.0", 26, 13),
    ("1.32.0", 28, 14),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LeastVersion:
    """The least version of `engine`: None when no release is known to run the file.

    `because` says what asks for it: "FULLY_CONNECTED version 12", or why there is none.
    """

    engine: str
    version: str | None
    because: str


def least_for_tflite(
    operators: Iterable[tuple[str, int]], *, per_channel_dense: bool
) -> tuple[LeastVersion, ...]:
    """The least litert and tflite-runtime for a file's (operator, version) pairs.

    `per_channel_dense` says whether a FULLY_CONNECTED has int8 weights of a scale for each channel.
    No operator version tells that: the releases before FIRST_PER_CHANNEL_DENSE open such a file and
    answer anything.
    """
    pairs = sorted(set(operators))
    runtime = _most("tflite-runtime", pairs, tensorflow_release)
    first = in_order(FIRST_PER_CHANNEL_DENSE)
    if per_channel_dense and runtime.version and in_order(runtime.version) < first:
        runtime = LeastVersion(
            engine="tflite-runtime",
            version=FIRST_PER_CHANNEL_DENSE,
            because="FULLY_CONNECTED with a scale for each channel",
        )
    if runtime.version and in_order(runtime.version) > in_order(LAST_TFLITE_RUNTIME):
        runtime = LeastVersion(
            engine="tflite-runtime",
            version=None,
            because=f"{runtime.because} came with {runtime.version}, "
            f"the last release is {LAST_TFLITE_RUNTIME}",
        )
    return _most("litert", pairs, litert_release), runtime


def least_for_onnx(opset: int, ir_version: int, domains: Iterable[str]) -> LeastVersion:
    """The least onnxruntime for a file's opset of ai.onnx, IR version and operator domains.

    An operator of another domain than ONNX's own is in no table: there is no answer then.
    """
    other = sorted(set(domains) - {"", "ai.onnx"})
    if other:
        because = f"operators of {', '.join(other)} are in no table"
        return LeastVersion(engine="onnxruntime", version=None, because=because)
    for release, newest_opset, newest_ir in _ONNXRUNTIME:
        if opset <= newest_opset and ir_version <= newest_ir:
            because = f"opset {opset}, IR version {ir_version}"
            return LeastVersion(engine="onnxruntime", version=release, because=because)
    return LeastVersion(
        engine="onnxruntime",
        version=None,
        because=f"opset {opset} or IR version {ir_version} is newer than the table, "
        f"which ends with {_ONNXRUNTIME[-1][0]}",
    )


def tensorflow_release(name: str, version: int) -> str | None:
    """The TensorFlow release that brought `version` of an operator; None when not in the table."""
    releases = _RELEASES.get(name, [])
    return releases[version - 1] if 0 < version <= len(releases) else None


def litert_release(name: str, version: int) -> str | None:
    """The litert release that first had `version` of an operator; None when not in the table."""
    known = tensorflow_release(name, version) is not None
    return _LITERT.get((name, version), FIRST_LITERT if known else None)


def in_order(version: str) -> tuple[int, ...]:
    """A version as numbers, which compare as versions do."""
    return tuple(int(part) for part in version.split("."))


def _most(
    engine: str, pairs: list[tuple[str, int]], release: Callable[[str, int], str | None]
) -> LeastVersion:
    found: list[tuple[str, str]] = []
    for name, version in pairs:
        first = release(name, version)
        if first is None:
            because = f"{name} version {version} is not in the table"
            return LeastVersion(engine=engine, version=None, because=because)
        found.append((first, f"{name} version {version}"))
    if not found:
        return LeastVersion(engine=engine, version=None, because="it has no operators")
    least, because = max(found, key=lambda pair: in_order(pair[0]))
    return LeastVersion(engine=engine, version=least, because=because)


def _table() -> dict[str, list[str]]:
    releases: dict[str, list[str]] = {}
    name = ""
    for word in _TFLITE.split():
        if word[0].isalpha():
            name = word
            releases[name] = []
        else:
            releases[name].append(word)
    return releases


_RELEASES = _table()
