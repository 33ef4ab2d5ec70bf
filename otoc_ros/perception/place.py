"""Where a clicked object stands: the same object is found again in a frame that does not move.

What a network makes of a class that it never had changes from view to view; its place does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from otoc_ros.core.growth import FEATURE_LIMIT, Growth, Seeds
from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.supervoxels import pool

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

# Chosen on dev rooms, see benchmarks/new_class.py.
SURE = 0.9  # share of the cost that growth allows, from the click to what is taken for its object
NEAR = 0.15  # metres from what was seen of the object
WITHIN = 0.7  # share of a super-voxel's voxels that are as near
ALIKE = 0.5  # change of mean colour (rgb in 0..1) beyond which something else stands there now
MOST_POINTS = 2000  # of an object; more would tell no more
# A frame that is carried along with the sensor shows other things at the same place.
MOVED, TURNED = 0.02, np.deg2rad(1.0)  # metres, radians


@dataclass(frozen=True, eq=False)
class Place:
    """What one view showed of a clicked object.

    Attributes:
        points: float64 [K, 3], metres, in the common frame.
        colour: float32 [K, 3], mean colours in 0..1 of the super-voxels that they lie in; NaN
            without colour.
        pose: float64 [4, 4], T_common_cloud of that view.
    """

    points: F64
    colour: F32
    pose: F64

    @cached_property
    def tree(self) -> cKDTree:
        return cKDTree(self.points)


def place_of(
    prepared: Prepared, feature: F32, colour: F32, clicked: int, is_surface: bool, pose: F64
) -> Place:
    """The place of the object around a clicked super-voxel.

    Args:
        prepared: the cloud. feature, colour: of its super-voxels, as `SeenCloud` has them.
        clicked: row of the super-voxel. is_surface: of a class without objects.
        pose: float64 [4, 4], T_common_cloud.
    """
    growth = Growth(prepared, feature)
    mine = growth([Seeds((clicked,), is_surface=is_surface)]) == 0
    mine &= growth.paths((clicked,), is_surface) <= SURE * FEATURE_LIMIT
    mine[clicked] = True
    rows = np.flatnonzero(mine[prepared.supervoxel])
    rows = rows[:: len(rows) // MOST_POINTS + 1]
    return Place(_in_common_frame(prepared, pose)[rows], colour[prepared.supervoxel[rows]], pose)


def standing_at(
    prepared: Prepared, colour: F32, pose: F64, places: Sequence[Place | None]
) -> NDArray[np.int8]:
    """Which super-voxels of a cloud belong to objects at known places.

    A place seen from this very pose says nothing: the frame may be carried along with the sensor.

    Args:
        prepared: the cloud. colour: float32 [M, 3], as `SeenCloud` has it.
        pose: float64 [4, 4], T_common_cloud. places: of L lessons.

    Returns:
        int8 [M, L]: 1 = of the object, 0 = elsewhere, -1 = the place says nothing.
    """
    count = prepared.n_supervoxels
    there = np.full((count, len(places)), -1, np.int8)
    moved = [(row, place) for row, place in enumerate(places) if place and _apart(pose, place.pose)]
    if not moved:
        return there
    points = _in_common_frame(prepared, pose)
    for row, place in moved:
        there[:, row] = 0
        low, high = place.points.min(axis=0) - NEAR, place.points.max(axis=0) + NEAR
        close = np.flatnonzero(((points >= low) & (points <= high)).all(axis=1))
        if len(close) == 0:
            continue
        distance, nearest = place.tree.query(points[close], distance_upper_bound=NEAR)
        close, nearest = close[np.isfinite(distance)], nearest[np.isfinite(distance)]
        change = colour[prepared.supervoxel[close]] - place.colour[nearest]
        same = ~(np.linalg.norm(change, axis=1) > ALIKE)  # without colour (NaN) it is
        near = np.zeros((len(points), 1), np.float32)
        near[close[same]] = 1
        there[:, row] = pool(near, prepared.supervoxel, count)[:, 0] > WITHIN
    return there


def _in_common_frame(prepared: Prepared, pose: F64) -> F64:
    aligned = prepared.xyz.astype(np.float64) + prepared.grid.origin
    turn = pose[:3, :3] @ prepared.rotation.T
    points: F64 = aligned @ turn.T + pose[:3, 3]
    return points


def _apart(one: F64, other: F64) -> bool:
    cosine = (np.trace(one[:3, :3].T @ other[:3, :3]) - 1) / 2
    turned = np.arccos(np.clip(cosine, -1, 1)) > TURNED
    return bool(turned or np.linalg.norm(one[:3, 3] - other[:3, 3]) > MOVED)
