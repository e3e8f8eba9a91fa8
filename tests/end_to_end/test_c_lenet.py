"""LeNet-5 as C on emulated Arm cores: convolutions whose inputs fill no whole words or vectors."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from compiled_c import Made, c_of, reference_scores
from edgestitch_export import export
from edgestitch_export.c_check_emulated import run_on_core
from edgestitch_runtime.array_files import read_idx

MINI = Path(__file__).parents[2] / "train/edgestitch_train/fashion_mnist_mini"
pytestmark = pytest.mark.skipif(
    not (shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm")),
    reason="arm-none-eabi-gcc or qemu-system-arm is not installed",
)


@pytest.fixture(scope="module")
def lenet(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Sums of 5x5x1, 5x5x6 = 150, 3x3x3 = 27 and 5 products; trained for an epoch on the sample."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((28, 28)),
            layers.Reshape((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(6, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(3, 5, activation="relu", strides=2),
            layers.Conv2D(5, 3, padding="same"),
            layers.Conv2D(7, 1, activation="relu"),
            layers.Flatten(),
            layers.Dense(21, activation="relu"),
            layers.Dense(10),
        ]
    )
    images = read_idx(MINI / "train-images-idx3-ubyte.gz")[0]
    truth = read_idx(MINI / "train-labels-idx1-ubyte.gz")[0]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss)
    model.fit(images.astype(np.float32), truth, batch_size=64, epochs=2, verbose=0)  # pyright: ignore[reportArgumentType]
    folder = tmp_path_factory.mktemp("lenet")
    model.save(folder / "lenet.keras")
    made = export(folder / "lenet.keras", format="tflite", precision="int8", data=MINI, out=folder)
    return c_of(made.path)


@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m4", "cortex-m55"])
def test_odd_sizes_are_answered_as_the_reference_does(
    lenet: Made, core: str, fashion_mnist: Path, tmp_path: Path
) -> None:
    images = read_idx(fashion_mnist / "t10k-images-idx3-ubyte.gz")[0][:12]
    for name, content in lenet.c.files.items():
        (tmp_path / name).write_bytes(content)
    source, header = (tmp_path / f"{lenet.name}-int8.{suffix}" for suffix in "ch")
    scores, _ = run_on_core(source, header, core, images)
    np.testing.assert_array_equal(scores, reference_scores(lenet.path, images))
