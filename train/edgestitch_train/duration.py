"""A span of time as a person says it."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """`seconds` in the two largest units: 1 h 5 min, 7 min 30 s, 12 s."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
