import numpy as np
import pytest

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.occlusion import join_hidden
from otoc_ros.core.preprocess import Preprocessing, preprocess
from otoc_ros.core.supervoxels import pool

VOXEL = 0.01
UP = np.array([0.0, 0.0, 1.0])


def board(x: float, y: tuple[float, float], z: tuple[float, float] = (-0.1, 0.1)):
    """Points of an upright board that a sensor in the origin looks at, 3 mm apart."""
    ys, zs = np.meshgrid(np.arange(*y, 0.003), np.arange(*z, 0.003))
    return np.column_stack([np.full(ys.size, x), ys.ravel(), zs.ravel()])


def table():
    xs, ys = np.meshgrid(np.arange(0.7, 1.1, 0.003), np.arange(-0.25, 0.25, 0.003))
    return np.column_stack([xs.ravel(), ys.ravel(), np.full(xs.size, -0.1)])


def joined(*boards):
    """The numbers that the clusters of the first boards have afterwards; all stand on a table."""
    parts = [*boards, table()]
    xyz = np.concatenate(parts).astype(np.float32)
    board_of_point = np.repeat(np.arange(len(parts)), [len(each) for each in parts])
    prepared = preprocess(Cloud(xyz, None), Preprocessing(voxel_size=VOXEL), UP)
    points = np.zeros((prepared.n_supervoxels, len(parts)), np.int64)
    supervoxel = prepared.supervoxel[prepared.voxel_of_point]
    np.add.at(points, (supervoxel, board_of_point), 1)
    cluster = points.argmax(axis=1)
    atoms = np.flatnonzero(cluster < len(boards))
    pairs = prepared.borders.pairs
    pairs = pairs[np.isin(pairs, atoms).all(axis=1)]
    center = pool(prepared.xyz, prepared.supervoxel, prepared.n_supervoxels)
    size = np.bincount(prepared.supervoxel)
    after = join_hidden(prepared, center, size, atoms, cluster[atoms], pairs)
    numbers = [np.unique(after[cluster[atoms] == each]) for each in range(min(3, len(boards)))]
    assert all(len(number) == 1 for number in numbers)  # nothing is ever split
    return [int(number[0]) for number in numbers]


LEFT, RIGHT = board(1.0, (-0.2, -0.04)), board(1.0, (0.04, 0.2))
POST = board(0.8, (-0.03, 0.03), (-0.1, 0.15))
# Boards behind both halves, which a sensor in the origin cannot see.
HIDDEN = [
    board(x, (side - 0.07, side + 0.07), (-0.09, 0.09))
    for x in np.arange(1.2, 2.1, 0.1)
    for side in (-0.14, 0.14)
]


def test_halves_behind_a_post_are_one_object():
    left, right, post = joined(LEFT, RIGHT, POST)
    assert left == right != post


@pytest.mark.parametrize(
    "boards",
    [
        pytest.param((LEFT, RIGHT), id="nothing stands before them"),
        pytest.param((LEFT, RIGHT, board(1.3, (-0.3, 0.3))), id="a wall is seen between them"),
        pytest.param((LEFT, board(1.06, (0.04, 0.2)), POST), id="one lies deeper"),
        pytest.param(
            (LEFT, board(1.0, (0.5, 0.65)), board(0.8, (-0.03, 0.39))), id="they are far apart"
        ),
        pytest.param((LEFT, RIGHT, POST, *HIDDEN), id="a scan that was seen from all sides"),
    ],
)
def test_others_stay_two(boards):
    left, right, *_ = joined(*boards)
    assert left != right


def test_clusters_that_touch_were_kept_apart_on_purpose():
    left, right, _ = joined(LEFT, board(1.0, (-0.04, 0.2)), POST)
    assert left != right
