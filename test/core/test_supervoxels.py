import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otoc_ros.core.errors import InputError
from otoc_ros.core.fusion import WORTH, _worth
from otoc_ros.core.normals import sharp_normals
from otoc_ros.core.supervoxels import pool, supervoxels
from otoc_ros.core.voxels import mean_per_voxel, voxelize


def cut(xyz, rgb=None, *, voxel_size=0.02, **wanted):
    """Super-voxel of every point, through the grid."""
    grid = voxelize(xyz, voxel_size)
    position = mean_per_voxel(xyz - grid.origin, grid)
    colour = None if rgb is None else mean_per_voxel(rgb, grid) / 255
    normal = sharp_normals(grid.coords, position)
    ids = supervoxels(grid.coords, position, colour, normal, voxel_size=voxel_size, **wanted)
    return ids[grid.voxel_of_point]


def renamed(ids):
    """Ids in the order of their first appearance, so that equal partitions are equal arrays."""
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def purity(ids, truth):
    """Share of points that bear the commonest truth of their super-voxel."""
    table = np.zeros((ids.max() + 1, truth.max() + 1), int)
    np.add.at(table, (ids, truth), 1)
    return table.max(1).sum() / len(truth)


def scene(rng):
    """A table 1 m wide with a box, a ball, a can that touches the box and a flat coloured sheet.

    Returns xyz, rgb and the object of each point: 0 table, 1 box, 2 ball, 3 can, 4 sheet.
    """
    parts = []
    table = np.c_[rng.random((40000, 2)) - 0.5, np.zeros(40000)]
    sheet = (np.abs(table[:, :2] - [0.25, -0.25]) < 0.1).all(1)
    hidden = (np.abs(table[:, :2] - [-0.2, 0.2]) < 0.1).all(1)  # by the box
    parts.append((table[~hidden], np.where(sheet, 4, 0)[~hidden]))
    box = (rng.random((9000, 3)) - 0.5) * 0.2
    axis = rng.integers(0, 3, len(box))
    box[np.arange(len(box)), axis] = np.sign(box[np.arange(len(box)), axis]) * 0.1
    box = box[box[:, 2] > -0.1] + [-0.2, 0.2, 0.1]
    parts.append((box, np.full(len(box), 1)))
    ball = rng.normal(size=(5000, 3))
    ball = ball / np.linalg.norm(ball, axis=1)[:, None] * 0.08 + [0.2, 0.2, 0.08]
    parts.append((ball, np.full(len(ball), 2)))
    turn, height = rng.random((2, 5000))
    can = np.c_[np.cos(2 * np.pi * turn) * 0.05, np.sin(2 * np.pi * turn) * 0.05, height * 0.2]
    parts.append((can + [-0.05, 0.2, 0], np.full(len(can), 3)))
    xyz = np.concatenate([p for p, _ in parts])
    xyz += rng.normal(0, 0.001, xyz.shape)
    truth = np.concatenate([t for _, t in parts])
    colours = np.array(
        [[170, 150, 120], [60, 90, 160], [190, 60, 50], [70, 150, 80], [230, 230, 225]]
    )
    rgb = np.clip(colours[truth] + rng.normal(0, 6, (len(xyz), 3)), 0, 255)
    return xyz, rgb.astype(np.uint8), truth


clouds = st.builds(
    lambda seed, n, spread: np.random.default_rng(seed).random((n, 3)) * spread,
    st.integers(0, 999),
    st.integers(1, 400),
    st.sampled_from([[1, 1, 1], [1, 1, 0], [3, 0, 0], [0, 0, 0], [0.3, 0.3, 0.1], [40, 40, 4]]),
)


@given(clouds, st.integers(1, 40), st.booleans(), st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_complete_dense_exact_and_independent_of_point_order(xyz, count, coloured, seed):
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, xyz.shape, dtype=np.uint8) if coloured else None
    ids = cut(xyz, rgb, voxel_size=0.1, count=count)
    assert ids.dtype == np.int32 and ids.min() == 0
    voxels = len(voxelize(xyz, 0.1).coords)
    assert len(np.unique(ids)) == ids.max() + 1 == min(count, voxels)
    order = rng.permutation(len(xyz))
    again = cut(xyz[order], None if rgb is None else rgb[order], voxel_size=0.1, count=count)
    np.testing.assert_array_equal(renamed(again), renamed(ids[order]))


def test_ids_follow_the_voxels():
    xyz, _, _ = scene(np.random.default_rng(0))
    grid = voxelize(xyz, 0.01)
    position = mean_per_voxel(xyz, grid)
    normal = sharp_normals(grid.coords, position)
    ids = supervoxels(grid.coords, position, None, normal, voxel_size=0.01, count=50)
    np.testing.assert_array_equal(ids, renamed(ids))


