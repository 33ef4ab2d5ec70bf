"""Chairs, sofas and beds."""

from __future__ import annotations

import numpy as np

from offline_training.rooms.draw import Draw
from offline_training.rooms.legs import stand
from offline_training.rooms.piece import Piece, Support
from offline_training.rooms.shapes import (
    Triangles,
    block,
    box,
    cushion,
    ellipsoid,
    outline,
    prism,
    rod,
    sheet,
    tilt,
)


def chair(draw: Draw, *, legs: str, back: str, seat: str = "rect", arms: bool = False) -> Piece:
    """A chair; `back`: slats, rungs, solid, padded, shell, spindles, frame or low."""
    piece = Piece("chair", f"{legs}-{back}")
    width, depth = draw.between(0.40, 0.54), draw.between(0.39, 0.52)
    height, thick = draw.between(0.41, 0.50), draw.between(0.025, 0.05)
    frame = draw.pick(("wood", "metal", "paint", "plastic"))
    cover = draw.pick(("fabric", "plastic", "leather", "wood", "paint")) + ".cover"
    stand(piece, draw, legs, width * 0.94, depth * 0.94, height - thick, frame)
    if seat == "padded":
        low, high = (-width / 2, -depth / 2, height - 0.05), (width / 2, depth / 2, height + 0.03)
        piece.add(cushion(low, high), cover)
        height += 0.03
    else:
        piece.add(prism(outline(seat, width, depth), height - thick, height), cover)
    top = height + draw.between(0.32, 0.58) * (0.55 if back == "low" else 1.0)
    for shape, material in _backrest(draw, back, width, depth, height, top, frame, cover):
        lean = draw.between(0.06, 0.2) if back not in ("shell",) else 0.05
        piece.add(tilt(shape, lean, (0, -depth / 2, height)), material)
    if arms:
        rest = height + draw.between(0.16, 0.24)
        for side in (-1, 1):
            x = side * (width / 2 + 0.015)
            piece.add(
                box((x - 0.025, -depth * 0.45, rest), (x + 0.025, depth * 0.3, rest + 0.03)), frame
            )
            piece.add(rod((x, depth * 0.1, height - 0.03), (x, depth * 0.1, rest), 0.015), frame)
    return piece


def _backrest(
    draw: Draw,
    kind: str,
    width: float,
    depth: float,
    seat: float,
    top: float,
    frame: str,
    cover: str,
) -> list[tuple[Triangles, str]]:
    x, y = width / 2 - 0.02, -depth / 2 + 0.015
    posts = [
        (rod((s * x, y, seat - 0.05), (s * x, y, top), 0.017, sides=6), frame) for s in (-1, 1)
    ]
    if kind == "slats":
        number = draw.count(3, 6)
        places = np.linspace(-x, x, number + 2)[1:-1]
        slats = [(block(p, y, seat, (0.028, 0.014, top - seat - 0.02)), frame) for p in places]
        return [*posts, *slats, (box((-x, y - 0.012, top - 0.07), (x, y + 0.012, top)), frame)]
    if kind == "spindles":
        number = draw.count(5, 8)
        places = np.linspace(-x, x, number)
        rods = [
            (rod((p * 0.85, y, seat), (p, y, top - 0.03), 0.009, sides=6), frame) for p in places
        ]
        return [*rods, (box((-x - 0.02, y - 0.012, top - 0.06), (x + 0.02, y + 0.012, top)), frame)]
    if kind == "rungs":
        levels = np.linspace(seat + 0.1, top - 0.05, draw.count(3, 5))
        return [*posts, *((box((-x, y - 0.01, z), (x, y + 0.01, z + 0.04)), frame) for z in levels)]
    if kind == "frame":
        bars = [(box((-x, y - 0.015, z), (x, y + 0.015, z + 0.05)), frame) for z in (top - 0.05,)]
        pad = box((-x, y - 0.012, seat + 0.12), (x, y + 0.012, seat + 0.24))
        return [*posts, *bars, (pad, cover)]
    if kind == "padded":
        low, high = (-x, y - 0.035, seat + 0.06), (x, y + 0.035, top)
        bar = box((-0.03, y - 0.05, seat - 0.03), (0.03, y - 0.03, seat + 0.15))
        return [(cushion(low, high), cover), (bar, frame)]
    if kind == "shell":
        angle = np.linspace(-0.95, 0.95, 11)
        rise = np.linspace(seat - 0.02, top, 6)
        reach = width / 2 + 0.01
        bend = np.linspace(1.0, 0.82, 6)
        grid = np.empty((11, 6, 3))
        grid[..., 0] = reach * np.sin(angle)[:, None] * bend / np.sin(0.95)
        grid[..., 1] = -depth / 2 + depth * 0.75 * (1 - np.cos(angle))[:, None] * bend
        grid[..., 2] = rise
        sides = np.linspace(0, 1, 6)[None, :] * (0.12 * np.abs(angle[:, None]))
        grid[..., 2] -= sides
        return [(sheet(grid), cover)]
    if kind in ("solid", "low"):
        pad = box((-x, y - 0.014, seat + 0.04), (x, y + 0.014, top))
        return [*posts, (pad, cover)]
    raise ValueError(f"no chair back of kind {kind}")


