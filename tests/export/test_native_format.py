"""Generated C as a shared library: what `--format native` compiles, and refuses to."""

from __future__ import annotations

import copy
import ctypes
import importlib.util
import io
import platform
import re
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgestitch_export import native_compiler, native_format
from edgestitch_export.native_format import artifact_of, build
from edgestitch_export.native_targets import TARGETS, own_target
from edgestitch_runtime import EdgestitchError
from edgestitch_runtime.golden import Golden, pack_golden, unpack_golden
from native_network import Network, images, network, tflite_card

ELF_MACHINES = {"x86_64-linux": 62, "aarch64-linux": 183, "armv7-linux": 40, "armv6-linux": 40}
CPU_FLAGS = {"avx2": "avx2", "dotprod": "asimddp"}
OF_ANY_LIBC = {"memcpy", "memset", "getauxval"}


@pytest.fixture
def net() -> Network:
    return network(1)


@pytest.fixture
def own() -> str:
    target = own_target()
    if target is None:
        pytest.skip(f"{platform.machine()} is no target of native")
    return target


def loaded(library: bytes, folder: Path) -> ctypes.CDLL:
    path = Path(tempfile.mkstemp(suffix=".so", dir=folder)[1])  # the loader knows names
    path.write_bytes(library)
    return ctypes.CDLL(str(path))


def answered(library: bytes, shown: np.ndarray, folder: Path) -> np.ndarray:
    scores = np.zeros((len(shown), 3), np.int8)
    call = loaded(library, folder).edgestitch_answer
    pointer = ctypes.c_void_p
    call(ctypes.c_size_t(len(shown)), pointer(shown.ctypes.data), pointer(scores.ctypes.data))
    return scores


def readelf(library: bytes, folder: Path, *words: str) -> str:
    if not shutil.which("readelf"):
        pytest.skip("binutils are not installed")
    path = folder / "looked-at.so"
    path.write_bytes(library)
    done = subprocess.run(["readelf", "-W", *words, path], capture_output=True, text=True)
    return done.stdout


def symbols_of(library: bytes, folder: Path) -> tuple[set[str], set[str]]:
    """The names that it shows, and those that it wants."""
    rows = [line.split() for line in readelf(library, folder, "--dyn-syms").splitlines()]
    symbols = [row for row in rows if len(row) == 8 and row[4] in ("GLOBAL", "WEAK")]
    wanted = {row[7] for row in symbols if row[6] == "UND"}
    return {row[7] for row in symbols} - wanted, wanted


def test_the_library_answers_as_numpy_does(net: Network, own: str, tmp_path: Path) -> None:
    shown = images(500)
    library = build(net.files(), own).library
    assert (answered(library, shown, tmp_path) == net.answers(shown)).all()
    told = (ctypes.c_int32 * 5).in_dll(loaded(library, tmp_path), "edgestitch_model")
    assert list(told) == [1, 5, 7, 3, TARGETS[own].hwcap]


