"""The one exception that a user's own mistake, or the machine's, raises."""

from __future__ import annotations


class EdgestitchError(Exception):
    """What could not be done as asked: one line, and a line that says what to do next.

    `message` names what failed, the value and what was expected; `hint` says what to do.
    The command line prints both and ends with `exit_code`: 2 when it could not run as asked,
    1 when it ran and the answer is no.
    """

    def __init__(self, message: str, *, hint: str = "", exit_code: int = 2) -> None:
        super().__init__(message)
        self.message = " ".join(message.split())
        self.hint = " ".join(hint.split())
        self.exit_code = exit_code


def os_error(action: str, error: OSError) -> EdgestitchError:
    """An OSError in one line; `action` says what was tried: 'write runs/mlp/run.json'."""
    reason = error.strerror or str(error)
    hints = {
        "No space left on device": "free some disk space, or name a folder on another disk",
        "Permission denied": "choose a place that you may use, or change its permissions",
        "Read-only file system": "choose a place that you may write",
        "No such file or directory": "check the spelling; paths are taken from the current folder",
        "Is a directory": "name a file, not a folder",
    }
    return EdgestitchError(
        f"cannot {action}: {reason[:1].lower()}{reason[1:]}",
        hint=hints.get(reason, "look at the path and the disk, then try again"),
    )


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: clean up as after Ctrl-C, and end with exit code 143."""
