"""The engine `native`: shared libraries of hand-written C, against numpy."""

from __future__ import annotations

import gc
import hashlib
import os
import platform
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_export.native_targets import TARGETS, own_target
from edgestitch_runtime import Classifier, EdgestitchError, native_engine
from edgestitch_runtime.card import append_card, model_bytes, read_artifact
from edgestitch_runtime.selftest import selftest
from native_network import Network, images, network

if own_target() is None:
    pytest.skip(f"{platform.machine()} is no target of native", allow_module_level=True)


@pytest.fixture
def net() -> Network:
    return network(1)


@pytest.fixture
def path(net: Network, tmp_path: Path) -> Path:
    return written(tmp_path / "net-int8.so", net.artifact())


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def resigned(path: Path, *, library: bytes | None = None, **entries: Any) -> None:
    """The artifact at `path` with another library, which its card vouches for, or other entries."""
    found = read_artifact(path)
    library = library or model_bytes("native", found.content)
    hashes = found.card["hashes"] | {"weights": hashlib.sha256(library).hexdigest()}  # pyright: ignore[reportOptionalSubscript]
    card = (found.card or {}) | {"hashes": hashes} | entries
    path.write_bytes(append_card(library, card, found.golden))


def loaded_libraries() -> int:
    gc.collect()
    return Path("/proc/self/maps").read_text().count("edgestitch-")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_every_way_of_asking_gives_what_numpy_gives(net: Network, path: Path) -> None:
    shown = images(200)
    expected = net.answers(shown)
    with Classifier.open(path) as classifier:
        assert classifier.engine == "native"
        assert (classifier.scores(shown) == expected).all()
        assert (classifier.scores(shown[:, ::-1]) == net.answers(shown[:, ::-1])).all()
        prepare, call = classifier.bare()
        for image, row in zip(shown, expected, strict=True):
            result = classifier.classify(image)
            assert (result.scores == row).all() and result.index == row.argmax()
            assert (call(prepare(image)) == row).all()
        kept = call(prepare(shown[0]))
        call(prepare(shown[1]))
        assert (kept == expected[0]).all()
        values = (expected[0].astype(float) - 3) * 0.125
        powers = np.exp(values - values.max())
        assert classifier.classify(shown[0]).probabilities == pytest.approx(powers / powers.sum())
        assert classifier.scores(shown[:0]).shape == (0, 3)


def test_the_self_test_passes_and_notices_one_step(net: Network, path: Path) -> None:
    found = selftest(path)
    assert found.passed and [one.engine for one in found.engines] == ["native"]
    check = found.engines[0].check
    assert check is not None and check.verdict == "identical" and check.tolerance == 0
    source = net.files()["net-int8.c"].replace(b"return best;", b"scores[2] ^= 1; return best;")
    from edgestitch_export.native_format import build

    resigned(path, library=build({**net.files(), "net-int8.c": source}, None).library)
    with pytest.raises(EdgestitchError, match="by 1 steps, 0 allowed") as caught:
        Classifier.open(path)
    assert caught.value.exit_code == 1


def test_threads_share_a_classifier_and_each_gets_its_own_answers(
    net: Network, tmp_path: Path
) -> None:
    """The C lingers between writing its arena and reading it; ctypes lets other threads in."""
    path = written(tmp_path / "slow.so", net.artifact(slow=True))
    wrong: list[int] = []
    with Classifier.open(path) as classifier:

        def work(seed: int) -> None:
            shown = images(150, seed)
            for image, row in zip(shown, net.answers(shown), strict=True):
                if not (classifier.classify(image).scores == row).all():
                    wrong.append(seed)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert not wrong


def test_models_opened_after_and_beside_each_other_stay_apart(tmp_path: Path) -> None:
    shown, opened = images(20), []
    for seed in range(6):
        path = written(tmp_path / "same-name.so", network(seed).artifact())
        opened.append(Classifier.open(path))
        assert (opened[-1].scores(shown) == network(seed).answers(shown)).all()
    for seed, classifier in enumerate(opened):
        assert (classifier.scores(shown) == network(seed).answers(shown)).all()


def test_a_closed_model_leaves_nothing_behind(path: Path) -> None:
    before, files = loaded_libraries(), open_files()
    classifier = Classifier.open(path)
    classifier.classify(images(1)[0])
    assert loaded_libraries() > before
    prepare, call = classifier.bare()
    classifier.close()
    assert call(prepare(images(1)[0])).shape == (1, 3)  # who still holds the call may use it
    del classifier, prepare, call
    assert loaded_libraries() == before and open_files() == files


def test_without_memory_files_a_temporary_one_is_loaded(
    net: Network, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*name: str, **more: str) -> int:
        raise OSError("no such call")

    monkeypatch.setattr(os, "memfd_create", refuses)
    with Classifier.open(path) as classifier:
        assert (classifier.scores(images(9)) == net.answers(images(9))).all()
    monkeypatch.setattr(native_engine.tempfile, "NamedTemporaryFile", refuses)
    with pytest.raises(EdgestitchError, match="cannot be loaded: no such call"):
        Classifier.open(path)


