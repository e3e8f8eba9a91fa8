"""Makes the bundled sample fashion-mnist-mini out of Fashion-MNIST; the same bytes every time.

    python train/make_mini.py [FOLDER] [--to FOLDER]

FOLDER holds Fashion-MNIST's four IDX files; without it the usual places are searched.
"""

from __future__ import annotations

import argparse
import gzip
import io
import struct
from pathlib import Path

import numpy as np

from edgestitch_runtime.dataset import FASHION_LABELS, Part
from edgestitch_train.acquisition import acquire

TARGET = Path(__file__).parent / "edgestitch_train" / "fashion_mnist_mini"
SEED = 2017  # the year of Fashion-MNIST; any number would do
PER_CLASS = {"train": 600, "t10k": 100}


def make_mini(source: Path | None) -> dict[str, bytes]:
    """The sample's data files, name to content. Raises EdgestitchError without the full data."""
    dataset = acquire("fashion-mnist", folder=source)
    generator = np.random.default_rng(SEED)
    files = {}
    for prefix, part in (("train", dataset.train), ("t10k", dataset.test)):
        chosen = choose(part, per_class=PER_CLASS[prefix], generator=generator)
        images, classes = part.images_u8[chosen], part.labels[chosen].astype(np.uint8)
        files[f"{prefix}-images-idx3-ubyte.gz"] = idx_gz(images)
        files[f"{prefix}-labels-idx1-ubyte.gz"] = idx_gz(classes)
    files["labels.txt"] = "".join(f"{label}\n" for label in FASHION_LABELS).encode()
    return files


def choose(part: Part, *, per_class: int, generator: np.random.Generator) -> np.ndarray:
    """Indices (n,) int64 of `per_class` images of each class, in the order of the source."""
    return np.sort(
        np.concatenate(
            [
                generator.permutation(np.flatnonzero(part.labels == c))[:per_class]
                for c in np.unique(part.labels)
            ]
        )
    )


def idx_gz(array_u8: np.ndarray) -> bytes:
    """`array_u8` as a gzipped IDX file that carries no time and no name."""
    header = bytes([0, 0, 8, array_u8.ndim]) + struct.pack(f">{array_u8.ndim}I", *array_u8.shape)
    stream = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=stream, mtime=0) as file:
        file.write(header + array_u8.tobytes())
    return stream.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", nargs="?", type=Path, metavar="FOLDER")
    parser.add_argument("--to", type=Path, default=TARGET, metavar="FOLDER")
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    for name, content in make_mini(arguments.source).items():
        (arguments.to / name).write_bytes(content)
        print(f"{arguments.to / name}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
