import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otoc_ros.core.normals import sharp_normals, voxel_normals
from otoc_ros.core.voxels import mean_per_voxel, voxelize


def on_voxels(xyz, voxel_size):
    grid = voxelize(xyz, voxel_size)
    return grid.coords, mean_per_voxel(xyz - grid.origin, grid)


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_equals_the_covariance_of_every_cube(radius):
    coords, xyz = on_voxels(np.random.default_rng(0).random((600, 3)) * [1, 1, 0.3], 0.06)
    normal = voxel_normals(coords, xyz, radius)
    checked = 0
    for i in range(len(coords)):
        cube = xyz[(np.abs(coords - coords[i]) <= radius).all(1)].astype(np.float64)
        values, vectors = np.linalg.eigh(np.cov(cube.T, bias=True))
        if len(cube) < 4 or values[0] > 0.9 * values[1]:
            continue
        assert abs(normal[i] @ vectors[:, 0]) > 0.9999
        checked += 1
    assert checked > 100


@given(st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1))
@settings(max_examples=30, deadline=None)
def test_a_plane_has_its_own_normal_anywhere(direction):
    direction = np.array(direction) / np.linalg.norm(direction)
    axes = np.linalg.svd(direction[None])[2][1:]
    xyz = np.random.default_rng(0).random((3000, 2)) @ axes
    coords, position = on_voxels(xyz, 0.05)
    normal = voxel_normals(coords, position)
    found = normal.any(1)
    assert found.mean() > 0.95
    assert np.abs(normal[found] @ direction).min() > 0.999
    assert (normal[:, 2] >= 0).all()
    shifted = voxel_normals(coords, position + 500.0)
    assert np.abs((shifted * normal).sum(1))[found].min() > 0.9999


def test_no_plane_gives_zero():
    assert not voxel_normals(*on_voxels(np.zeros((1, 3)), 0.1)).any()
    line = np.arange(20)[:, None] * np.array([0.1, 0, 0])
    assert not voxel_normals(*on_voxels(line, 0.1)).any()
    assert voxel_normals(np.zeros((0, 3), np.int32), np.zeros((0, 3))).shape == (0, 3)


def test_an_edge_is_sharp_where_a_voxel_touches_either_side():
    rng = np.random.default_rng(0)
    flat, zero = rng.random((40_000, 2)), np.zeros(40_000)
    floor = np.column_stack([flat[:20_000], zero[:20_000]])
    wall = np.column_stack([zero[20_000:], flat[20_000:]])
    noise = rng.normal(0, 0.0005, (40_000, 3))
    coords, xyz = on_voxels(np.concatenate([floor, wall]) + noise, 0.02)
    of_floor, of_wall = np.array([0, 0, 1]), np.array([1, 0, 0])
    # Two voxels from the edge the cube holds both surfaces; the touching third voxel's does not.
    beside = coords[:, 0] + coords[:, 2] == 2
    beside &= (coords[:, 1] > 3) & (coords[:, 1] < 46) & (coords[:, [0, 2]] == 0).any(1)
    side = np.where((coords[:, 2] == 0)[:, None], of_floor, of_wall)[beside]
    smooth = np.abs((voxel_normals(coords, xyz)[beside] * side).sum(1))
    sharp = np.abs((sharp_normals(coords, xyz)[beside] * side).sum(1))
    assert len(sharp) > 70
    assert np.median(smooth) < 0.98
    assert sharp.min() > 0.999


def test_sharp_normals_are_none_where_there_is_no_plane():
    line = np.arange(20)[:, None] * np.array([0.1, 0, 0])
    assert not sharp_normals(*on_voxels(line, 0.1)).any()
    assert sharp_normals(np.zeros((0, 3), np.int32), np.zeros((0, 3))).shape == (0, 3)
