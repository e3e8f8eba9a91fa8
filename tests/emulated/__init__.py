"""The runtime on other machines' Debian, under qemu's user mode emulation: `make emulated`."""