def sofa(draw: Draw, *, arms: str, back: str, base: str, chaise: bool = False) -> Piece:
    """A sofa or armchair; `arms`: block, round, thin, wing or none; `back`: single or cushions."""
    piece = Piece("sofa", f"{arms}-{back}-{base}")
    seats = draw.pick((1, 2, 2, 3, 3))
    arm = {"block": 0.2, "round": 0.22, "thin": 0.08, "wing": 0.12, "none": 0.0}[arms]
    arm *= draw.between(0.8, 1.2)
    each, depth = draw.between(0.56, 0.76), draw.between(0.75, 1.0)
    width, seat = seats * each + 2 * arm, draw.between(0.36, 0.47)
    top, thick = seat + draw.between(0.3, 0.5), draw.between(0.16, 0.26)
    cover = draw.pick(("fabric", "fabric", "leather"))
    floor = 0.03
    if base == "legs":
        floor = draw.between(0.09, 0.18)
        for x in (-width / 2 + 0.08, width / 2 - 0.08):
            for y in (-depth / 2 + 0.08, depth / 2 - 0.08):
                piece.add(rod((x, y, 0), (x, y, floor), 0.018, 0.028), "wood.leg")
    inner = width / 2 - arm
    pad = draw.between(0.12, 0.18)
    piece.add(
        box((-width / 2, -depth / 2, floor), (width / 2, depth / 2 - 0.02, seat - pad)), cover
    )
    loose = draw.pick((cover, "fabric.loose"))
    for i in range(seats):
        x0 = -inner + i * each
        low, high = (x0, -depth / 2 + thick, seat - pad), (x0 + each, depth / 2, seat)
        piece.add(cushion(low, high), loose)
        if back == "cushions":
            low, high = (
                (x0, -depth / 2 + 0.04, seat - 0.02),
                (x0 + each, thick - depth / 2, top + 0.05),
            )
            piece.add(tilt(cushion(low, high), 0.12, (0, -depth / 2 + thick, seat)), loose)
    piece.add(
        box((-width / 2, -depth / 2, seat - pad), (width / 2, thick - depth / 2 - 0.06, top)), cover
    )
    if back == "tufted":
        for x in np.linspace(-inner + 0.1, inner - 0.1, 3 * seats):
            for z in (seat + 0.12, top - 0.08):
                y = thick - depth / 2 - 0.06
                piece.add(ellipsoid((x, y, z), (0.07, 0.05, 0.07)), cover, solid=False)
    rest = seat + draw.between(0.12, 0.24)
    for side in (-1, 1) if arms != "none" else ():
        x = side * (width / 2 - arm / 2)
        end = depth / 2 - 0.01
        if arms == "round":
            piece.add(block(x, 0, floor, (arm, depth - 0.02, rest - floor - arm / 2)), cover)
            z = rest - arm / 2
            piece.add(rod((x, -depth / 2, z), (x, end, z), arm / 2, sides=14), cover)
        elif arms == "wing":
            piece.add(block(x, 0, floor, (arm, depth - 0.02, rest - floor)), cover)
            y = -depth / 2 + 0.16
            piece.add(block(x, y, rest, (arm, 0.3, top - rest)), cover)
        else:
            piece.add(block(x, 0, floor, (arm, depth - 0.02, rest - floor)), cover)
    if chaise and seats > 1:
        side = draw.pick((-1, 1))
        x0, x1 = sorted((side * inner, side * (inner - each)))
        low, high = (x0, depth / 2, floor), (x1, depth / 2 + draw.between(0.5, 0.75), seat - pad)
        piece.add(box(low, high), cover)
        piece.add(cushion((x0, depth / 2, seat - pad), (x1, high[1], seat)), loose)
    for _ in range(draw.count(0, seats)):
        x, size = draw.anything(-inner + 0.2, inner - 0.2), draw.between(0.32, 0.46)
        low = (x - size / 2, -depth / 2 + thick - 0.02, seat - 0.01)
        pillow = cushion(low, (x + size / 2, low[1] + 0.14, seat + size * 0.9))
        piece.add(
            tilt(pillow, 0.3, (0, low[1], seat)), f"fabric.pillow{draw.count(0, 1)}", solid=False
        )
    return piece


