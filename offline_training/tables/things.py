"""Small things as pieces: whole or hollow, square or turned, printed, with lids and handles."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from offline_training.rooms.draw import Draw
from offline_training.rooms.piece import Piece, Support
from offline_training.rooms.shapes import Triangles, box, ellipsoid, lathe, prism, rod

CLASS = "box"  # of the classes that rooms know, one that is a thing
SIDES = 32  # of what is turned
PRINT = 5e-4  # metres that a printed label stands proud
WALL = 0.004  # metres, of what is hollow

Profile = list[tuple[float, float]]  # radius and height, from the foot up

_MATERIALS = (
    *("image", "image", "image", "paint", "plastic", "ceramic", "carton", "wood", "metal"),
    *("fabric", "dark", "paper"),
)


def any_thing(draw: Draw) -> Piece:
    """Something to put on a table; it stands on z = 0 around the z axis."""
    make: Callable[[Draw], Piece] = draw.pick(
        (carton, carton, can, turned, turned, ball, block, tray, cup, bowl, bottle)
    )
    return make(draw)


def carton(draw: Draw) -> Piece:
    """A box on any of its sides, printed on some."""
    sizes = draw.anything(0.04, 0.1), draw.anything(0.07, 0.2), draw.anything(0.12, 0.3)
    x, y, z = draw.anything(0.7, 1.1) * np.array(draw.shuffled(sizes))
    piece = Piece(CLASS, "carton")
    piece.add(box((-x / 2, -y / 2, 0), (x / 2, y / 2, z)), draw.pick(_MATERIALS))
    for axis, side in itertools.product(range(3), (-1, 1)):
        if draw.chance(0.5):
            half = np.array([x, y, z]) / 2 * [draw.anything(0.3, 1) for _ in range(3)]
            middle = np.array([0, 0, z / 2])
            middle[axis] += side * [x, y, z][axis] / 2
            half[axis] = PRINT
            piece.add(box(middle - half, middle + half), f"image.{axis}")
    piece.supports.append(Support((-x / 2, -y / 2), (x / 2, y / 2), z))
    return piece


def can(draw: Draw) -> Piece:
    """A tin or a tube that stands or lies, with a lid or a band."""
    radius, height = draw.anything(0.025, 0.06), draw.anything(0.05, 0.25)
    piece = Piece(CLASS, "can")
    if draw.chance(0.4):
        end = np.array([height / 2, 0, radius])
        piece.add(rod(end * [-1, 1, 1], end, radius, sides=SIDES), draw.pick(_MATERIALS))
        if draw.chance(0.4):
            lid = end - [height * 0.1, 0, 0], end + [WALL, 0, 0]
            piece.add(rod(*lid, radius * 1.02, sides=SIDES), draw.pick(_MATERIALS) + ".lid")
        return piece
    upper = radius * (draw.anything(0.5, 1.3) if draw.chance(0.3) else 1)
    piece.add(_standing(0, height, radius, upper), draw.pick(_MATERIALS))
    if draw.chance(0.4):
        lid_radius = upper * 1.03
        piece.add(_standing(height * 0.9, height + PRINT, lid_radius), _lid(draw))
    elif draw.chance(0.4):
        proud = radius + PRINT, radius + 0.8 * (upper - radius) + PRINT
        piece.add(_standing(height * 0.2, height * 0.8, *proud), "image.band")
    _flat_top(piece, upper, height)
    return piece


def turned(draw: Draw) -> Piece:
    """Anything that a lathe makes, whole or hollow, some with a step."""
    height, knots, rings = draw.anything(0.03, 0.28), draw.count(2, 4), 12
    where = np.linspace(0, 1, rings)
    radius = np.interp(where, np.linspace(0, 1, knots), draw.rng.uniform(0.015, 0.09, knots))
    if draw.chance(0.4):
        radius[draw.count(2, rings - 2) :] *= draw.anything(0.4, 0.9)
    profile = list(zip(radius.tolist(), (height * where).tolist(), strict=True))
    piece = Piece(CLASS, "turned")
    if draw.chance(0.5):
        piece.add(_hollow(profile), draw.pick(_MATERIALS))
    else:
        whole = [(0.0, 0.0), *profile, (0.0, height)]
        piece.add(lathe(whole, sides=SIDES), draw.pick(_MATERIALS))
        _flat_top(piece, float(radius[-1]), height)
    return piece


def ball(draw: Draw) -> Piece:
    """A ball or an egg."""
    radius = np.full(3, draw.anything(0.025, 0.07))
    if draw.chance(0.5):
        radius *= draw.rng.uniform(0.6, 1.4, 3)
    piece = Piece(CLASS, "ball")
    piece.add(ellipsoid((0, 0, radius[2]), radius), draw.pick(_MATERIALS))
    return piece


def block(draw: Draw) -> Piece:
    """A prism on an uneven outline."""
    corners, height = draw.count(3, 9), draw.anything(0.02, 0.2)
    angle = (np.arange(corners) + draw.rng.uniform(-0.3, 0.3, corners)) * 2 * np.pi / corners
    radius = draw.anything(0.03, 0.11) * draw.rng.uniform(0.6, 1, corners)
    piece = Piece(CLASS, "block")
    outline = np.column_stack([np.cos(angle), np.sin(angle)]) * radius[:, None]
    piece.add(prism(outline, 0, height), draw.pick(_MATERIALS))
    _flat_top(piece, 0.85 * float(radius.min()), height)
    return piece


def tray(draw: Draw) -> Piece:
    """An open box."""
    x, y, height = draw.anything(0.03, 0.15), draw.anything(0.03, 0.11), draw.anything(0.02, 0.15)
    body = draw.pick(_MATERIALS)
    piece = Piece(CLASS, "tray")
    piece.add(box((-x, -y, 0), (x, y, WALL)), body)
    for side in (-1, 1):
        low, high = sorted((side * x, side * (x - WALL)))
        piece.add(box((low, -y, 0), (high, y, height)), body)
        low, high = sorted((side * y, side * (y - WALL)))
        piece.add(box((-x, low, 0), (x, high, height)), body)
    return piece


def cup(draw: Draw) -> Piece:
    """A cup, most with a handle."""
    radius, height = draw.anything(0.03, 0.05), draw.anything(0.06, 0.13)
    foot, body = radius * draw.anything(0.65, 1.0), draw.pick(_MATERIALS)
    piece = Piece(CLASS, "cup")
    piece.add(_hollow([(foot + (radius - foot) * t, height * t) for t in (0, 0.5, 1)]), body)
    if draw.chance(0.7):
        angle, wide = np.linspace(-1.35, 1.35, 8), draw.anything(0.02, 0.032)
        tall = height * draw.anything(0.28, 0.36)
        bend = [radius * 0.93 + wide * np.cos(angle), 0 * angle, height / 2 + tall * np.sin(angle)]
        for start, end in itertools.pairwise(np.column_stack(bend)):
            piece.add(rod(start, end, 0.005), body)
    return piece


def bowl(draw: Draw) -> Piece:
    """A bowl or a deep plate, some with a grip, as a pan."""
    radius, height = draw.anything(0.05, 0.11), draw.anything(0.03, 0.09)
    foot, power = radius * draw.anything(0.3, 0.6), draw.anything(0.35, 0.8)
    profile = [(foot + (radius - foot) * t**power, height * t) for t in np.linspace(0, 1, 10)]
    piece = Piece(CLASS, "bowl")
    piece.add(_hollow(profile), draw.pick(_MATERIALS))
    if draw.chance(0.25):
        z, reach = height * 0.8, radius + draw.anything(0.1, 0.2)
        piece.add(rod((radius * 0.9, 0, z), (reach, 0, z + 0.02), 0.008), "dark.grip")
    return piece


def bottle(draw: Draw) -> Piece:
    """A bottle with a cap, most with a label."""
    radius, height = draw.anything(0.025, 0.05), draw.anything(0.14, 0.3)
    neck, shoulder = radius * draw.anything(0.25, 0.55), draw.anything(0.5, 0.8)
    narrow = shoulder + (1 - shoulder) * draw.anything(0.3, 0.7)
    profile = [(0, 0), (radius, 0), (radius, height * shoulder), (neck, height * narrow)]
    profile += [(neck, height), (0, height)]
    piece = Piece(CLASS, "bottle")
    piece.add(lathe(profile, sides=SIDES), draw.pick(_MATERIALS))
    piece.add(_standing(height - 0.02, height + 0.002, neck * 1.15), _lid(draw))
    if draw.chance(0.6):
        low, high = height * shoulder * 0.2, height * shoulder * 0.9
        piece.add(_standing(low, high, radius + PRINT), "image.label")
    return piece


def _lid(draw: Draw) -> str:
    return draw.pick(_MATERIALS) + ".lid"


def _standing(low: float, high: float, radius: float, upper: float | None = None) -> Triangles:
    return rod((0, 0, low), (0, 0, high), radius, upper, sides=SIDES)


def _hollow(profile: Profile) -> Triangles:
    """Up the outside, and down again along the inside."""
    inside = [(r - WALL, max(z, WALL)) for r, z in reversed(profile) if r > WALL]
    return lathe([(0.0, 0.0), *profile, *inside, (0.0, WALL)], sides=SIDES)


def _flat_top(piece: Piece, radius: float, height: float) -> None:
    half = 0.7 * radius
    piece.supports.append(Support((-half, -half), (half, half), height))
