"""The history of a training as TensorBoard's event files, written while it runs.

TensorBoard itself is only needed to look at them: `pip install tensorboard`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from tensorflow.core.framework.summary_pb2 import SummaryMetadata

from edgestitch_runtime.errors import EdgestitchError

from .fitting import Epoch

SERIES = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")


def log_to(folder: Path) -> Callable[[Epoch], None]:
    """A function that adds an epoch's figures to an event file in `folder`, which is made.

    Both raise EdgestitchError when the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writer = tf.summary.create_file_writer(str(folder))
    except (OSError, tf.errors.OpError) as error:
        raise _not_written(folder, error) from None
    metadata = SummaryMetadata()
    metadata.plugin_data.plugin_name = "scalars"

    def log(epoch: Epoch) -> None:
        try:
            with writer.as_default():
                for name in SERIES:
                    value = tf.constant(float(getattr(epoch, name)), tf.float32)
                    tf.summary.write(name, value, step=epoch.epoch, metadata=metadata)
            writer.flush()
        except tf.errors.OpError as error:
            raise _not_written(folder, error) from None

    return log


def _not_written(folder: Path, error: Exception) -> EdgestitchError:
    return EdgestitchError(
        f"cannot write {folder}: {' '.join(str(error).split())[:200]}",
        hint="--tensorboard names a folder for TensorBoard's files",
    )
