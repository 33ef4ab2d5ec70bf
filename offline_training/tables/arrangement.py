"""Things on a table: beside each other, many of them touching, and on each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from offline_training.rooms.draw import Draw
from offline_training.rooms.piece import Piece
from offline_training.tables.things import any_thing

Vector = NDArray[np.float64]

MOST = 5
TRIES = 30  # for a place of its own
ON_TOP, BESIDE, TOUCHING = 0.3, 0.45, 0.6  # chances; of those beside something, to touch it
NEAR = 0.06  # metres between things beside each other that do not touch
SPREAD = 0.28  # metres around the middle of the table
EDGE = 0.35


@dataclass
class Stood:
    """A thing at a position [3] that is turned by `yaw`."""

    piece: Piece
    position: Vector
    yaw: float
    hull: Vector  # [K, 2], of what it covers, in its own frame

    @classmethod
    def of(cls, piece: Piece, yaw: float) -> Stood:
        flat = np.concatenate([part.reshape(-1, 3) for part, _ in piece.parts])[:, :2]
        return cls(piece, np.zeros(3), yaw, flat[ConvexHull(flat).vertices])

    @property
    def top(self) -> float:
        """Height of its highest point."""
        return float(self.position[2] + self.piece.high[2])

    def covers(self) -> Vector:
        """The convex outline of what it covers: [K, 2]."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return np.asarray(self.hull @ [[c, s], [-s, c]] + self.position[:2])

    def clear_of(self, other: Stood) -> bool:
        """Whether both can be where they are."""
        above = self.position[2] >= other.top - 1e-6 or other.position[2] >= self.top - 1e-6
        return above or parted(self.covers(), other.covers())


def arrange(draw: Draw) -> list[Stood]:
    """Two or more things, none inside another."""
    stood: list[Stood] = []
    for _ in range(draw.count(2, MOST)):
        for _ in range(TRIES):
            new = Stood.of(any_thing(draw), draw.anything(0, 2 * np.pi))
            _place(draw, new, stood)
            on_the_table = np.abs(new.position[:2]).max() < EDGE
            if on_the_table and all(new.clear_of(each) for each in stood):
                stood.append(new)
                break
    return stood


def _place(draw: Draw, new: Stood, stood: list[Stood]) -> None:
    if not stood:
        new.position[:2] = draw.rng.uniform(-0.1, 0.1, 2)
        return
    other, chance = draw.pick(stood), draw.rng.random()
    if chance < ON_TOP and other.piece.supports:
        support = other.piece.supports[0]
        half = (np.array(support.high) - support.low) / 2
        new.position[:2] = other.position[:2] + draw.rng.uniform(-1, 1, 2) * half
        new.position[2] = other.top
    elif chance < ON_TOP + BESIDE:
        angle = draw.anything(0, 2 * np.pi)
        way = np.array([np.cos(angle), np.sin(angle)])
        gap = 0.0 if draw.chance(TOUCHING) else draw.anything(0, NEAR)
        new.position[:2] = other.position[:2] + way * (_touching_at(new, other, way) + gap)
    else:
        new.position[:2] = draw.rng.uniform(-SPREAD, SPREAD, 2)


def _touching_at(new: Stood, other: Stood, way: Vector) -> float:
    """Metres between the middles of two things that just touch along a way [2]."""
    low, high = 0.0, 0.6
    for _ in range(12):
        middle = (low + high) / 2
        new.position[:2] = other.position[:2] + way * middle
        if parted(new.covers(), other.covers()):
            high = middle
        else:
            low = middle
    return high


def parted(one: Vector, other: Vector) -> bool:
    """Whether a straight line parts two convex outlines [K, 2], anticlockwise."""
    for outline in (one, other):
        edge = np.roll(outline, -1, axis=0) - outline
        outward = np.column_stack([edge[:, 1], -edge[:, 0]])
        a, b = one @ outward.T, other @ outward.T
        if ((a.max(axis=0) < b.min(axis=0)) | (b.max(axis=0) < a.min(axis=0))).any():
            return True
    return False
