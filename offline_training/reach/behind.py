"""What lies behind a surface: little, where it bounds the place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from otoc_ros.core.look import Look
from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.voxels import mean_per_voxel, voxelize

F32 = NDArray[np.float32]

# In sizes of a super-voxel, the scale that a site is seen at:
RADIUS = 2.5  # what counts as near
CELL = 0.33  # surfaces are counted in cells of this size
DEPTH = 0.1  # behind its plane, from which a cell is behind a super-voxel
MOST = 512  # cells near one super-voxel that are looked at
ROWS_AT_ONCE = 4096  # bounds the memory of all that is near all super-voxels


def surfaces_behind(prepared: Prepared, look: Look) -> F32:
    """Share of the surfaces near each super-voxel that lie behind its plane: float32 [M], 0..1.

    Little behind walls and floors, which bound a place; much behind what stands before and on them.
    Zero where nobody knows the side.
    """
    center = look.center
    cells = mean_per_voxel(prepared.xyz, voxelize(prepared.xyz, CELL * look.size))
    length = np.linalg.norm(look.facing, axis=1, keepdims=True)
    facing = look.facing / np.maximum(length, np.float32(1e-6))
    depth, radius = np.float32(DEPTH * look.size), RADIUS * look.size
    tree, ranks = cKDTree(cells), np.arange(1, min(MOST, len(cells)) + 1)
    behind = np.empty(len(center), np.float32)
    for begin in range(0, len(center), ROWS_AT_ONCE):
        rows = slice(begin, begin + ROWS_AT_ONCE)
        _, near = tree.query(center[rows], k=ranks, distance_upper_bound=radius)
        inside = near < len(cells)
        way = cells[np.where(inside, near, 0)] - center[rows, None]
        further = ((way * facing[rows, None]).sum(axis=2) < -depth) & inside
        behind[rows] = further.sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
    return behind
