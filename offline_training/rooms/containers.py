"""Boxes and waste bins."""

from __future__ import annotations

import numpy as np

from offline_training.rooms.draw import Draw
from offline_training.rooms.piece import Piece, Support
from offline_training.rooms.shapes import block, box, lathe, move, outline, prism, rod, sheet, tilt


def carton(draw: Draw, *, kind: str) -> Piece:
    """A box: closed, flaps (open carton), crate, lidded or basket."""
    piece = Piece("box", kind)
    width, depth, height = (
        draw.between(0.26, 0.58),
        draw.between(0.22, 0.44),
        draw.between(0.16, 0.46),
    )
    x, y, wall = width / 2, depth / 2, 0.012
    body = {"closed": "carton", "flaps": "carton", "crate": "plastic"}.get(kind, "paint")
    if draw.chance(0.35):
        body = draw.pick(("paint", "plastic", "carton", "fabric"))
    if kind in ("closed", "lidded"):
        piece.add(box((-x, -y, 0), (x, y, height)), body)
        piece.supports.append(Support((-x, -y), (x, y), height + 0.005))
        if kind == "lidded":
            piece.add(
                box(
                    (-x - 0.008, -y - 0.008, height - 0.05), (x + 0.008, y + 0.008, height + 0.005)
                ),
                body + ".lid",
            )
        else:
            piece.add(box((-x, -0.025, height), (x, 0.025, height + 0.003)), "paper.tape")
        return piece
    piece.add(box((-x, -y, 0), (x, y, wall)), body)
    for side in (-1, 1):
        ex, ey = sorted((side * x, side * (x - wall))), sorted((side * y, side * (y - wall)))
        piece.add(box((ex[0], -y, 0), (ex[1], y, height)), body)
        piece.add(box((-x, ey[0], 0), (x, ey[1], height)), body)
        if kind == "flaps":
            flap = box((-x, min(0, side * depth * 0.4), 0), (x, max(0, side * depth * 0.4), 0.006))
            piece.add(
                move(tilt(flap, side * draw.anything(-0.9, 0.5), (0, 0, 0)), y=side * y, z=height),
                body,
            )
        elif kind == "basket":
            piece.add(
                rod((side * x, -0.06, height + 0.03), (side * x, 0.06, height + 0.03), 0.012),
                "metal.grip",
            )
        else:
            piece.add(
                box((ex[0] - 0.01, -y - 0.01, height - 0.03), (ex[1] + 0.01, y + 0.01, height)),
                body,
            )
    if draw.chance(0.6):
        piece.add(
            box(
                (-x + 0.02, -y + 0.02, wall), (x - 0.02, y - 0.02, height * draw.anything(0.3, 0.9))
            ),
            "fabric.content",
            solid=False,
        )
    return piece


def waste_bin(draw: Draw, *, kind: str) -> Piece:
    """A waste bin: taper, square, pedal, swing or wire."""
    piece = Piece("bin", kind)
    radius, height = draw.between(0.11, 0.19), draw.between(0.25, 0.62)
    body = draw.pick(("plastic", "metal", "paint", "dark"))
    if kind == "taper":
        piece.add(
            lathe([(0.0, 0.004), (radius * 0.75, 0.0), (radius, height), (radius * 1.04, height)]),
            body,
        )
        piece.add(lathe([(0.0, height * 0.4), (radius * 0.85, height * 0.45)]), "paper.waste")
    elif kind == "square":
        foot, top = (
            outline("chamfer", radius * 1.5, radius * 1.2),
            outline("chamfer", radius * 2, radius * 1.6),
        )
        rings = np.stack(
            [np.column_stack([foot, np.zeros(8)]), np.column_stack([top, np.full(8, height)])]
        )
        ring = np.concatenate([rings, rings[:, :1]], axis=1)

        piece.add(sheet(ring), body)
        piece.add(prism(foot, 0.0, height * 0.3), "plastic.bag")
    elif kind == "pedal":
        piece.add(rod((0, 0, 0), (0, 0, height), radius, sides=20), body)
        dome = [
            (radius, height),
            (radius * 0.95, height + 0.04),
            (radius * 0.6, height + 0.08),
            (0.0, height + 0.095),
        ]
        piece.add(lathe(dome), body + ".lid")
        piece.add(block(0, radius + 0.03, 0.01, (0.08, 0.08, 0.015)), "dark.pedal")
    elif kind == "swing":
        piece.add(prism(outline("rect", radius * 2, radius * 1.6), 0.0, height), body)
        for side in (-1, 1):
            flap = box(
                (-radius, min(0, side * radius * 0.8), 0),
                (radius, max(0, side * radius * 0.8), 0.01),
            )
            piece.add(
                move(tilt(flap, -side * 0.6, (0, side * radius * 0.8, 0)), z=height), body + ".lid"
            )
    elif kind == "wire":
        for z in np.linspace(0.01, height, 9):
            r = radius * (0.8 + 0.2 * z / height)
            piece.add(lathe([(r, z), (r + 0.004, z + 0.006), (r, z + 0.012)]), body)
        for angle in np.arange(14) * 2 * np.pi / 14:
            c, s = np.cos(angle), np.sin(angle)
            start = (radius * 0.8 * c, radius * 0.8 * s, 0)
            piece.add(rod(start, (radius * c, radius * s, height), 0.004, sides=4), body)
        piece.add(lathe([(0.0, 0.01), (radius * 0.8, 0.01)]), body)
        piece.add(lathe([(0.0, height * 0.5), (radius * 0.8, height * 0.3)]), "paper.waste")
    else:
        raise ValueError(f"no bin of kind {kind}")
    return piece
