"""Another machine's Debian in a folder, and its Python under qemu's user mode emulation.

apt fetches the packages with lists and a cache of its own, dpkg-deb unpacks them: nothing is
configured, installed or mounted, so no root is asked for (debootstrap would insist on it). They
come from the sources, and by the keys, that this machine's apt already has.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("python3", "python3-numpy", "python3-pkg-resources", "libstdc++6")


class NoForeignRoot(Exception):
    """What is missing here, in words that say what to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A processor as qemu names it, and the Debian that runs on it.

    `uname` is what `uname -m` says there, `features` those of its /proc/cpuinfo.
    """

    name: str
    uname: str
    debian: str
    triplet: str
    cpu: str
    part: str
    features: str

    @property
    def qemu(self) -> str:
        return f"qemu-{self.uname.replace('armv7l', 'arm')}-static"

    @property
    def cpuinfo(self) -> str:
        """Its /proc/cpuinfo. XNNPACK and ONNX Runtime crash on that of an x86-64."""
        told = {
            "processor": 0,
            "Features": self.features,
            "CPU implementer": "0x41",
            "CPU architecture": 7 if self.uname == "armv7l" else 8,
            "CPU variant": "0x0",
            "CPU part": self.part,
            "CPU revision": 3,
        }
        return "".join(f"{key}\t: {value}\n" for key, value in told.items()) + "\n"


# Processors that exist. On qemu 7.2's `max`, which has SME, litert answers wrongly.
MACHINES = (
    Machine(
        name="aarch64 Cortex-A72",  # Raspberry Pi 4
        uname="aarch64",
        debian="arm64",
        triplet="aarch64-linux-gnu",
        cpu="cortex-a72",
        part="0xd08",
        features="fp asimd evtstrm crc32 cpuid",
    ),
    Machine(
        name="aarch64 Cortex-A76",  # Raspberry Pi 5: dot products of int8, half precision
        uname="aarch64",
        debian="arm64",
        triplet="aarch64-linux-gnu",
        cpu="cortex-a76",
        part="0xd0b",
        features="fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid "
        "asimdrdm lrcpc dcpop asimddp",
    ),
    Machine(
        name="armv7 Cortex-A7",  # Raspberry Pi 2
        uname="armv7l",
        debian="armhf",
        triplet="arm-linux-gnueabihf",
        cpu="cortex-a7",
        part="0xc07",
        features="half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae",
    ),
)


def make_root(machine: Machine, folder: Path) -> Path:
    """Fetches and unpacks the machine's Python and numpy; returns the root, a folder in `folder`.

    Raises NoForeignRoot when a tool is missing or the packages cannot be had.
    """
    if not shutil.which(machine.qemu):
        raise NoForeignRoot(f"{machine.qemu} is missing: apt-get install qemu-user-static")
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise NoForeignRoot("apt-get and dpkg-deb are missing: this wants a Debian machine")
    root = folder / "root"
    for place in ("state/lists/partial", "cache/archives/partial", "root/proc"):
        (folder / place).mkdir(parents=True)
    (folder / "state" / "status").touch()  # of dpkg: nothing is installed there
    updated = _apt(machine, folder, "update")
    fetched = _apt(
        machine, folder, "install", "--yes", "--download-only", "--no-install-recommends", *PACKAGES
    )
    if fetched.returncode:  # the list of one source may fail while the others suffice
        told = (updated.stderr + fetched.stderr).strip() or fetched.stdout
        raise NoForeignRoot(
            f"apt-get could not fetch {', '.join(PACKAGES)} for {machine.debian}: a network and "
            f"the sources of a Debian that has this architecture are needed. It said:\n{told}"
        )
    for package in sorted((folder / "cache" / "archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "--extract", package, root], check=True)
    if not (root / "lib").exists():  # a Debian whose packages know of /usr/lib only
        (root / "lib").symlink_to("usr/lib")
    return root


def _apt(machine: Machine, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    options = (
        f"APT::Architecture={machine.debian}",
        f"APT::Architectures::={machine.debian}",
        f"Dir::State={folder / 'state'}",
        f"Dir::State::status={folder / 'state' / 'status'}",
        f"Dir::Cache={folder / 'cache'}",
    )
    return subprocess.run(
        ["apt-get", *(word for one in options for word in ("-o", one)), *words],
        env=dict(os.environ) | {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
        capture_output=True,
        text=True,
        timeout=600,
    )


def run_python(
    machine: Machine, root: Path, packages: Path, *words: str | Path, home: Path
) -> subprocess.CompletedProcess[str]:
    """The machine's Debian Python with the folder `packages` on its path, run in `home`."""
    (root / "proc" / "cpuinfo").write_text(machine.cpuinfo)
    # Whole paths: qemu 7.2 does not look for what statx asks about in the root. The libraries
    # blas and lapack have no links in the usual place, which their installation would make.
    usr = root / "usr" / "lib" / machine.triplet
    libraries = (root / "lib" / machine.triplet, usr, usr / "blas", usr / "lapack")
    return subprocess.run(
        [
            *(machine.qemu, "-cpu", machine.cpu, "-L", root),
            *("-E", f"LD_LIBRARY_PATH={':'.join(map(str, libraries))}"),
            *(root / "usr" / "bin" / "python3", *words),
        ],
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        timeout=900,
    )
