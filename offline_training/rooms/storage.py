"""Cabinets and bookcases."""

from __future__ import annotations

import numpy as np

from offline_training.rooms.draw import Draw
from offline_training.rooms.piece import Piece, Support
from offline_training.rooms.shapes import block, box, rod

_CABINETS = {  # use -> width, depth, height ranges
    "low": ((0.8, 1.8), (0.36, 0.5), (0.5, 0.98)),
    "night": ((0.36, 0.58), (0.34, 0.45), (0.42, 0.68)),
    "tall": ((0.7, 1.6), (0.4, 0.62), (1.5, 2.15)),
    "wall": ((0.6, 1.6), (0.28, 0.38), (0.4, 0.75)),
    "counter": ((1.2, 2.4), (0.55, 0.64), (0.84, 0.94)),
}


def cabinet(draw: Draw, *, fronts: str, base: str, use: str) -> Piece:
    """A closed cabinet; `fronts`: doors, drawers, mixed, louvre, sliding, glass, grid or plain."""
    piece = Piece("cabinet", f"{fronts}-{base}")
    width, depth, height = (draw.between(*r) for r in _CABINETS[use])
    body = draw.pick(("wood", "paint", "paint", "metal", "plastic"))
    front = draw.pick((body, "wood.front", "paint.front"))
    floor, x, y = 0.0, width / 2, depth / 2
    if use != "wall" and base == "legs":
        floor = draw.between(0.08, 0.2) if height < 1.2 else 0.08
        for cx in (-x + 0.05, x - 0.05):
            for cy in (-y + 0.05, y - 0.05):
                piece.add(rod((cx, cy, 0), (cx, cy, floor), 0.014, 0.02), "metal.leg")
    elif use != "wall":
        floor = 0.06
        piece.add(box((-x + 0.01, -y, 0), (x - 0.01, y - 0.04, floor)), "dark")
    piece.add(box((-x, -y, floor), (x, y, height)), body)
    if draw.chance(0.5) or use == "counter":
        top = "stone" if use == "counter" else body
        piece.add(box((-x - 0.01, -y, height), (x + 0.01, y + 0.025, height + 0.025)), top)
        height += 0.025
    _fronts(piece, draw, fronts, (-x + 0.01, x - 0.01), y, (floor + 0.01, height - 0.04), front)
    if height < 1.4 or draw.chance(0.3):
        piece.supports.append(Support((-x + 0.02, -y + 0.02), (x - 0.02, y - 0.02), height))
    return piece


def _fronts(
    piece: Piece,
    draw: Draw,
    kind: str,
    span: tuple[float, float],
    y: float,
    rise: tuple[float, float],
    material: str,
) -> None:
    """Doors and drawers that stand a little proud of the body, with handles."""
    gap, proud = 0.006, draw.between(0.008, 0.02)
    columns = max(1, round((span[1] - span[0]) / draw.between(0.38, 0.62)))
    rows = {"drawers": 3, "grid": 3}.get(kind, 2 if kind == "mixed" else 1)
    if kind == "drawers" and rise[1] - rise[0] > 1.2:
        rows = 6
    edges_x = np.linspace(*span, columns + 1)
    edges_z = np.linspace(*rise, rows + 1)
    if kind == "mixed":
        edges_z[1] = rise[1] - 0.28 * (rise[1] - rise[0])
    handle = draw.pick(("knob", "bar", "none", "groove"))
    for i in range(columns):
        for j in range(rows):
            x0, x1 = edges_x[i] + gap, edges_x[i + 1] - gap
            z0, z1 = edges_z[j] + gap, edges_z[j + 1] - gap
            face = y + proud * (1 + (kind == "sliding") * (i % 2))
            pane = "glass" if kind == "glass" else material
            piece.add(box((x0, y, z0), (x1, face, z1)), pane)
            if kind == "louvre":
                for z in np.arange(z0 + 0.06, z1 - 0.06, 0.06):
                    slat = box((x0 + 0.05, face, z), (x1 - 0.05, face + 0.006, z + 0.03))
                    piece.add(slat, material, solid=False)
            if kind in ("sliding", "plain") or handle == "none":
                continue
            drawer = kind in ("drawers", "grid") or (kind == "mixed" and j == 1)
            hx = (x0 + x1) / 2 if drawer else (x1 - 0.04 if i % 2 == 0 else x0 + 0.04)
            hz = (z0 + z1) / 2 if drawer or rise[0] > 0.5 else min(z1 - 0.1, 1.1)
            size = (0.14, 0.02, 0.014) if drawer else (0.014, 0.02, 0.14)
            if handle == "knob":
                size = (0.03, 0.025, 0.03)
            piece.add(block(hx, face + size[1] / 2, hz, size), "metal.handle")


