"""What chairs and tables stand on."""

from __future__ import annotations

import numpy as np

from offline_training.rooms.draw import Draw
from offline_training.rooms.piece import Piece
from offline_training.rooms.shapes import block, box, ellipsoid, rod


def stand(
    piece: Piece, draw: Draw, kind: str, width: float, depth: float, height: float, material: str
) -> None:
    """Adds legs of a kind under a top of width × depth whose lower side is at `height`.

    Kinds: square4, round4, splayed4, three, star5, star4, disc, sled, trestle, panels, tframe and
    twin.
    """
    thick = draw.between(0.018, 0.045) * (1.5 if width > 0.9 else 1.0)
    x, y = width / 2 - thick, depth / 2 - thick
    corners = [(-x, -y), (x, -y), (x, y), (-x, y)]
    if kind == "square4":
        for cx, cy in corners:
            piece.add(block(cx, cy, 0, (thick * 1.6, thick * 1.6, height)), material)
        for cy in (-y, y):
            piece.add(box((-x, cy - 0.01, height - 0.07), (x, cy + 0.01, height)), material)
    elif kind in ("round4", "splayed4"):
        out = 1.0 if kind == "round4" else 1.18
        for cx, cy in corners:
            foot, top = (cx * out, cy * out, 0), (cx * 0.85, cy * 0.85, height)
            piece.add(rod(foot, top, thick * 0.45, thick * 0.75), material)
    elif kind == "three":
        for angle in np.arange(3) * 2 * np.pi / 3:
            foot = (x * 0.95 * np.cos(angle), y * 0.95 * np.sin(angle), 0)
            top = (x * 0.45 * np.cos(angle), y * 0.45 * np.sin(angle), height)
            piece.add(rod(foot, top, thick * 0.6), material)
    elif kind in ("star5", "star4"):
        arms, reach = int(kind[-1]), draw.between(0.26, 0.34)
        piece.add(rod((0, 0, 0.09), (0, 0, height), 0.028), "metal.post")
        for angle in np.arange(arms) * 2 * np.pi / arms + 0.3:
            tip = np.array([reach * np.cos(angle), reach * np.sin(angle), 0.07])
            piece.add(rod((0, 0, 0.12), tip, 0.025, 0.018, 6), material)
            piece.add(ellipsoid(tip * [1, 1, 0.45], (0.03, 0.03, 0.03)), "dark.castor")
    elif kind == "disc":
        radius = min(width, depth) * draw.between(0.32, 0.46)
        piece.add(rod((0, 0, 0), (0, 0, 0.03), radius, radius * 0.9, 20), material)
        piece.add(rod((0, 0, 0.03), (0, 0, height), thick * 1.2, thick * 0.9, 12), material)
    elif kind == "sled":
        for cx in (-x, x):
            piece.add(rod((cx, -y, 0.012), (cx, y, 0.012), 0.012, sides=6), material)
            piece.add(rod((cx, -y, 0.012), (cx, -y, height), 0.012, sides=6), material)
            piece.add(rod((cx, y, 0.012), (cx, y, height), 0.012, sides=6), material)
    elif kind == "trestle":
        for cx in (-x * 0.85, x * 0.85):
            piece.add(rod((cx, -y, 0), (cx, y * 0.75, height), thick * 0.8, sides=4), material)
            piece.add(rod((cx, y, 0), (cx, -y * 0.75, height), thick * 0.8, sides=4), material)
        bar = height * 0.45
        piece.add(rod((-x * 0.85, 0, bar), (x * 0.85, 0, bar), thick * 0.6, sides=4), material)
    elif kind == "panels":
        for cx in (-x, x):
            piece.add(box((cx - 0.015, -y, 0), (cx + 0.015, y, height)), material)
        piece.add(box((-x, -y, height * 0.45), (x, -y + 0.02, height)), material)
    elif kind == "tframe":
        for cx in (-x * 0.8, x * 0.8):
            piece.add(block(cx, 0, 0, (0.07, depth * 0.85, 0.035)), material)
            piece.add(block(cx, 0, 0.035, (0.08, 0.05, height - 0.06)), material)
            piece.add(block(cx, 0, height - 0.03, (0.05, depth * 0.7, 0.03)), material)
    elif kind == "twin":
        for cx in (-x * 0.55, x * 0.55):
            piece.add(block(cx, 0, 0, (0.1, depth * 0.7, 0.05)), material)
            piece.add(rod((cx, 0, 0.05), (cx, 0, height), 0.075, 0.05, 12), material)
    else:
        raise ValueError(f"no legs of kind {kind}")
