"""Whether the processes of a measurement fit, said before they are started."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgestitch_benchmarks import memory_need
from edgestitch_benchmarks.memory_need import (
    KERAS_MB,
    OTHER_MB,
    TENSORFLOW_MB,
    available_mb,
    memory_warning,
)
from edgestitch_runtime.rounds import Subject


def test_what_does_not_fit_is_said_with_both_numbers_and_nothing_else_is(
    fake_subject: Callable[..., Subject],
) -> None:
    keras, other = replace(fake_subject("a"), format="keras"), fake_subject("b")
    absent = replace(keras, command=None, status="absent")
    rows = [keras] * 9 + [other] * 12 + [absent] * 3
    need_mb = 9 * KERAS_MB + 12 * OTHER_MB + TENSORFLOW_MB
    told = memory_warning(rows, available_mb=need_mb - 1000)
    assert told and "21 processes live at once, 9 of them with TensorFlow" in told
    assert f"{need_mb / 1000:.1f} GB" in told and f"{need_mb / 1000 - 1:.1f} GB are free" in told
    assert memory_warning(rows, available_mb=need_mb) is None
    assert memory_warning(rows, available_mb=None) is None


@pytest.mark.parametrize(
    ("most", "left"), [("max\n", 2000 * 1.024), ("900000000\n", 830.0), ("", 2000 * 1.024)]
)
def test_what_is_free_is_that_of_the_machine_or_of_the_container_if_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: str, left: float
) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    2000000 kB\n", "ascii")
    (tmp_path / "memory.max").write_text(most, "ascii")
    (tmp_path / "memory.current").write_text("100000000\n", "ascii")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 30000000\nslab 2\n", "ascii")
    monkeypatch.setattr(memory_need, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory_need, "_GROUP", tmp_path)
    assert available_mb() == pytest.approx(left)
    monkeypatch.setattr(memory_need, "_MEMINFO", tmp_path / "none")
    monkeypatch.setattr(memory_need, "_GROUP", tmp_path / "none")
    assert available_mb() is None
