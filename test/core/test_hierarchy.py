import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from otoc_ros.core.hierarchy import hierarchy
from otoc_ros.core.normals import sharp_normals
from otoc_ros.core.supervoxels import supervoxels
from otoc_ros.core.voxels import mean_per_voxel, voxelize


def tree_over(xyz, count, rgb=None, voxel_size=0.1):
    grid = voxelize(xyz, voxel_size)
    position = mean_per_voxel(xyz, grid)
    colour = None if rgb is None else mean_per_voxel(rgb, grid) / 255
    parts = (grid.coords, position, colour, sharp_normals(grid.coords, position))
    ids = supervoxels(*parts, voxel_size=voxel_size, count=count)
    return hierarchy(*parts, ids, voxel_size=voxel_size), ids[grid.voxel_of_point]


@given(
    st.integers(0, 99),
    st.integers(1, 300),
    st.integers(1, 30),
    st.sampled_from([[1, 1, 1], [2, 2, 0], [30, 30, 3], [0, 0, 0]]),
)
@settings(max_examples=40, deadline=None)
def test_every_level_is_exact_and_nested(seed, points, count, spread):
    xyz = np.random.default_rng(seed).random((points, 3)) * spread
    tree, ids = tree_over(xyz, count)
    assert tree.count == ids.max() + 1
    finer = tree.level(tree.count)
    np.testing.assert_array_equal(finer, np.arange(tree.count))
    for wanted in range(tree.count - 1, 0, -1):
        coarser = tree.level(wanted)
        assert len(np.unique(coarser)) == coarser.max() + 1 == wanted
        assert len(np.unique(np.stack([finer, coarser], 1), axis=0)) == wanted + 1
        finer = coarser


def test_coarse_levels_are_whole_things():
    rng = np.random.default_rng(0)
    floor = np.c_[rng.random((20000, 2)) * 2, np.zeros(20000)]
    box = (rng.random((6000, 3)) - 0.5) * 0.4
    axis = rng.integers(0, 3, len(box))
    box[np.arange(len(box)), axis] = np.sign(box[np.arange(len(box)), axis]) * 0.2
    box = box[box[:, 2] > -0.2] + [1, 1, 0.2]
    hidden = (np.abs(floor[:, :2] - 1) < 0.2).all(1)
    xyz = np.concatenate([floor[~hidden], box])
    truth = np.arange(len(xyz)) >= (~hidden).sum()
    rgb = np.where(truth[:, None], [200, 40, 30], [120, 120, 110])
    tree, ids = tree_over(xyz, 40, rgb, voxel_size=0.03)
    two = tree.level(2)[ids]
    assert abs(np.corrcoef(two, truth)[0, 1]) > 0.95
