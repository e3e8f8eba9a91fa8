"""A data set as a folder of pictures: a sub-folder a class, or train/ and test/ of such.

Every picture goes through the runtime's one conversion (`picture`). They are ordered by class and
by path, so that the same files are the same data on any file system.
"""

from __future__ import annotations

import importlib.util
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import EdgestitchError, os_error
from .parts import DARK, Dataset, Part, check_names, idx_files, take_test
from .picture import PICTURES, Expected, load, needs_pillow

DEFAULT_SIZE = (28, 28)  # height and width in pixels, as Fashion-MNIST has them
SPLIT = ("train", "test")
NAMED = 10  # of the skipped files, the rest is counted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    """What came of one file: its pixels, or why it was skipped; `odd_border` is a warning."""

    path: Path
    label: int
    pixels: np.ndarray | None
    why: str
    odd_border: bool


def class_folders(folder: Path) -> list[Path]:
    """The sub-folders of `folder` that are not hidden, by name. Raises EdgestitchError."""
    return [p for p in _entries(folder) if p.is_dir()]


def read_picture_folder(
    folder: Path,
    *,
    size: tuple[int, int],
    labels: tuple[str, ...] | None,
    background: int,
    strict: str,
    say: Callable[[str], None],
) -> Dataset:
    """The data set in `folder`: CLASS/*.png in it, or in its sub-folders train and test.

    `size` is the height and width that pictures are scaled to; `background` the gray around the
    object. The classes are the folders' names, sorted, or in the order of `labels`. Without test/
    one picture in seven of each class is taken out for test. A file that is no readable picture is
    skipped, and `say` hears of it; with `strict` "yes" (else "no") it is refused. Raises
    EdgestitchError for what is no such folder, for fewer than two classes and for an empty one.
    """
    if importlib.util.find_spec("PIL") is None:
        raise needs_pillow(f"the pictures in {folder}")
    roots = [folder / name for name in SPLIT]
    split = all(root.is_dir() and class_folders(root) for root in roots)
    if not split:
        only_train = {p.name for p in class_folders(folder)} == {"train"}
        roots = [folder / "train" if only_train else folder]
    elif aside := [p.name for p in class_folders(folder) if p.name not in SPLIT]:
        say(f"{folder}: {', '.join(aside)} left aside, only train and test are read")
    names = _classes(roots, labels, folder)
    files = [list(_files(root, names)) for root in roots]
    expected = Expected(height=size[0], width=size[1], background=background)
    # One after another: threads were slower, as most of the work on a small picture is Python's.
    read = [[_picture(path, label, expected) for path, label in part] for part in files]
    _tell([each for part in read for each in part], folder, background, strict, say)
    for root, part in zip(roots, read, strict=True):
        _refuse_empty(root, part, names, test=split and root.name == "test", say=say)
    parts = [_part(part) for part in read]
    if not split:
        parts = list(take_test(parts[0], names))
        say(
            f"{folder} has no test pictures: {len(parts[1].labels):,} of "
            f"{len(parts[0].labels) + len(parts[1].labels):,} were taken out, by their pixels"
        )
    return Dataset(
        name=folder.resolve().name,
        folder=folder,
        labels=names,
        files=idx_files(parts[0], parts[1]),
        train=parts[0],
        test=parts[1],
        background=background,
    )


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    except OSError as error:
        raise os_error(f"read {folder}", error) from None


def _classes(roots: list[Path], labels: tuple[str, ...] | None, folder: Path) -> tuple[str, ...]:
    found = [tuple(_name(p) for p in class_folders(root)) for root in roots]
    names = check_names(found[0], roots[0])
    alike: dict[str, str] = {}
    for name in names:
        other = alike.setdefault(" ".join(name.casefold().split()), name)
        if other != name:
            raise EdgestitchError(
                f"{roots[0]} has the classes {other!r} and {name!r}",
                hint="one class, one folder: put them together or rename one",
            )
    if len(names) < 2:
        raise EdgestitchError(
            f"{roots[0]} has {len(names) or 'no'} class{'es' if not names else ''}: "
            "a folder of pictures for each is expected",
            hint="a classifier needs two classes at least: FOLDER/cat/*.png and FOLDER/dog/*.png",
        )
    unknown = sorted(set(found[-1]) - set(names))
    if unknown:
        raise EdgestitchError(
            f"{roots[-1]} has the class {unknown[0]!r}, which {roots[0]} lacks",
            hint="a model can only be tested on classes that it was trained on",
        )
    labels = labels and tuple(unicodedata.normalize("NFC", label) for label in labels)
    if labels is not None and set(labels) != set(names):
        missing = sorted(set(names) ^ set(labels))
        raise EdgestitchError(
            f"the class names given and the folders in {roots[0]} differ by {missing[0]!r}",
            hint="name each folder once, one a line: the order is that of the classes",
        )
    return labels or names