def test_code_for_newer_processors_answers_the_same(
    net: Network, own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Path("/proc/cpuinfo").read_text().split()
    can = [one for one in TARGETS[own].faster if CPU_FLAGS[one.name] in told]
    shown, seen = images(500), set()
    for one in [None, *can]:
        faster = () if one is None else (replace(one, has="1"),)
        monkeypatch.setitem(TARGETS, own, replace(TARGETS[own], faster=faster))
        library = build(net.files(), own).library
        seen.add(library)
        assert (answered(library, shown, tmp_path) == net.answers(shown)).all(), one
    assert len(seen) == 1 + len(can)


def test_the_best_code_that_this_processor_can_run_is_chosen(
    net: Network, own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the codes is given weights of its own, so that the answer says which one ran."""
    told = Path("/proc/cpuinfo").read_text().split()
    names = ["", *(f"_{one.name}" for one in TARGETS[own].faster)]
    can = [one.name for one in TARGETS[own].faster if CPU_FLAGS[one.name] in told]
    source = net.files()["net-int8.c"].decode()
    marks = "".join(
        f"#ifdef MARK{name}\n#define MARK {k}\n#endif\n" for k, name in enumerate(names) if name
    )
    source = f"{marks}#ifndef MARK\n#define MARK 0\n#endif\n" + source.replace(
        "return best;", "scores[0] = MARK; return best;"
    )
    faster = tuple(
        replace(one, zig=(*one.zig, f"-DMARK_{one.name}"), cc=(*one.cc, f"-DMARK_{one.name}"))
        for one in TARGETS[own].faster
    )
    monkeypatch.setitem(TARGETS, own, replace(TARGETS[own], faster=faster))
    library = build({**net.files(), "net-int8.c": source.encode()}, own).library
    expected = names.index(f"_{can[0]}") if can else 0
    assert answered(library, images(2), tmp_path)[:, 0].tolist() == [expected, expected]


def test_twice_the_same_bytes_wherever_they_are_compiled(
    net: Network, own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = set()
    for place in ("short", "a-much-longer-name-of-a-folder"):
        (tmp_path / place).mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / place))
        found.add(build(net.files(), own).library)
        assert not list((tmp_path / place).iterdir())
    (library,) = found
    assert str(tmp_path).encode() not in library and b"entry.c" not in library


def test_the_library_needs_no_other_and_shows_two_names(
    net: Network, own: str, tmp_path: Path
) -> None:
    library = build(net.files(), own).library
    assert "(NEEDED)" not in readelf(library, tmp_path, "-d")
    shown, wanted = symbols_of(library, tmp_path)
    assert shown == {"edgestitch_answer", "edgestitch_model"} and wanted <= OF_ANY_LIBC
    assert "build-id" not in readelf(library, tmp_path, "-S")


@pytest.mark.parametrize(
    ("fault", "told"),
    [(b"scores[0] ^= 1;", "by 1 steps, 0 allowed"), (b"*(volatile char *)0 = 1;", "ended with -")],
)
def test_what_a_compiler_got_wrong_is_not_written(
    net: Network, own: str, fault: bytes, told: str
) -> None:
    shown = images(4)
    golden = pack_golden(Golden(images_u8=shown, scores=net.answers(shown), gate=np.ones(4, bool)))
    files = net.files()
    wrong = files["net-int8.c"].replace(b"return best;", fault + b" return best;")
    built = build({**files, "net-int8.c": wrong}, own)
    with pytest.raises(EdgestitchError, match="does not answer as reference") as caught:
        artifact_of(built, tflite_card(golden), golden)
    assert told in caught.value.message and caught.value.exit_code == 1
    assert tempfile.gettempdir() not in caught.value.message and "CC=" in caught.value.hint
    other = next(target for target in TARGETS if target != own)
    artifact_of(replace(built, target=other), tflite_card(golden), golden)  # nothing can tell here


def test_the_weights_are_there_once_for_all_codes(net: Network, own: str) -> None:
    library = build(net.files(), own).library
    assert library.count(net.first.tobytes()) == library.count(net.second.tobytes()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_ziglang_compiles_for_every_target(
    target: str, net: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run by hand beside ziglang: pytest -m slow tests/export/test_native_format.py"""
    if not importlib.util.find_spec("ziglang"):
        pytest.skip("ziglang is not installed")
    monkeypatch.setattr(native_compiler, "own_target", lambda: None)
    built = build(net.files(), target)
    assert built.compiler == "ziglang" and built.suffix == f"-{target}.so"
    assert int.from_bytes(built.library[18:20], "little") == ELF_MACHINES[target]
    assert "(NEEDED)" not in readelf(built.library, tmp_path, "-d")
    assert symbols_of(built.library, tmp_path)[1] <= OF_ANY_LIBC
    assert build(net.files(), target) == built
    if target.startswith("arm"):
        attributes = readelf(built.library, tmp_path, "-A", "-h")
        assert "hard-float" in attributes
        assert ("NEON" in attributes) == (target == "armv7-linux")
        assert f"Tag_CPU_arch: {target[3:5]}" in attributes


def test_an_unknown_target_and_a_machine_that_is_none_are_refused(
    net: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EdgestitchError, match="no target 'sparc-linux'") as caught:
        build(net.files(), "sparc-linux")
    assert "armv6-linux" in caught.value.hint
    monkeypatch.setattr(platform, "machine", lambda: "s390x")
    with pytest.raises(EdgestitchError, match="s390x") as caught:
        build(net.files(), None)
    assert "--target" in caught.value.hint


def test_without_a_compiler_the_hint_says_what_to_install(
    net: Network, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    other = next(target for target in TARGETS if target != own)
    with pytest.raises(EdgestitchError, match=f"no compiler for {other}") as caught:
        build(net.files(), other)
    assert "edgestitch-export[native]" in caught.value.hint
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(EdgestitchError, match="no C compiler") as caught:
        build(net.files(), own)
    assert "gcc" in caught.value.hint


def test_what_a_compiler_refuses_is_told_in_one_line(net: Network, own: str) -> None:
    broken = net.files()["net-int8.c"].replace(b"int best = 0;", b"int best = nothing;")
    with pytest.raises(EdgestitchError, match="nothing") as caught:
        build({**net.files(), "net-int8.c": broken}, own)
    assert "\n" not in caught.value.message and native_compiler.find_compiler(own).version in (
        caught.value.message
    )


def test_a_compiler_that_hangs_or_cannot_start_is_told(
    net: Network, own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = native_compiler.Compiler(name="gcc", version="1", command=(str(tmp_path / "no"),))
    monkeypatch.setattr(native_format, "find_compiler", lambda target: compiler)
    with pytest.raises(EdgestitchError, match="could not be run: FileNotFoundError"):
        build(net.files(), own)
    (tmp_path / "no").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "no").chmod(0o755)
    monkeypatch.setattr(native_compiler, "_SECONDS", 0.2)
    with pytest.raises(EdgestitchError, match="could not be run: TimeoutExpired"):
        build(net.files(), own)


def test_the_card_is_that_of_tflite_but_for_what_is_different(net: Network, own: str) -> None:
    shown = images(4)
    given = net.answers(shown)
    golden = pack_golden(
        Golden(images_u8=shown, scores=given, gate=np.ones(4, bool), recorded=given)
    )
    card = tflite_card(golden)
    before = copy.deepcopy(card)
    built = build(net.files(), own)
    content, told = artifact_of(built, card, golden)
    assert card == before
    assert content.startswith(built.library)
    assert told["native"] == {"target": own, "isa": built.isa, "faster": list(built.faster)}
    assert told["versions"][built.compiler] == built.compiler_version
    assert re.fullmatch(r"\d+\.\d+.*", built.compiler_version)
    assert (told["input"]["dtype"], told["input"]["zero_point"]) == ("uint8", 0)
    assert (told["golden"]["tolerance"], told["golden"]["recorded"]) == (0.0, None)
    assert told["accuracy"] == card["accuracy"] and told["least_engines"] == {"native": "0.1.0"}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        held = unpack_golden(archive.read("golden.npz"), "it")
    assert held.recorded is None and (held.scores == given).all()
    card["golden"]["engine"] = "litert 2.3.0"
    with pytest.raises(EdgestitchError, match="not of reference"):
        artifact_of(built, card, golden)
