"""The history of a training as a file."""

from __future__ import annotations

import csv
import io
from typing import Any


def history_csv(history: list[dict[str, Any]]) -> str:
    """run.json's history as CSV, a line an epoch."""
    out = io.StringIO()
    writer = csv.DictWriter(out, history[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return out.getvalue()
