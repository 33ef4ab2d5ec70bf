"""Points of a cloud in a turned frame, which are never stored: each is turned when it is needed.

In float64 they would take more memory than all else that is known of a cloud; to turn them again
costs less time than to fetch them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.compiled import compiled
from otoc_ros.core.voxels import AXIS_BITS, VoxelGrid, check_size, grid_of_keys

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Turned:
    """n finite points of a cloud in the frame R, from the corner of the box around them.

    Attributes:
        xyz: float32 [N, 3], metres, the cloud's frame.
        rows: int32 [n], which of them.
        rotation: float64 [3, 3]: turned = xyz @ rotation.T.
        pivot: float64 [3], of the cloud's frame: about a map's origin 100 m away digits were lost.
        low: float64 [3], the corner relative to the pivot; extent: float64 [3], of the box.
    """

    xyz: NDArray[np.float32]
    rows: NDArray[np.int32]
    rotation: F64
    pivot: F64
    low: F64
    extent: F64

    @staticmethod
    def about(xyz: NDArray[np.float32], rows: NDArray[np.int32], rotation: F64) -> Turned:
        """Turn points about the first of them; n is 1 or more."""
        pivot = xyz[rows[0]].astype(np.float64)
        low, extent = _box(xyz, rows, rotation, pivot)
        return Turned(xyz, rows, rotation, pivot, low, extent)

    @property
    def origin(self) -> F64:
        """The corner in the frame R: float64 [3]."""
        corner: F64 = self.low.copy()
        for axis in range(3):
            for other in range(3):
                corner[axis] += self.rotation[axis, other] * self.pivot[other]
        return corner

    def grid(self, voxel_size: float) -> VoxelGrid:
        """The points' voxels, from the corner on; its origin is that of the frame R.

        Raises:
            InputError: more voxels along an axis than a grid holds.
        """
        check_size(self.extent, voxel_size)
        keys = _keys(*self._parts(), voxel_size)
        return grid_of_keys(keys, voxel_size, self.origin)

    def mean_per_voxel(self, grid: VoxelGrid) -> NDArray[np.float32]:
        """Mean of each voxel's points, from the corner on: float32 [V, 3], summed in float64."""
        return _means(  # type: ignore[no-any-return]
            *self._parts(), grid.voxel_of_point, grid.points_per_voxel
        )

    def _parts(self) -> tuple[NDArray[Any], ...]:
        return self.xyz, self.rows, self.rotation, self.pivot, self.low


@compiled
def _turned(xyz, row, rotation, pivot):  # type: ignore[no-untyped-def]
    x, y, z = xyz[row, 0] - pivot[0], xyz[row, 1] - pivot[1], xyz[row, 2] - pivot[2]
    return (
        rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * z,
        rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * z,
        rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2] * z,
    )


@compiled
def _box(xyz, rows, rotation, pivot):  # type: ignore[no-untyped-def]
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for i in range(len(rows)):
        point = _turned(xyz, rows[i], rotation, pivot)
        for axis in range(3):
            low[axis] = min(low[axis], point[axis])
            high[axis] = max(high[axis], point[axis])
    return low, high - low


@compiled
def _keys(xyz, rows, rotation, pivot, low, voxel_size):  # type: ignore[no-untyped-def]
    keys = np.empty(len(rows), np.int64)
    for i in range(len(rows)):
        point = _turned(xyz, rows[i], rotation, pivot)
        key = np.int64(0)
        for axis in range(3):
            key = (key << AXIS_BITS) | np.int64((point[axis] - low[axis]) / voxel_size)
        keys[i] = key
    return keys


@compiled
def _means(xyz, rows, rotation, pivot, low, voxel_of_point, points_per_voxel):  # type: ignore[no-untyped-def]
    total = np.zeros((len(points_per_voxel), 3), np.float64)
    for i in range(len(rows)):
        point = _turned(xyz, rows[i], rotation, pivot)
        for axis in range(3):
            total[voxel_of_point[i], axis] += point[axis] - low[axis]
    mean = np.empty(total.shape, np.float32)
    for v in range(len(total)):
        for axis in range(3):
            mean[v, axis] = total[v, axis] / points_per_voxel[v]
    return mean
