"""What belongs into which room: themes of rooms, furnished in the order a person would."""

from __future__ import annotations

import numpy as np

from offline_training.rooms.clutter import clutter
from offline_training.rooms.draw import Draw
from offline_training.rooms.families import build
from offline_training.rooms.layout import Layout, Placed
from offline_training.rooms.openings import open_walls
from offline_training.rooms.piece import Piece
from offline_training.rooms.shapes import box
from offline_training.rooms.shell import make_shell

MINIMUM_OBJECTS = 15

# theme -> footprint in metres, shapes
_FOOTPRINTS: dict[str, tuple[tuple[float, float], tuple[str, ...]]] = {
    "office": ((4.6, 3.9), ("rect", "rect", "ell")),
    "meeting": ((5.0, 4.0), ("rect",)),
    "living": ((5.2, 4.3), ("rect", "ell")),
    "bedroom": ((4.5, 4.0), ("rect", "ell")),
    "kitchen": ((4.6, 4.0), ("rect", "ell")),
    "workshop": ((4.8, 4.0), ("rect",)),
    "flat": ((7.0, 4.2), ("flat",)),
}
THEMES = tuple(_FOOTPRINTS)
_FLATS = (("living", "bedroom"), ("bedroom", "office"), ("kitchen", "living"))


def furnished(draw: Draw, theme: str) -> Layout:
    """A furnished room of a theme with at least `MINIMUM_OBJECTS` labelled things."""
    for _ in range(20):
        size, shapes = _FOOTPRINTS[theme]
        layout = Layout(make_shell(draw, size, draw.pick(shapes)), draw)
        open_walls(layout)
        layout.close()
        for part in draw.pick(_FLATS) if theme == "flat" else (theme,):
            _FURNISH[part](layout)
        _finish(layout)
        if len(layout.objects) >= MINIMUM_OBJECTS:
            return layout
    raise RuntimeError(f"no {theme} could be furnished")  # 20 rooms in a row: a bug, not bad luck


def _desk(layout: Layout) -> None:
    """A desk with what stands on it and around it."""
    draw = layout.draw
    desk = layout.add("table", "desk")
    if desk is None:
        return
    for _ in range(draw.count(1, 2)):
        layout.on_top(build(draw, "monitor", "desk"), desk, back=True, spin=0.25)
    if draw.chance(0.6):
        layout.on_top(build(draw, "lamp", "desk"), desk, back=draw.chance(0.6), spin=1.5)
    chair = build(draw, "chair", draw.pick(("office", "office", "plain")))
    layout.at_table(chair, desk, 0.0, draw.anything(-0.25, 0.25))
    _strew(layout, desk, draw.count(1, 4))
    if draw.chance(0.5):
        layout.somewhere(build(draw, "bin"), near=desk)


def _strew(layout: Layout, carrier: Placed, count: int) -> None:
    """Small things that lie about."""
    for _ in range(count):
        layout.on_top(clutter(layout.draw), carrier, spin=3.0)


def _around(layout: Layout, table: Placed, count: int) -> None:
    """Chairs round a table, all of one family or mixed."""
    draw = layout.draw
    half = table.piece.width / 2
    sides = [0.0, np.pi, np.pi / 2, -np.pi / 2]
    if half > 0.75:
        spots = [(side, shift * half) for side in (0.0, np.pi) for shift in (-0.55, 0.05, 0.6)]
        spots += [(side, 0.0) for side in (np.pi / 2, -np.pi / 2)]
    elif half > 0.5:
        spots = [(side, shift * half) for side in (0.0, np.pi) for shift in (-0.5, 0.5)]
        spots += [(side, 0.0) for side in (np.pi / 2, -np.pi / 2)]
    else:
        spots = [(side, 0.0) for side in sides]
    state, use = draw.rng.bit_generator.state, draw.pick(("plain", "plain", "office"))
    alike = draw.chance(0.6)
    for side, shift in draw.shuffled(spots)[:count]:
        if alike:  # the same numbers again build the same chair
            before, draw.rng.bit_generator.state = draw.rng.bit_generator.state, state
            chair = build(draw, "chair", use)
            draw.rng.bit_generator.state = before
        else:
            chair = build(draw, "chair", use)
        layout.at_table(chair, table, side, shift)


def _table(layout: Layout, use: str, chairs: int) -> Placed | None:
    table = layout.somewhere(build(layout.draw, "table", use))
    if table is not None:
        _around(layout, table, chairs)
        _strew(layout, table, layout.draw.count(1, 4))
    return table


def _row(layout: Layout, class_name: str, use: str, count: int) -> None:
    """Pieces side by side along a wall."""
    last = layout.add(class_name, use)
    for _ in range(count - 1):
        if last is None:
            return
        piece = build(layout.draw, class_name, use)
        last = layout.beside(piece, last, layout.draw.pick((0.0, 0.0, 0.1)))


def _office(layout: Layout) -> None:
    for _ in range(layout.draw.count(2, 3)):
        _desk(layout)
    _row(layout, "bookcase", "", layout.draw.count(1, 2))
    _row(layout, "cabinet", layout.draw.pick(("low", "tall")), layout.draw.count(1, 2))
    if layout.draw.chance(0.3):
        layout.add("sofa")


def _meeting(layout: Layout) -> None:
    draw = layout.draw
    _table(layout, "meeting", draw.count(5, 8))
    layout.hang(_wall_screen(draw), draw.anything(0.9, 1.3))
    _row(layout, "cabinet", "low", draw.count(1, 2))
    if draw.chance(0.5):
        layout.add("bookcase")
    if draw.chance(0.4):
        layout.add("sofa")


