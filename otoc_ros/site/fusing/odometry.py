"""Poses from the clouds alone: each is registered to a local map by small_gicp (VGICP)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.cloud import Cloud
from otoc_ros.site.fusing.seen_through import seen_through
from otoc_ros.site.fusing.transforms import Pose

FEWEST_INLIERS = 0.6  # share of a view's points that must meet the map
LARGEST_STEP = 1.0  # metres from one cloud to the next, or a quarter of what the sensor sees
LARGEST_TURN = np.deg2rad(40.0)
FEWEST_POINTS = 200
# Share of the last view that the present one sees through: at most 0.001 along paths through
# simulated rooms, 0 to 0.14 between tabletop recordings whose things were moved.
MOST_SEEN_THROUGH = 0.05
LAST_POINTS = 20_000  # of a view, to compare the next one with


class Odometry:
    """Follows one sensor; the first cloud's frame is the world.

    The grid's edge is 1/25 of the first cloud's median range, 5 cm to 1 m: both a depth camera in a
    room and a lidar in a street keep some thousand points a view.
    """

    def __init__(self) -> None:
        self._map: Any = None
        self._pose = np.eye(4)
        self._motion = np.eye(4)
        self._last: NDArray[np.float64] | None = None  # points of the last view, its frame
        self._edge = 0.0
        self._reach = 0.0

    def follow(self, cloud: Cloud) -> Pose | None:
        """T_world_sensor of the next cloud; None: lost, and every later cloud is lost too.

        Raises:
            ModuleNotFoundError: small_gicp is missing.
        """
        import small_gicp

        points = cloud.xyz[np.isfinite(cloud.xyz).all(1)].astype(np.float64)
        points = points[(points != 0).any(1)]
        if len(points) < FEWEST_POINTS:
            return None
        if self._map is None:
            self._begin(points, small_gicp)
        source, _ = small_gicp.preprocess_points(
            points, downsampling_resolution=self._edge / 2, num_neighbors=10
        )
        if self._map.size():
            guess = self._pose @ self._motion
            result = small_gicp.align(
                self._map,
                source,
                guess,
                max_correspondence_distance=3 * self._edge,
                max_iterations=30,
            )
            pose = np.array(result.T_target_source)
            moved = np.linalg.inv(self._pose) @ pose
            met = result.num_inliers >= FEWEST_INLIERS * source.size()
            if not (result.converged and met and self._possible(moved)):
                return None
            if self._moved_things(points, moved):
                return None
            self._pose, self._motion = pose, moved
        self._last = points[:: len(points) // LAST_POINTS + 1]
        self._map.insert(source, self._pose)
        return self._pose.copy()

    def _begin(self, points: NDArray[np.float64], small_gicp: Any) -> None:
        self._reach = float(np.median(np.linalg.norm(points, axis=1)))
        self._edge = float(np.clip(self._reach / 25, 0.05, 1.0))
        self._map = small_gicp.GaussianVoxelMap(self._edge)
        self._map.set_lru(horizon=200, clear_cycle=10)

    def _moved_things(self, points: NDArray[np.float64], moved: Pose) -> bool:
        """Whether so much of the last view has gone that it was of something else."""
        assert self._last is not None, "there was a view before"
        before = (self._last - moved[:3, 3]) @ moved[:3, :3]
        return seen_through(before, points, self._edge / 2) > MOST_SEEN_THROUGH

    def _possible(self, moved: Pose) -> bool:
        turn = np.arccos(np.clip((np.trace(moved[:3, :3]) - 1) / 2, -1, 1))
        step = np.linalg.norm(moved[:3, 3])
        return bool(turn < LARGEST_TURN and step < max(LARGEST_STEP, self._reach / 4))
