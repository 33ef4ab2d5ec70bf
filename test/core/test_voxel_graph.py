import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from otoc_ros.core.voxel_graph import voxel_graph
from otoc_ros.core.voxels import voxelize

grids = st.builds(
    lambda seed, n, spread: voxelize(np.random.default_rng(seed).random((n, 3)) * spread, 1.0),
    st.integers(0, 999),
    st.integers(1, 200),
    st.sampled_from([[6, 6, 6], [12, 12, 1], [40, 40, 3], [400, 300, 2], [5000, 0, 0]]),
)


def edges(coords, min_size, max_pieces):
    first, other = voxel_graph(coords, coords.astype(np.float32), min_size, max_pieces)
    return np.stack([np.repeat(np.arange(len(coords)), np.diff(first)), other], 1)


def pieces(pairs, count):
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (count, count))
    return connected_components(graph, directed=False)


@given(grids)
@settings(max_examples=40, deadline=None)
def test_without_bridges_voxels_are_joined_to_those_that_touch(grid):
    apart = np.abs(grid.coords[:, None] - grid.coords[None]).max(-1)
    expected = np.argwhere(np.triu(apart == 1))
    found = edges(grid.coords, 0, len(grid.coords))
    np.testing.assert_array_equal(found[np.lexsort((found[:, 1], found[:, 0]))], expected)


@given(grids, st.integers(1, 30), st.integers(1, 10))
@settings(max_examples=60, deadline=None)
def test_bridges_leave_few_and_no_small_pieces(grid, min_size, max_pieces):
    pairs = edges(grid.coords, min_size, max_pieces)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    count, piece = pieces(pairs, len(grid.coords))
    assert count <= max_pieces
    assert count == 1 or np.bincount(piece).min() >= min_size


def test_a_gap_is_bridged_where_it_is_narrow():
    # Two plates 3 voxels apart at one end, 30 at the other.
    x, y = np.mgrid[:60, :10].reshape(2, -1)
    low = np.stack([x, y, np.zeros_like(x)], 1)
    high = np.stack([x, y, 3 + x // 2], 1)
    grid = voxelize(np.concatenate([low, high]).astype(float), 1.0)
    pairs = edges(grid.coords, 0, 1)
    bridges = grid.coords[pairs[np.abs(np.diff(grid.coords[pairs], axis=1)).max((1, 2)) > 1]]
    assert len(bridges)
    assert bridges[:, :, 0].max() < 12
    assert pieces(pairs, len(grid.coords))[0] == 1


def test_a_lone_voxel_goes_to_the_nearer_side():
    y, z = np.mgrid[:8, :8].reshape(2, -1)
    near, far = (np.stack([np.full_like(y, x), y, z], 1) for x in (8, 13))
    coords = np.concatenate([near, [[10, 4, 4]], far])  # gaps of one voxel and of two
    for grid in (coords, (coords * [-1, 1, 1] + [23, 0, 0])[::-1]):
        grid = grid[np.lexsort(grid.T[::-1])].astype(np.int32)
        pairs = edges(grid, 2, 9)
        lone = np.flatnonzero(np.bincount(grid[:, 0])[grid[:, 0]] == 1)
        assert len(lone) == 1
        there = grid[pairs[(pairs == lone).any(1)]].reshape(-1, 3)
        assert np.abs(there[:, 0] - grid[lone, 0]).max() == 2
