"""Where a data set is found, that its checksums are verified, and what a download leaves."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import http.server
import importlib.util
import io
import shutil
import threading
import urllib.error
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edgestitch_runtime.dataset import FASHION_LABELS, FASHION_SHA256, FILES, find_recorded
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_train import acquisition
from edgestitch_train.acquisition import MINI_FOLDER, MINI_SHA256, acquire, data_record, title_of
from edgestitch_train.download import FASHION_MNIST_URL, download

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
MINI_FILES = {f"{name}.gz": (MINI_FOLDER / f"{name}.gz").read_bytes() for name in FILES}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every place that is looked at lies in `tmp_path`, Debian's too."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("EDGESTITCH_DATA", raising=False)
    real = acquisition.places

    def without_debian(name: str) -> list[Path]:
        places = [p for p in real(name) if not p.is_relative_to("/usr")]
        return [*places, tmp_path / "debian" / name]

    monkeypatch.setattr(acquisition, "places", without_debian)
    return tmp_path


@pytest.fixture
def sample_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundled sample's files stand in for Fashion-MNIST's, which a tester may not have."""
    known = acquisition.KnownDataset(sha256=MINI_SHA256, bundled=None, in_title="fashion-mnist")
    monkeypatch.setitem(acquisition.DATASETS, "fashion-mnist", known)


def put(folder: Path) -> Path:
    shutil.copytree(MINI_FOLDER, folder)
    return folder


def no_network(*_: object, **__: object) -> None:
    raise EdgestitchError("no network")


