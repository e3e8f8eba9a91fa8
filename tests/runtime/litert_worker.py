"""A process that asks LiteRT's reference kernels what they answer on a bundle of files.

    python litert_worker.py BUNDLE PIXELS FIRST

As fuzz_worker.py, without its measures: on some damaged files LiteRT ends the process, or does not
end at all. What its verifier refuses is written anew by the schema's own code, and asked again.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from fuzz_worker import pictures_of, read_bundle
from rewritten_models import packed, schema
from tflite_builder import interpreter_of

MOST_S = 10.0  # for one file


def answered(content: bytes, pixels: np.ndarray) -> dict[str, Any]:
    """LiteRT's answers, one image at a time, or the line with which it refuses the file."""
    try:
        interpreter = _interpreter(content)
        interpreter.allocate_tensors()
        source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        height, width = [int(n) for n in source["shape"][1:] if n != 1]
        rows = []
        for image in pictures_of(pixels, height, width):
            codes = image ^ 128 if source["dtype"] == np.int8 else image
            if source["dtype"] == np.int8:
                codes = codes.view(np.int8)  # pixel - 128
            shaped = codes.astype(source["dtype"]).reshape(source["shape"])
            interpreter.set_tensor(source["index"], shaped)
            interpreter.invoke()
            rows.append(interpreter.get_tensor(target["index"])[0])
    except (RuntimeError, ValueError) as error:
        return {"refused": " ".join(str(error).split())}
    found = np.array(rows)
    return {"dtype": found.dtype.name, "shape": found.shape, "rows": found.tobytes().hex()}


def _interpreter(content: bytes) -> Any:
    try:
        return interpreter_of(content)
    except ValueError as error:
        if "flatbuffer" not in str(error).lower():
            raise
    try:
        anew = packed(schema.ModelT.InitFromPackedBuf(content, 0))
    except Exception as error:  # that reader checks nothing
        raise ValueError(f"no flatbuffer: {error}") from None
    return interpreter_of(anew)


def main(bundle: Path, pixels_file: Path, first: int) -> None:
    pixels = np.load(pixels_file)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, also inside LiteRT
    for number, _, content in read_bundle(bundle):
        if number < first:
            continue
        print(number, flush=True)
        signal.setitimer(signal.ITIMER_REAL, MOST_S)
        found = answered(content, pixels)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
