"""Whether an artifact is this run's: what its card names must be what run.json names."""

from __future__ import annotations

from typing import Any

from edgestitch_runtime.run_folder import Run


def stranger(card: dict[str, Any], run: Run) -> str | None:
    """Why an artifact with this card cannot be compared with the run's float model, or None."""
    data = run.record["data"]
    files = {file["name"]: file["sha256"] for file in data["files"]}
    if card["hashes"]["source_model"] != run.record["model"]["sha256"]:
        what = f"its card names another source model than {run.model_path}"
    elif card["labels"] != data["labels"]:
        what = "its labels are not this run's"
    elif card["data"].get("files") != files:
        what = "its card names other data than this run's"
    else:
        return None
    hint = "take it away, or export the run again with --force"
    return f"not an artifact of this run: {what} (hint: {hint})"
