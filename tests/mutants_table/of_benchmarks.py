"""The faults planted in benchmarks."""

from __future__ import annotations

from .mutant import Mutant, faults_in

BENCHMARKS: list[Mutant] = [
    *faults_in(
        "benchmarks/measure",
        "benchmarks/test_measure",
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
        (
            "every run is compared with the float model of the first",
            "truth, floats.get(plan.run)",
            "truth, next(iter(floats.values()), None)",
        ),
    ),
    *faults_in(
        "runtime/measured_row",
        "benchmarks/test_measure",
        (
            "images a second are a thousandth",
            "images_per_s=1e6 /",
            "images_per_s=1e3 /",
        ),
    ),
    *faults_in(
        "benchmarks/against",
        "benchmarks/test_measure",
        (
            "a ratio is upside down",
            "interleaved_ratio(row.latency_us.block_p50, baseline.latency_us.block_p50)",
            "interleaved_ratio(baseline.latency_us.block_p50, row.latency_us.block_p50)",
        ),
        ("the baseline is that of any run", "row.run == run and row.status", "row.status"),
    ),
    *faults_in(
        "benchmarks/details",
        "benchmarks/test_details",
        ("flips are in the order of the images", "(images, -surest, np", "(-surest, images, np"),
        ("won flips come first", "np.where(won, 1, 2), 0)", "np.where(won, -1, 2), 0)"),
        (
            "a bin of the reliability curve holds its lower edge",
            'confidence, side="left")',
            'confidence, side="right")',
        ),
        (
            "confusion is turned around",
            "truth * shape[1] + row",
            "row.answers * shape[1] + 0 * row",
        ),
    ),
    *faults_in(
        "benchmarks/journal",
        "benchmarks/test_journal",
        (
            "what a full disk cut stays in the file",
            "                    self._file.truncate(self._end)\n                raise",
            "                    pass\n                raise",
        ),
        (
            "a torn line is gone on after",
            "self._file.truncate(self._end)\n            else:",
            "pass\n            else:",
        ),
        (
            "any journal is gone on from",
            "if lines and other is None and not fresh:",
            "if lines and not fresh:",
        ),
        ("an unfinished measurement is thrown away", "if holds and not fresh:", "if False:"),
        (
            "files of others are taken away",
            "if _OF_WORKERS.fullmatch(path.name) and path.is_file():",
            "if path.name != FILE and path.is_file():",
        ),
        ("a sitting that finds nothing counts", "        if self._found:\n", "        if True:\n"),
        (
            "what waited is not written later",
            "            except BaseException:\n",
            "            except BaseException:\n                del self._waiting[0]\n",
        ),
        ("two may use one folder", "fcntl.LOCK_EX | fcntl.LOCK_NB", "fcntl.LOCK_SH"),
    ),
    *faults_in(
        "benchmarks/added",
        "benchmarks/test_several_runs",
        (
            "a device that was not tested has an accuracy",
            "row.selftest != IDENTICAL",
            "row.selftest == 5",
        ),
        (
            "accuracy is that of any engine",
            "one for one in same if one.engine == row.engine",
            "one for one in same",
        ),
        ("files that are not known are joined", "if row.sha256 not in hashes:", "if False:"),
        ("a file counts twice", "elif (row.sha256, row.engine) in rows:", "elif False:"),
    ),
    *faults_in(
        "benchmarks/sizes_by_part",
        "benchmarks/test_sizes_by_part",
        (
            "base64 is taken for its bytes",
            "4 * ((len(artifact.golden) + 2) // 3)",
            "len(artifact.golden)",
        ),
        ("an entry is counted without its header", "end - entry.header_offset", "entry.file_size"),
    ),
    *faults_in(
        "benchmarks/chosen_runs",
        "benchmarks/test_chosen_runs",
        (
            "runs on other test images are compared",
            "_TEST_FILES = FILES[2:]",
            "_TEST_FILES = FILES[3:]",
        ),
        (
            "a run is measured twice",
            "once.setdefault(folder.resolve(), folder)",
            "once[folder] = folder",
        ),
    ),
    *faults_in(
        "benchmarks/doubts",
        "benchmarks/test_doubts",
        (
            "rows elsewhere count for this machine",
            "r.latency_us and r.machine is None",
            "r.latency_us",
        ),
        ("a faster end is no drift", "not 1 - DRIFT <= change <=", "not change <="),
    ),
    *faults_in(
        "benchmarks/columns",
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
    *faults_in(
        "benchmarks/memory_need",
        "benchmarks/test_memory_need",
        ("every row holds TensorFlow", "OTHER_MB * (len(alive) - keras)", "KERAS_MB * len(alive)"),
        ("the container does not count", "return min(known)", "return max(known)"),
        ("files in memory are not free", "int(now) + unused", "int(now)"),
    ),
    *faults_in(
        "benchmarks/journal",
        "benchmarks/test_journal",
        ("any file is a journal", "if not _is_ours(content):", "if False:"),
    ),
    *faults_in(
        "benchmarks/benchmark",
        "benchmarks/test_plans benchmarks/test_several_runs",
        ("a stranger's graph is the run's", "wanted and subject.status != FAILED", "wanted"),
        ("a stranger's device row is the run's", "if plan.subject.status != FAILED]", "]"),
    ),
    *faults_in(
        "benchmarks/chosen_runs",
        "benchmarks/test_chosen_runs",
        ("names keep what turns a line", "decode(), text)", "decode(), text)[:0] + text"),
    ),
    *faults_in(
        "benchmarks/target_table",
        "benchmarks/test_targets",
        ("boards have nothing to sort by", "cell=cell, value=value)", "cell=cell)"),
    ),
]