def test_places_are_tried_in_their_order(
    home: Path, sample_is_known: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGESTITCH_DATA", str(home / "named"))
    for place in (
        home / "debian" / "fashion-mnist",
        home / "keras" / "datasets" / "fashion-mnist",
        home / "cache" / "edgestitch" / "fashion-mnist",
        home / "named" / "fashion-mnist",
    ):
        put(place)
        assert acquire(fetch=no_network).folder == place
    put(home / "elsewhere")
    assert acquire(folder=home / "elsewhere", fetch=no_network).folder == home / "elsewhere"


def test_a_damaged_or_other_copy_is_passed_over_aloud(home: Path, sample_is_known: None) -> None:
    cached = put(home / "cache" / "edgestitch" / "fashion-mnist")
    (cached / "train-labels-idx1-ubyte.gz").write_bytes(b"")
    other = put(home / "keras" / "datasets" / "fashion-mnist")
    path = other / "t10k-images-idx3-ubyte.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[100] ^= 1
    path.write_bytes(gzip.compress(bytes(content)))
    put(home / "debian" / "fashion-mnist")
    heard: list[str] = []
    assert acquire(say=heard.append, fetch=no_network).folder == home / "debian" / "fashion-mnist"
    assert len(heard) == 2
    assert "train-labels-idx1-ubyte" in heard[0]
    assert "the checksum of t10k-images-idx3-ubyte is another" in heard[1]
    with pytest.raises(EdgestitchError, match="checksum of t10k-images-idx3-ubyte is another"):
        acquire(folder=other)


def test_a_named_place_that_is_empty_is_passed_over_aloud(
    home: Path, sample_is_known: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGESTITCH_DATA", str(home / "misspelt"))
    put(home / "debian" / "fashion-mnist")
    heard: list[str] = []
    acquire(say=heard.append, fetch=no_network)
    assert heard == [f"passed over EDGESTITCH_DATA: {home / 'misspelt'} has no four IDX files"]


def test_when_nothing_can_be_had_the_hint_names_three_ways() -> None:
    with pytest.raises(EdgestitchError) as caught:
        acquire(fetch=no_network)
    assert "\n" not in caught.value.message
    for way in ("apt install dataset-fashion-mnist", "--dataset fashion-mnist-mini", "--data"):
        assert way in caught.value.hint


def test_plain_files_in_a_folder_are_the_data_set_too(home: Path) -> None:
    folder = home / "plain"
    folder.mkdir()
    for name, content in MINI_FILES.items():
        (folder / name.removesuffix(".gz")).write_bytes(gzip.decompress(content))
    found = acquire(str(folder))
    assert found.name == "fashion-mnist-mini"  # known by its content, so its title says what it is
    assert "not the full data set" in title_of(found)


def test_a_folder_that_borrows_a_known_name_does_not_pass_for_it(home: Path) -> None:
    folder = put(home / "fashion-mnist")
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress(b"\0\0\x08\x01" + (1000).to_bytes(4, "big") + bytes(1000))
    )
    assert acquire(str(folder)).name == "fashion-mnist-folder"


def test_a_folder_beside_a_path_is_one_too_many(home: Path) -> None:
    with pytest.raises(EdgestitchError, match="named beside it"):
        acquire(str(put(home / "a")), folder=home / "b")


def test_the_record_finds_the_same_data_again(home: Path) -> None:
    data = acquire("fashion-mnist-mini")
    record = data_record(data)
    assert find_recorded(record).files == data.files
    assert find_recorded(record, folder=put(home / "moved")).labels == FASHION_LABELS


# The sample


def test_the_sample_is_stratified_and_known_by_its_checksums() -> None:
    data = acquire("fashion-mnist-mini")
    assert data.labels == FASHION_LABELS
    assert data.train.images_u8.shape == (6000, 28, 28)
    assert data.test.images_u8.shape == (1000, 28, 28)
    assert np.bincount(data.train.labels).tolist() == [600] * 10
    assert np.bincount(data.test.labels).tolist() == [100] * 10
    for name, content in MINI_FILES.items():
        digest = hashlib.sha256(gzip.decompress(content)).hexdigest()
        assert digest == MINI_SHA256[name.removesuffix(".gz")]
        assert content[4:8] == bytes(4)  # no time in the gzip header
    assert (MINI_FOLDER / "labels.txt").read_text().splitlines() == list(FASHION_LABELS)


def test_the_sample_is_small_and_states_origin_and_licence() -> None:
    assert sum(p.stat().st_size for p in MINI_FOLDER.iterdir()) < 4_000_000
    licence = (MINI_FOLDER / "LICENSE").read_text()
    assert "Copyright (c) 2017 Zalando SE" in licence
    assert "Permission is hereby granted" in licence
    assert 'PROVIDED "AS IS"' in licence
    assert "github.com/zalandoresearch/fashion-mnist" in (MINI_FOLDER / "ORIGIN.md").read_text()


def make_mini_module() -> ModuleType:
    path = Path(__file__).parents[2] / "train" / "make_mini.py"
    spec = importlib.util.spec_from_file_location("make_mini", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="the full Fashion-MNIST is not on this machine")
def test_the_sample_is_made_again_to_the_byte_and_each_image_is_a_real_one() -> None:
    made = make_mini_module().make_mini(DEBIAN)
    for name, content in made.items():
        kept = (MINI_FOLDER / name).read_bytes()
        if name.endswith(".gz"):  # zlib's version decides the compressed bytes
            content, kept = gzip.decompress(content), gzip.decompress(kept)
        assert content == kept, name
    full, mini = acquire(folder=DEBIAN), acquire("fashion-mnist-mini")
    for big, small in ((full.train, mini.train), (full.test, mini.test)):
        classes = {
            image.tobytes(): label for image, label in zip(big.images_u8, big.labels, strict=True)
        }
        pairs = zip(small.images_u8, small.labels, strict=True)
        assert all(classes.get(image.tobytes()) == label for image, label in pairs)


# Downloading, from a server on this machine


@pytest.fixture
def served() -> Iterator[tuple[dict[str, bytes], dict[str, int], str]]:
    """A server of files, with the Content-Length that it claims for some, and its address."""
    files, claims = dict(MINI_FILES), {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            if name not in files:
                self.send_error(404)
                return
            self.send_response(200)
            length = claims.get(name, len(files[name]))
            if length:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(files[name])

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield files, claims, f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


def fetched(home: Path, url: str, sha256: Mapping[str, str] = MINI_SHA256) -> Path:
    target = home / "cache" / "edgestitch" / "fashion-mnist"
    download(target, sha256, url=url)
    return target


def test_the_full_data_set_comes_over_https_by_the_known_names() -> None:
    asked: list[str] = []

    def refuse(url: str) -> http.client.HTTPResponse:
        asked.append(url)
        raise urllib.error.URLError("no address")

    with pytest.raises(EdgestitchError, match="cannot be downloaded: no address"):
        download(Path("x/y"), FASHION_SHA256, open_url=refuse)
    assert asked == [f"{FASHION_MNIST_URL}train-images-idx3-ubyte.gz"]
    assert asked[0].startswith("https://")
    assert not Path("x").exists()


def test_a_download_fills_the_cache_and_is_found_there_next_time(
    home: Path, sample_is_known: None, served: tuple[dict[str, bytes], dict[str, int], str]
) -> None:
    bar = io.StringIO()

    def fetch(target: Path, sha256: Mapping[str, str], **_: object) -> None:
        download(target, sha256, url=served[2], progress=bar)

    heard: list[str] = []
    found = acquire(fetch=fetch, say=heard.append)
    cached = home / "cache" / "edgestitch" / "fashion-mnist"
    assert found.folder == cached
    assert {p.name: p.read_bytes() for p in cached.iterdir()} == MINI_FILES
    assert [p.name for p in cached.parent.iterdir()] == ["fashion-mnist"]
    assert "downloading" in heard[0]
    assert "########################] 2.6 of 2.6 MB" in bar.getvalue()
    assert acquire(fetch=no_network).folder == cached


def test_a_download_takes_the_place_of_a_damaged_copy(
    home: Path, served: tuple[dict[str, bytes], dict[str, int], str]
) -> None:
    cached = home / "cache" / "edgestitch" / "fashion-mnist"
    cached.mkdir(parents=True)
    (cached / "train-images-idx3-ubyte").write_bytes(b"cut")
    assert {p.name for p in fetched(home, served[2]).iterdir()} == set(MINI_FILES)


@pytest.mark.parametrize("fault", ["missing", "cut", "cut unsaid", "altered", "not gzip", "gone"])
def test_a_failed_download_leaves_nothing_behind(
    home: Path, served: tuple[dict[str, bytes], dict[str, int], str], fault: str
) -> None:
    files, claims, url = served
    name = "t10k-images-idx3-ubyte.gz"  # the third file: two have come by then
    whole = files[name]
    content = bytearray(gzip.decompress(whole))
    content[-1] ^= 1
    if fault == "missing":
        del files[name]
    elif fault == "cut":
        files[name], claims[name] = whole[:1000], len(whole)
    elif fault == "cut unsaid":
        files[name], claims[name] = whole[:1000], 0
    elif fault == "altered":
        files[name] = gzip.compress(bytes(content))
    elif fault == "not gzip":
        files[name] = b"<html>log in to the network first</html>"
    else:
        url = "http://127.0.0.1:1/"
    with pytest.raises(EdgestitchError) as caught:
        fetched(home, url)
    says = {
        "missing": "cannot be downloaded: Not Found",
        "cut": "ended after 1,000 of",
        "cut unsaid": "damaged gzip",
        "altered": "is not the known file",
        "not gzip": "is not an IDX file",
        "gone": "refused",
    }
    assert says[fault] in caught.value.message
    assert caught.value.hint
    assert list(home.iterdir()) == []


def test_ctrl_c_during_a_download_leaves_nothing_behind(home: Path) -> None:
    def interrupted(url: str) -> http.client.HTTPResponse:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(home / "cache" / "x", MINI_SHA256, open_url=interrupted)
    assert list(home.iterdir()) == []
