"""Pins of clicks and boxes of objects, drawn over a picture with smooth edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from offline_training.demo.splat import F64, View

FINER = 3  # drawings are made this much larger and then shrunk
NEAR = 0.1  # metres; a box that comes nearer to the eye is not drawn
DARK, BRIGHT = (20, 22, 26), (255, 255, 255)

Color = tuple[int, ...]
Pen = ImageDraw.ImageDraw


def draw_pins(
    picture: Image.Image, places: F64, colors: Sequence[Color], view: View
) -> Image.Image:
    """A pin that stands on each place [P, 3], the nearest one in front."""
    pixels, depth = view.project(places)

    def draw(pen: Pen) -> None:
        for row in np.argsort(-depth):
            x, y = (pixels[row] * FINER).tolist()
            _pin(pen, x, y, colors[row])

    return _overlay(picture, draw)


def draw_boxes(
    picture: Image.Image, boxes: Sequence[dict[str, Any]], rotation: NDArray[Any], view: View
) -> Image.Image:
    """Boxes with their names; where names would cover each other, the first one stays.

    Args:
        boxes: {"text", "color" of 0..1, "lines" [2 E, 3]: E edges by their ends}.
        rotation: [3, 3], from the frame of the lines to that of the view.
    """

    def draw(pen: Pen) -> None:
        tags = []
        for box in boxes:
            ends, depth = view.project(np.asarray(box["lines"]) @ rotation.T)
            if (depth < NEAR).any():
                continue
            color = tuple(round(255 * part) for part in box["color"])
            edges = [tuple(edge) for edge in (ends * FINER).reshape(-1, 4).tolist()]
            for edge in edges:
                pen.line(edge, fill=(*DARK, 150), width=3 * FINER)
            for edge in edges:
                pen.line(edge, fill=color, width=round(1.6 * FINER))
            tags.append((ends[ends[:, 1].argmin()] * FINER, str(box["text"]), color))
        taken: list[tuple[float, ...]] = []
        for place, text, color in tags:
            _tag(pen, place, text, color, taken)

    return _overlay(picture, draw)


def _overlay(picture: Image.Image, draw: Callable[[Pen], None]) -> Image.Image:
    sheet = Image.new("RGBA", (picture.width * FINER, picture.height * FINER), (0, 0, 0, 0))
    draw(ImageDraw.Draw(sheet))
    return Image.alpha_composite(picture, sheet.resize(picture.size, Image.Resampling.LANCZOS))


def _pin(pen: Pen, x: float, y: float, color: Color) -> None:
    radius, rim, height, dot = 6.0 * FINER, 1.6 * FINER, 17 * FINER, 2.1 * FINER
    head = y - height
    pen.ellipse((x - 4 * FINER, y - 2 * FINER, x + 4 * FINER, y + 2 * FINER), fill=(0, 0, 0, 110))
    for grow, ink in ((rim, BRIGHT), (0.0, color)):
        wide, brow = 0.86 * (radius + grow), head + radius / 2
        pen.polygon([(x - wide, brow), (x + wide, brow), (x, y + grow)], fill=ink)
        reach = radius + grow
        pen.ellipse((x - reach, head - reach, x + reach, head + reach), fill=ink)
    pen.ellipse((x - dot, head - dot, x + dot, head + dot), fill=BRIGHT)


def _tag(
    pen: Pen, place: NDArray[Any], text: str, color: Color, taken: list[tuple[float, ...]]
) -> None:
    font = ImageFont.load_default(11 * FINER)
    pad = 3 * FINER
    width = pen.textlength(text, font) + 2 * pad
    height = 11 * FINER + 2 * pad
    left, top = float(place[0]) - width / 2, max(float(place[1]) - height, 0.0)
    box = (left, top, left + width, top + height)
    if any(
        box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
        for other in taken
    ):
        return
    taken.append(box)
    bright = float(np.dot(color, (0.299, 0.587, 0.114))) > 140
    pen.rounded_rectangle(box, radius=pad, fill=(*color, 235))
    middle = (left + width / 2, top + height / 2)
    pen.text(middle, text, fill=DARK if bright else BRIGHT, font=font, anchor="mm")
