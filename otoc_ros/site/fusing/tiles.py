"""A large place as scenes of a size that a person can click and a machine can train on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.cloud import rotation_to_z

OVERLAP = 2.0  # metres that neighbouring scenes share: an object on the border is whole in one
FEWEST_POINTS = 1000  # in less nobody recognises anything


class Tile(NamedTuple):
    """A rectangle of the ground: corners [2] in the frame turned so that z is up."""

    turn: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def holds(self, xyz: NDArray[Any]) -> NDArray[np.bool_]:
        """Which points [N, 3] lie in it, at any height."""
        ground = np.asarray(xyz, np.float64) @ self.turn[:2].T
        inside = np.logical_and(ground >= self.low, ground <= self.high)
        return np.asarray(inside.all(axis=1))

    def moved(self, origin: NDArray[Any]) -> Tile:
        """The same place in a frame whose coordinates are larger by `origin` [3]."""
        shift = self.turn[:2] @ origin
        return Tile(self.turn, self.low + shift, self.high + shift)


def tiles(xyz: NDArray[Any], up: NDArray[Any], size: float) -> list[Tile]:
    """Rectangles of at most `size` metres that cover a cloud, neighbours `OVERLAP` into each other.

    Args:
        xyz: float [N, 3], finite, N ≥ 1.
        up: float [3].
        size: metres, above twice the overlap.

    Returns:
        Those with at least `FEWEST_POINTS` points; the fullest one where none has so many.
    """
    turn = rotation_to_z(up)
    ground = np.asarray(xyz, np.float64) @ turn[:2].T
    low, high = ground.min(0), ground.max(0)
    count = np.maximum(np.ceil((high - low - OVERLAP) / (size - OVERLAP) - 1e-9), 1).astype(int)
    step = (high - low - OVERLAP) / count
    found: list[tuple[int, Tile]] = []
    for row in range(count[0]):
        for column in range(count[1]):
            corner = low + step * (row, column)
            tile = Tile(turn, corner - 1e-6, corner + step + OVERLAP + 1e-6)
            found.append((int(np.count_nonzero(tile.holds(xyz))), tile))
    full = [tile for points, tile in found if points >= FEWEST_POINTS]
    return full or [max(found, key=lambda entry: entry[0])[1]]
