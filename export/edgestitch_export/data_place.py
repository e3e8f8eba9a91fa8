"""The data that a user names for a model that lies in no run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgestitch_runtime.dataset import Dataset, has_idx_files, places, read_dataset
from edgestitch_runtime.picture_folder import class_folders


def named_data(
    data: Path,
    *,
    size: tuple[int, int],
    background: int,
    labels: tuple[str, ...] | None = None,
    naming: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Dataset:
    """The data set at `data`, or of that name in one of the known places.

    Pictures alone are scaled to `size`, and their classes ordered as `labels` are; `naming`: they
    are the names of the classes of other data too. Raises EdgestitchError when it cannot be read.
    """
    place = data
    if not data.exists() and data.parent == Path():
        place = next((p for p in places(data.name) if has_idx_files(p)), data)
    pictures = place.is_dir() and not has_idx_files(place) and bool(class_folders(place))
    return read_dataset(
        place,
        labels=labels if pictures or naming else None,
        size=size if pictures else None,
        background=background,
        say=say,
    )
