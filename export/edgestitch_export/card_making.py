"""What goes into a card: facts of the file, its source, its data, and the golden vectors."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edgestitch_runtime.card import Artifact
from edgestitch_runtime.card_schema import CARD_SCHEMA
from edgestitch_runtime.golden import pack_golden
from edgestitch_runtime.golden_check import REFERENCE
from edgestitch_runtime.inspecting import least_versions
from edgestitch_runtime.machine import describe
from edgestitch_runtime.picture import CONVERSION

from .formats import Format
from .golden_choice import choose_golden
from .judging import Judged, exact_engine
from .rivals import least_apart
from .source import Source

# Twice what one version of LiteRT was seen to differ by between processors (docs/device-guide.md).
RECORDED_STEPS = 2


def card_of(
    source: Source,
    name: str,
    format_: str,
    precision: str,
    content: bytes,
    facts: dict[str, Any],
) -> dict[str, Any]:
    """The card but for accuracy. docs/card.md says what each entry means."""
    dataset = source.dataset
    digest = hashlib.sha256(content).hexdigest()
    converted = Artifact(
        path=Path(name), format=format_, content=content, weights_sha256=digest, card=None
    )
    card: dict[str, Any] = {
        "schema": CARD_SCHEMA,
        "name": name,
        "title": source.title,
        "format": format_,
        "precision": precision,
        "labels": list(dataset.labels),
        "input": facts["input"],
        "output": facts["output"] | {"kind": source.kind},
        "preprocessing": {
            "pixels": "uint8 0..255; scaling is inside the model",
            "background": dataset.background,
            "conversion": CONVERSION,
        },
        "operators": facts["operators"],
        "hashes": {
            "source_model": source.model_sha256,
            "weights": digest,
        },
        "data": {
            "name": dataset.name,
            "files": {f.name: f.sha256 for f in dataset.files},
            "counts": {
                "train": len(source.train_indices),
                "validation": source.split["validation_count"],
                "test": len(dataset.test.labels),
            },
            "split_seed": source.split["seed"],
        },
        "versions": _versions(format_),
        "least_engines": {
            least.engine: least.version
            for least in least_versions(converted)
            if least.version is not None
        },
    }
    if not source.input_range.raw:
        card["preprocessing"]["input_range"] = source.input_range.text
    if "float_operators" in facts and precision == "int8":
        card["float_operators"] = facts["float_operators"]
    return card


def golden_of(
    source: Source, content: bytes, judged: Judged, record: Format, *, precision: str
) -> tuple[bytes, dict[str, Any]]:
    """The golden vectors' bytes, and the card's entry on them."""
    test = source.dataset.test
    judging = f"{judged.engine} {judged.engine_version}"
    own = None
    if judged.exact is None or judged.engine == REFERENCE:
        engine, answers = judging, judged.scores
        rival = record.rival(content, test.images_u8)
    else:
        engine, answers, rival = exact_engine(), judged.exact, judged.scores
        own = {"engine": judging, "tolerance": RECORDED_STEPS}
    least = least_apart(content, record.suffix[1:], answers.dtype, precision)
    golden, tolerance = choose_golden(
        test.images_u8, test.labels, answers, rival, least=least, recorded=rival if own else None
    )
    packed = pack_golden(golden)
    return packed, {
        "sha256": hashlib.sha256(packed).hexdigest(),
        "gate": int(golden.gate.sum()),
        "close_calls": int((~golden.gate).sum()),
        "engine": engine,
        "cpu": describe().cpu,
        "tolerance": tolerance,
        "recorded": own,
    }


def _versions(format_: str) -> dict[str, str]:
    made_with = {
        "tflite": ("edgestitch-export", "tensorflow", "keras"),
        "onnx": ("edgestitch-export", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime"),
    }
    return {package: version(package) for package in made_with[format_]}
