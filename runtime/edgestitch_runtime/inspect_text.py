"""An inspection as text: the card, what the file holds, its layers, the warnings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from .distance import Distance
from .file_facts import EndTensor, FileFacts
from .file_graph import printable
from .inspecting import UNREAD, Inspection
from .memory_drawing import MemoryPlan, plan_as_text

_PLAN = "the plan of the arena: a line is a step, a column bytes"
NO_CARD = (
    "edgestitch did not write this file: it has no card, so its labels, preprocessing,\n"
    "origin and accuracy are not known. It can be classified with; classes are numbered."
)


def as_text(found: Inspection, *, layers: bool, width: int = 100) -> str:
    """The inspection as lines; with `layers`, each layer too. `width` is for the plan of C."""
    lines = [f"{found.path}: {found.format}, {found.bytes:,} bytes"]
    if found.card is None:
        lines.append(NO_CARD)
    else:
        lines += _aligned(_card_rows(found.card))
    lines.append("")
    if found.memory is not None:
        lines += [*_aligned(_memory_rows(found.memory, found.card or {})), "", _PLAN]
        lines += plan_as_text(found.memory, width=width)
    elif found.facts is None:
        lines.append(": ".join(UNREAD[found.format]))
    else:
        lines += ["what the file holds, read from its bytes:"]
        lines += _aligned(_fact_rows(found.facts))
        lines += ["", *_operator_table(found.facts)]
        if layers:
            lines += ["", *_layer_table(found.facts)]
    if found.ties is not None:
        ties = found.ties
        lines += [
            "",
            f"tied at the top: {ties.tied:,} of {ties.n:,} {ties.images} "
            f"({ties.engine} {ties.engine_version})",
        ]
    if found.warnings:
        lines += ["", *(f"warning: {warning}" for warning in found.warnings)]
    return "\n".join(lines)


def _aligned(rows: Iterable[tuple[str, str]]) -> list[str]:
    rows = list(rows)
    width = max(len(name) for name, _ in rows)
    return [f"  {name:<{width}}  {value}" for name, value in rows]


def _fact_rows(facts: FileFacts) -> Iterator[tuple[str, str]]:
    batch = "an image" if facts.batch == 1 else f"a batch of {facts.batch} images, as the file has"
    yield "precision", facts.precision
    for name, ends in (("input", facts.inputs), ("output", facts.outputs)):
        for end in ends:
            yield name, _end(end)
    yield "parameters", f"{facts.parameters:,}"
    yield "MACs", f"{facts.macs:,} {batch}"
    held = facts.bytes
    yield (
        "bytes",
        f"weights {held.weights:,}, biases {held.biases:,}, other constants "
        f"{held.other_constants:,}, structure {held.structure:,}, card {held.card:,}",
    )
    peak = facts.live_peak
    where = "" if peak.operator is None else f" at operator {peak.operator}"
    yield "activations", f"at most {peak.bytes:,} bytes at once{where}, for {batch}, in file order"
    if facts.unpacked_bytes:
        yield "unpacked", f"{facts.unpacked_bytes:,} bytes of constants that operators unpack"
    for least in facts.least_versions:
        if least.version is None:
            yield "runs on", f"no known {least.engine}: {least.because}"
        else:
            yield "runs on", f"{least.engine} {least.version} or newer: {least.because}"
    yield "", "(computed from operator versions, not tried)"


def _memory_rows(plan: MemoryPlan, card: dict[str, Any]) -> Iterator[tuple[str, str]]:
    names = [printable(str(one)) for one in card.get("operators") or ()]
    counted = (f"{names.count(one)} {one}" for one in dict.fromkeys(names))
    yield "operators", ", ".join(counted) or "unknown"
    yield "weights", f"{plan.weight_bytes:,} bytes of flash: int8 weights and int32 biases"
    most = max(plan.live_bytes)
    step = plan.live_bytes.index(most)
    told = f"{plan.arena_bytes:,} bytes of RAM, static"
    if most:
        told += f"; at most {most:,} are taken at once, by step {step + 1}, {plan.steps[step]}"
    yield "arena", told
    if plan.scores:
        yield "scores", f"{', '.join(plan.scores)}: in the array that the caller gives"


def _end(end: EndTensor) -> str:
    shape = "shape unknown" if end.shape is None else _shape(end.shape)
    text = f"{end.name or 'without a name'}: {shape} {end.dtype}"
    if end.scale is not None:
        text += f", scale {end.scale:.6g}, zero point {end.zero_point}"
    return text


def _shape(shape: tuple[int | None, ...]) -> str:
    return "x".join("n" if size is None else str(size) for size in shape) or "scalar"


def _operator_table(facts: FileFacts) -> list[str]:
    rows = [
        (one.operator, str(one.count), one.dtypes, f"{one.parameters:,}", f"{one.macs:,}")
        for one in facts.operators
    ]
    total = ("all", str(len(facts.layers)), "", f"{facts.parameters:,}", f"{facts.macs:,}")
    return _table(("operator", "count", "dtypes", "parameters", "MACs"), [*rows, total], "lrlrr")


def _layer_table(facts: FileFacts) -> list[str]:
    rows = [
        (
            str(layer.index),
            layer.layer,
            layer.operator,
            layer.options,
            "unknown" if layer.shape is None else _shape(layer.shape),
            "not counted" if layer.macs is None else f"{layer.macs:,}",
            f"{layer.parameters:,}",
            f"{layer.bytes:,}",
        )
        for layer in facts.layers
    ]
    head = ("#", "layer", "operator", "options", "output", "MACs", "parameters", "bytes")
    return _table(head, rows, "rllllrrr")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]
    return [
        "  ".join(
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(row, widths, sides, strict=True)
        ).rstrip()
        for row in (head, *rows)
    ]


def _card_rows(card: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "model", f"{card['title']} ({card['precision']})"
    yield "labels", ", ".join(card["labels"])
    yield "input", _tensor(card["input"])
    yield "output", f"{_tensor(card['output'])}, {card['output']['kind']}"
    background = "dark" if card["preprocessing"]["background"] == 0 else "bright"
    yield "pictures", f"{card['preprocessing']['pixels']}, {background} background"
    accuracy = card.get("accuracy")
    if accuracy:
        if "verdict" in accuracy:
            yield "verdict", printable(str(accuracy["verdict"]), 300)
        yield "accuracy", _accuracy(accuracy["artifact"])
        yield "float", _accuracy(accuracy["float"])
        low, high = accuracy["drop_interval_pp"]
        yield (
            "drop",
            f"{accuracy['drop_pp']:+.2f} points ({low:+.2f} to {high:+.2f}), "
            f"{accuracy['changed']} answers changed",
        )
    reference = card.get("reference")
    if reference:
        if "refuses" in reference:
            yield "distance", f"none: {printable(reference['refuses'], 300)}"
            reference = {}
        for engine, counted in reference.get("distances", {}).items():
            known = {field.name: counted[field.name] for field in fields(Distance)}
            yield "distance", f"{engine} from {reference['engine']}: {Distance(**known).line()}"
    data = card.get("data")
    if data:
        counts = (f"{data['counts'][part]:,} {part}" for part in ("train", "validation", "test"))
        yield "data", f"{data['name']}: {', '.join(counts)}"
    calibration = card.get("calibration")
    if calibration:
        yield "calibration", f"{calibration['count']} training images, seed {calibration['seed']}"
    native = card.get("native")
    if native:
        faster = f", and uses {', '.join(native['faster'])}" if native["faster"] else ""
        yield "runs on", f"{native['target']}: {native['isa']}{faster}"
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
