"""Latency, size, memory and accuracy loss of a run's artifacts against its float model.

from edgestitch_benchmarks import bench, write_report
report = bench("runs/mlp")
write_report(report, "runs/mlp/bench")      # report.html, report.md, report.json
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .benchmark import bench as bench
    from .changes import Comparison as Comparison
    from .changes import Limits as Limits
    from .comparison import compare as compare
    from .demo import run_demo as run_demo
    from .reading import Measurements as Measurements
    from .reading import read_measurements as read_measurements
    from .report import Report as Report
    from .report import Row as Row
    from .report import TargetRow as TargetRow
    from .writer import write_report as write_report

__all__ = [
    "Comparison",
    "Limits",
    "Measurements",
    "Report",
    "Row",
    "TargetRow",
    "bench",
    "compare",
    "read_measurements",
    "run_demo",
    "write_report",
]

_HOMES = {
    "Comparison": "changes",
    "Limits": "changes",
    "Measurements": "reading",
    "Report": "report",
    "Row": "report",
    "TargetRow": "report",
    "bench": "benchmark",
    "compare": "comparison",
    "read_measurements": "reading",
    "run_demo": "demo",
    "write_report": "writer",
}


def __getattr__(name: str) -> Any:
    """Imports on first use: numpy and the plotting library load only when a report is made."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