def test_a_shift_of_the_cloud_changes_nothing():
    xyz, rgb, _ = scene(np.random.default_rng(0))
    far = xyz + [137.2, -55.1, 9.9]
    np.testing.assert_array_equal(
        cut(xyz, rgb, voxel_size=0.01, count=60), cut(far, rgb, voxel_size=0.01, count=60)
    )


def test_the_sign_of_normals_does_not_matter():
    xyz, _, _ = scene(np.random.default_rng(0))
    grid = voxelize(xyz, 0.01)
    position = mean_per_voxel(xyz, grid)
    normal = sharp_normals(grid.coords, position)
    flipped = normal * np.random.default_rng(1).choice([-1, 1], (len(normal), 1))
    a, b = (
        supervoxels(grid.coords, position, None, n, voxel_size=0.01, count=60)
        for n in (normal, flipped)
    )
    np.testing.assert_array_equal(a, b)


def test_objects_are_not_mixed():
    xyz, rgb, truth = scene(np.random.default_rng(0))
    mixed_voxels = 1 - purity(voxelize(xyz, 0.01).voxel_of_point, truth)
    mixed = 1 - purity(cut(xyz, rgb, voxel_size=0.01, count=40), truth)
    assert mixed < mixed_voxels + 0.004
    # Without colour nothing tells the sheet from the table that it lies on.
    shape = np.where(truth == 4, 0, truth)
    assert purity(cut(xyz, voxel_size=0.01, count=40), shape) > 0.955


def test_colour_decides_where_a_surface_is_flat():
    rng = np.random.default_rng(3)
    wall = np.c_[rng.random((30000, 2)) * 2, rng.normal(0, 0.002, 30000)]
    door = (wall[:, 0] > 0.7) & (wall[:, 0] < 1.3) & (wall[:, 1] < 1.5)
    rgb = np.where(door[:, None], [150, 110, 70], [210, 208, 200]) + rng.normal(0, 8, (30000, 3))
    assert (
        purity(cut(wall, np.clip(rgb, 0, 255).astype(np.uint8), count=8), door.astype(int)) > 0.98
    )


def test_size_is_the_edge_of_an_average_super_voxel():
    rng = np.random.default_rng(4)
    floor = np.c_[rng.random((200000, 2)) * 4, np.zeros(200000)]
    count = cut(floor, size=0.5).max() + 1
    assert 55 < count < 75  # 64 squares of 0.5 m


def test_density_that_falls_with_range_does_not_fragment():
    # Rings of a 16-beam lidar on the ground: 40 cm apart near, metres far away.
    elevation = np.radians(np.linspace(-20, -3, 16))
    azimuth = np.linspace(0, 2 * np.pi, 1800, endpoint=False)
    reach = 1.5 / np.tan(-elevation)
    xyz = np.stack(
        [reach[:, None] * np.cos(azimuth), reach[:, None] * np.sin(azimuth), np.zeros((16, 1800))],
        -1,
    ).reshape(-1, 3)
    ids = cut(xyz, voxel_size=0.1, count=40)
    assert ids.max() + 1 == 40
    size = np.bincount(ids)
    assert size.min() > 60  # of 720 on average: no ring's crumbs stay alone
    ring = np.repeat(np.arange(16), 1800)
    assert max(len(np.unique(ring[ids == i])) for i in range(40)) >= 3


def test_outliers_do_not_use_up_the_count():
    rng = np.random.default_rng(5)
    floor = np.c_[rng.random((40000, 2)) * 2, np.zeros(40000)]
    noise = rng.random((40, 3)) * [2, 2, 1.5] + [0, 0, 0.1]
    ids = cut(np.concatenate([floor, noise]), count=30)
    assert len(np.unique(ids[:40000])) >= 27


def test_one_size_suits_a_table_a_room_and_a_hall():
    xyz, rgb, truth = scene(np.random.default_rng(0))
    cuts = [
        renamed(cut(xyz * scale, rgb, voxel_size=0.01 * scale, count=60)) for scale in (0.5, 1, 10)
    ]
    # Rounding moves a few points to the next voxel, and with it a few borders.
    for ids in cuts:
        assert purity(ids, truth) > 0.97
        assert purity(ids, cuts[0]) > 0.9


