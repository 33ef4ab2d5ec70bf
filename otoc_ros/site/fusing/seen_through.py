"""Whether two views show one unmoved place: nobody sees through a surface."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter

PIXEL = np.deg2rad(1.0)
WIDTH, HEIGHT = 360, 180


def seen_through(before: NDArray[Any], now: NDArray[Any], slack: float) -> float:
    """Share of earlier points that lie in front of what is seen now in the same direction.

    A right pose in a place where nothing moved leaves none; other things on the same table, which
    registration takes for a good match, do not.

    Args:
        before: float64 [N, 3], points of an earlier view in the frame of the present sensor.
        now: float64 [M, 3], points of the present view in its own frame.
        slack: metres in front that are noise.

    Returns:
        0..1 of the points in whose direction there is anything now; 0 without any.
    """
    image = np.full((WIDTH, HEIGHT), np.inf)
    seen = _directions(now)
    np.minimum.at(image, (seen.column, seen.row), seen.range)
    nearest = minimum_filter(image, 3, mode=("wrap", "nearest"))  # borders of things move a little
    old = _directions(before)
    both = np.isfinite(image[old.column, old.row])
    if not both.any():
        return 0.0
    limit = nearest[old.column, old.row][both] - slack
    return float((old.range[both] < limit).mean())


class _Directions(NamedTuple):
    column: NDArray[np.int64]
    row: NDArray[np.int64]
    range: NDArray[np.float64]


def _directions(xyz: NDArray[Any]) -> _Directions:
    length = np.maximum(np.linalg.norm(xyz, axis=1), 1e-9)
    around = np.arctan2(xyz[:, 0], xyz[:, 2]) % (2 * np.pi)
    above = np.arcsin(np.clip(xyz[:, 1] / length, -1, 1)) + np.pi / 2
    column = np.minimum((around / PIXEL).astype(np.int64), WIDTH - 1)
    return _Directions(column, np.minimum((above / PIXEL).astype(np.int64), HEIGHT - 1), length)
