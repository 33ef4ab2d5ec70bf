"""Tables."""

from __future__ import annotations

import numpy as np

from offline_training.rooms.draw import Draw
from offline_training.rooms.legs import stand
from offline_training.rooms.piece import Piece, Support
from offline_training.rooms.shapes import block, box, outline, prism

_TABLES = {  # use -> width, depth, height ranges
    "dining": ((1.0, 1.9), (0.75, 1.0), (0.71, 0.79)),
    "desk": ((1.05, 1.7), (0.6, 0.82), (0.69, 0.78)),
    "coffee": ((0.5, 1.2), (0.42, 0.68), (0.34, 0.56)),
    "meeting": ((1.8, 2.9), (0.95, 1.2), (0.70, 0.77)),
}


def table(draw: Draw, *, top: str, legs: str, use: str) -> Piece:
    """A table; `use`: dining, desk, coffee or meeting; `legs` also "drawers" (a drawer block)."""
    piece = Piece("table", f"{top}-{legs}")
    widths, depths, heights = _TABLES[use]
    width, depth, height = draw.between(*widths), draw.between(*depths), draw.between(*heights)
    if top == "round":
        width = depth = {"coffee": 0.7, "meeting": 1.4}.get(use, 1.0) * draw.between(0.8, 1.2)
    thick = draw.between(0.02, 0.05)
    plate = draw.pick(("wood", "wood", "paint", "plastic", "stone"))
    frame = draw.pick((plate, "metal", "wood.frame", "paint.frame"))
    piece.add(prism(outline(top, width, depth), height - thick, height), plate)
    if legs == "drawers":
        stand(piece, draw, "panels", width * 0.96, depth * 0.94, height - thick, frame)
        side, wide = draw.pick((-1, 1)), draw.between(0.34, 0.46)
        x = side * (width * 0.46 - wide / 2)
        tall = height - thick - 0.02
        piece.add(block(x, 0, 0.02, (wide, depth * 0.88, tall)), frame)
        for z in np.linspace(0.05, tall - 0.16, 3):
            piece.add(
                block(x, depth * 0.44 + 0.008, z, (wide - 0.03, 0.016, tall / 3 - 0.06)), plate
            )
            piece.add(block(x, depth * 0.44 + 0.025, z + 0.06, (0.1, 0.02, 0.015)), "metal.knob")
    else:
        stand(piece, draw, legs, width * 0.92, depth * 0.92, height - thick, frame)
    if use == "coffee" and legs in ("square4", "panels") and draw.chance(0.6):
        z = height * 0.35
        piece.add(
            box((-width * 0.44, -depth * 0.44, z), (width * 0.44, depth * 0.44, z + 0.02)), plate
        )
    shrink = 0.66 if top in ("round", "oval") else 0.94
    x, y = width / 2 * shrink, depth / 2 * shrink
    piece.supports.append(Support((-x, -y), (x, y), height))
    return piece
