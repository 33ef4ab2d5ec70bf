"""Doors, windows and the curtains before them."""

from __future__ import annotations

from offline_training.rooms.families import build, choose, make
from offline_training.rooms.layout import Layout
from offline_training.rooms.piece import Piece
from offline_training.rooms.shell import Wall

_SILL = 0.08  # metres that a window sill may stand proud of its wall: curtains hang before it


def open_walls(layout: Layout) -> None:
    """Doors, windows and their curtains; the passage of a flat stays walkable."""
    _doorways(layout)
    draw, solid = layout.draw, [w for w in layout.shell.walls if w.thickness > 0.2]
    for _ in range(draw.count(1, 2)):
        wall = draw.pick(solid)
        ajar = draw.anything(0.3, 1.6) if draw.chance(0.2) else 0.0
        width, height = draw.between(0.76, 0.98), draw.between(1.95, 2.15)
        depth = 0.0 if ajar else draw.pick((0.0, draw.anything(0.0, 0.14)))
        family = choose(draw, "door")
        if family.variant["panels"] == "double":
            width, ajar = 1.5 * width, 0.0
        piece = make(draw, family, depth=depth, ajar=ajar, width=width, height=height)
        if wall.length < width + 0.5:
            continue
        s = draw.anything(width / 2 + 0.15, wall.length - width / 2 - 0.15)
        span = (s - width / 2, s + width / 2, 0.0, height)
        if wall.free(span, 0.2):
            layout.open_wall(piece, wall, s, 0.0, span)
            layout.keep_clear(wall, s, width + 0.1, 0.8)
    for _ in range(draw.count(1, 3)):
        wall = draw.pick(solid)
        width, base = draw.between(0.7, 2.0), draw.pick((draw.between(0.75, 1.1), 0.12))
        height = min(
            draw.between(0.9, 1.6) if base > 0.5 else 1.9, layout.shell.height - base - 0.3
        )
        if wall.length < width + 0.7:
            continue
        s = draw.anything(width / 2 + 0.3, wall.length - width / 2 - 0.3)
        span = (s - width / 2, s + width / 2, base, base + height)
        if not wall.free(span, 0.15):
            continue
        piece = build(draw, "window", width=width, height=height, depth=draw.between(0.02, 0.15))
        layout.open_wall(piece, wall, s, base, span)
        if base < 0.5:
            layout.keep_clear(wall, s, width, 0.3)
        if draw.chance(0.8):
            _curtains(layout, wall, s, width, base, base + height)


def _doorways(layout: Layout) -> None:
    """Keeps the passage between the two zones of a flat walkable."""
    for wall in layout.shell.walls:
        if wall.thickness < 0.2:
            for a, b, _, _ in wall.taken:
                layout.keep_clear(wall, (a + b) / 2, b - a, 0.6)


def _curtains(layout: Layout, wall: Wall, s: float, width: float, base: float, top: float) -> None:
    draw = layout.draw
    family = choose(draw, "curtain")
    if family.variant["kind"] in ("roller", "slats"):
        drop = (top - base) * draw.anything(0.3, 0.95)
        piece = make(draw, family, width=width + 0.05, height=drop)
        _put_curtain(layout, piece, wall, s, top + 0.04 - drop)
        return
    hem = draw.pick((0.04, base - 0.2)) if base > 0.5 else 0.03
    each = draw.anything(0.25, 0.5)
    for side in (-1, 1):
        piece = make(draw, family, width=each, height=top + 0.1 - hem)
        _put_curtain(layout, piece, wall, s + side * (width / 2 + each * 0.2), max(hem, 0.03))


def _put_curtain(layout: Layout, piece: Piece, wall: Wall, s: float, z: float) -> None:
    taken, wall.taken = wall.taken, []  # a curtain hangs in front of its window
    if layout.hang(piece, z, [wall], s, away=_SILL + 0.01) is None:
        wall.taken = taken
    else:
        wall.taken = taken + wall.taken