def _wall_screen(draw: Draw) -> Piece:
    """A television on a wall: a family's case and screen without its stand."""
    piece = build(draw, "monitor", "tv")
    lowest = 0.06
    piece.parts = [(t, m) for t, m in piece.parts if t[..., 2].min() > lowest]
    piece.boxes = [b for b in piece.boxes if b[0, 2] > lowest]
    return piece


def _living(layout: Layout) -> None:
    draw = layout.draw
    sofa = layout.add("sofa")
    if sofa is not None:
        coffee = layout.facing(build(draw, "table", "coffee"), sofa, 0.45)
        if coffee is not None:
            _strew(layout, coffee, draw.count(1, 3))
        if draw.chance(0.6):
            layout.beside(build(draw, "lamp", "floor"), sofa, 0.1)
    if draw.chance(0.7):
        layout.add("sofa")
    board = layout.add("cabinet", "low")
    if board is not None:
        layout.on_top(build(draw, "monitor", "tv"), board, spin=0.1)
        if draw.chance(0.5):
            layout.on_top(build(draw, "plant", "desk"), board)
    else:
        layout.hang(_wall_screen(draw), draw.anything(0.8, 1.2))
    _row(layout, "bookcase", "", draw.count(1, 2))
    if draw.chance(0.6):
        _table(layout, "dining", draw.count(3, 4))


def _bedroom(layout: Layout) -> None:
    draw = layout.draw
    for _ in range(draw.count(1, 2)):
        bed = layout.add("bed")
        for _ in range(draw.count(1, 2)):
            if bed is None:
                break
            night = layout.beside(build(draw, "cabinet", "night"), bed, draw.anything(0, 0.1))
            if night is not None:
                layout.on_top(build(draw, "lamp", "desk"), night, spin=1.5)
        if bed is not None and draw.chance(0.4):
            _strew(layout, bed, 2)
    _row(layout, "cabinet", "tall", draw.count(1, 2))
    if draw.chance(0.7):
        _desk(layout)
    if draw.chance(0.5):
        layout.add("bookcase")
    if draw.chance(0.6):
        layout.add("sofa")


def _kitchen(layout: Layout) -> None:
    draw = layout.draw
    first = layout.add("cabinet", "counter")
    if first is not None and first.wall is not None:
        _strew(layout, first, draw.count(2, 4))
        wall, s = first.wall
        layout.hang(build(draw, "cabinet", "wall"), draw.anything(1.4, 1.55), [wall], s)
        for _ in range(draw.count(1, 2)):
            use = draw.pick(("counter", "tall"))
            more = layout.beside(build(draw, "cabinet", use), first)
            if more is not None and use == "counter":
                _strew(layout, more, draw.count(1, 3))
    if draw.chance(0.5):
        layout.hang(build(draw, "cabinet", "wall"), draw.anything(1.35, 1.6))
    _table(layout, "dining", draw.count(3, 6))
    if draw.chance(0.4):
        layout.add("sofa")
    layout.add("bin")


def _workshop(layout: Layout) -> None:
    draw = layout.draw
    _row(layout, "bookcase", "", draw.count(2, 3))
    _desk(layout)
    _desk(layout)
    _table(layout, draw.pick(("dining", "meeting")), draw.count(2, 4))
    _row(layout, "cabinet", "tall", draw.count(1, 2))
    for _ in range(draw.count(2, 5)):
        layout.add("box")


_FURNISH = {
    "office": _office,
    "meeting": _meeting,
    "living": _living,
    "bedroom": _bedroom,
    "kitchen": _kitchen,
    "workshop": _workshop,
}


def _finish(layout: Layout) -> None:
    """Lamps, pictures, plants, bins, boxes and rugs; more of them while the room is too empty."""
    draw = layout.draw
    for _ in range(draw.count(1, 3)):
        layout.add("lamp", "ceiling")
    if draw.chance(0.5):
        layout.add("lamp", "floor")
    for _ in range(draw.count(1, 4)):
        layout.add("picture")
    for _ in range(draw.count(1, 3)):
        layout.add("plant", "floor")
    for class_name in ("bin", "box", "box"):
        if draw.chance(0.6):
            layout.add(class_name)
    carriers = [p for p in layout.objects if p.piece.supports]
    for carrier in draw.shuffled(carriers)[:5]:
        if draw.chance(0.4):
            layout.on_top(build(draw, "box"), carrier)
        elif draw.chance(0.4):
            layout.on_top(build(draw, "plant", "desk"), carrier, spin=3)
        else:
            _strew(layout, carrier, 2)
    for _ in range(draw.count(0, 4)):
        layout.somewhere(clutter(draw))
    for _ in range(10):
        if len(layout.objects) >= MINIMUM_OBJECTS + draw.count(0, 4):
            break
        class_name = draw.pick(("picture", "box", "plant", "chair", "bin", "box"))
        layout.add(class_name, "floor" if class_name == "plant" else "")
    if draw.chance(0.5):
        _rug(layout)


def _rug(layout: Layout) -> None:
    """Part of the floor, in another colour; furniture stands on it."""
    draw = layout.draw
    x0, y0, x1, y1 = draw.pick(layout.shell.areas)
    width, depth = (x1 - x0) * draw.anything(0.3, 0.6), (y1 - y0) * draw.anything(0.3, 0.6)
    rug = Piece("floor", "rug")
    rug.add(box((-width / 2, -depth / 2, 0), (width / 2, depth / 2, 0.008)), "carpet", solid=False)
    spot = [draw.anything(a + e / 2, b - e / 2) for a, b, e in ((x0, x1, width), (y0, y1, depth))]
    layout.put(rug, np.array([*spot, 0.0]), 0.0)
