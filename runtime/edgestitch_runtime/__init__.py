"""Classifies small grayscale images with an artifact that edgestitch exported.

from edgestitch_runtime import Classifier
classifier = Classifier.open("mlp-int8.tflite")
result = classifier.classify(image)     # (28, 28) uint8
print(result.label, result.confidence)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .classifier import Classifier as Classifier
    from .classifier import Result as Result
    from .errors import EdgestitchError as EdgestitchError
    from .inspecting import Inspection as Inspection
    from .inspecting import inspect_artifact as inspect_artifact

__all__ = ["Classifier", "EdgestitchError", "Inspection", "Result", "inspect_artifact"]


def __getattr__(name: str) -> Any:
    """Imports on first use, so that `edgestitch --help` does not wait for numpy."""
    if name in ("Classifier", "Result"):
        from . import classifier

        return getattr(classifier, name)
    if name in ("Inspection", "inspect_artifact"):
        from . import inspecting

        return getattr(inspecting, name)
    if name == "EdgestitchError":
        from .errors import EdgestitchError

        return EdgestitchError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
