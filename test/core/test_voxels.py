import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otoc_ros.core.errors import InputError
from otoc_ros.core.voxels import MAX_BATCH, MAX_COORDINATE, kernel_maps, mean_per_voxel, voxelize

cells = st.lists(
    st.tuples(st.integers(0, 2), *[st.integers(0, 6)] * 3), min_size=1, max_size=80, unique=True
).map(lambda rows: np.array(sorted(rows), np.int32))


@settings(deadline=None, max_examples=60)
@given(cells)
def test_kernel_maps_agree_with_a_dictionary(coords):
    levels = kernel_maps(coords, 3)
    for level, coarser in itertools.zip_longest(levels, levels[1:]):
        row_of = {tuple(row): i for i, row in enumerate(level.coords.tolist())}
        assert list(row_of) == sorted(row_of)
        for i, (b, x, y, z) in enumerate(level.coords.tolist()):
            for k, (dx, dy, dz) in enumerate(itertools.product((-1, 0, 1), repeat=3)):
                assert level.neighbours[i, k] == row_of.get((b, x + dx, y + dy, z + dz), -1)
            if coarser is None:
                assert level.parent is None and level.child is None
            else:
                parent = coarser.coords[level.parent[i]].tolist()
                assert parent == [b, x // 2, y // 2, z // 2]
                assert level.child[i] == x % 2 * 4 + y % 2 * 2 + z % 2
        if coarser is not None:
            assert set(level.parent) == set(range(len(coarser)))


def test_kernel_maps_at_the_limits():
    top = MAX_COORDINATE
    corners = [(0, 0, 0, 0), (0, 0, 0, top), (0, 0, 1, 0), (0, top, top, top)]
    corners += [(MAX_BATCH - 1, 0, 0, 0), (MAX_BATCH - 1, top, top, top)]
    (level,) = kernel_maps(np.array(corners), 1)
    found = [(i, k) for i, k in np.argwhere(level.neighbours >= 0).tolist() if k != 13]
    assert found == [(0, 16), (2, 10)]  # only (0, 0, 0) and (0, 1, 0) touch


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(*[st.integers(-300, 300)] * 3), min_size=1, max_size=60),
    st.tuples(*[st.integers(-1000, 1000)] * 3),
)
def test_voxelize_agrees_with_a_dictionary_and_ignores_a_shift(points, shift):
    xyz = np.array(points, np.float32) / 64  # binary fractions: the shift below is exact
    grid = voxelize(xyz, 0.25)
    inside = np.floor((xyz - xyz.min(0)) / 0.25).astype(int).tolist()
    assert grid.coords.tolist() == sorted(map(list, {tuple(cell) for cell in inside}))
    assert grid.coords[grid.voxel_of_point].tolist() == inside
    assert grid.points_per_voxel.sum() == len(points)
    assert grid.coords.dtype == grid.voxel_of_point.dtype == grid.points_per_voxel.dtype == np.int32

    shifted = voxelize(xyz + np.array(shift, np.float32), 0.25)
    assert np.array_equal(shifted.coords, grid.coords)
    assert np.array_equal(shifted.voxel_of_point, grid.voxel_of_point)
    assert np.array_equal(shifted.origin - grid.origin, shift)

    mean = mean_per_voxel(xyz, grid)
    for v in range(len(grid.coords)):
        expected = xyz[grid.voxel_of_point == v].mean(0)
        np.testing.assert_allclose(mean[v], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("xyz", "size", "message"),
    [
        (np.zeros((0, 3)), 0.02, "at least one point"),
        (np.zeros((4, 2)), 0.02, r"\(4, 2\)"),
        (np.zeros((4, 3)), 0.0, "voxel_size is 0.0"),
        (np.zeros((4, 3)), float("nan"), "voxel_size is nan"),
        (np.array([[0, 0, 0], [0, np.nan, 0]]), 0.02, "NaN"),
        (np.array([[0, 0, 0], [0, np.inf, 0]]), 0.02, "infinite"),
        (np.array([[0, 0, 0], [0, 6000.0, 0]]), 0.02, "larger voxels"),
    ],
)
def test_voxelize_says_what_is_wrong(xyz, size, message):
    with pytest.raises(InputError, match=message):
        voxelize(xyz, size)


@pytest.mark.parametrize(
    ("coords", "message"),
    [
        (np.zeros((0, 3), int), "V ≥ 1"),
        (np.array([[0, 0, 1], [0, 0, 0]]), "sorted"),
        (np.array([[0, 0, 1], [0, 0, 1]]), "unique"),
        (np.array([[0, 0, -1]]), "-1"),
        (np.array([[0, 0, MAX_COORDINATE + 1]]), str(MAX_COORDINATE)),
        (np.array([[MAX_BATCH, 0, 0, 0]]), "batches"),
    ],
)
def test_kernel_maps_say_what_is_wrong(coords, message):
    with pytest.raises(InputError, match=message):
        kernel_maps(coords, 2)


def test_wrong_values_are_refused():
    grid = voxelize(np.zeros((4, 3)), 0.1)
    with pytest.raises(InputError, match=r"\[4, C\]"):
        mean_per_voxel(np.zeros((3, 2)), grid)
    with pytest.raises(InputError, match="levels is 0"):
        kernel_maps(grid.coords, 0)
