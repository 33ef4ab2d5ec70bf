"""Upright boxes, and which of them overlap: the floor plan's only geometry test."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SLACK = 0.004  # metres two things may share: touching is allowed, standing inside is not


class Boxes:
    """Boxes [N] turned about the vertical: centre x, y; half sizes; angle; lowest, highest z."""

    def __init__(self, rows: NDArray[np.float64] | None = None) -> None:
        self.rows = np.zeros((0, 7)) if rows is None else rows

    @classmethod
    def of(
        cls, bounds: list[NDArray[np.float64]], position: NDArray[np.float64], yaw: float
    ) -> Boxes:
        """Piece-frame bounds [2, 3] placed in the room at a position [3] with a yaw."""
        low, high = np.array(bounds)[:, 0], np.array(bounds)[:, 1]
        middle, half = (low + high) / 2, (high - low) / 2
        c, s = np.cos(yaw), np.sin(yaw)
        x = c * middle[:, 0] - s * middle[:, 1] + position[0]
        y = s * middle[:, 0] + c * middle[:, 1] + position[1]
        angle = np.full(len(x), yaw)
        z = position[2]
        return cls(np.column_stack([x, y, half[:, :2], angle, low[:, 2] + z, high[:, 2] + z]))

    def __len__(self) -> int:
        return len(self.rows)

    def with_others(self, other: Boxes) -> Boxes:
        """These boxes and more."""
        return Boxes(np.concatenate([self.rows, other.rows]))

    def hit(self, other: Boxes) -> bool:
        """Whether any of these overlaps any of the others (separating axes, by pairs)."""
        if not len(self) or not len(other):
            return False
        a, b = self.rows, other.rows
        b = b[np.linalg.norm(b[:, :2] - a[:, :2].mean(0), axis=1) < _reach(a) + _radius(b)]
        if not len(b):
            return False
        i, j = np.nonzero(
            (a[:, None, 5] < b[None, :, 6] - _SLACK) & (b[None, :, 5] < a[:, None, 6] - _SLACK)
        )
        a, b = a[i], b[j]
        apart = np.zeros(len(a), bool)
        between = b[:, :2] - a[:, :2]
        for source in (a, b):
            for turn in (0.0, np.pi / 2):
                axis = np.column_stack([np.cos(source[:, 4] + turn), np.sin(source[:, 4] + turn)])
                gap = np.abs((between * axis).sum(1))
                apart |= gap > _extent(a, axis) + _extent(b, axis) - _SLACK
        return bool((~apart).any())

    def covers(self, points: NDArray[np.float64], margin: float) -> NDArray[np.bool_]:
        """Which points [P, 2] of the floor lie in or within `margin` of a box."""
        inside = np.zeros(len(points), bool)
        for x, y, half_x, half_y, angle, _, _ in self.rows:
            d = points - [x, y]
            c, s = np.cos(angle), np.sin(angle)
            along, across = d[:, 0] * c + d[:, 1] * s, d[:, 1] * c - d[:, 0] * s
            inside |= (np.abs(along) < half_x + margin) & (np.abs(across) < half_y + margin)
        return inside


def _extent(rows: NDArray[np.float64], axis: NDArray[np.float64]) -> NDArray[np.float64]:
    c, s = np.cos(rows[:, 4]), np.sin(rows[:, 4])
    along = np.abs(axis[:, 0] * c + axis[:, 1] * s)
    across = np.abs(axis[:, 1] * c - axis[:, 0] * s)
    extent: NDArray[np.float64] = rows[:, 2] * along + rows[:, 3] * across
    return extent


def _radius(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.hypot(rows[:, 2], rows[:, 3])


def _reach(rows: NDArray[np.float64]) -> float:
    middle = rows[:, :2].mean(0)
    return float((np.linalg.norm(rows[:, :2] - middle, axis=1) + _radius(rows)).max())
