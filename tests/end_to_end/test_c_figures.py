"""The figures of generated C beside those of other tools, and beside what was asked for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compiled_c import c_of, ds112
from edgestitch_export.c_check import check
from edgestitch_runtime.array_files import read_idx

GCC, QEMU = "arm-none-eabi-gcc", "qemu-system-arm"
IMAGES = 60
# Instructions an image, flash in kB, static RAM: gcc 12, -O2, QEMU 7.2, program less the harness.
OTHERS = {
    "mlp": {
        "M4 TFLM, reference kernels": "620,315; 129.8 kB; 3,740 B",
        "M4 TFLM with CMSIS-NN": "200,600; 141.2 kB; 3,804 B",
        "M4 a throw-away trial": "195,897; 104.6 kB; 136 B + 128 stack",
        "M55 TFLM with CMSIS-NN": "97,859",
        "M55 the trial": "58,495",
    },
    "ds112": {
        "M4 TFLM, reference kernels": "38.0 M; 130.8 kB; 38.1 kB",
        "M4 TFLM with CMSIS-NN": "8.31 M; 172.0 kB; 38.1 kB",
        "M4 a throw-away trial": "6.83 M; 69.9 kB; 27.7 kB + 332 stack",
        "M55 TFLM with CMSIS-NN": "2.34 M",
        "M55 the trial": "1.50 M",
    },
}
# Instructions on each core, flash beside the weights, RAM with the stack.
ASKED = {
    "mlp": ({"cortex-m4": 165_000, "cortex-m55": 40_000}, 2_000, 400),
    "ds112": ({"cortex-m4": 6_000_000, "cortex-m55": 1_200_000}, 5_000, 12_500),
}


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which(GCC) and shutil.which(QEMU)), reason=f"{GCC} or {QEMU} is not installed"
)
@pytest.mark.parametrize("model", ["mlp", "ds112"])
def test_the_table_beside_what_is_measured(
    model: str,
    shipped_int8: Callable[[str], Any],
    fashion_mnist: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`make figures` prints it."""
    made = c_of(ds112() if model == "ds112" else shipped_int8(model).path)
    images = read_idx(fashion_mnist / "t10k-images-idx3-ubyte.gz")[0][:IMAGES]
    for name, content in made.c.files.items():
        (tmp_path / name).write_bytes(content)
    source, header = (tmp_path / f"{model}-int8.{suffix}" for suffix in "ch")
    instructions, flash, ram = ASKED[model]
    rows = [f"{what}: {figures}" for what, figures in OTHERS[model].items()]
    kept = []
    for core, most in instructions.items():
        report = check(source, header, core, images_u8=images)
        assert report.ran is not None, report.reason
        beside = report.flash.total - report.flash.weights
        rows.append(
            f"{core}, edgestitch: {report.ran.instructions_mean:,.0f} (asked: {most:,}); "
            f"{report.flash.total:,} B, weights + {beside:,} (asked on M4: {flash:,}); "
            f"{report.ram.arena + report.ram.static:,} B + {report.ram.stack:,} stack "
            f"(asked on M4: {ram:,})"
        )
        kept.append(report.ran.instructions_mean <= most)
        if core == "cortex-m4":
            kept += [beside <= flash, report.ram.total <= ram]
    with capsys.disabled():
        print(f"\n  C of {model}: instructions an image under QEMU; flash; RAM", end="")
        print("".join(f"\n    {row}" for row in rows), end="")
    assert all(kept)
