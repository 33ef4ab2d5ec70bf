"""What belongs to a wall: doors, windows, pictures and curtains.

Their back plane is y = 0, the wall's surface; the front looks to +y, into the room. Doors and
windows reach behind it, into the opening that the wall leaves for them.
"""

from __future__ import annotations

import numpy as np

from offline_training.rooms.draw import Draw
from offline_training.rooms.piece import Piece
from offline_training.rooms.shapes import Triangles, block, box, lathe, rod, sheet, turn


def door(
    draw: Draw,
    *,
    panels: str,
    handle: str,
    width: float,
    height: float,
    depth: float,
    ajar: float = 0.0,
) -> Piece:
    """A door leaf with its frame in an opening.

    `panels`: flat, two, three, four, glass, louvre or double; `handle`: lever, knob or bar;
    `depth`: how far behind the wall's surface the leaf lies; `ajar`: opening angle in radians.
    """
    piece = Piece("door", f"{panels}-{handle}")
    leaf, frame = draw.pick(("wood", "paint", "paint")), draw.pick(("wood.frame", "paint.frame"))
    x, thick, rim, lip = width / 2, 0.045, draw.between(0.04, 0.09), draw.between(0.008, 0.025)
    for side in (-1, 1):
        edge = sorted((side * x, side * (x + rim)))
        piece.add(box((edge[0], 0, 0), (edge[1], lip, height + rim)), frame)
    piece.add(box((-x, 0, height), (x, lip, height + rim)), frame)
    leaves = [(-x, 0.0), (0.0, x)] if panels == "double" else [(-x, x)]
    for start, stop in leaves:
        hinge = start if start < 0 else stop
        swing = ajar if start < 0 else -ajar
        parts = _leaf(draw, panels, handle, start, stop, height, thick, leaf, hinge)
        for shape, material in parts:
            placed = shape + np.array([0, -depth - thick, 0.0])
            piece.add(turn(placed, swing, (hinge, -depth, 0)), material)
    return piece


def _leaf(
    draw: Draw,
    panels: str,
    handle: str,
    x0: float,
    x1: float,
    height: float,
    thick: float,
    material: str,
    hinge: float,
) -> list[tuple[Triangles, str]]:
    """One leaf from y = 0 to y = thick."""
    gap = 0.004
    parts = []
    x0, x1, top = x0 + gap, x1 - gap, height - gap
    if panels == "glass":
        rail = 0.11
        for low, high in (
            ((x0, 0, 0.01), (x0 + rail, thick, top)),
            ((x1 - rail, 0, 0.01), (x1, thick, top)),
            ((x0, 0, 0.01), (x1, thick, 0.25)),
            ((x0, 0, top - rail), (x1, thick, top)),
        ):
            parts.append((box(low, high), material))
        parts.append(
            (box((x0 + rail, thick * 0.4, 0.25), (x1 - rail, thick * 0.6, top - rail)), "glass")
        )
    else:
        parts.append((box((x0, 0, 0.01), (x1, thick, top)), material))
        rows = {"two": 2, "three": 3, "four": 2}.get(panels, 0)
        columns = 2 if panels == "four" else 1
        xs = np.linspace(x0 + 0.06, x1 - 0.06, columns + 1)
        zs = np.linspace(0.12, top - 0.06, rows + 1)
        for i in range(columns):
            for j in range(rows):
                start = (xs[i] + 0.05, thick, zs[j] + 0.06)
                stop = (xs[i + 1] - 0.05, thick + 0.012, zs[j + 1] - 0.06)
                parts.append((box(start, stop), material))
        if panels == "louvre":
            for z in np.arange(0.2, top - 0.15, 0.07):
                parts.append(
                    (box((x0 + 0.09, thick, z), (x1 - 0.09, thick + 0.01, z + 0.04)), material)
                )
    grip = (x1 - 0.07) if hinge <= x0 else (x0 + 0.07)
    if handle == "lever":
        parts.append((rod((grip, thick, 1.02), (grip, thick + 0.05, 1.02), 0.012), "metal.handle"))
        reach = grip - 0.12 if hinge <= x0 else grip + 0.12
        parts.append(
            (rod((grip, thick + 0.05, 1.02), (reach, thick + 0.05, 1.02), 0.01), "metal.handle")
        )
    elif handle == "knob":
        parts.append(
            (rod((grip, thick, 1.0), (grip, thick + 0.06, 1.0), 0.022, 0.03), "metal.handle")
        )
    else:
        parts.append(
            (rod((grip, thick + 0.04, 0.8), (grip, thick + 0.04, 1.25), 0.013), "metal.handle")
        )
    return parts


