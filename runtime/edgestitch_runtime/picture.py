"""Files to arrays: the one conversion of a picture into the pixels that a model expects.

A picture of any size and mode goes through these steps, in this order, and no others:

1. its EXIF orientation is applied;
2. transparency is laid over the expected background (its opposite when the picture is inverted);
3. gray: luma of ITU-R 601-2 (Pillow's mode L); 16-bit gray keeps its top eight bits;
4. only if asked for: inverted, 255 - gray;
5. scaled to fit the model's height and width, its proportions kept (Pillow's LANCZOS filter over
   the source area), and centred on the expected background.

A gray picture of the model's own size passes unchanged. Nothing is guessed from the pixels: a
bright border where the model expects a dark one is a warning, and the caller decides.
"""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .array_files import (
    GZIP_MARK,
    IDX_MARKS,
    MAX_BYTES,
    NPY_MARK,
    parse_idx,
    read_npy,
    read_regular,
    unpacked,
)
from .errors import EdgestitchError

PICTURES = {".png", ".jpg", ".jpeg", ".bmp"}
MAX_PIXELS = 64_000_000
DARK, BRIGHT = 0, 255
BACKGROUNDS = {"dark": DARK, "bright": BRIGHT}
CONVERSION = "exif-orientation, alpha-over-background, itu-r-601-2-luma, fit-lanczos-centred"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a model expects of a picture: its size in pixels, and the gray of its background."""

    height: int
    width: int
    background: int = DARK


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The images of one file, (n, height, width) uint8, and what should be said of them."""

    name: str
    images_u8: np.ndarray
    warnings: tuple[str, ...] = ()


def load(path: Path, expected: Expected, *, invert: str) -> Loaded:
    """Images from a picture, an .npy or an IDX file; `invert` is "no" or "yes".

    Arrays must hold uint8 images of exactly the model's size: only pictures are converted. Raises
    EdgestitchError when the file is missing, too large, no image, or an array of another kind.
    """
    return decode(str(path), read_regular(path), expected, invert=invert)


def decode(name: str, content: bytes, expected: Expected, *, invert: str) -> Loaded:
    """`load` for the bytes of a picture, an .npy or an IDX file; `name` is used in messages."""
    if not content:
        raise EdgestitchError(f"{name} is empty", hint="give a PNG, JPEG, BMP, .npy or IDX file")
    if content[:6] == NPY_MARK:
        return _array(name, read_npy(name, content), expected, invert)
    if content[:2] == GZIP_MARK or content[:4] in IDX_MARKS:
        return _array(name, parse_idx(name, unpacked(name, content)), expected, invert)
    return _picture(name, content, expected, invert)


def files_in(paths: list[Path]) -> Iterator[Path]:
    """The given files, and for a folder its pictures, .npy and IDX files by name, not deeper."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(
            p
            for p in path.iterdir()
            if p.is_file() and (p.suffix.lower() in PICTURES | {".npy"} or "images-idx3" in p.name)
        )
        if not found:
            raise EdgestitchError(
                f"{path} holds no picture", hint=f"expected {', '.join(sorted(PICTURES))} or .npy"
            )
        yield from found


def read_stdin() -> bytes:
    """What stands on standard input, at most MAX_BYTES of it."""
    content = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise EdgestitchError("standard input is too long", hint="give one picture or array")
    return content


def _array(name: str, array: np.ndarray, expected: Expected, invert: str) -> Loaded:
    size = (expected.height, expected.width)
    if array.dtype != np.uint8:
        raise EdgestitchError(
            f"{name} holds {array.dtype}, expected uint8 pixels 0..255",
            hint="save the raw pixels; scaling to 0..1 is inside the model",
        )
    if array.ndim not in (2, 3) or array.shape[-2:] != size:
        raise EdgestitchError(
            f"{name} has the shape {array.shape}, expected {size} or (n, {size[0]}, {size[1]})",
            hint="arrays are taken as they are; save a PNG to have it resized",
        )
    if array.size == 0:
        raise EdgestitchError(f"{name} holds no image", hint="save at least one")
    images = array.reshape(-1, *size)
    return Loaded(name=name, images_u8=~images if invert == "yes" else images)


def needs_pillow(name: str) -> EdgestitchError:
    """What is said where pictures are to be read and Pillow is not installed."""
    return EdgestitchError(
        f"reading {name} needs Pillow, which is not installed here",
        hint="pip install 'edgestitch-runtime[image]', or give .npy or IDX files",
    )


def _picture(name: str, content: bytes, expected: Expected, invert: str) -> Loaded:
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError:
        raise needs_pillow(name) from None
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "BMP")) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise EdgestitchError(
                    f"{name} has {opened.width} x {opened.height} pixels, more than "
                    f"{MAX_PIXELS // 1_000_000} million",
                    hint="scale it down first",
                )
            opened.load()
            picture: Any = _upright(opened)
    except Image.DecompressionBombError:
        raise EdgestitchError(
            f"{name} has more than {MAX_PIXELS // 1_000_000} million pixels",
            hint="scale it down first",
        ) from None
    except UnidentifiedImageError:
        raise EdgestitchError(
            f"{name} is not a picture that can be read",
            hint="give a PNG, JPEG, BMP, .npy or IDX file",
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # Pillow's decoders raise these
        raise EdgestitchError(
            f"{name} is a damaged picture: {error}", hint="save or copy it again"
        ) from None
    background = expected.background
    under = 255 - background if invert == "yes" else background
    gray = _gray(picture, under)
    if invert == "yes":
        gray = ImageOps.invert(gray)
    warnings = tuple(_border_warning(name, gray, background, invert))
    if gray.size != (expected.width, expected.height):
        scale = min(expected.width / gray.width, expected.height / gray.height)
        if min(gray.width, gray.height) * scale < 1:
            raise EdgestitchError(
                f"{name} is {gray.width} x {gray.height} pixels: fitted to {expected.width} x "
                f"{expected.height} it would be thinner than one",
                hint="cut out the part that shows the object",
            )
        gray = ImageOps.pad(
            gray,
            (expected.width, expected.height),
            method=Image.Resampling.LANCZOS,
            color=background,
        )
    return Loaded(name=name, images_u8=np.asarray(gray, np.uint8)[None], warnings=warnings)


def _upright(opened: Any) -> Any:
    """The picture turned as its EXIF data says; as it lies when those are damaged."""
    from PIL import ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of data that are cut short
        try:
            return ImageOps.exif_transpose(opened)
        except Exception:  # Pillow raises what the damaged part happens to break
            return opened


def _gray(picture: Any, under: int) -> Any:
    from PIL import Image

    if picture.mode.startswith("I;16") or picture.mode == "I":
        return Image.fromarray(
            (np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype("u1")
        )
    if picture.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        sheet = Image.new("RGBA", layer.size, (under, under, under, 255))
        return Image.alpha_composite(sheet, layer).convert("L")
    return picture.convert("L")


def _border_warning(name: str, gray: Any, background: int, invert: str) -> Iterator[str]:
    """Of the picture before it is fitted: the bars that fitting adds are always as expected."""
    pixels = np.asarray(gray)
    if min(pixels.shape) < 3:
        return
    border = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    middle = float(np.median(border))
    if abs(middle - background) > 127:
        kind, wanted = ("bright", "dark") if background == DARK else ("dark", "bright")
        remedy = "leave out --invert" if invert == "yes" else "--invert turns it over"
        yield (
            f"{name} has a {kind} border (median {middle:.0f} of 255) where the model expects a "
            f"{wanted} one; {remedy}"
        )
