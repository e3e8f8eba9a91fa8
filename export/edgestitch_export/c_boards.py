"""Common boards with what a model may use of them: program memory, and RAM in one piece.

Sizes are the vendors', in KiB of 1024 bytes; each board names the document they stand in. Where a
chip has several blocks of RAM that do not adjoin, `ram_kib` is the largest, since a static arena
lies in one. What a boot loader or a radio's software takes is not subtracted.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """`core` is a name of c_target.CORES, `source` the document, `note` what the sizes are of."""

    name: str
    title: str
    core: str
    flash_kib: int
    ram_kib: int
    source: str
    note: str = ""

    @property
    def flash_bytes(self) -> int:
        return 1024 * self.flash_kib

    @property
    def ram_bytes(self) -> int:
        return 1024 * self.ram_kib


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A board, and what a model leaves of it in bytes: negative where it is too large."""

    board: str
    title: str
    core: str
    flash_bytes: int
    ram_bytes: int
    flash_left: int
    ram_left: int
    note: str

    @property
    def fits(self) -> bool:
        return self.flash_left >= 0 and self.ram_left >= 0

    def line(self) -> str:
        """fits, leaves 421.2 kB of flash and 97.1 kB of RAM; or by how much it does not."""
        if self.fits:
            return f"fits, leaves {_kb(self.flash_left)} of flash and {_kb(self.ram_left)} of RAM"
        lacking = [
            f"{_kb(-left)} of {what} too little"
            for what, left in (("flash", self.flash_left), ("RAM", self.ram_left))
            if left < 0
        ]
        return f"does not fit: {' and '.join(lacking)}"


def fit(board: Board, *, flash_bytes: int, ram_bytes: int) -> Fit:
    """What a model that takes `flash_bytes` and `ram_bytes` leaves of `board`."""
    return Fit(
        board=board.name,
        title=board.title,
        core=board.core,
        flash_bytes=board.flash_bytes,
        ram_bytes=board.ram_bytes,
        flash_left=board.flash_bytes - flash_bytes,
        ram_left=board.ram_bytes - ram_bytes,
        note=board.note,
    )


def boards_of(core: str) -> list[Board]:
    """The boards with this core, the one with the least flash first."""
    return sorted(
        (one for one in BOARDS.values() if one.core == core),
        key=lambda one: (one.flash_kib, one.ram_kib, one.name),
    )


def _kb(count: int) -> str:
    return f"{count / 1000:,.1f} kB" if count >= 1000 else f"{count} bytes"


