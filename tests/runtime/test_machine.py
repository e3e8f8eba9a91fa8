"""The machine's description: told where the system tells, never a failure where it does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgestitch_runtime import machine

PEAK = "from edgestitch_runtime.resident import peak_rss_mb; print(peak_rss_mb())"


def test_the_description_agrees_with_what_the_system_says_elsewhere() -> None:
    told = machine.describe()
    assert told.cores == len(os.sched_getaffinity(0))
    assert told.python == ".".join(map(str, sys.version_info[:3]))
    pages = int(subprocess.check_output(["getconf", "_PHYS_PAGES"]))
    page = int(subprocess.check_output(["getconf", "PAGE_SIZE"]))
    assert told.memory_mb == pytest.approx(pages * page / 1e6, abs=1)
    assert json.loads(json.dumps(told.to_json()))["cpu"] == told.cpu
    assert told.cpu in told.line() and f"Python {told.python}" in told.line()


def test_a_system_that_tells_nothing_is_described_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "_text", lambda path: "")
    monkeypatch.setattr(machine.platform, "processor", lambda: "")
    monkeypatch.setattr(machine.platform, "system", lambda: "")
    for name in ("sched_getaffinity", "sysconf", "getloadavg"):
        monkeypatch.delattr(machine.os, name)
    told = machine.describe()
    assert (told.cpu, told.memory_mb, told.virtual, told.governor, told.load_1m) == (
        "unknown CPU",
        None,
        None,
        None,
        None,
    )
    assert told.cores >= 1 and "governor not told" in told.line()


@pytest.mark.parametrize(
    ("cpuinfo", "cpu"),
    [
        ("processor\t: 0\nmodel name\t: Some CPU 3000\n", "Some CPU 3000"),
        ("processor\t: 0\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 4\n", "Raspberry Pi 4"),
    ],
)
def test_the_cpu_is_named_as_cpuinfo_names_it(
    monkeypatch: pytest.MonkeyPatch, cpuinfo: str, cpu: str
) -> None:
    monkeypatch.setattr(machine, "_text", lambda path: cpuinfo if "cpuinfo" in path else "")
    assert machine.describe().cpu == cpu


def test_a_hypervisor_flag_means_a_virtual_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for flags, virtual in (("fpu hypervisor lm", True), ("fpu lm", False)):
        text = f"flags\t\t: {flags}\n"
        monkeypatch.setattr(
            machine, "_text", lambda path, text=text: text if "cpuinfo" in path else ""
        )
        monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
        assert machine.describe().virtual is virtual


def test_peak_memory_sees_an_allocation_that_is_gone_again() -> None:
    code = f"{PEAK}; held = bytearray(80_000_000); del held; print(peak_rss_mb())"
    before, after = map(float, subprocess.check_output([sys.executable, "-c", code]).split())
    assert after - before == pytest.approx(80, abs=8)


def test_peak_memory_does_not_count_the_process_that_started_this_one(tmp_path: Path) -> None:
    parent = tmp_path / "parent.py"
    parent.write_text(
        "import subprocess, sys\n"
        "held = bytearray(b'1') * 300_000_000\n"
        f"print(subprocess.check_output([sys.executable, '-c', {PEAK!r}]).decode())\n",
        encoding="utf-8",
    )
    assert float(subprocess.check_output([sys.executable, parent])) < 150


def test_extensions_are_those_of_cpuinfo_that_kernels_use(monkeypatch: pytest.MonkeyPatch) -> None:
    for line, isa in (
        (
            "flags\t\t: fpu avx2 avx512_vnni amx_int8 hypervisor",
            ("avx2", "avx512_vnni", "amx_int8"),
        ),
        ("Features\t: fp asimd evtstrm i8mm asimddp", ("asimd", "asimddp", "i8mm")),
        ("Features\t: half thumb neon vfpv4", ("neon", "vfpv4")),
        ("processor\t: 0", ()),
    ):
        told = {"/proc/cpuinfo": f"{line}\n"}
        monkeypatch.setattr(machine, "_text", lambda path, told=told: told.get(path, ""))
        found = machine.describe()
        assert found.isa == isa and " ".join(isa) in found.line()


def test_temperature_is_that_of_the_hottest_part_that_tells(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "_THERMOMETERS", str(tmp_path))
    assert machine.describe().temperature_c is None
    for number, text in enumerate(("45000", "71234\n", "", "-274000", "none", "1000000")):
        zone = tmp_path / f"thermal_zone{number}"
        zone.mkdir()
        (zone / "temp").write_text(text)
    (tmp_path / "thermal_zone9").mkdir()
    assert machine.describe().temperature_c == pytest.approx(71.234)
    assert "71 C" in machine.describe().line()


def test_frequencies_and_boost_are_told_where_linux_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        f"{machine._CPUFREQ}/scaling_min_freq": "600000\n",
        f"{machine._CPUFREQ}/scaling_max_freq": "1500000\n",
        "/sys/devices/system/cpu/intel_pstate/no_turbo": "1\n",
    }
    monkeypatch.setattr(machine, "_text", lambda path: told.get(path, ""))
    found = machine.describe()
    assert found.frequency_mhz == (600, 1500) and "600 to 1,500 MHz" in found.line()
    assert found.boost is False
    told["/sys/devices/system/cpu/cpufreq/boost"] = "1\n"
    assert machine.describe().boost is True
    told.clear()
    assert (machine.describe().frequency_mhz, machine.describe().boost) == (None, None)


def test_processors_of_one_name_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Virtual machines of two generations are called AMD EPYC, and Arm servers have no name."""
    zen = "model name\t: AMD EPYC\ncpu family\t: {}\nmodel\t\t: {}\n"
    arm = "Features\t: asimd\nCPU implementer\t: 0x41\nCPU part\t: {}\n"
    told = {"/proc/cpuinfo": ""}
    monkeypatch.setattr(machine, "_text", lambda path: told.get(path, ""))
    monkeypatch.setattr(machine.platform, "processor", lambda: "")
    names = []
    for text in (zen.format(23, 49), zen.format(25, 1), arm.format("0xd49"), arm.format("0xd4f")):
        told["/proc/cpuinfo"] = text
        names.append(machine.describe().cpu)
    assert len(set(names)) == 4
    assert names[0] == "AMD EPYC, cpu family 23, model 49"
    assert names[2] == "unknown CPU, CPU implementer 0x41, CPU part 0xd49"


def test_whether_it_is_virtual_is_not_said_where_nothing_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "_text", lambda path: "")
    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    assert machine.describe().virtual is None


def test_a_folder_of_the_system_that_is_forbidden_is_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "_text", lambda path: "")

    def forbidden(path: object, **other: object) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(machine.os, "stat", forbidden)
    assert machine.describe().virtual is None


def test_linux_without_its_peak_of_memory_tells_none() -> None:
    """What getrusage says there is the peak of the process that started this one."""
    blind = "import builtins; builtins.open = lambda *a, **k: (_ for _ in ()).throw(OSError()); "
    told = subprocess.check_output([sys.executable, "-c", blind + PEAK], text=True)
    assert told.strip() == ("None" if sys.platform == "linux" else told.strip())
