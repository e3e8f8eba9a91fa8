"""Trains the models that ship and writes train/edgestitch_train/pretrained/: `make pretrained`.

    python train/make_pretrained.py [--to FOLDER] [--keep FOLDER] [MODEL ...]

Each is trained on Fashion-MNIST with seed 0 by the command that its run.json names, and exported
to int8 TFLite for the size that `edgestitch train --list` shows. On the same machine with the
versions of requirements.lock, and from the same data, the weights are the same to the byte. Takes
about 40 minutes on two cores; with --keep the runs stay in FOLDER, and one cut off is resumed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from edgestitch_train.checkpoint import path_of
from edgestitch_train.models import ARCHITECTURES
from edgestitch_train.shipped import FILES, FOLDER, SIZES


def make_pretrained(models: list[str], target: Path, work: Path) -> None:
    """Writes `target`/MODEL/model.keras and run.json of each model, and int8_bytes.json.

    The commands run in the folder `work`, so that no path gets into a run.
    """
    sizes_path = target / SIZES.name
    sizes = json.loads(sizes_path.read_text()) if sizes_path.is_file() else {}
    for model in models:
        run = Path("runs") / model
        if not (work / run / "run.json").is_file():
            resume = ["--resume"] if path_of(work / run).is_file() else []
            edgestitch(work, "train", "--model", model, "--seed", "0", *resume)
        edgestitch(work, "export", str(run), "--format", "tflite", "--int8")
        (target / model).mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (target / model / name).write_bytes((work / run / name).read_bytes())
        sizes[model] = (work / run / "export" / f"{model}-int8.tflite").stat().st_size
    in_order = {model: sizes[model] for model in ARCHITECTURES if model in sizes}
    sizes_path.write_text(json.dumps(in_order, indent=2) + "\n", encoding="utf-8")


def edgestitch(folder: Path, *words: str) -> None:
    start = "import sys; from edgestitch_runtime.cli import main; sys.exit(main())"
    subprocess.run([sys.executable, "-c", start, *words], cwd=folder, check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Trains the models that ship.")
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(ARCHITECTURES))
    parser.add_argument("--to", type=Path, default=FOLDER, metavar="FOLDER")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="work there, leave the runs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        make_pretrained(
            arguments.models or list(ARCHITECTURES), arguments.to, arguments.keep or Path(scratch)
        )
