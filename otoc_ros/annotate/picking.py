"""From a click on the screen to the point of the scan that lies under it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from otoc_ros.annotate.clip import EVERYWHERE, Box, within

WIDENINGS = (1.0, 2.0, 4.0)  # far from a sensor points lie apart: then a wider ray hits them


class RayPicker:
    """Finds the first point along a ray, among all points of a scan.

    Args:
        xyz: float [N, 3], finite, any frame.
        radius: how far beside the ray a point may lie to be hit, in the unit of `xyz`; at least
            the gap between points on a surface, or the ray slips through to what is behind.
    """

    def __init__(self, xyz: NDArray[np.float32], radius: float) -> None:
        self._xyz = xyz
        self._radius = radius
        # Building takes a third of the time of a balanced tree, and each click asks once.
        self._tree = cKDTree(xyz, balanced_tree=False, compact_nodes=False)

    def pick(
        self, origin: Sequence[float], direction: Sequence[float], box: Box = EVERYWHERE
    ) -> int | None:
        """Row of the point that a ray hits first; None: it hits none.

        Args:
            origin, direction: of the ray, three numbers each; the direction has any length.
            box: points outside it are hidden and cannot be hit.
        """
        start, way = np.asarray(origin, float), np.asarray(direction, float)
        length = float(np.linalg.norm(way))
        if not (np.isfinite(start).all() and np.isfinite(length) and length > 0):
            return None
        for widening in WIDENINGS:
            row = self._first(start, way / length, box, widening * self._radius)
            if row is not None:
                return row
        return None

    def _first(
        self, origin: NDArray[np.float64], way: NDArray[np.float64], box: Box, radius: float
    ) -> int | None:
        begin, end = self._within(origin, way, radius)
        if begin >= end:
            return None
        along = np.arange(begin, end + radius, radius)
        stops = origin + along[:, None] * way
        # Balls of this size around stops one radius apart cover a cylinder of that radius.
        reach = 1.12 * radius
        distance = self._tree.query(stops, distance_upper_bound=reach)[0]
        for hit in np.flatnonzero(np.isfinite(distance)):
            rows = self._tree.query_ball_point(stops[hit : hit + 3], reach)
            around = np.unique(np.concatenate(list(rows)).astype(np.int64))
            around = around[within(self._xyz[around], box)]
            if len(around):
                offset = self._xyz[around] - origin
                beside = np.linalg.norm(offset - (offset @ way)[:, None] * way, axis=1)
                return int(around[np.argmin(beside)])
        return None

    def _within(
        self, origin: NDArray[np.float64], way: NDArray[np.float64], margin: float
    ) -> tuple[float, float]:
        """Where a ray enters and leaves the box around the points."""
        low, high = self._tree.mins - margin, self._tree.maxes + margin
        with np.errstate(divide="ignore", invalid="ignore"):
            walls = np.stack([low - origin, high - origin]) / way
        parallel = way == 0
        if ((origin < low) | (origin > high))[parallel].any():
            return 0.0, 0.0
        walls[:, parallel] = [[-np.inf], [np.inf]]
        return max(0.0, float(walls.min(0).max())), float(walls.max(0).min())
