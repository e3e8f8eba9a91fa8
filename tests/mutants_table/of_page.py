"""The faults planted in what a report says and in its page."""

from __future__ import annotations

from .mutant import Mutant, faults_in

PAGE: list[Mutant] = [
    *faults_in(
        "benchmarks/columns",
        "benchmarks/test_report",
        (
            "a ratio's interval is turned around",
            "(against.value, against.high, against.low)",
            "(against.value, against.low, against.high)",
        ),
    ),
    *faults_in(
        "benchmarks/answer",
        "benchmarks/test_answer",
        (
            "a loss that chance explains is told as one",
            '    if low > 0:\n        return f"loses',
            '    if low > -1:\n        return f"loses',
        ),
        ("a slower artifact is called faster", "ratio.verdict == FASTER:", "ratio.value:"),
        (
            "what cannot be told apart is no tie",
            "if ratio is None or ratio.verdict != FASTER",
            "if ratio is None",
        ),
        ("a file that differs is recommended", 'row.selftest != "differs"', 'row.selftest != ""'),
    ),
    *faults_in(
        "benchmarks/accuracy_ties",
        "benchmarks/test_answer",
        (
            "flips of two artifacts are the same images",
            "(row.flips_won or 0) + (other.flips_lost or 0)",
            "max((row.flips_won or 0), (other.flips_lost or 0))",
        ),
    ),
    *faults_in(
        "benchmarks/draw_front",
        "benchmarks/test_page",
        ("a slower row is on the front", "key=lambda r: (_p50(r),", "key=lambda r: (-_p50(r),"),
    ),
    *faults_in(
        "benchmarks/page_matrices",
        "benchmarks/test_page",
        ("the difference is of the wrong sign", "[n - m for n, m", "[m - n for n, m"),
    ),
    *faults_in(
        "benchmarks/drawing",
        "benchmarks/test_page",
        (
            "figures have the ids of all that was drawn",
            'names.setdefault(held, f"{key}-{len(names) + 1}")',
            "held",
        ),
    ),
    *faults_in(
        "benchmarks/page",
        "benchmarks/test_page",
        ("data can end its script", 'for character in "<>&', 'for character in "&'),
        ("a page may be of any size", "if len(page.encode()) <= MOST_BYTES:", "if True:"),
    ),
]
