"""How much memory this process holds. Imports next to nothing, so that an empty Python can ask."""

from __future__ import annotations

import sys


def peak_rss_mb() -> float | None:
    """The most memory (10**6 bytes) that this process had resident so far; None if not told.

    On Linux only VmHWM tells: `getrusage` there also counts the process that started this one,
    since its peak survives the exec. Where /proc lacks it, as in some sandboxes, nothing is told.
    """
    try:
        with open("/proc/self/status", "rb") as stream:  # noqa: PTH123  (pathlib is an import)
            for line in stream:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    if sys.platform == "linux":
        return None
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6