BOARDS = {
    board.name: board
    for board in (
        Board(
            name="nucleo-f030r8",
            title="ST Nucleo-F030R8 (STM32F030R8)",
            core="cortex-m0",
            flash_kib=64,
            ram_kib=8,
            source="ST DS9773, STM32F030x4/x6/x8/xC",
        ),
        Board(
            name="microbit",
            title="BBC micro:bit v1 (nRF51822)",
            core="cortex-m0",
            flash_kib=256,
            ram_kib=16,
            source="Nordic nRF51822 Product Specification; Micro:bit Foundation, Hardware 1.5",
        ),
        Board(
            name="arduino-zero",
            title="Arduino Zero (SAMD21G18, M0+)",
            core="cortex-m0",
            flash_kib=256,
            ram_kib=32,
            source="Microchip DS40001882, SAM D21/DA1 Family",
        ),
        Board(
            name="pico",
            title="Raspberry Pi Pico (RP2040, M0+)",
            core="cortex-m0",
            flash_kib=2048,
            ram_kib=264,
            source="Raspberry Pi, Pico Datasheet and RP2040 Datasheet",
            note="flash is the board's own chip",
        ),
        Board(
            name="nucleo-f103rb",
            title="ST Nucleo-F103RB (STM32F103RB)",
            core="cortex-m3",
            flash_kib=128,
            ram_kib=20,
            source="ST DS5319, STM32F103x8/xB",
        ),
        Board(
            name="arduino-due",
            title="Arduino Due (SAM3X8E)",
            core="cortex-m3",
            flash_kib=512,
            ram_kib=96,
            source="Microchip DS11057, SAM3X/SAM3A Series",
        ),
        Board(
            name="arduino-uno-r4",
            title="Arduino Uno R4 (RA4M1)",
            core="cortex-m4",
            flash_kib=256,
            ram_kib=32,
            source="Renesas R01DS0355, RA4M1 Group; Arduino ABX00080",
        ),
        Board(
            name="nucleo-l432kc",
            title="ST Nucleo-L432KC (STM32L432KC)",
            core="cortex-m4",
            flash_kib=256,
            ram_kib=64,
            source="ST DS11451, STM32L432KB/KC",
        ),
        Board(
            name="nucleo-f401re",
            title="ST Nucleo-F401RE (STM32F401RE)",
            core="cortex-m4",
            flash_kib=512,
            ram_kib=96,
            source="ST DS10086, STM32F401xD/xE",
        ),
        Board(
            name="microbit-v2",
            title="BBC micro:bit v2 (nRF52833)",
            core="cortex-m4",
            flash_kib=512,
            ram_kib=128,
            source="Nordic nRF52833 Product Specification; Micro:bit Foundation, Hardware 2",
        ),
        Board(
            name="arduino-nano-33-ble",
            title="Arduino Nano 33 BLE (nRF52840)",
            core="cortex-m4",
            flash_kib=1024,
            ram_kib=256,
            source="Arduino ABX00030; Nordic nRF52840 Product Specification",
        ),
        Board(
            name="nrf52840-dk",
            title="Nordic nRF52840 DK",
            core="cortex-m4",
            flash_kib=1024,
            ram_kib=256,
            source="Nordic nRF52840 Product Specification",
        ),
        Board(
            name="nucleo-f746zg",
            title="ST Nucleo-F746ZG (STM32F746ZG)",
            core="cortex-m7",
            flash_kib=1024,
            ram_kib=320,
            source="ST DS10916, STM32F745xx/F746xx",
        ),
        Board(
            name="nucleo-h743zi",
            title="ST Nucleo-H743ZI (STM32H743ZI)",
            core="cortex-m7",
            flash_kib=2048,
            ram_kib=512,
            source="ST DS12110, STM32H742xI/G and STM32H743xI/G",
            note="RAM is the AXI SRAM alone",
        ),
        Board(
            name="teensy-4.1",
            title="PJRC Teensy 4.1 (i.MX RT1062)",
            core="cortex-m7",
            flash_kib=7936,
            ram_kib=512,
            source="PJRC, Teensy 4.1; NXP IMXRT1060CEC",
            note="flash is the board's own chip; RAM is RAM2 alone",
        ),
        Board(
            name="nrf5340-dk",
            title="Nordic nRF5340 DK (application core)",
            core="cortex-m33",
            flash_kib=1024,
            ram_kib=512,
            source="Nordic nRF5340 Product Specification",
        ),
        Board(
            name="nucleo-u575zi-q",
            title="ST Nucleo-U575ZI-Q (STM32U575ZI)",
            core="cortex-m33",
            flash_kib=2048,
            ram_kib=768,
            source="ST DS13737, STM32U575xx",
            note="RAM is SRAM1 to SRAM3",
        ),
        Board(
            name="pico2",
            title="Raspberry Pi Pico 2 (RP2350, Arm cores)",
            core="cortex-m33",
            flash_kib=4096,
            ram_kib=520,
            source="Raspberry Pi, Pico 2 Datasheet and RP2350 Datasheet",
            note="flash is the board's own chip",
        ),
        Board(
            name="mps3-an547",
            title="Arm MPS3 with AN547 (Corstone SSE-300)",
            core="cortex-m55",
            flash_kib=2048,
            ram_kib=512,
            source="Arm DAI 0547, Application Note AN547",
            note="an FPGA: its 2 MiB of SRAM stand for flash, RAM is the DTCM",
        ),
        Board(
            name="alif-e7",
            title="Alif Ensemble E7 (M55-HP)",
            core="cortex-m55",
            flash_kib=5632,
            ram_kib=1024,
            source="Alif Semiconductor, Ensemble E7 Datasheet",
            note="flash is the MRAM, RAM is the DTCM",
        ),
        Board(
            name="esp32-c3",
            title="Espressif ESP32-C3-DevKitM-1",
            core="riscv32",
            flash_kib=4096,
            ram_kib=400,
            source="Espressif, ESP32-C3 Series Datasheet and ESP32-C3-MINI-1 Datasheet",
            note="flash is the module's own chip; 16 KiB of the RAM are its cache",
        ),
    )
}
