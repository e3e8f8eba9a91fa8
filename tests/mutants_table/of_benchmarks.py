"""The faults planted in benchmarks."""

from __future__ import annotations

from .mutant import Mutant, faults_in

BENCHMARKS: list[Mutant] = [
    *faults_in(
        "benchmarks/measure",
        "benchmarks/test_measure benchmarks/test_mutants_benchmarks",
        (
            "the report's lost counts the won",
            "flips_lost=agreement.lost",
            "flips_lost=agreement.won",
        ),
        (
            "the report's drop has the wrong sign",
            "drop_pp=agreement.drop_pp",
            "drop_pp=-agreement.drop_pp",
        ),
        ("images a second are a thousandth", "images_per_s=1e6 /", "images_per_s=1e3 /"),
        (
            "rows are timed one after another",
            "for block in range(effort.blocks):",
            "for block in range(1):",
        ),
    ),
    *faults_in(
        "benchmarks/table",
        "benchmarks/test_report",
        ("shares are shown as percent", "{100 * share:.2f}", "{share:.2f}"),
        ("kB are KiB", "count / 1000:,.1f", "count / 1024:,.1f"),
    ),
    *faults_in(
        "benchmarks/writer",
        "benchmarks/test_bench",
        (
            "an existing report is measured again",
            "if (folder / name).exists():",
            "if False:",
        ),
    ),
    *faults_in(
        "benchmarks/plans",
        "benchmarks/test_plans",
        ("a damaged artifact is run", "        if damage is not None:\n", "        if False:\n"),
    ),
]
