"""Screens."""

from __future__ import annotations

import numpy as np

from offline_training.rooms.draw import Draw
from offline_training.rooms.piece import Piece
from offline_training.rooms.shapes import block, box, outline, prism, rod, tilt


def monitor(draw: Draw, *, stand: str, use: str) -> Piece:
    """A screen; `stand`: plate, vfoot, post, feet, tube (deep), laptop or wall. Front to +y."""
    piece = Piece("monitor", stand)
    big = use != "desk"
    width = draw.between(0.85, 1.4) if big else draw.between(0.42, 0.72)
    height = width * draw.between(0.54, 0.64)
    thick = draw.between(0.02, 0.06)
    case = draw.pick(("dark", "dark", "plastic", "metal"))
    bottom = 0.0 if stand == "wall" else draw.between(0.07, 0.16)
    if stand == "laptop":
        width = draw.between(0.3, 0.4)
        piece.add(box((-width / 2, -0.12, 0), (width / 2, 0.12, 0.018)), case)
        piece.add(box((-width * 0.44, -0.06, 0.018), (width * 0.44, 0.03, 0.021)), "dark.keys")
        lid = box((-width / 2, -0.13, 0.018), (width / 2, -0.12, 0.018 + width * 0.64))
        lean = draw.between(0.15, 0.45)
        pivot = (0, -0.12, 0.018)
        piece.add(tilt(lid, lean, pivot), case)
        glass = box((-width * 0.47, -0.12, 0.03), (width * 0.47, -0.118, width * 0.62))
        piece.add(tilt(glass, lean, pivot), "screen")
        return piece
    x, top = width / 2, bottom + height
    if stand == "tube":
        piece.add(box((-x, -0.02, bottom), (x, 0.05, top)), case)
        hull = [(-x * 0.9, 0.0), (x * 0.9, 0.0), (x * 0.5, -0.3), (-x * 0.5, -0.3)]
        piece.add(prism(np.array(hull)[::-1], bottom + 0.03, top - 0.06), case)
        piece.add(block(0, -0.1, 0, (width * 0.5, 0.26, bottom)), case)
        thick = 0.1
    else:
        piece.add(box((-x, -thick / 2, bottom), (x, thick / 2, top)), case)
        if draw.chance(0.5):
            piece.add(
                box(
                    (-x * 0.6, -thick / 2 - 0.03, bottom + height * 0.2),
                    (x * 0.6, -thick / 2, top - height * 0.2),
                ),
                case,
            )
    rim = draw.between(0.006, 0.025)
    face = thick / 2
    piece.add(box((-x + rim, face, bottom + rim), (x - rim, face + 0.002, top - rim)), "screen")
    if stand == "plate":
        piece.add(prism(outline("chamfer", width * 0.4, 0.2), 0, 0.015), case)
        piece.add(block(0, -0.04, 0.01, (0.06, 0.03, bottom + height * 0.3)), case)
    elif stand == "post":
        piece.add(prism(outline("round", 0.24, 0.24), 0, 0.015), case)
        piece.add(rod((0, -0.04, 0.01), (0, -0.04, bottom + height * 0.4), 0.02), case)
    elif stand == "vfoot":
        for side in (-1, 1):
            piece.add(rod((0, -0.03, 0.02), (side * width * 0.3, 0.1, 0.01), 0.012, sides=6), case)
        piece.add(rod((0, -0.03, 0.015), (0, -0.03, bottom + height * 0.25), 0.018), case)
    elif stand == "feet":
        for side in (-1, 1):
            cx = side * width * 0.33
            piece.add(block(cx, 0, 0, (0.025, 0.22, 0.015)), case)
            piece.add(block(cx, 0, 0.01, (0.02, 0.03, bottom)), case)
    return piece
