"""Small things."""

from __future__ import annotations

from offline_training.rooms.draw import Draw
from offline_training.rooms.piece import Piece
from offline_training.rooms.shapes import block, box, cushion, ellipsoid, lathe, rod


def clutter(draw: Draw) -> Piece:
    """A small thing that nobody would label: mug, bottle, books, keyboard, ball, shoe box, bag."""
    kind = draw.pick(("mug", "bottle", "books", "keyboard", "ball", "bowl", "bag", "papers"))
    piece = Piece("clutter", kind)
    if kind == "mug":
        piece.add(rod((0, 0, 0), (0, 0, 0.095), 0.04, sides=12), "ceramic")
        piece.add(block(0.052, 0, 0.03, (0.02, 0.01, 0.045)), "ceramic")
    elif kind == "bottle":
        tall = draw.between(0.2, 0.32)
        profile = [
            (0.0, 0.0),
            (0.036, 0.0),
            (0.036, tall * 0.65),
            (0.013, tall * 0.85),
            (0.013, tall),
            (0.0, tall),
        ]
        piece.add(lathe(profile, 12), draw.pick(("plastic", "glass", "paint")))
    elif kind == "books":
        z = 0.0
        for i in range(draw.count(1, 6)):
            thick = draw.anything(0.012, 0.045)
            x, y, shift = (
                draw.anything(0.07, 0.11),
                draw.anything(0.09, 0.14),
                draw.anything(-0.02, 0.02),
            )
            piece.add(box((-x + shift, -y, z), (x + shift, y, z + thick)), f"paper.book{i}")
            z += thick
    elif kind == "keyboard":
        piece.add(box((-0.21, -0.07, 0), (0.21, 0.07, 0.02)), "dark")
        piece.add(cushion((0.26, -0.05, 0), (0.32, 0.05, 0.035)), "dark.mouse")
    elif kind == "ball":
        radius = draw.between(0.04, 0.1)
        piece.add(ellipsoid((0, 0, radius), (radius, radius, radius)), "plastic")
    elif kind == "bowl":
        radius = draw.between(0.07, 0.14)
        piece.add(lathe([(0.0, 0.01), (radius * 0.5, 0.0), (radius, radius * 0.55)]), "ceramic")
    elif kind == "bag":
        x, y, z = draw.between(0.12, 0.2), draw.between(0.06, 0.11), draw.between(0.2, 0.36)
        piece.add(cushion((-x, -y, 0), (x, y, z)), draw.pick(("fabric", "leather")))
    else:
        piece.add(box((-0.105, -0.148, 0), (0.105, 0.148, draw.anything(0.003, 0.02))), "paper")
    return piece
