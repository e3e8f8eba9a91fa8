"""A small classifier as hand-written C with a generated file's interface, and the same in numpy.

Found like tflite_builder. `slow` makes the C linger between writing its arena and reading it.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgestitch_export.native_format import artifact_of, build
from edgestitch_runtime.card_schema import CARD_SCHEMA
from edgestitch_runtime.golden import Golden, pack_golden

HEIGHT, WIDTH, HIDDEN, CLASSES = 5, 7, 20, 3
SHIFT = 6
_HEADER = """\
#ifndef NET_H
#define NET_H
#include <stdint.h>
#define NET_HEIGHT 5
#define NET_WIDTH 7
#define NET_CLASSES 3
int net_classify(const uint8_t pixels[35], int8_t scores[3]);
#endif
"""
_SOURCE = """\
#include "net-int8.h"
#include <string.h>
static const int8_t first[700] = {{{first}}};
static const int8_t second[60] = {{{second}}};
static uint8_t arena[35 + 20];
static volatile int32_t divisor = 1 << {shift}; /* so that it is a division */

int net_classify(const uint8_t pixels[35], int8_t scores[3]) {{
  uint8_t *hidden = arena + 35;
  int best = 0;
  memcpy(arena, pixels, 35);
  for (volatile int32_t k = 0; k < {linger}; k++) {{ }}
  for (int32_t o = 0; o < 20; o++) {{
    int32_t sum = 0;
    for (int32_t i = 0; i < 35; i++) sum += arena[i] * first[35 * o + i];
    sum = sum < 0 ? 0 : sum >> {shift};
    hidden[o] = (uint8_t)(sum > 255 ? 255 : sum);
  }}
  for (int32_t c = 0; c < 3; c++) {{
    int32_t sum = 0;
    for (int32_t o = 0; o < 20; o++) sum += hidden[o] * second[20 * c + o];
    sum = sum / (int32_t)divisor;
    scores[c] = (int8_t)(sum < -128 ? -128 : sum > 127 ? 127 : sum);
    if (scores[c] > scores[best]) best = c;
  }}
  return best;
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    first: np.ndarray  # (HIDDEN, HEIGHT * WIDTH) int8
    second: np.ndarray  # (CLASSES, HIDDEN) int8

    def files(self, *, slow: bool = False) -> dict[str, bytes]:
        source = _SOURCE.format(
            first=",".join(map(str, self.first.ravel())),
            second=",".join(map(str, self.second.ravel())),
            linger=20000 if slow else 0,
            shift=SHIFT,
        )
        return {"net-int8.c": source.encode(), "net-int8.h": _HEADER.encode()}

    def answers(self, images: np.ndarray) -> np.ndarray:
        """(n, HEIGHT, WIDTH) uint8 to (n, CLASSES) int8, in numpy."""
        flat = images.reshape(len(images), -1).astype(np.int64)
        hidden = np.clip(np.maximum(flat @ self.first.T, 0) >> SHIFT, 0, 255)
        sums = hidden @ self.second.T.astype(np.int64)
        cut = np.sign(sums) * (np.abs(sums) >> SHIFT)  # C divides towards zero
        return np.clip(cut, -128, 127).astype(np.int8)

    def artifact(self, *, slow: bool = False, target: str | None = None) -> bytes:
        return _artifact(self.first.tobytes(), self.second.tobytes(), slow, target)


def network(seed: int) -> Network:
    made = np.random.default_rng(seed)
    return Network(
        first=made.integers(-128, 128, (HIDDEN, HEIGHT * WIDTH)).astype(np.int8),
        second=made.integers(-10, 11, (CLASSES, HIDDEN)).astype(np.int8),
    )


def images(count: int, seed: int = 0) -> np.ndarray:
    """(count, HEIGHT, WIDTH) uint8."""
    made = np.random.default_rng(seed)
    return made.integers(0, 256, (count, HEIGHT, WIDTH)).astype(np.uint8)


@functools.cache
def _artifact(first: bytes, second: bytes, slow: bool, target: str | None) -> bytes:
    this = Network(
        first=np.frombuffer(first, np.int8).reshape(HIDDEN, -1),
        second=np.frombuffer(second, np.int8).reshape(CLASSES, -1),
    )
    shown = images(8, seed=99)
    golden = pack_golden(Golden(images_u8=shown, scores=this.answers(shown), gate=np.arange(8) < 6))
    return artifact_of(build(this.files(slow=slow), target), tflite_card(golden), golden)[0]


def tflite_card(golden: bytes) -> dict[str, Any]:
    """The card of an int8 TFLite artifact of such a network, with `golden` in it."""
    nothing = hashlib.sha256(b"").hexdigest()
    counted = {"correct": 9, "n": 10, "engine": "reference 0.1.0"}
    return {
        "schema": CARD_SCHEMA,
        "name": "net",
        "title": "a network of a test",
        "format": "tflite",
        "precision": "int8",
        "labels": ["hat", "shoe", "sock"],
        "input": {
            "shape": [None, HEIGHT, WIDTH], "dtype": "int8", "scale": 1.0, "zero_point": -128,
        },
        "output": {
            "shape": [None, CLASSES], "dtype": "int8", "scale": 0.125, "zero_point": 3,
            "kind": "logits",
        },
        "preprocessing": {"pixels": "uint8 0..255", "background": 0},
        "operators": ["FULLY_CONNECTED", "FULLY_CONNECTED"],
        "hashes": {"source_model": nothing, "weights": nothing},
        "data": {"name": "none", "counts": {"train": 1, "validation": 1, "test": 1}},
        "versions": {"edgestitch-export": "0.1.0"},
        "least_engines": {"litert": "1.0.0"},
        "accuracy": {
            "float": counted, "artifact": counted, "changed": 0, "drop_pp": 0.0,
            "drop_interval_pp": [-1.0, 1.0],
        },
        "golden": {
            "sha256": hashlib.sha256(golden).hexdigest(), "gate": 6, "close_calls": 2,
            "engine": "reference 0.1.0", "cpu": "a CPU", "tolerance": 2.0,
            "recorded": {"engine": "litert 2.3.0", "tolerance": 2},
        },
    }  # fmt: skip
