"""A whole session at the command line in one folder, and what is refused across commands."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgestitch_runtime.dataset import FILES, read_idx, read_idx_folder

TRAIN = ("train", "--dataset", "fashion-mnist-mini", "--epochs", "1")
INT8 = ("--format", "tflite", "--int8")
NOISE = ("WARNING", "INFO", "I0000", "W0000", "E0000", "Traceback", "DeprecationWarning")
Done = subprocess.CompletedProcess[str]
Refuse = Callable[..., str]


def listing(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` by name, hidden ones included, with its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Refuse:
    """`refused` in this process, in tmp_path: TensorFlow is loaded once for all of these."""
    from edgestitch_runtime.cli import main

    monkeypatch.chdir(tmp_path)

    def check(*words: str | Path) -> str:
        capfd.readouterr()
        code = main(list(map(str, words)))
        out, err = capfd.readouterr()
        assert (code, out) == (2, ""), err
        assert "Traceback" not in err
        *_, line, hint = err.splitlines()
        assert line.startswith("edgestitch: ")
        assert hint.startswith("hint: ")
        return f"{line}\n{hint}"

    return check


@pytest.fixture(scope="module")
def session(
    cli: Callable[..., Done], mini_test: tuple, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Done]]:
    """train, export, classify, inspect, profile, bench in one folder; what each one printed."""
    folder = tmp_path_factory.mktemp("session")
    images, labels = mini_test
    position = int(np.flatnonzero(labels == 9)[0])
    Image.fromarray(images[position]).save(folder / "boot.png")
    commands = {
        "train": (*TRAIN, "--json"),
        "export": ("export", *INT8, "--json"),
        "classify": ("classify", "boot.png", "--top", "3", "--json"),
        "inspect": ("inspect", "runs/mlp/export/mlp-int8.tflite", "--json"),
        "profile": (
            *("profile", "runs/mlp/export/mlp-int8.tflite"),
            *("--min-seconds", "0.1", "--json"),
        ),
        "bench": ("bench", "--quick", "--min-seconds", "0.05", "--json"),
    }
    done = {}
    for name, words in commands.items():
        done[name] = cli(*words, cwd=folder)
        assert done[name].returncode == 0, f"{name}: {done[name].stderr}"
    return folder, done


@pytest.fixture(scope="module")
def told(session: tuple[Path, dict[str, Done]]) -> dict:
    """The JSON that each command of the session printed: nothing else was on stdout."""
    return {name: json.loads(done.stdout) for name, done in session[1].items()}


def test_stderr_is_progress_and_no_librarys_log(session: tuple[Path, dict[str, Done]]) -> None:
    for name, done in session[1].items():
        noisy = [x for x in done.stderr.splitlines() if x.lstrip().startswith(NOISE)]
        assert not noisy, name
    assert "; validation " in session[1]["train"].stderr
    assert "exporting tflite at int8 ..." in session[1]["export"].stderr


def test_a_folder_holds_what_the_session_made_and_nothing_temporary(
    session: tuple[Path, dict[str, Done]],
) -> None:
    folder, _ = session
    run = {"model.keras", "run.json", "history.csv", "learning_curves.png", "dataset.png"}
    run |= {"predictions.png", "confusion.png", "mistakes.png"}
    reports = {"report.html", "report.md", "report.json"}
    assert set(listing(folder)) == {
        "boot.png",
        *(f"runs/mlp/{name}" for name in run),
        "runs/mlp/export/mlp-int8.tflite",
        *(f"runs/mlp/bench/{name}" for name in reports),
    }


def test_the_commands_tell_one_story_of_the_artifact(
    session: tuple[Path, dict[str, Done]], told: dict
) -> None:
    (exported,) = told["export"]
    card = told["inspect"]["card"]
    assert card["accuracy"]["artifact"]["n"] == exported["agreement"]["n"] == 1000
    assert card["accuracy"]["float"]["correct"] == told["train"]["test_correct"]
    assert card["hashes"]["source_model"] == told["train"]["model_sha256"]
    assert card["hashes"]["weights"] == told["inspect"]["weights_sha256"]
    (profiled,) = told["profile"]["rows"]
    assert profiled["sha256"] == exported["sha256"] and profiled["engine"] == "litert"
    rows = {(r["artifact"], r["engine"]): r for r in told["bench"]["rows"]}
    row = rows["mlp-int8.tflite", "litert"]
    assert row["sha256"] == exported["sha256"]
    assert row["bytes"] == exported["bytes"] == told["inspect"]["bytes"]
    assert round(row["accuracy"] * row["n"]) == exported["agreement"]["artifact_correct"]
    assert row["drop_pp"] == pytest.approx(exported["agreement"]["drop_pp"])
    assert (row["flips_lost"], row["flips_won"]) == (
        exported["agreement"]["lost"],
        exported["agreement"]["won"],
    )
    written = json.loads((session[0] / "runs/mlp/bench/report.json").read_text())
    assert written == told["bench"]


def test_the_picture_of_a_real_boot_is_classified_from_its_file(told: dict) -> None:
    answer = told["classify"]
    assert answer["file"] == "boot.png"
    assert answer["label"] in ("Ankle boot", "Sneaker", "Sandal")  # one epoch knows it is footwear
    assert len(answer["top"]) == 3
    assert answer["top"][0]["label"] == answer["label"]
    assert answer["confidence"] == answer["top"][0]["probability"]
    assert sum(x["probability"] for x in answer["top"]) <= 1.00001


@pytest.mark.parametrize(
    "command", ["train", "export", "classify", "inspect", "profile", "selftest", "bench"]
)
def test_help_reads_as_a_page_and_needs_no_run(
    command: str, cli: Callable[..., Done], tmp_path: Path
) -> None:
    page = cli(command, "--help", cwd=tmp_path)
    assert page.returncode == 0
    assert page.stderr == ""
    assert page.stdout.startswith(f"usage: edgestitch {command}")
    assert max(map(len, page.stdout.splitlines())) <= 100


def test_without_a_run_every_command_says_how_to_make_one(refuse: Refuse, tmp_path: Path) -> None:
    for words in (("export", *INT8), ("bench",), ("classify", "boot.png")):
        assert "edgestitch train" in refuse(*words)
    assert listing(tmp_path) == {}


def test_other_data_than_the_runs_is_refused_by_export_and_bench(
    refuse: Refuse, own_run: Path, tmp_path: Path
) -> None:
    found = json.loads((own_run / "run.json").read_text())["data"]["folder"]
    other = tmp_path / "other"
    other.mkdir()
    for name in FILES:
        array, _ = read_idx(Path(found) / f"{name}.gz")
        header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        changed = array ^ 1 if name == "t10k-images-idx3-ubyte" else array
        (other / f"{name}.gz").write_bytes(gzip.compress(header + changed.tobytes(), 1))
    assert len(read_idx_folder(other).test.labels) == 1000  # whole, and still not the run's
    before = listing(own_run)
    for words in (("export", *INT8, "--force"), ("bench", "--force")):
        line = refuse(*words, "--data", other)
        assert "not the data of this run: t10k-images-idx3-ubyte differ" in line
    assert listing(own_run) == before


def test_a_run_that_exists_is_refused_before_any_training(
    refuse: Refuse, own_run: Path, tmp_path: Path
) -> None:
    before = listing(tmp_path)
    assert "runs/mlp exists" in refuse("train", "--dataset", "fashion-mnist-mini")
    assert listing(tmp_path) == before


def test_an_artifact_that_differs_is_refused_and_force_overwrites_it(
    cli: Callable[..., Done], refuse: Refuse, own_run: Path, tmp_path: Path
) -> None:
    target = own_run / "export" / "mlp-int8.tflite"
    made = target.read_bytes()
    target.write_bytes(b"mine")
    assert "exists and differs" in refuse("export", *INT8)
    assert target.read_bytes() == b"mine"
    forced = cli("export", *INT8, "--force", cwd=tmp_path)
    assert forced.returncode == 0, forced.stderr
    assert target.read_bytes() == made
    again = cli("export", *INT8, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "unchanged" in again.stdout


def test_a_changed_model_is_not_exported_as_the_runs(refuse: Refuse, own_run: Path) -> None:
    with zipfile.ZipFile(own_run / "model.keras", "a") as archive:
        archive.comment = b"changed"  # Keras still reads the file
    line = refuse("export", *INT8, "--name", "new")
    assert "is not the model that run.json describes" in line
    assert not (own_run / "export" / "new-int8.tflite").exists()


INTERRUPTED = {
    "export": (("export", *INT8, "--force"), "exporting tflite at int8 ..."),
    "bench": (("bench", "--quick"), "timing round 1 of"),
}


# Of bench it is slow: test_bench interrupts one too, and looks for its workers and its files.
@pytest.mark.parametrize("command", ["export", pytest.param("bench", marks=pytest.mark.slow)])
def test_ctrl_c_ends_with_130_and_leaves_whole_files_and_no_process(
    command: str, own_run: Path, tmp_path: Path
) -> None:
    words, moment = INTERRUPTED[command]
    for path in (own_run / "export").iterdir():
        if path.name != "mlp-int8.tflite":
            path.unlink()
    before = listing(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "edgestitch_runtime", *words],
        cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        seen = ""
        for line in process.stderr:
            seen += line
            if moment in line:
                process.send_signal(signal.SIGINT)
                break
        _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, seen + rest
    assert "Traceback" not in rest
    assert "interrupted" in rest
    assert started_with(f"TMPDIR={scratch}") == []
    assert list(scratch.iterdir()) == []
    scratch.rmdir()
    unfinished = own_run / "bench" / "unfinished"  # what was measured, for the next `bench`
    assert (command == "bench") == (unfinished / "journal.jsonl").is_file()
    shutil.rmtree(own_run / "bench", ignore_errors=True)
    assert listing(tmp_path) == before  # the same bytes again, or what was there


def started_with(variable: str) -> list[str]:
    """The processes that have this environment variable, on Linux."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if variable.encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_text())
    return found


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    subprocess.run(["mount", *options, folder], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True, capture_output=True)


