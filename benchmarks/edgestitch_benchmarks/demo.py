"""The demo: the whole chain as the commands a person would type, each shown before it runs."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgestitch_runtime.dataset import (
    FASHION_SHA256,
    find_recorded,
    has_idx_files,
    places,
    read_idx_folder,
)
from edgestitch_runtime.errors import EdgestitchError, Terminated
from edgestitch_runtime.run_folder import Run, read_run
from edgestitch_runtime.writing import write_file

from .writer import probe_folder

NAME = "mlp-demo"
REAL, SAMPLE = "fashion-mnist", "fashion-mnist-mini"
MARK = "demo.txt"  # in a run that a demo made, and only there: what a demo may replace
_MARK_TEXT = "`edgestitch demo` made this run and replaces it when it runs again.\n"
_SAMPLE_NOTICE = """
!! The real Fashion-MNIST could not be had (see above). The demo goes on with {sample}, a sample of
!! the real data that is installed with edgestitch. Its accuracy is NOT that of the full data set.
"""
_QUICK_EPOCHS = 3
_TERMINATED = 143  # how a command ends after SIGTERM or SIGHUP
_GRACE_S = 20  # for a command to clean up after SIGTERM before it is killed

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What a demo left behind: its run, and the files worth looking at, all there."""

    run: Run
    look_at: tuple[Path, ...]
    try_next: tuple[str, ...]
    seconds: float


class StepFailed(EdgestitchError):
    """One command of the chain ended with another code than 0; it has said why itself."""


def run_demo(
    *, dataset: str | None = None, runs: Path = Path("runs"), quick: bool = False, say: Say
) -> Demo:
    """Trains, exports, classifies and benchmarks in the folder `runs`; each step is a command.

    `dataset` None is the real Fashion-MNIST, and the bundled sample where that cannot be had.
    `quick` trains three epochs and times few runs. `say` gets what is told between the steps.
    Raises EdgestitchError when a run of that name is there that no demo made, the place of the run
    cannot be written, or a step fails.
    """
    started = time.monotonic()
    folder = runs / NAME
    if folder.exists() and not (folder / MARK).is_file():
        raise EdgestitchError(
            f"{folder} exists and was not made by a demo, which would replace it",
            hint="rename that folder, or run it elsewhere: edgestitch demo --runs FOLDER",
        )
    probe_folder(next(p for p in (runs, *runs.absolute().parents) if p.exists()))
    _train(folder, dataset=dataset, quick=quick, say=say)
    run = read_run(folder)
    _step(("export", str(folder), "--all"), "Export it in every format and precision", say)
    images = _write_images(run)
    int8 = folder / "export" / f"{NAME}-int8.tflite"
    _step(
        ("classify", str(images), "--model", str(int8), "--top", "2"),
        "Classify test images with the slim runtime; each file is named after what it shows",
        say,
    )
    _step(
        ("bench", str(folder), *(("--quick",) if quick else ())),
        "Measure what each artifact costs and gains against the float model",
        say,
    )
    return Demo(
        run=run,
        look_at=(*sorted(folder.glob("*.png")), run.bench_folder / "report.html"),
        try_next=(
            shlex.join(["edgestitch", "inspect", str(int8)]),
            shlex.join(["edgestitch", "profile", str(int8)]),
            shlex.join(["edgestitch", "train", "--dropout", "0.2", "--name", "mlp-dropout"]),
        ),
        seconds=time.monotonic() - started,
    )


def _train(folder: Path, *, dataset: str | None, quick: bool, say: Say) -> None:
    words = ["train", "--model", "mlp", "--name", NAME, "--runs", str(folder.parent)]
    words += ["--epochs", str(_QUICK_EPOCHS)] if quick else []
    words += ["--force"] if folder.exists() else []
    try:
        try:
            _step([*words, "--dataset", dataset or REAL], "Train the float model", say)
        except StepFailed as failure:
            if dataset is not None or failure.exit_code != 2 or _real_data_is_here():
                raise
            say(_SAMPLE_NOTICE.format(sample=SAMPLE))
            _step([*words, "--dataset", SAMPLE], "Train the float model on the sample", say)
    finally:
        if folder.is_dir():  # an interrupted training leaves a run too
            write_file(folder / MARK, _MARK_TEXT.encode(), overwrite=True)


def _real_data_is_here() -> bool:
    """Whether this machine has Fashion-MNIST: then a training failed for want of something else."""
    for place in filter(has_idx_files, places(REAL)):
        with contextlib.suppress(EdgestitchError):
            found = read_idx_folder(place, name=REAL)
            if {file.name: file.sha256 for file in found.files} == FASHION_SHA256:
                return True
    return False


def _step(words: Sequence[str], what: str, say: Say) -> None:
    say(f"\n# {what}\n$ {shlex.join(['edgestitch', *words])}")
    code = _run([sys.executable, "-P", "-m", "edgestitch_runtime", *words])
    if code == 130:
        raise KeyboardInterrupt
    if code == _TERMINATED:
        raise Terminated
    if code != 0:
        raise StepFailed(
            f"the demo stopped: `edgestitch {words[0]}` ended with code {code}",
            hint="what it said stands above",
            exit_code=code if code in (1, 2) else 2,
        )


def _run(command: Sequence[str]) -> int:
    """Runs a command to its end. After Ctrl-C it may finish what it does; a second one ends it.

    SIGTERM is passed on, and the command may clean up.
    """
    with subprocess.Popen(command) as process:
        interrupted = False
        while True:
            try:
                code = process.wait()
                break
            except Terminated:
                _end(process)
                raise
            except KeyboardInterrupt:
                if interrupted:
                    process.kill()
                elif not os.isatty(0):  # from a terminal, the command got Ctrl-C itself
                    process.send_signal(signal.SIGINT)
                interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    return code


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=_GRACE_S)
    finally:  # also when a second SIGTERM comes meanwhile
        process.kill()


def _write_images(run: Run) -> Path:
    """The first test image of every class as a PNG named after its class; returns their folder."""
    from PIL import Image

    dataset = find_recorded(run.record["data"])
    folder = run.folder / "demo-images"
    for index, label in enumerate(dataset.labels):
        of_class = dataset.test.images_u8[dataset.test.labels == index]
        if len(of_class):
            name = "".join(c if c.isalnum() else "-" for c in label.lower())
            png = io.BytesIO()
            Image.fromarray(of_class[0]).save(png, format="PNG")
            write_file(folder / f"{name}.png", png.getvalue(), overwrite=True)
    return folder