def test_what_is_loaded_are_the_bytes_that_were_checked(net: Network, path: Path) -> None:
    artifact = read_artifact(path)
    path.write_bytes(b"something else")
    import ctypes

    session = native_engine.open_native(artifact, ctypes, 1)
    turned = images(9)[:, ::-1]  # not contiguous
    assert (session.run(turned) == net.answers(turned)).all()
    assert (session.output_scale, session.output_zero_point) == (0.125, 3)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.99])
def test_a_cut_library_is_refused_in_one_line(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(EdgestitchError, match="cut short") as caught:
        Classifier.open(path)
    assert "\n" not in caught.value.message and "copy" in caught.value.hint


def test_a_library_without_a_card_and_what_is_no_library_are_refused(path: Path) -> None:
    path.write_bytes(model_bytes("native", path.read_bytes()))
    with pytest.raises(EdgestitchError, match="without a card") as caught:
        Classifier.open(path)
    assert "--format native" in caught.value.hint
    path.write_bytes(b"MZ" + bytes(1000))
    with pytest.raises(EdgestitchError, match="no ELF mark"):
        Classifier.open(path)


def test_an_altered_library_is_refused_before_it_is_loaded(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered = bytearray(path.read_bytes())
    altered[len(model_bytes("native", bytes(altered))) // 2] ^= 1
    path.write_bytes(altered)
    monkeypatch.setattr(native_engine, "_loaded", None)
    with pytest.raises(EdgestitchError, match="altered after its export: its weights"):
        Classifier.open(path)


@pytest.mark.parametrize(
    ("at", "byte", "told"),
    [
        (18, 8, "it is for processor 8 of ELF's list, 64 bits, little-endian, this Python for"),
        (4, 1, "32 bits, little-endian, this Python for"),
        (5, 2, "big-endian, this Python for"),
    ],
)
def test_a_library_for_another_machine_is_refused_before_it_is_loaded(
    path: Path, at: int, byte: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = bytearray(model_bytes("native", path.read_bytes()))
    assert library[at] != byte
    library[at] = byte
    resigned(path, library=bytes(library))
    monkeypatch.setattr(native_engine, "_loaded", None)
    with pytest.raises(EdgestitchError, match="is for another machine") as caught:
        Classifier.open(path)
    assert told in caught.value.message and "--target" in caught.value.hint


def test_another_system_is_no_place_for_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_engine, "_this_program", lambda: b"\xcf\xfa\xed\xfe")
    with pytest.raises(EdgestitchError, match="this Python for another system than Linux"):
        Classifier.open(path)


def test_a_processor_without_what_the_code_needs_is_told(
    net: Network, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from edgestitch_export.native_format import build

    target = str(own_target())
    monkeypatch.setitem(TARGETS, target, replace(TARGETS[target], hwcap=(1 << 27) | (1 << 13)))
    monkeypatch.setattr(native_engine, "_AT_HWCAP", 17)  # AT_CLKTCK: 100, neither bit
    resigned(path, library=build(net.files(), target).library)
    with pytest.raises(EdgestitchError, match="another machine: this processor cannot"):
        Classifier.open(path)


def test_a_card_of_other_sizes_and_a_library_of_another_layout_are_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = read_artifact(path).card or {}
    whole = path.read_bytes()
    others: tuple[dict[str, Any], ...] = (
        {"input": card["input"] | {"shape": [1, 7, 5]}},
        {"labels": ["one", "two"]},
    )
    for entries in others:
        path.write_bytes(whole)
        resigned(path, **entries)
        with pytest.raises(EdgestitchError, match=r"for \[5, 7, 3\] \(height, width, classes\)"):
            Classifier.open(path)
    path.write_bytes(whole)
    monkeypatch.setattr(native_engine, "LAYOUT", 2)
    with pytest.raises(EdgestitchError, match=r"layout 1 for .* expected layout 2"):
        Classifier.open(path)


def test_a_library_that_exports_something_else_cannot_be_loaded(path: Path) -> None:
    library = model_bytes("native", path.read_bytes())
    for name in (b"edgestitch_model", b"edgestitch_answer"):
        other = library.replace(name, name[:-1] + b"x")
        assert other != library
        resigned(path, library=other)
        with pytest.raises(EdgestitchError, match="cannot be loaded") as caught:
            Classifier.open(path)
        assert "\n" not in caught.value.message


def test_only_native_runs_it_and_native_runs_nothing_else(path: Path) -> None:
    with pytest.raises(EdgestitchError, match="litert does not run native files") as caught:
        Classifier.open(path, engine="litert")
    assert "--engine native" in caught.value.hint
    card = read_artifact(path).card
    resigned(path, precision="float32")
    with pytest.raises(EdgestitchError, match="native runs int8 files only"):
        Classifier.open(path, engine="native")
    assert card is not None and card["precision"] == "int8"
