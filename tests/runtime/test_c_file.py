"""The card in a generated C file: against a C compiler, sed, the plan's comment and the header."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_export.c_command import export_tflite
from edgestitch_runtime import EdgestitchError, card, inspect_artifact
from edgestitch_runtime.c_file import read_c_card, with_c_card, without_c_card
from edgestitch_runtime.card import read_artifact
from edgestitch_runtime.card_schema import card_text
from edgestitch_runtime.cli import main

LEFT_OUT = r"sed '/_card\[\] =$/,/^#endif/{//!d}' mlp-int8.c | sha256sum"  # as docs/card.md has it
DOCS = Path(__file__).parents[2] / "docs"
DECLARATION = b"const char mlp_card[] =\n"


@pytest.fixture(scope="module")
def made(mini_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mlp-int8.c with its header beside it. Read only."""
    folder = tmp_path_factory.mktemp("c")
    tflite = mini_run / "export" / "mlp-int8.tflite"
    return export_tflite(tflite, format="c", out=folder).path


@pytest.fixture
def written(tmp_path: Path) -> Callable[[bytes], Path]:
    """Bytes as mlp-int8.c in a folder of their own."""

    def write(content: bytes) -> Path:
        path = tmp_path / "mlp-int8.c"
        path.write_bytes(content)
        return path

    return write


def card_lines(content: bytes) -> tuple[int, int]:
    start = content.index(DECLARATION) + len(DECLARATION)
    return start, content.index(b"#endif", start)


def with_card(content: bytes, card: Any) -> bytes:
    """The file with another card, whose own hash is right."""
    return with_c_card(without_c_card(content), card_text(card))


