"""The faults planted in what reads, compares and judges reports."""

from __future__ import annotations

from .mutant import Mutant, faults_in

COMPARE: list[Mutant] = [
    *faults_in(
        "runtime/comparing",
        "runtime/test_comparing",
        (
            "two processes are taken to be alike",
            "(difference,), (PROCESS_SPREAD, PROCESS_SPREAD))",
            "(difference,), ())",
        ),
        (
            "the time of a measurement is taken to change nothing",
            "(PROCESS_SPREAD, PROCESS_SPREAD, TIME_SPREAD, TIME_SPREAD)",
            "(PROCESS_SPREAD, PROCESS_SPREAD)",
        ),
        ("few blocks get the normal quantile", "freedom < len(_T95) + 1", "False"),
        (
            "blocks that are alike count in full",
            "return min(max(found + (1 + 3 * found) / len(values), 0.0), _MOST_LIKENESS)",
            "return 0.0",
        ),
        (
            "the bootstrap's variance is not put right",
            "math.sqrt(count / (count - 1) * (1",
            "math.sqrt(1 * (1",
        ),
        ("an interval that touches 1 is slower", "self.low > 1", "self.high > 1"),
        (
            "blocks are not paired",
            "difference = _middle(_paired(first_p50, second_p50))",
            "difference = _middle(_logarithms(first_p50) - _logarithms(sorted(second_p50)))",
        ),
        (
            "the growth of an overhead is upside down",
            "_middle(_paired(*new)), _middle(_paired(*old))",
            "_middle(_paired(*old)), _middle(_paired(*new))",
        ),
    ),
    *faults_in(
        "benchmarks/report_shape",
        "benchmarks/test_reading",
        ("control characters are let through", "UNPRINTABLE.search(value):", "False:"),
        ("flips are more than changes", "flips[0] + flips[1] > flips[2]", "False"),
        ("huge numbers are let through", "not -_HUGE <= value <= _HUGE", "False"),
    ),
    *faults_in(
        "benchmarks/reading",
        "benchmarks/test_reading",
        ("a newer schema is read", "if schema > MEASUREMENT_SCHEMA:", "if False:"),
        ("rows that are one are read", "if twice:", "if False:"),
        ("a large file is read", "if size > _MOST_BYTES:", "if False:"),
        ("a profile may tell what nobody checked", 'if kind == "profile":', "if False:"),
    ),
    *faults_in(
        "benchmarks/comparison",
        "benchmarks/test_compare",
        (
            "every ratio beyond the limit is a regression",
            "change.verdict == SLOWER and change.ratio > 1 + limit",
            "change.ratio > 1 + limit",
        ),
        (
            "every slower row is a regression",
            "change.verdict == SLOWER and change.ratio > 1 + limit",
            "change.verdict == SLOWER",
        ),
        (
            "latency is judged between machines",
            "if limits.slower is not None and same_machine and",
            "if limits.slower is not None and",
        ),
        (
            "new and old change places",
            "new.block_p50, old.block_p50)",
            "old.block_p50, new.block_p50)",
        ),
        (
            "accuracy that rose is a fall",
            "-change.change_pp > limit_pp",
            "abs(change.change_pp) > limit_pp",
        ),
        (
            "a guard without anything to judge passes",
            "all(row.overhead is None for row in found.rows)",
            "False",
        ),
        (
            "a row that broke is no regression",
            "if old.status == OK and new.status == FAILED:",
            "if False:",
        ),
        (
            "accuracy on other images is judged",
            "elif _test_data(old, before) != _test_data(new, after):",
            "elif False:",
        ),
        (
            "the float models of two runs are one",
            'row.format == "keras" or short(row) in shared',
            "short(row) in shared",
        ),
        (
            "what nobody judged has no regression",
            "if found.judged and not any(found.judged.values()):",
            "if False:",
        ),
    ),
    *faults_in(
        "benchmarks/machine_changes",
        "benchmarks/test_compare",
        ("another kernel is another machine", 'os.rpartition(", ")[0] or os', "os"),
    ),
    *faults_in(
        "benchmarks/cli_compare",
        "benchmarks/test_compare",
        ("a regression ends with 0", "return 0 if found.passed else 1", "return 0"),
        ("a percentage is a share", "float(number[1]) / 100", "float(number[1])"),
    ),
    *faults_in(
        "benchmarks/comparison_text",
        "benchmarks/test_compare",
        ("caveats of both sides are told", "if one not in (*other.caveats, ", "if one not in ("),
        (
            "what got worse is not counted",
            'if worse else f"no regression',
            'if False else f"no regression',
        ),
    ),
    *faults_in(
        "benchmarks/report_shape",
        "benchmarks/test_reading",
        ("a machine may be told twice", "if len(set(labels)) < len(labels):", "if False:"),
        ("a machine need not be told", 'row["machine"] not in labels:', "False:"),
    ),
    *faults_in(
        "benchmarks/comparison",
        "benchmarks/test_compare",
        (
            "what never ran is missed",
            "for row in missing if row.status == OK)",
            "for row in missing)",
        ),
    ),
]
