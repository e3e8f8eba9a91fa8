"""Inspects one model file: its card, what its bytes hold, what may surprise. Needs no engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .card import Artifact, model_bytes, read_artifact
from .engine_versions import LeastVersion, least_for_onnx, least_for_tflite
from .errors import EdgestitchError
from .file_facts import FileFacts, facts_of
from .file_graph import FileGraph, printable
from .file_warnings import per_channel_dense, warnings_of
from .memory_drawing import MemoryPlan, memory_plan
from .onnx_facts import onnx_installed, read_onnx_graph
from .tflite_graph import read_tflite_graph

INSPECTION_SCHEMA = 1
# Why what a file holds is not read, and what to do, by its format.
UNREAD = {
    "onnx": (
        "what an ONNX file holds is read with the onnx package, which is not installed here",
        "pip install onnx",
    ),
    "c": (
        "the layers of C stand in the file itself, as comments",
        "edgestitch inspect lists and draws those of the .tflite that it was made of",
    ),
    "native": (
        "what a shared library holds is machine code, which is not read",
        "edgestitch inspect reads the .tflite that it was made of",
    ),
}
_MANY_TIES = 0.01  # of the images


@dataclass(frozen=True, slots=True, kw_only=True)
class Ties:
    """For how many of `n` images more than one class had the highest score, on `engine`."""

    tied: int
    n: int
    engine: str
    engine_version: str
    images: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What one file says of itself and holds. `facts` is None where it cannot be read here.

    `memory` is the plan of the arena, of C; else None.
    """

    path: Path
    format: str
    bytes: int
    weights_sha256: str
    card: dict[str, Any] | None
    facts: FileFacts | None
    ties: Ties | None
    warnings: tuple[str, ...]
    graph: FileGraph | None = field(repr=False)
    memory: MemoryPlan | None = field(default=None, repr=False)

    def svg(self) -> str:
        """The graph, or of C the plan of its memory, as an SVG, which fits a page of A4.

        Raises EdgestitchError when the file could not be read here, or has too many operators.
        """
        if self.memory is not None:
            from .memory_svg import memory_svg_of

            return memory_svg_of(self.memory, title=printable(self.path.name))
        if self.graph is None or self.facts is None:
            raise self.unread()
        from .graph_svg import svg_of

        return svg_of(self.graph, self.facts, title=printable(self.path.name))

    def unread(self) -> EdgestitchError:
        """What to say where `facts` are asked for and are not there."""
        why, hint = UNREAD[self.format]
        return EdgestitchError(f"{self.path}: {why}", hint=hint)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, schema 1."""
        ties = self.ties
        return {
            "schema": INSPECTION_SCHEMA,
            "file": str(self.path),
            "format": self.format,
            "bytes": self.bytes,
            "weights_sha256": self.weights_sha256,
            "card": self.card,
            "facts": None if self.facts is None else self.facts.to_json(),
            "ties": None
            if ties is None
            else {
                "tied": ties.tied,
                "n": ties.n,
                "engine": ties.engine,
                "engine_version": ties.engine_version,
                "images": ties.images,
            },
            "warnings": list(self.warnings),
        }


def inspect_artifact(path: str | Path, *, data: str | Path | None = None) -> Inspection:
    """Inspects an artifact; a .tflite or .onnx file may be one that edgestitch did not write.

    With `data`, a data set (a folder or an .npz file), its test images are classified on the first
    engine that runs the file, and ties at the top are counted. Raises EdgestitchError when the
    file is missing, damaged or altered, or when `data` or an engine for it cannot be used.
    """
    artifact = read_artifact(path)
    graph, facts = _facts(artifact)
    warnings = []
    if graph is not None and facts is not None:
        warnings = warnings_of(graph, facts, artifact)
    ties = None if data is None else count_ties(artifact, Path(data))
    if ties is not None and ties.tied >= _MANY_TIES * ties.n:
        warnings.append(
            f"the output is tied at the top for {ties.tied:,} of {ties.n:,} images: "
            "the lowest class is the answer then"
        )
    return Inspection(
        path=artifact.path,
        format=artifact.format,
        bytes=len(artifact.content),
        weights_sha256=artifact.weights_sha256,
        card=artifact.card,
        facts=facts,
        ties=ties,
        warnings=tuple(warnings),
        graph=graph,
        memory=None
        if artifact.format != "c" or artifact.card is None
        else memory_plan(str(artifact.path), artifact.card["memory"]),
    )


def least_versions(artifact: Artifact) -> tuple[LeastVersion, ...]:
    """The least engine versions that run the file, from its operators or its operator set.

    Empty for C and what is compiled, and for an ONNX file where the onnx package is not installed.
    Raises EdgestitchError when the file is damaged.
    """
    _, facts = _facts(artifact)
    return () if facts is None else facts.least_versions


def count_ties(artifact: Artifact, data: Path) -> Ties:
    """Classifies the test images of the data set at `data` and counts those tied at the top."""
    from .classifier import Classifier
    from .dataset import read_dataset
    from .native_output import quiet_native_output

    with quiet_native_output():  # an engine says which delegate it made
        opened = Classifier.open(artifact.path)
    with opened as classifier:
        ground = 0 if artifact.card is None else artifact.card["preprocessing"]["background"]
        dataset = read_dataset(data, size=classifier.shape, background=ground)
        scores = classifier.scores(dataset.test.images_u8)
        top = scores.max(axis=1, keepdims=True)
        return Ties(
            tied=int(((scores == top).sum(axis=1) > 1).sum()),
            n=len(scores),
            engine=classifier.engine,
            engine_version=classifier.engine_version,
            images=f"test images of {data.name}",
        )


def _facts(artifact: Artifact) -> tuple[FileGraph | None, FileFacts | None]:
    if artifact.format in ("c", "native"):
        return None, None
    name = str(artifact.path)
    own = len(model_bytes(artifact.format, artifact.content))
    recorded = ""
    least: tuple[LeastVersion, ...]
    if artifact.format == "tflite":
        graph, recorded = read_tflite_graph(artifact.content, name)
        least = least_for_tflite(
            ((operator.name, operator.version) for operator in graph.operators),
            per_channel_dense=bool(per_channel_dense(graph)),
        )
    elif onnx_installed():
        graph, asked = read_onnx_graph(artifact.content, name)
        least = (least_for_onnx(asked.opset, asked.ir_version, asked.domains),)
    else:
        return None, None
    return graph, facts_of(
        graph,
        model_bytes=own,
        card_bytes=len(artifact.content) - own,
        least_versions=least,
        recorded_version=printable(recorded),
    )
