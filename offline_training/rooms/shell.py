"""Floor, walls and ceiling: footprints of several shapes and walls with openings."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from offline_training.rooms.draw import Draw
from offline_training.rooms.piece import Piece
from offline_training.rooms.shapes import box

Span = tuple[float, float, float, float]  # along the wall from, to; height from, to

_OUTER, _INNER = 0.25, 0.1  # metres: how thick walls are


@dataclass
class Wall:
    """One wall in its own frame: x along it from `start`, y into the room, z up.

    `openings` go through it; `taken` is what of its surface is already used.
    """

    start: NDArray[np.float64]  # [2]
    along: NDArray[np.float64]  # [2] unit; the room lies to its left
    length: float
    height: float
    thickness: float = _OUTER  # 0: the far side of a partition, which has no body of its own
    openings: list[Span] = field(default_factory=list)
    taken: list[Span] = field(default_factory=list)
    skirting: float = 0.0

    @property
    def yaw(self) -> float:
        """Angle of the wall's x axis."""
        return float(np.arctan2(self.along[1], self.along[0]))

    @property
    def inward(self) -> NDArray[np.float64]:
        """Unit vector [2] into the room."""
        return np.array([-self.along[1], self.along[0]])

    def at(self, s: float, away: float, z: float = 0.0) -> NDArray[np.float64]:
        """The room point [3] that is `s` along the wall, `away` from it and `z` up."""
        return np.append(self.start + s * self.along + away * self.inward, z)

    def free(self, span: Span, margin: float = 0.03) -> bool:
        """Whether a rectangle of the surface lies on the wall and is not used yet."""
        s0, s1, z0, z1 = span
        if s0 < 0 or s1 > self.length or z1 > self.height:
            return False
        return not any(
            s0 < b + margin and a < s1 + margin and z0 < d + margin and c < z1 + margin
            for a, b, c, d in self.taken
        )

    def body(self, slot: str) -> Piece | None:
        """The wall as a piece, with its openings cut out; None when it has no body."""
        if not self.thickness:
            return None
        piece = Piece("wall", "wall")
        edges = sorted({0.0, self.length, *(e for o in self.openings for e in o[:2])})
        for a, b in itertools.pairwise(edges):
            middle, z = (a + b) / 2, 0.0
            holes = sorted((o[2], o[3]) for o in self.openings if o[0] < middle < o[1])
            for low, high in [*holes, (self.height, self.height)]:
                if low > z + 1e-6:
                    piece.add(box((a, -self.thickness, z), (b, 0, low)), slot)
                z = high
            if self.skirting and not any(low < self.skirting for low, _ in holes):
                board = box((a, -0.01, 0), (b, 0.012, self.skirting))
                piece.add(board, "paint.skirting", solid=False)
        return piece


@dataclass
class Shell:
    """An empty room: the rectangles [x0, y0, x1, y1] that make up its floor, its walls, height."""

    areas: list[tuple[float, float, float, float]]
    walls: list[Wall]
    height: float

    def inside(self, points: NDArray[np.float64], margin: float = 0.0) -> NDArray[np.bool_]:
        """Which points [P, 2] lie over the floor."""
        result = np.zeros(len(points), bool)
        for x0, y0, x1, y1 in self.areas:
            x, y = points[:, 0], points[:, 1]
            result |= (x > x0 + margin) & (x < x1 - margin) & (y > y0 + margin) & (y < y1 - margin)
        return result

    def slab(self, class_name: str) -> Piece:
        """The floor or the ceiling."""
        piece = Piece(class_name, class_name)
        low, high = (-0.1, 0.0) if class_name == "floor" else (self.height, self.height + 0.1)
        for x0, y0, x1, y1 in self.areas:
            slot = "ground" if class_name == "floor" else "plaster.ceiling"
            piece.add(box((x0 - 0.3, y0 - 0.3, low), (x1 + 0.3, y1 + 0.3, high)), slot, solid=False)
        return piece


def make_shell(draw: Draw, size: tuple[float, float], shape: str) -> Shell:
    """A room about `size` metres; `shape`: rect, ell (one corner missing) or flat (two zones)."""
    width, depth = (s * draw.anything(0.9, 1.12) for s in size)
    height, skirting = draw.between(2.35, 3.1), draw.pick((0.0, draw.between(0.05, 0.14)))
    if shape == "ell":
        x, y = width * draw.anything(0.5, 0.66), depth * draw.anything(0.5, 0.66)
        corners = [(0, 0), (width, 0), (width, y), (x, y), (x, depth), (0, depth)]
        areas = [(0.0, 0.0, width, y), (0.0, 0.0, x, depth)]
    else:
        corners = [(0, 0), (width, 0), (width, depth), (0, depth)]
        areas = [(0.0, 0.0, width, depth)]
    points = np.array(corners, float)
    walls = []
    for a, b in zip(points, np.roll(points, -1, 0), strict=True):
        length = float(np.linalg.norm(b - a))
        walls.append(Wall(a, (b - a) / length, length, height, skirting=skirting))
    if shape == "flat":
        x, gap = width * draw.anything(0.42, 0.58), draw.anything(0.85, 1.3)
        s = draw.pick((draw.anything(0.1, 0.4), depth - gap - draw.anything(0.1, 0.4)))
        doorway = (s, s + gap, 0.0, draw.anything(2.0, 2.3))
        near = Wall(np.array([x, 0.0]), np.array([0.0, 1.0]), depth, height, _INNER)
        far = Wall(np.array([x + _INNER, depth]), np.array([0.0, -1.0]), depth, height, 0.0)
        near.openings.append(doorway)
        near.taken.append((s - 0.1, s + gap + 0.1, 0.0, doorway[3]))
        far.taken.append((depth - s - gap - 0.1, depth - s + 0.1, 0.0, doorway[3]))
        walls += [near, far]
    return Shell(areas, walls, height)
