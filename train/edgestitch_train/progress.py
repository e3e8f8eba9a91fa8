"""What a training says while it runs, on stderr: a bar or a line an epoch, with the time left."""

from __future__ import annotations

import sys
import time

from .duration import duration
from .fitting import Epoch, State, Watch

MODES = ("none", "bar", "lines")
_BAR = 20


def watch(epochs: int, *, done: int, mode: str) -> Watch:
    """A Watch that reports on `epochs` in all, of which `done` were before. `mode` is of MODES.

    The time left is that of the epochs to come, each taken to last as those so far in this
    process; patience may end the training before.
    """
    started = time.monotonic()

    def remaining(finished: float) -> str:
        """`finished` epochs, counted from 0 at the training's begin."""
        if finished <= done:
            return ""
        left = (time.monotonic() - started) / (finished - done) * (epochs - finished)
        return f", {duration(left)} left" if epochs > finished else ""

    def step(epoch: int, share: float, loss: float, accuracy: float) -> None:
        if mode != "bar":
            return
        filled = round(share * _BAR)
        text = (
            f"epoch {epoch}/{epochs} [{'=' * filled}{' ' * (_BAR - filled)}] "
            f"loss {loss:.4f}, {100 * accuracy:.1f} %{remaining(epoch - 1 + share)}"
        )
        print(f"\r{text:<78}", end="", file=sys.stderr, flush=True)

    def epoch(state: State) -> None:
        if mode == "none":
            return
        line: Epoch = state.history[-1]
        text = (
            f"epoch {line.epoch}/{epochs}: loss {line.loss:.4f}, {100 * line.accuracy:.1f} %; "
            f"validation {line.val_loss:.4f}, {100 * line.val_accuracy:.2f} %"
            f"{' (best)' if state.kept_epoch == line.epoch else ''}; "
            f"{line.seconds:.1f} s{remaining(line.epoch)}"
        )
        start = "\r" if mode == "bar" else ""
        print(f"{start}{text:<78}".rstrip(), file=sys.stderr, flush=True)

    return Watch(step=step, epoch=epoch)