def bookcase(draw: Draw, *, frame: str, use: str = "floor") -> Piece:
    """Open shelves with books; `frame`: plain, cubes, ladder, rods, staggered, cupboard."""
    piece = Piece("bookcase", frame)
    width, depth = draw.between(0.6, 1.5), draw.between(0.24, 0.38)
    height = draw.between(0.9, 2.15)
    board, body = draw.between(0.016, 0.035), draw.pick(("wood", "wood", "paint", "metal"))
    x, y = width / 2, depth / 2
    levels = np.linspace(0.04, height - board, max(3, round(height / draw.between(0.28, 0.4)) + 1))
    if frame == "cupboard":
        closed = float(levels[1]) + 0.12
        levels = np.linspace(closed, height - board, len(levels) - 1)
        piece.add(box((-x, -y, 0), (x, y, closed)), body)
        _fronts(piece, draw, "doors", (-x, x), y, (0.03, closed), body)
    if frame in ("plain", "cubes", "cupboard", "staggered"):
        for side in (-1, 1):
            edge = sorted((side * x, side * (x - board)))
            piece.add(box((edge[0], -y, 0), (edge[1], y, height)), body)
    else:
        lean = 0.55 if frame == "ladder" else 0.0
        for cx in (-x, x):
            for cy in (-y, y):
                foot, top = (cx, cy, 0), (cx, cy - lean * (cy + y), height)
                piece.add(rod(foot, top, 0.016, sides=6), "metal.post")
    if frame in ("plain", "cupboard") and draw.chance(0.7):
        piece.add(box((-x, -y, 0.03), (x, -y + 0.008, height)), body)
    cells = max(1, round(width / 0.36)) if frame in ("cubes", "staggered") else 1
    for k, z in enumerate(levels):
        front = y * (1 - 1.1 * z / height) if frame == "ladder" else y
        piece.add(box((-x, -y, z), (x, front, z + board)), body)
        if z + 0.15 > height:
            continue
        gap = (levels[k + 1] if k + 1 < len(levels) else height) - z - board
        edges = np.linspace(-x + board, x - board, cells + 1)
        shift = (width / cells / 3) * (k % 2) if frame == "staggered" else 0.0
        for edge in edges[1:-1] + shift if cells > 1 else ():
            piece.add(block(edge, (front - y) / 2, z + board, (board, y + front, gap)), body)
        for i in range(cells):
            _books(piece, draw, edges[i] + 0.02, edges[i + 1] - 0.02, -y, front, z + board, gap)
    piece.supports.append(Support((-x, -y), (x, -y + 0.2), float(levels[-1]) + board, 0.35))
    return piece


def _books(
    piece: Piece, draw: Draw, start: float, stop: float, y0: float, y1: float, z: float, gap: float
) -> None:
    """Fills one cell with standing books, a leaning one, a stack or nothing."""
    if gap < 0.14 or draw.chance(0.12):
        return
    filled = start + (stop - start) * draw.anything(0.3, 1.0)
    if draw.chance(0.15):
        low = (start, y0 + 0.02, z)
        size = draw.anything(0.5, 0.9) * gap
        piece.add(
            box(low, (min(stop, start + 0.3), y1 - 0.02, z + size)),
            f"paint.book{draw.count(0, 7)}",
            solid=False,
        )
        return
    x = start
    while x < filled - 0.03:
        thick, tall = draw.anything(0.012, 0.05), min(gap - 0.02, draw.anything(0.16, 0.32))
        end = y0 + 0.02 + min(y1 - y0 - 0.03, draw.anything(0.13, 0.24))
        book = box((x, y0 + 0.02, z), (x + thick, end, z + tall))
        piece.add(book, f"paper.book{draw.count(0, 7)}", solid=False)
        x += thick + 0.002