def may_mount(folder: Path) -> bool:
    """Whether this test may mount: root in a machine of its own, as CI is."""
    folder.mkdir()
    try:
        with mounted(folder, "-t", "tmpfs", "-o", "size=64k", "none"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        folder.rmdir()


@pytest.mark.parametrize("words", [("export", *INT8), ("bench", "--force")], ids=lambda w: w[0])
def test_a_full_disk_is_one_line_and_leaves_nothing(
    words: tuple[str, ...], refuse: Refuse, own_run: Path, tmp_path: Path
) -> None:
    """The run lies on a disk with 20 kB left: a real one where this test may mount one."""
    for path in (own_run / "export").iterdir():
        if path.name != "mlp-int8.onnx":
            path.unlink()
    before = listing(own_run)
    if may_mount(tmp_path / "try"):
        aside = tmp_path / "aside"
        own_run.rename(aside)
        own_run.mkdir()
        size = sum(-(-len(x) // 4096) * 4096 for x in before.values()) + 20480
        with mounted(own_run, "-t", "tmpfs", "-o", f"size={size}", "none"):
            shutil.copytree(aside, own_run, dirs_exist_ok=True)
            line = refuse(*words)
            assert listing(own_run) == before
        assert "no space left on device" in line
        assert "free some disk space" in line
    else:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20480, hard))
        try:
            line = refuse(*words)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, kept)
        assert "file too large" in line
        assert listing(own_run) == before