def bed(draw: Draw, *, head: str, base: str) -> Piece:
    """A bed with its head at the wall; `head`: panel, bars, cushion, shelf or none."""
    piece = Piece("bed", f"{head}-{base}")
    width = draw.pick((draw.between(0.85, 1.1), draw.between(1.3, 1.8)))
    length, deck = draw.between(1.9, 2.12), draw.between(0.2, 0.36)
    top = deck + draw.between(0.14, 0.26)
    x, y = width / 2, length / 2
    frame = draw.pick(("wood", "paint", "fabric", "metal"))
    if base == "legs":
        for cx in (-x + 0.05, x - 0.05):
            for cy in (-y + 0.05, y - 0.05):
                piece.add(block(cx, cy, 0, (0.06, 0.06, deck)), frame)
        piece.add(box((-x, -y, deck - 0.12), (x, y, deck)), frame)
    elif base == "platform":
        piece.add(box((-x + 0.12, -y + 0.12, 0), (x - 0.12, y - 0.12, deck - 0.08)), frame)
        piece.add(box((-x - 0.06, -y, deck - 0.08), (x + 0.06, y + 0.06, deck)), frame)
    elif base == "drawers":
        piece.add(box((-x, -y, 0.02), (x, y, deck)), frame)
        for cy in (-y / 2, y / 2):
            for side in (-1, 1):
                low = (min(side * x, side * (x + 0.015)), cy - 0.4, 0.06)
                high = (max(side * x, side * (x + 0.015)), cy + 0.4, deck - 0.04)
                piece.add(box(low, high), frame)
    else:
        piece.add(box((-x, -y, 0), (x, y, deck)), frame)
    piece.add(
        cushion((-x + 0.01, -y + 0.01, deck), (x - 0.01, y - 0.01, top), 0.01), "fabric.sheet"
    )
    cover = draw.anything(-0.1, 0.35) * length
    low, high = (
        (-x - 0.015, -y + max(cover, 0) + 0.45, deck + 0.03),
        (x + 0.015, y + 0.015, top + 0.03),
    )
    piece.add(cushion(low, high, 0.01), "fabric.blanket")
    crown = top + draw.between(0.25, 0.65)
    if head in ("panel", "shelf"):
        thick = 0.05 if head == "panel" else 0.22
        piece.add(box((-x - 0.02, -y - thick, 0), (x + 0.02, -y, crown)), frame)
    elif head == "bars":
        for cx in np.linspace(-x, x, draw.count(6, 11)):
            piece.add(rod((cx, -y - 0.02, 0.05), (cx, -y - 0.02, crown), 0.014, sides=6), frame)
        piece.add(box((-x - 0.02, -y - 0.045, crown), (x + 0.02, -y, crown + 0.05)), frame)
    elif head == "cushion":
        piece.add(cushion((-x, -y - 0.12, deck - 0.1), (x, -y, crown)), "fabric.head")
    if head in ("panel", "bars") and draw.chance(0.5):
        piece.add(box((-x, y, 0), (x, y + 0.04, top + draw.between(0.0, 0.2))), frame)
    for i in range(1 if width < 1.2 else 2):
        cx = 0.0 if width < 1.2 else (i - 0.5) * width / 2
        low, high = (cx - 0.32, -y + 0.04, top - 0.01), (cx + 0.32, -y + 0.44, top + 0.12)
        piece.add(cushion(low, high), "fabric.pillow", solid=False)
    if draw.chance(0.3):
        piece.supports.append(Support((-x + 0.2, 0.2), (x - 0.2, y - 0.2), top + 0.03))
    return piece
