"""The images that a choice of quantization is judged on, and what a draft answers to them.

Validation images first. Where they are fewer than 10,000, training images come to them that neither
calibration nor fine-tuning sees; the float model saw those when it was trained.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import ai_edge_litert.interpreter as litert
import numpy as np
import onnxruntime

from edgestitch_runtime.card import Artifact
from edgestitch_runtime.engines import engine_version
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.native_output import quiet_native_output
from edgestitch_runtime.onnx_engine import open_onnxruntime
from edgestitch_runtime.tflite_engine import open_interpreter

from .answers import float_answers
from .source import Source

WANTED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Images, (n, height, width) uint8, that choose; `fit_indices` are left to fit on."""

    images_u8: np.ndarray
    labels: np.ndarray  # (n,) int64
    float_index: np.ndarray  # (n,): the float model's answers
    validation: int  # how many of n the training held out too
    fit_indices: np.ndarray  # int64 positions in the training file


def hold_out(source: Source, *, seed: int) -> HeldOut:
    """All validation images, and up to 10,000 in all of the training images, at most half of them.

    The images from train are seeded. Raises EdgestitchError when there is none to judge on.
    """
    train = source.dataset.train
    fit = source.train_indices
    validation = np.setdiff1d(np.arange(len(train.labels)), fit)
    more = min(max(0, WANTED - len(validation)), len(fit) // 2)
    if len(validation) + more == 0:
        raise EdgestitchError(
            f"{len(fit)} training images are too few to choose a quantization on",
            hint="leave out --max-drop and --qat, or name data with more training images",
        )
    # Another sequence than that which chooses calibration images by the same seed.
    generator = np.random.default_rng([seed, 1])
    taken = generator.choice(fit, size=more, replace=False)
    chosen = np.sort(np.concatenate([validation, taken])).astype(np.int64)
    images = train.images_u8[chosen]
    return HeldOut(
        images_u8=images,
        labels=train.labels[chosen],
        float_index=float_answers(source.model, images).argmax(axis=1),
        validation=len(validation),
        fit_indices=np.setdiff1d(fit, taken),
    )


def answers(content: bytes, format_: str, images_u8: np.ndarray) -> tuple[np.ndarray, str]:
    """A draft's scores, (n, classes) integers, and the engine that gave them with its version.

    It is the engine that the verdict on the test images comes from: fast kernels round in their own
    way, and a quantization that suits others may not suit them.
    """
    draft = Artifact(
        path=Path(f"draft.{format_}"),
        format=format_,
        content=content,
        weights_sha256=hashlib.sha256(content).hexdigest(),
        card={"precision": "int8"},  # ONNX Runtime's session then takes the images in batches
    )
    if format_ == "onnx":
        scores = open_onnxruntime(draft, onnxruntime, 1).run(images_u8)
        return scores, f"onnxruntime {engine_version('onnxruntime')}"
    with quiet_native_output():  # it says which delegate it made
        opened = open_interpreter(draft, litert, 1)
        scores = opened.run((images_u8 ^ np.uint8(128)).view(np.int8))
    return scores, f"litert {engine_version('litert')}"
