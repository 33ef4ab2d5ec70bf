"""Points turned when they are needed are those that were turned at once."""

import numpy as np

from otoc_ros.core.cloud import rotation_to_z
from otoc_ros.core.turned import Turned
from otoc_ros.core.voxels import mean_per_voxel, voxelize


def test_turned_points_lie_in_the_voxels_of_points_that_were_turned_before():
    rng = np.random.default_rng(0)
    xyz = (rng.normal(size=(5000, 3)) * (3, 2, 1) + (250, -90, 7)).astype(np.float32)
    rows = np.flatnonzero(rng.random(5000) < 0.9).astype(np.int32)
    rotation = rotation_to_z([0.3, -0.2, 0.9])
    turned = Turned.about(xyz, rows, rotation)
    grid = turned.grid(0.1)

    pivot = xyz[rows[0]].astype(np.float64)
    plain = (xyz[rows] - pivot) @ rotation.T
    low = plain.min(axis=0)
    np.testing.assert_allclose(turned.origin, low + rotation @ pivot, atol=1e-9)
    expected = voxelize(plain - low, 0.1)
    same = (grid.coords[grid.voxel_of_point] == expected.coords[expected.voxel_of_point]).all(1)
    assert same.mean() > 0.999  # but for points on a border, which rounding moves
    np.testing.assert_allclose(
        turned.mean_per_voxel(grid), mean_per_voxel(plain - low, grid), atol=1e-6
    )
    assert (grid.points_per_voxel == np.bincount(grid.voxel_of_point)).all()