def window(
    draw: Draw, *, columns: int, rows: int, width: float, height: float, depth: float
) -> Piece:
    """A window in an opening whose lower edge is z = 0; glass returns little to a depth camera."""
    piece = Piece("window", f"{columns}x{rows}")
    frame = draw.pick(("paint", "wood", "plastic"))
    x, bar, thick = width / 2, draw.between(0.04, 0.075), draw.between(0.03, 0.06)
    y0, y1 = -depth - thick, -depth
    piece.add(box((-x, y0 + thick * 0.4, 0), (x, y0 + thick * 0.6, height)), "glass")
    for cx in np.linspace(-x + bar / 2, x - bar / 2, columns + 1):
        piece.add(box((cx - bar / 2, y0, 0), (cx + bar / 2, y1, height)), frame)
    for cz in np.linspace(bar / 2, height - bar / 2, rows + 1):
        piece.add(box((-x, y0, cz - bar / 2), (x, y1, cz + bar / 2)), frame)
    sill = draw.between(0.02, 0.08)
    piece.add(box((-x - 0.04, y1, -0.025), (x + 0.04, sill, 0.0)), frame)
    piece.add(block(x * 0.1, y1 + 0.02, height * 0.45, (0.02, 0.03, 0.11)), "metal.handle")
    return piece


def picture(draw: Draw, *, kind: str) -> Piece:
    """Something flat on a wall: framed, canvas, poster, mat (deep frame), round or pair."""
    piece = Piece("picture", kind)
    width, height = draw.between(0.34, 1.1), draw.between(0.3, 0.85)
    if kind == "round":
        radius = height / 2
        disc = lathe([(0.0, 0.025), (radius, 0.025), (radius, 0.0)], 28)[..., [0, 2, 1]]
        piece.add(disc + [0, 0, radius], "image")
        ring = lathe(
            [(radius, 0.0), (radius, 0.035), (radius + 0.03, 0.035), (radius + 0.03, 0.0)], 28
        )
        piece.add(ring[..., [0, 2, 1]] + [0, 0, radius], "wood")
        return piece
    thick = {"canvas": 0.035, "poster": 0.004, "mat": 0.05}.get(kind, 0.022)
    panes = [(-width / 2, width / 2)]
    if kind == "pair":
        panes = [(-width / 2, -0.03), (0.03, width / 2)]
    for x0, x1 in panes:
        if kind in ("canvas", "poster"):
            piece.add(box((x0, 0, 0), (x1, thick, height)), "image")
            continue
        rim = draw.between(0.02, 0.05)
        material = draw.pick(("wood", "dark", "metal", "paint"))
        for low, high in (
            ((x0, 0, 0), (x1, thick, rim)),
            ((x0, 0, height - rim), (x1, thick, height)),
            ((x0, 0, 0), (x0 + rim, thick, height)),
            ((x1 - rim, 0, 0), (x1, thick, height)),
        ):
            piece.add(box(low, high), material)
        inner = "paper" if kind == "mat" else "image"
        piece.add(box((x0 + rim, 0, rim), (x1 - rim, thick * 0.5, height - rim)), inner)
        if kind == "mat":
            piece.add(
                box(
                    (x0 + rim + 0.06, 0, rim + 0.06),
                    (x1 - rim - 0.06, thick * 0.55, height - rim - 0.06),
                ),
                "image",
            )
    return piece


def curtain(draw: Draw, *, kind: str, width: float, height: float) -> Piece:
    """Hanging cloth or a blind up to z = `height`: waves, pleats, pinch, roller or slats."""
    piece = Piece("curtain", kind)
    if kind == "slats":
        piece.boxes.append(np.array([[-width / 2, -0.02, 0], [width / 2, 0.02, height]]))
        for z in np.arange(0.02, height, 0.055):
            piece.add(
                box((-width / 2, -0.02, z), (width / 2, 0.02, z + 0.008)),
                "plastic",
                solid=False,
            )
        for x in (-width * 0.4, width * 0.4):
            piece.add(rod((x, 0, 0), (x, 0, height), 0.004, sides=4), "fabric")
        piece.add(box((-width / 2, -0.025, height), (width / 2, 0.025, height + 0.04)), "metal")
    elif kind == "roller":
        piece.add(box((-width / 2, 0, 0), (width / 2, 0.004, height)), "fabric")
        piece.add(rod((-width / 2, 0, height), (width / 2, 0, height), 0.03, sides=12), "metal")
    else:
        folds = width / draw.between(0.09, 0.16)
        u = np.linspace(0, 1, max(24, int(folds * 8)))
        phase = u * folds * 2 * np.pi + draw.anything(0, 6)
        wave = np.sin(phase)
        if kind == "pleats":
            wave = 2 / np.pi * np.arcsin(wave)
        elif kind == "pinch":
            wave = wave**3 + 0.4 * np.sin(0.5 * phase)
        deep = draw.between(0.018, 0.04)
        rise = np.linspace(0, height, 5)
        grid = np.empty((len(u), 5, 3))
        flare = 1 + 0.12 * (1 - rise / height)
        grid[..., 0] = (u[:, None] - 0.5) * width * flare
        grid[..., 1] = deep * wave[:, None] * (1.25 - 0.5 * rise / height)
        grid[..., 2] = rise
        piece.add(sheet(grid), "fabric")
        rail = height + 0.02
        piece.add(rod((-width / 2 - 0.1, 0, rail), (width / 2 + 0.1, 0, rail), 0.014), "metal")
    return piece