def _name(folder: Path) -> str:
    """The class of a folder. A Mac takes a letter with an accent apart, and elsewhere it is one."""
    return unicodedata.normalize("NFC", folder.name)


def _files(root: Path, names: tuple[str, ...]) -> Iterator[tuple[Path, int]]:
    folders = {_name(folder): folder for folder in class_folders(root)}
    for label, name in enumerate(names):
        if name not in folders:
            continue
        folder = folders[name]
        stems: dict[str, Path] = {}
        for path in _entries(folder):
            if path.suffix.lower() in PICTURES:
                other = stems.setdefault(path.stem, path)
                if other != path:
                    raise EdgestitchError(
                        f"{other} and {path} have one name: the same picture twice, or a mistake",
                        hint="remove or rename one of them",
                    )
            yield path, label


def _picture(path: Path, label: int, expected: Expected) -> _Picture:
    pixels, why, odd = None, "", False
    if path.is_dir():
        why = f"{path} is a folder"
    elif path.suffix.lower() not in PICTURES:
        why = f"{path} is not called {', '.join(sorted(PICTURES))}"
    else:
        try:
            loaded = load(path, expected, invert="no")
            pixels, odd = loaded.images_u8[0], bool(loaded.warnings)
            if len(loaded.images_u8) != 1:
                pixels, why = None, f"{path} is an array of several images"
        except EdgestitchError as error:
            why = error.message
    return _Picture(path=path, label=label, pixels=pixels, why=why, odd_border=odd)


def _tell(
    read: list[_Picture], folder: Path, background: int, strict: str, say: Callable[[str], None]
) -> None:
    skipped = [each.why for each in read if each.pixels is None]
    if skipped and strict == "yes":
        raise EdgestitchError(
            f"{skipped[0]}" + (f"; and {len(skipped) - 1} more like it" if skipped[1:] else ""),
            hint=f"without --strict the {len(skipped)} would be skipped",
        )
    for why in skipped[:NAMED]:
        say(f"skipped: {why}")
    if skipped:
        more = f" ({len(skipped) - NAMED} more than named)" if len(skipped) > NAMED else ""
        say(f"{folder}: {len(skipped):,} of {len(read):,} files skipped{more}")
    odd = sum(each.odd_border for each in read)
    if odd:
        here, there = ("bright", "dark") if background == DARK else ("dark", "bright")
        say(
            f"warning: {odd:,} of {len(read):,} pictures have a {here} border where a {there} one "
            f"is expected; --background {here} says that it is so in all"
        )


def _refuse_empty(
    root: Path,
    read: list[_Picture],
    names: tuple[str, ...],
    *,
    test: bool,
    say: Callable[[str], None],
) -> None:
    counts = np.bincount([e.label for e in read if e.pixels is not None], minlength=len(names))
    empty = [name for name, count in zip(names, counts, strict=True) if not count]
    if not empty:
        return
    if test and len(empty) < len(names):
        say(f"{root} has no picture of {', '.join(empty)}: its accuracy will not be known")
        return
    hint = f"every class needs some ({', '.join(sorted(PICTURES))}), or remove its folder"
    if any(e.path.is_dir() for e in read if names[e.label] == empty[0]):
        hint = (
            "it has folders in it: FOLDER/cat/*.png, or FOLDER/train/cat/*.png beside FOLDER/test"
        )
    raise EdgestitchError(f"{root / empty[0]} has no picture that can be read", hint=hint)


def _part(read: list[_Picture]) -> Part:
    kept = [each for each in read if each.pixels is not None]
    return Part(
        images_u8=np.stack([each.pixels for each in kept if each.pixels is not None]),
        labels=np.array([each.label for each in kept], np.int64),
    )