def test_an_organised_view_with_holes_is_like_its_points():
    from otoc_ros.core.cloud import Cloud
    from otoc_ros.core.preprocess import Preprocessing, preprocess

    xyz, rgb, _ = scene(np.random.default_rng(0))
    holes = np.random.default_rng(1).random(len(xyz)) < 0.3
    image = np.where(holes[:, None], np.nan, xyz).astype(np.float32)
    settings, up = Preprocessing(voxel_size=0.01), np.array([0.0, 0, 1])
    whole = preprocess(Cloud(image, rgb), settings, up)
    points = preprocess(Cloud(image[~holes], rgb[~holes]), settings, up)
    np.testing.assert_array_equal(
        whole.to_points(whole.supervoxel, -1)[~holes], points.to_points(points.supervoxel, -1)
    )
    assert (whole.to_points(whole.supervoxel, -1)[holes] == -1).all()


def test_long_borders_are_worth_as_much_as_the_table_of_short_ones_foretells():
    long = len(WORTH)
    assert _worth(long - 1) < _worth(long) < _worth(long + 1)
    assert _worth(10 * long) == pytest.approx(float(10 * long) ** 0.7, rel=1e-6)


MEMORY = """
import re
from pathlib import Path

import numpy as np

from otoc_ros.core.normals import sharp_normals
from otoc_ros.core.supervoxels import supervoxels
from otoc_ros.core.voxels import mean_per_voxel, voxelize


def kilobytes(key):
    return int(re.search(key + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])


def cut(points):
    grid = voxelize(points, 0.02)
    xyz, rgb = mean_per_voxel(points - grid.origin, grid), mean_per_voxel(points % 1, grid)
    normal = sharp_normals(grid.coords, xyz)
    supervoxels(grid.coords, xyz, rgb, normal, voxel_size=0.02, count=len(xyz) // 300 + 1)
    return len(points)


rng = np.random.default_rng(0)
side = 1000
i, j = np.mgrid[:side, :side].reshape(2, -1)
sheet = np.stack([0.02 * i, 0.02 * j, 0.1 * np.sin(i / 60) + rng.normal(0, 0.004, len(i))], 1)
cloud = rng.permutation(sheet.astype(np.float32))
cut(cloud[:5000])
Path("/proc/self/clear_refs").write_text("5")
before = kilobytes("VmRSS")
points = cut(cloud)
print((kilobytes("VmHWM") - before) * 1024 / points)
"""


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="needs Linux to tell the memory's peak"
)
def test_memory_a_point():
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True
    )
    assert 50 < float(done.stdout) < 135  # another copy of what fusing compares takes 32 more


def test_one_view_of_everything_at_one_place():
    assert cut(np.zeros((1000, 3)), count=5).tolist() == [0] * 1000


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({}, "give one of the two"),
        ({"size": 1.0, "count": 3}, "give one of the two"),
        ({"size": 0.0}, "size of super-voxels is 0.0"),
        ({"size": float("nan")}, "size of super-voxels is nan"),
        ({"count": 0}, "count of super-voxels is 0"),
    ],
)
def test_a_wish_that_makes_no_sense_is_named(wanted, message):
    with pytest.raises(InputError, match=message):
        cut(np.zeros((3, 3)), **wanted)


def test_no_voxels():
    none = np.zeros((0, 3))
    with pytest.raises(InputError, match="empty"):
        supervoxels(none.astype(np.int32), none, None, none, voxel_size=0.1, count=1)


def test_pool_is_the_mean():
    values = np.array([[1.0, 2], [3, 4], [10, 0]])
    np.testing.assert_array_equal(
        pool(values, np.array([0, 0, 2], np.int32), 3),
        np.array([[2, 3], [0, 0], [10, 0]], np.float32),
    )


def test_tabletop_recordings_keep_their_objects(recordings):
    errors = []
    for number in range(0, 45, 9):
        frame = np.load(recordings / "tabletop" / f"learn{number}.npz")
        ids = cut(frame["xyz"], frame["rgb"], voxel_size=0.005, count=100)
        errors.append(1 - purity(ids, frame["inst"].astype(int)))
    assert np.mean(errors) < 0.004


@pytest.mark.parametrize("name", ["office_corner", "living_room_fragment"])
def test_real_scans(recordings, name):
    from pypcd4 import PointCloud

    scan = PointCloud.from_path(recordings / "scans" / f"{name}.pcd")
    xyz = scan.numpy(("x", "y", "z"))
    finite = np.isfinite(xyz).all(1)
    rgb = PointCloud.decode_rgb(scan.numpy(("rgb",)))
    ids = cut(xyz[finite].astype(np.float64), rgb[finite], voxel_size=0.02, count=300)
    assert len(np.unique(ids)) == ids.max() + 1 == 300
    assert np.median(np.bincount(ids)) > 50
