"""The faults planted in the runtime's measuring and in `profile`."""

from __future__ import annotations

from .mutant import faults_in

MEASURING = [
    *faults_in(
        "runtime/timing",
        "runtime/test_timing",
        ("p99 is the 95th percentile", "(50, 90, 99)", "(50, 90, 95)"),
        ("latency in nanoseconds", "(50, 90, 99)) / 1000", "(50, 90, 99))"),
        ("the collector stays on", "    gc.disable()\n", "    pass\n"),
        (
            "a warm-up ends before calls are as long as those before",
            "(stable and waited >= seconds)",
            "(waited >= seconds)",
        ),
        (
            "a warm-up of unsteady calls never ends",
            "or waited >= max(patience, seconds)",
            "or waited >= 1000",
        ),
        (
            "what the clock costs is put on top",
            "samples_ns - round(cost_ns)",
            "samples_ns + round(cost_ns)",
        ),
    ),
    *faults_in(
        "runtime/histogram",
        "runtime/test_histogram",
        ("a value is off by a hundredth", "_KEPT_BITS = 10", "_KEPT_BITS = 6"),
        ("values are rounded down", "(samples + ((1 << shift) >> 1))", "samples"),
        ("percentiles are off by a call", 'k, side="right"', 'k, side="left"'),
    ),
    *faults_in(
        "runtime/measured_row",
        "runtime/test_rounds runtime/test_failing_rows",
        (
            "a file that changed meanwhile keeps its numbers",
            'was changed {when}", kept=False)',
            'was changed {when}", kept=True)',
        ),
        (
            "a process that was asked to end has failed for ever",
            "noted=not failure.passing",
            "noted=True",
        ),
        (
            "a slow device gets no more time",
            "self._patience_s + self._work_s(do, arguments)",
            "self._patience_s",
        ),
        ("a file that cannot be read was deleted", "noted=gone", "noted=True"),
        (
            "a failed row is tried again",
            '            self._setting.journal.put(f"{self._number} failed", self._failed)\n',
            "            pass\n",
        ),
        (
            "a later process has the cold start",
            '            if self._held("open") is None:\n                self._keep',
            "            if True:\n                self._keep",
        ),
        (
            "a process that is started again times no images",
            "if prepared and not self._prepared:",
            "if False:",
        ),
        (
            "a row that broke has a latency",
            "        if row.status == OK:\n",
            "        if self.kinds:\n",
        ),
    ),
    *faults_in(
        "runtime/rounds",
        "runtime/test_rounds runtime/test_failing_rows",
        (
            "the blocks of a row follow each other",
            "                with steps.watching(row), row.failing():\n"
            "                    row.block(number)\n",
            "                with steps.watching(row), row.failing():\n"
            "                    for k in range(effort.blocks):\n"
            "                        row.block(k)\n",
        ),
        (
            "a row that failed before its turn is started again",
            "        if row.measurable:\n            with steps.watching(row), row.failing(), "
            "steps.timing(steps.answers):",
            "        if True:\n            with steps.watching(row), row.failing(), "
            "steps.timing(steps.answers):",
        ),
        ("workers outlive an interrupt", "stack.callback(row.close)", "stack.callback(len, '')"),
    ),
    *faults_in(
        "runtime/worker_process",
        "runtime/test_worker_process runtime/test_rounds runtime/test_failing_rows",
        ("a block without its calls is taken", 'sum(counts) != answer["runs"]', "False"),
        ("a killed process has failed for ever", ', "SIGKILL")', ")"),
        (
            "an engine writes to the terminal",
            'printable(" ".join(str(text).split()), _MOST_TEXT)',
            '" ".join(str(text).split())',
        ),
        ("an ended worker is not waited for", "        self._process.wait()\n", "        return\n"),
    ),
    *faults_in(
        "runtime/other_load",
        "runtime/test_caveats",
        (
            "a machine's own work is other load",
            " - (after.own_s - before.own_s)",
            "",
        ),
        ("idle time is load", "user + nice + system", "user + nice + system + system"),
    ),
    *faults_in(
        "runtime/caveats",
        "runtime/test_caveats",
        ("heat is never told", "> MOST_C:", "> 1000:"),
        ("stolen time is never told", "load.stolen > MOST_STOLEN", "load.stolen > 1"),
    ),
    *faults_in(
        "runtime/machine",
        "runtime/test_machine",
        ("the coolest part is told", "return max((value for", "return min((value for"),
        ("a boost that is on is off", "else off == 0", "else off != 0"),
    ),
    *faults_in(
        "runtime/cli_profile",
        "runtime/test_profile_file runtime/test_profile",
        ("--json eats an artifact", '    if path.suffix != ".json":', "    if False:"),
        (
            "a profile is overwritten without a word",
            "if path.exists() and not args.force:",
            "if False:",
        ),
        (
            "the file is not tried before measuring",
            "        tempfile.TemporaryFile(dir=parent).close()\n",
            "",
        ),
        ("a failed row is a success", "return 0 if result.whole else 1", "return 0"),
    ),
    *faults_in(
        "runtime/measuring",
        "runtime/test_profile",
        (
            "the first row is beside the others",
            "interleaved_ratio(latency.block_p50, first.latency_us.block_p50)",
            "interleaved_ratio(first.latency_us.block_p50, latency.block_p50)",
        ),
    ),
    *faults_in(
        "runtime/worker",
        "runtime/test_worker",
        ("what an engine prints reaches the protocol", "        os.dup2(2, 1)\n", ""),
        (
            "a refusal is told as a success",
            '{"ok": False, **refused, "exit_code"',
            '{"ok": True, **refused, "exit_code"',
        ),
        ("probabilities are scores", "subject.probabilities(scores))", "scores)"),
        ("memory is all that is held", "peak - _BORN_RSS_MB", "peak"),
    ),
    *faults_in(
        "runtime/worker",
        "runtime/test_worker",
        ("one image goes in as a batch", "        if batch > 1:\n", "        if True:\n"),
    ),
    *faults_in(
        "runtime/measured_row",
        "benchmarks/test_measure",
        ("NaN is an answer", "if np.isnan(array).any():", "if False:"),
        ("any shape is an answer", "array.ndim == 2 and len(array) == n", "len(array) == n"),
    ),
    *faults_in(
        "runtime/measuring",
        "runtime/test_selftest",
        ("a self-test that differs is a success", " and one.selftest != DIFFERS", ""),
    ),
    *faults_in(
        "runtime/machine",
        "runtime/test_machine",
        ("processors of one name are one", "return name if any(", "return name if True or any("),
        ("what tells nothing is no virtual machine", "board.strip() or (cpuinfo and ", "True or ("),
    ),
    *faults_in(
        "runtime/resident",
        "runtime/test_worker runtime/test_machine",
        ("the parent's memory is the worker's", 'if sys.platform == "linux":', "if False:"),
    ),
]
