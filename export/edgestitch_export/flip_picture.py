"""A picture of the images that two models answer differently, with both answers under each."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SHOWN = 24
COLUMNS = 6
RIGHT, WRONG, TEXT, QUIET = "#0B559F", "#C44E00", "#1A1A1A", "#666666"
_SIDE = 140  # pixels of the longer side of an image, at least; drawn in whole steps
_WIDTH, _LINE, _GAP, _EDGE = 205, 22, 14, 22
_LONGEST = 15  # characters of a class name
_TEXT_SIZE, _TITLE_SIZE = 16, 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """One image, (height, width) uint8, its class, and each model's answer with its probability."""

    image_u8: np.ndarray
    truth: str
    answers: tuple[tuple[str, float], ...]


def flips_png(flips: Sequence[Flip], *, names: tuple[str, str], flips_of: int, n: int) -> bytes:
    """The flips as a PNG's bytes. `flips_of` is how many there are, of `n` images."""
    columns = min(COLUMNS, max(4, len(flips)))
    rows = math.ceil(len(flips) / columns)
    scale = math.ceil(_SIDE / max(flips[0].image_u8.shape)) if flips else 1
    height = flips[0].image_u8.shape[0] * scale if flips else 0
    cell = height + 3 * _LINE + 10 + _GAP
    head = 4 * (_TITLE_SIZE + 7) + _GAP
    canvas = Image.new(
        "RGB", (2 * _EDGE + columns * _WIDTH, 2 * _EDGE + head + rows * cell), "white"
    )
    draw = ImageDraw.Draw(canvas)
    title, text = ImageFont.load_default(_TITLE_SIZE), ImageFont.load_default(_TEXT_SIZE)
    for k, (line, color) in enumerate(_heading(len(flips), names, flips_of, n)):
        fitting = _cut(draw, line, title, canvas.width - 2 * _EDGE)
        draw.text((_EDGE, _EDGE + k * (_TITLE_SIZE + 7)), fitting, fill=color, font=title)
    for k, flip in enumerate(flips):
        left = _EDGE + k % columns * _WIDTH
        top = _EDGE + head + k // columns * cell
        image = Image.fromarray(flip.image_u8)
        size = (image.width * scale, image.height * scale)
        canvas.paste(image.resize(size, Image.Resampling.NEAREST), (left, top))
        below = top + height + 5
        draw.text((left, below), f"is {_short(flip.truth)}", fill=TEXT, font=text)
        for line, (side, (label, probability)) in enumerate(
            zip("AB", flip.answers, strict=True), start=1
        ):
            draw.text(
                (left, below + line * _LINE),
                f"{side}: {_short(label)} {100 * probability:.0f} %",
                fill=RIGHT if label == flip.truth else WRONG,
                font=text,
            )
    stream = io.BytesIO()
    canvas.save(stream, "PNG")
    return stream.getvalue()


def _heading(shown: int, names: tuple[str, str], flips: int, n: int) -> list[tuple[str, str]]:
    count = f"{flips:,} of {n:,} images are answered differently"
    if not flips:
        count = f"every one of {n:,} images is answered alike"
    elif shown < flips:
        count += f"; the {shown} whose probabilities changed most"
    return [
        (count, TEXT),
        (f"A: {names[0]}", QUIET),
        (f"B: {names[1]}", QUIET),
        ("blue: the answer is right; orange: it is wrong", QUIET),
    ]


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def _cut(draw: ImageDraw.ImageDraw, line: str, font: object, width: int) -> str:
    """The line, its middle left out where it is too long for `width` pixels."""
    whole, keep = line, len(line)
    while draw.textlength(line, font=font) > width:  # pyright: ignore[reportArgumentType]
        keep -= 1
        line = f"{whole[: keep // 2]}…{whole[len(whole) - (keep - keep // 2) :]}"
    return line
