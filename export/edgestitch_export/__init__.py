"""Exports a Keras classifier of small grayscale images to quantized TFLite and ONNX.

from edgestitch_export import export
exported = export("runs/mlp", format="tflite", precision="int8")
print(exported.path, exported.agreement.drop_pp)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .exporting import Exported as Exported
    from .exporting import export as export

__all__ = ["Exported", "export"]


def __getattr__(name: str) -> Any:
    """Imports on first use: TensorFlow takes seconds."""
    if name in __all__:
        from edgestitch_runtime.engines import decline_telemetry

        decline_telemetry()  # before anything imports onnxruntime
        from . import exporting

        return getattr(exporting, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