@pytest.mark.parametrize(
    "words",
    [(*TRAIN, "--name", "other"), ("export", *INT8), ("bench", "--quick")],
    ids=lambda w: w[0],
)
def test_a_place_that_may_not_be_written_is_one_line_and_leaves_nothing(
    words: tuple[str, ...], refuse: Refuse, own_run: Path, tmp_path: Path
) -> None:
    (own_run / "export" / "mlp-int8.tflite").unlink()
    before = listing(tmp_path)
    runs = tmp_path / "runs"
    if os.geteuid():
        folders = [runs, own_run, own_run / "export"]
        for folder in folders:
            folder.chmod(0o555)
        line = refuse(*words)
        for folder in folders:
            folder.chmod(0o755)
        assert "permission denied" in line
    else:  # root may write where others may not, but not on a read-only mount
        with mounted(runs, "--bind", "-o", "ro", str(runs)):
            line = refuse(*words)
        assert "read-only file system" in line
    assert listing(tmp_path) == before


def test_a_reader_that_leaves_early_is_no_error(own_run: Path, tmp_path: Path) -> None:
    words = ("inspect", "--json", str(own_run / "export" / "mlp-int8.onnx"))
    with subprocess.Popen(
        [sys.executable, "-m", "edgestitch_runtime", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 0
