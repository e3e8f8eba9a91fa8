"""The table of boards: what it says of each, and whether a model fits."""

from __future__ import annotations

import pytest

from edgestitch_export.c_boards import BOARDS, boards_of, fit
from edgestitch_export.c_target import CORES, look_up_target
from edgestitch_runtime.errors import EdgestitchError


def test_every_board_has_a_core_that_can_be_checked_and_names_its_document() -> None:
    assert {board.core for board in BOARDS.values()} == set(CORES)
    for name, board in BOARDS.items():
        assert name == board.name == name.lower() and name not in CORES
        assert board.source and board.title
        assert board.flash_kib >= board.ram_kib / 2 and 8 <= board.ram_kib <= 1024
    assert sorted(one for core in CORES for one in (b.name for b in boards_of(core))) == sorted(
        BOARDS
    )


def test_boards_come_smallest_flash_first() -> None:
    sizes = [board.flash_kib for board in boards_of("cortex-m4")]
    assert sizes == sorted(sizes) and len(sizes) > 2


@pytest.mark.parametrize(
    ("board", "flash", "ram", "core"),
    [  # from the first page of each datasheet
        ("nucleo-f401re", 512 * 1024, 96 * 1024, "cortex-m4"),
        ("nucleo-f030r8", 64 * 1024, 8 * 1024, "cortex-m0"),
        ("microbit", 256 * 1024, 16 * 1024, "cortex-m0"),
        ("pico2", 4 << 20, 520 * 1024, "cortex-m33"),
    ],
)
def test_known_boards_have_the_sizes_of_their_datasheets(
    board: str, flash: int, ram: int, core: str
) -> None:
    found = BOARDS[board]
    assert (found.flash_bytes, found.ram_bytes, found.core) == (flash, ram, core)


def test_what_is_left_is_told_to_the_byte() -> None:
    board = BOARDS["nucleo-f030r8"]
    exact = fit(board, flash_bytes=64 * 1024, ram_bytes=8 * 1024)
    assert exact.fits and (exact.flash_left, exact.ram_left) == (0, 0)
    assert exact.line() == "fits, leaves 0 bytes of flash and 0 bytes of RAM"
    over = fit(board, flash_bytes=64 * 1024 + 1, ram_bytes=8 * 1024 + 2500)
    assert not over.fits
    assert over.line() == ("does not fit: 1 bytes of flash too little and 2.5 kB of RAM too little")
    only_ram = fit(board, flash_bytes=0, ram_bytes=8 * 1024 + 40)
    assert not only_ram.fits
    assert only_ram.line() == "does not fit: 40 bytes of RAM too little"


@pytest.mark.parametrize("target", ["cortex-m4", "M4", " m4 "])
def test_a_core_is_found_by_its_short_name(target: str) -> None:
    assert look_up_target(target) == (CORES["cortex-m4"], None)


def test_a_board_brings_its_core() -> None:
    core, board = look_up_target("PICO")
    assert core is CORES["cortex-m0"] and board is BOARDS["pico"]


@pytest.mark.parametrize("target", ["", "m5", "cortex-a53", "riscv64"])
def test_another_name_is_refused_with_the_names_there_are(target: str) -> None:
    with pytest.raises(EdgestitchError, match="no core or board is named") as refusal:
        look_up_target(target)
    assert all(name in refusal.value.hint for name in (*CORES, *BOARDS))
