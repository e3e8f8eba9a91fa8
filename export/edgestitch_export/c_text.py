"""Pieces of C text: arrays and structs of a step, comments, string literals."""

from __future__ import annotations

import re
import textwrap

import numpy as np

from .c_step import Constant, Step

WIDTH = 100
_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "uint16": "uint16_t",
          "int32": "int32_t", "int64": "int64_t"}  # fmt: skip


def constants_text(step: Step) -> str:
    """The constants and structs of a step."""
    arrays = [_array(step, constant) for constant in step.constants]
    for struct in step.structs:
        values = [re.sub("@(?=[a-z])", f"{step.name}_", str(value)) for value in struct.values]
        line = f"static const {struct.type} {step.name}_{struct.suffix} = {{{', '.join(values)}}};"
        arrays.append(textwrap.fill(line, WIDTH, subsequent_indent="    ", break_long_words=False))
    title = "\n * ".join(f"{step.name}: {step.title}".splitlines())
    return f"/* {title} */\n" + "\n".join(arrays) + "\n"


def _array(step: Step, constant: Constant) -> str:
    values = constant.values.ravel()
    kind = _TYPES[values.dtype.name]
    aligned = " ALIGNED" if kind == "int8_t" else ""
    head = f"static const {kind} {step.name}_{constant.suffix}[{values.size}]{aligned} = {{"
    comment = f" /* {constant.comment} */" if constant.comment else ""
    lines = "\n".join(rows_text(values, constant.width))
    return f"{head}{comment}\n{lines}\n}};"


def rows_text(values: np.ndarray, width: int) -> list[str]:
    """One-dimensional `values` in lines, `width` to a row or, where that is 0, as many as fit."""
    words = [f"{v}," for v in values.tolist()]
    if width:
        each = width * max(1, (WIDTH - 4) // (5 * width))
        return ["  " + " ".join(words[k : k + each]) for k in range(0, len(words), each)]
    return textwrap.wrap(" ".join(words), WIDTH - 2, initial_indent="  ", subsequent_indent="  ")


def rule_text(title: str) -> str:
    """A comment that parts the file."""
    return f"/* {'-' * 3} {title} {'-' * (WIDTH - len(title) - 11)} */\n"


def comment_text(text: str) -> str:
    """`text` as lines within a comment: ASCII, and nothing that begins or ends one."""
    text = text.encode("ascii", "backslashreplace").decode().replace("*/", "* /")
    text = text.replace("/*", "/ *")
    return "\n".join(
        f" * {line}".rstrip()
        for paragraph in text.split("\n")
        for line in textwrap.wrap(paragraph, WIDTH - 4, break_on_hyphens=False) or [""]
    )


def literal_text(text: str) -> str:
    """A C string literal of `text` in UTF-8: ASCII, with no escape that a next digit would join."""
    plain = (chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in text.encode())
    return f'"{"".join(plain)}"'