def said(path: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, message and hint of a command that refuses `path`."""
    command, *flags = words
    code = main([command, str(path), *flags])
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert (out, len(lines)) == ("", 2) and lines[1].startswith("hint: "), err
    assert "Traceback" not in err
    return code, lines[0], lines[1]


@pytest.mark.parametrize("more", [0, 5000], ids=["as it is", "over C99's 4,095 characters"])
def test_the_card_is_what_a_c_compiler_makes_of_it(made: Path, tmp_path: Path, more: int) -> None:
    told = (read_artifact(made).card or {}) | {"later": "x" * more}
    source = tmp_path / made.name
    source.write_bytes(with_card(made.read_bytes(), told))
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "mlp-int8.h"\n'
        "int main(void) { fputs(mlp_card, stdout); return 0; }\n"
    )
    strict = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-DMLP_WITH_CARD")
    program = tmp_path / "told"
    words = ["gcc", *strict, f"-I{made.parent}", "-o", program, tmp_path / "main.c", source]
    subprocess.run(words, check=True)
    printed = subprocess.run([program], check=True, capture_output=True).stdout
    assert printed.decode() == card_text(told) == card_text(read_artifact(source).card or {})


@pytest.mark.parametrize(
    "text", ['{"a":"\\"??/\\\\0"}', '{"é\\u0007":"12\u20ac3"}', "{}", '{"' + 'x"' * 3000]
)
def test_any_text_comes_back_out_of_the_string(made: Path, text: str) -> None:
    whole = with_c_card(without_c_card(made.read_bytes()), text)
    start, end = card_lines(whole)
    assert read_c_card(made, whole) == text.encode()
    assert max(map(len, whole[start:end].split(b"\n"))) <= 100
    assert b"??" not in whole[start:end] and whole.isascii()


def test_the_hash_is_that_of_the_file_without_the_lines_of_its_card(made: Path) -> None:
    assert LEFT_OUT in (DOCS / "card.md").read_text()
    shell = subprocess.run(LEFT_OUT, shell=True, cwd=made.parent, check=True, capture_output=True)
    found = read_artifact(made)
    assert found.card is not None
    assert found.card["hashes"]["weights"] == found.weights_sha256 == shell.stdout.decode()[:64]


def test_the_card_tells_which_tflite_it_was_made_of(mini_run: Path, made: Path) -> None:
    tflite = read_artifact(mini_run / "export" / "mlp-int8.tflite")
    found = read_artifact(made)
    assert found.card is not None
    assert found.card["hashes"]["tflite"] == tflite.weights_sha256


def test_the_plan_in_the_card_is_that_of_the_comment_and_the_header(made: Path) -> None:
    text, header = made.read_text(), made.with_suffix(".h").read_text()
    memory = (read_artifact(made).card or {})["memory"]
    for name in ("ARENA", "WEIGHT"):
        (told,) = re.findall(rf"MLP_{name}_BYTES (\d+)", header)
        assert memory[f"{name.lower()}_bytes"] == int(told)
    comment = re.findall(r"^ \* +(\d+) to +(\d+)  steps? (\d+)(?: to (\d+))?: (.+)$", text, re.M)
    assert comment, "the plan stands in the comment at the top"
    told = [
        {
            "offset": int(start),
            "bytes": int(end) + 1 - int(start),
            "first": int(first) - 1,
            "last": int(last or first) - 1,
            "holds": "scratch" if held.startswith("scratch of ") else held.split(", "),
        }
        for start, end, first, last, held in comment
    ]
    assert told == memory["blocks"]
    calls = re.findall(r"^  /\* (\d+)\. (\w+): (.*?) \*/$", text, re.M)
    assert [name for _, name, _ in calls] == memory["steps"]
    assert [title for _, _, title in calls] == memory["titles"]


def test_a_byte_altered_anywhere_is_noticed(made: Path, written: Callable[[bytes], Path]) -> None:
    whole = made.read_bytes()
    start, end = card_lines(whole)
    rng = np.random.default_rng(0)
    places = [*rng.integers(0, len(whole), 150), *rng.integers(start - 30, end + 30, 150)]
    for place in map(int, places):
        other = int(rng.integers(1, 256))
        altered = whole[:place] + bytes([whole[place] ^ other]) + whole[place + 1 :]
        with pytest.raises(EdgestitchError):
            read_artifact(written(altered))


def test_a_cut_file_is_refused(made: Path, written: Callable[[bytes], Path]) -> None:
    whole = made.read_bytes()
    start, end = card_lines(whole)
    rng = np.random.default_rng(1)
    ends = [end + len(b"#endif\n"), start, len(whole) - 1, len(whole) - len(b"#endif\n")]
    for place in map(int, [*ends, *rng.integers(0, len(whole), 60), *rng.integers(start, end, 60)]):
        with pytest.raises(EdgestitchError, match=r"cut short|empty|altered"):
            read_artifact(written(whole[:place]))
    with pytest.raises(EdgestitchError, match="something follows"):
        read_artifact(written(whole + b"\n"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lines: lines.replace(b'"\n  "', b'" "', 1),
        lambda lines: lines + b"int mlp_classify(void);\n",
        lambda lines: b"  /* more */\n" + lines,
        lambda lines: lines.replace(b'";\n', b'"; int more = 1;\n'),
        lambda lines: lines.replace(b'\\"', b"\\042", 1),
        lambda lines: lines[: lines.index(b"/*")],
        lambda lines: b"",
    ],
    ids=["joined", "code behind", "comment", "code on the line", "escape", "no hash", "nothing"],
)
def test_nothing_but_the_card_stands_in_the_lines_that_the_hash_leaves_out(
    made: Path, written: Callable[[bytes], Path], spoil: Callable[[bytes], bytes]
) -> None:
    whole = made.read_bytes()
    start, end = card_lines(whole)
    altered = whole[:start] + spoil(whole[start:end]) + whole[end:]
    assert altered != whole
    with pytest.raises(EdgestitchError, match="altered after its export: its card"):
        read_artifact(written(altered))


def test_line_ends_of_windows_are_named(made: Path, written: Callable[[bytes], Path]) -> None:
    path = written(made.read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(EdgestitchError, match="lines end as those of Windows") as caught:
        read_artifact(path)
    assert ".gitattributes" in caught.value.hint


def test_other_c_is_refused_in_a_line(
    mini_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tflite = mini_run / "export" / "mlp-int8.tflite"
    micro = export_tflite(tflite, format="tflm", out=tmp_path).path
    assert micro.suffix == ".c"
    strange = tmp_path / "strange.c"
    contents = (b"int main(void) { return 0; }\n", bytes(range(256)) * 50, DECLARATION, b"\n#endif")
    for content in (*contents, micro.read_bytes()):
        strange.write_bytes(content)
        code, message, hint = said(strange, capsys, "inspect")
        assert code == 2 and "edgestitch did not write it" in message
        assert "--format c --int8" in hint
    strange.write_bytes(b"")
    assert "is empty" in said(strange, capsys, "inspect")[1]


def test_a_file_over_the_limit_and_an_endless_card_are_refused_at_once(
    made: Path, written: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = made.read_bytes()
    start, end = card_lines(whole)
    for line in (
        b'  "' + b"\\134" * 9_000_000 + b'"\n',
        b'  "x"\n' * 9_000_000,
        b"\\" * 40_000_000,
    ):
        path = written(whole[:start] + line + whole[start:end] + whole[end:])
        began = time.process_time()
        with pytest.raises(EdgestitchError, match="altered"):
            read_artifact(path)
        assert time.process_time() - began < 3
    monkeypatch.setattr(card, "MAX_ARTIFACT_BYTES", 1 << 20)
    with pytest.raises(EdgestitchError, match="larger than 1 MiB"):
        read_artifact(path)


def _blocks(**other: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda memory: memory["blocks"][0].update(other)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda memory: memory.clear(),
        lambda memory: memory["steps"].pop(),
        lambda memory: memory.update(steps=[], titles=[], blocks=[]),
        lambda memory: memory.update(arena_bytes=-1),
        lambda memory: memory["steps"].__setitem__(0, 7),
        _blocks(offset=1),
        _blocks(bytes=0),
        _blocks(bytes=1 << 40),
        _blocks(last=1 << 40),
        _blocks(first=2, last=1),
        _blocks(holds="hidden"),
        _blocks(holds=[]),
        _blocks(holds=[""]),
    ],
)
def test_a_card_whose_plan_cannot_be_is_damaged(
    made: Path, written: Callable[[bytes], Path], spoil: Callable[[dict[str, Any]], Any]
) -> None:
    whole = made.read_bytes()
    told = json.loads(card_text(read_artifact(made).card or {}))
    spoil(told["memory"])
    with pytest.raises(EdgestitchError, match="damaged card: its entry memory"):
        read_artifact(written(with_card(whole, told)))


@pytest.mark.parametrize("entry", ["memory", "golden"])
def test_a_card_of_c_has_its_plan_and_golden_vectors(
    made: Path, written: Callable[[bytes], Path], entry: str
) -> None:
    told = json.loads(card_text(read_artifact(made).card or {}))
    del told[entry]
    with pytest.raises(EdgestitchError, match=f"entry {entry} is missing"):
        read_artifact(written(with_card(made.read_bytes(), told)))


@pytest.mark.parametrize("told", [None, [], 1, {"schema": 1}, {"format": "tflite"}])
def test_a_card_that_is_none_is_damaged(
    made: Path, written: Callable[[bytes], Path], told: Any
) -> None:
    if told == {"format": "tflite"}:
        told = (read_artifact(made).card or {}) | told
    with pytest.raises(EdgestitchError, match="damaged card"):
        read_artifact(written(with_card(made.read_bytes(), told)))


def test_verify_tells_whether_it_is_as_exported(
    made: Path, written: Callable[[bytes], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(made), "--verify"]) == 0
    gate = (read_artifact(made).card or {})["golden"]["gate"]
    assert f"its weights and {gate} golden vectors match" in capsys.readouterr().out
    assert main(["inspect", str(made), "--verify", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["golden_vectors"] == gate == int(_defined(made, "GOLDEN_COUNT"))
    whole = made.read_bytes()
    place = whole.index(b"hidden_1_weights[")
    altered = whole[:place] + whole[place:].replace(b" 1,", b" 2,", 1)
    code, message, _ = said(written(altered), capsys, "inspect", "--verify")
    assert code == 1 and "altered after its export: its weights" in message


def _defined(made: Path, name: str) -> str:
    (value,) = re.findall(rf"#define MLP_{name} (\d+)", made.with_suffix(".h").read_text())
    return value


@pytest.mark.parametrize("words", [("selftest",), ("profile",), ("selftest", "--engine", "all")])
def test_c_is_not_run_and_the_hint_says_what_to_do(
    made: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    code, message, hint = said(made, capsys, *words)
    assert code == 2 and "is C: it is compiled, and not run" in message
    assert "-DMLP_WITH_GOLDEN" in hint and "mlp_selftest()" in hint
    assert "edgestitch export --format native --int8" in hint
    assert b"#ifdef MLP_WITH_GOLDEN" in made.read_bytes()
    assert b"int mlp_selftest(void)" in made.read_bytes()


@pytest.mark.parametrize("engine", ["auto", "reference", "native"])
def test_c_is_not_classified_with_on_any_engine(
    made: Path, mini_test: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], engine: str
) -> None:
    np.save(tmp_path / "images.npy", mini_test[0][:3])
    images = str(tmp_path / "images.npy")
    code, message, _ = said(made, capsys, "classify", images, "--engine", engine)
    assert code == 2 and "is C: it is compiled, and not run" in message


def test_inspect_prints_sizes_operators_and_the_plan(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "72")
    assert main(["inspect", str(made)]) == 0
    text = capsys.readouterr().out
    assert f"{len(made.read_bytes()):,} bytes" in text
    assert f"{int(_defined(made, 'WEIGHT_BYTES')):,} bytes of flash" in text
    assert f"{int(_defined(made, 'ARENA_BYTES')):,} bytes of RAM" in text
    assert "2 FULLY_CONNECTED" in text and "(checked)" in text
    drawn = text[text.index("the plan of the arena") :].splitlines()
    assert "= hidden_1 =" in drawn[2] and max(map(len, drawn)) <= 72
    assert main(["inspect", str(made), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["format"] == "c" and told["facts"] is None
    assert told["card"]["memory"]["arena_bytes"] == int(_defined(made, "ARENA_BYTES"))
    assert main(["inspect", str(made), "--svg", str(tmp_path / "plan.svg")]) == 0
    capsys.readouterr()
    assert (tmp_path / "plan.svg").read_text() == inspect_artifact(made).svg()
    code, message, hint = said(made, capsys, "inspect", "--layers")
    assert code == 2 and "stand in the file itself" in message and ".tflite" in hint


def test_the_same_model_gives_the_same_bytes(mini_run: Path, made: Path, tmp_path: Path) -> None:
    tflite = mini_run / "export" / "mlp-int8.tflite"
    again = export_tflite(tflite, format="c", out=tmp_path)
    assert again.path.read_bytes() == made.read_bytes()
    assert again.sha256 == hashlib.sha256(made.read_bytes()).hexdigest()
    assert again.card == read_artifact(made).card
