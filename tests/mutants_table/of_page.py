"""The faults planted in what a report says and in its page."""

from __future__ import annotations

from .mutant import Mutant, faults_in

PAGE: list[Mutant] = [
    *faults_in(
        "benchmarks/columns",
        "benchmarks/test_report",
        (
            "a ratio's interval is turned around",
            "(1 / against.value, 1 / against.high, 1 / against.low)",
            "(1 / against.value, 1 / against.low, 1 / against.high)",
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
        ("a file that differs is recommended", "if row.selftest != DIFFERS and", "if"),
        (
            "a file that differs makes the sentence",
            "here = [row for row in here if row.selftest != DIFFERS]",
            "pass",
        ),
    ),
    *faults_in(
        "benchmarks/accuracy_ties",
        "benchmarks/test_answer",
        (
            "flips of two artifacts are the same images",
            "only_row, only_other = own[1] + others[0],",
            "only_row, only_other = max(own[1], others[0]),",
        ),
        (
            "flips that nobody counted are none",
            'return (0, 0) if row.format == "keras" else None',
            "return (0, 0)",
        ),
    ),
    *faults_in(
        "benchmarks/draw_front",
        "benchmarks/test_page",
        ("a slower row is on the front", "key=lambda r: (_p50(r),", "key=lambda r: (-_p50(r),"),
        ("a file that differs is on the front", " and r.selftest != DIFFERS]", "]"),
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
        (
            "a page may be of any size",
            'if len(page.encode(errors="backslashreplace")) <= MOST_BYTES:',
            "if True:",
        ),
    ),
]
