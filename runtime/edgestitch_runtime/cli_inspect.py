"""Prints what an artifact says of itself: labels, input, accuracy, origin.

No engine is needed. The file's weights are checked against the hash in its
card.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artifact", type=Path, metavar="ARTIFACT", help="a .tflite or .onnx file")
    parser.add_argument("--json", action="store_true", help="size, hash and the whole card")


def run(args: argparse.Namespace) -> int:
    from .card import read_artifact

    artifact = read_artifact(args.artifact)
    facts = {
        "file": str(artifact.path),
        "format": artifact.format,
        "bytes": len(artifact.content),
        "weights_sha256": artifact.weights_sha256,
        "card": artifact.card,
    }
    if args.json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
        return 0
    print(f"{artifact.path}: {artifact.format}, {len(artifact.content):,} bytes")
    if artifact.card is None:
        print(
            "edgestitch did not write this file: it has no card, so its labels, preprocessing,\n"
            "origin and accuracy are not known. It can be classified with; classes are numbered."
        )
        return 0
    rows = list(_rows(artifact.card))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"  {name:<{width}}  {value}")
    return 0


def _rows(card: dict[str, Any]) -> Any:
    yield "model", f"{card['title']} ({card['precision']})"
    yield "labels", ", ".join(card["labels"])
    yield "input", _tensor(card["input"])
    yield "output", f"{_tensor(card['output'])}, {card['output']['kind']}"
    background = "dark" if card["preprocessing"]["background"] == 0 else "bright"
    yield "pictures", f"{card['preprocessing']['pixels']}, {background} background"
    accuracy = card.get("accuracy")
    if accuracy:
        yield "accuracy", _accuracy(accuracy["artifact"])
        yield "float", _accuracy(accuracy["float"])
        low, high = accuracy["drop_interval_pp"]
        yield (
            "drop",
            f"{accuracy['drop_pp']:+.2f} points ({low:+.2f} to {high:+.2f}), "
            f"{accuracy['changed']} answers changed",
        )
    data = card.get("data")
    if data:
        yield "data", f"{data['name']}, {data['counts']}"
    calibration = card.get("calibration")
    if calibration:
        yield "calibration", f"{calibration['count']} training images, seed {calibration['seed']}"
    if card.get("float_operators") is not None:
        yield "float operators", ", ".join(card["float_operators"]) or "none"
    yield "weights", f"sha256 {card['hashes']['weights'][:16]}... (checked)"
    yield "made by", ", ".join(f"{k} {v}" for k, v in card["versions"].items())


def _tensor(described: dict[str, Any]) -> str:
    text = f"{described['shape']} {described['dtype']}"
    if described.get("scale") is not None:
        text += f", scale {described['scale']:.6g}, zero point {described['zero_point']}"
    return text


def _accuracy(record: dict[str, Any]) -> str:
    share = 100 * record["correct"] / record["n"]
    return f"{share:.2f} % ({record['correct']:,} of {record['n']:,}, {record['engine']})"
