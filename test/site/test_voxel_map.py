"""Many views as one cloud: what every voxel remembers, what is dropped, how close it lies."""

import numpy as np
import pytest

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.fusing.voxel_map import VoxelMap


def wall(rng: np.random.Generator, noise: float, count: int = 20_000) -> Cloud:
    """A wall 2 m in front of a camera, 2 × 2 m, whose left half is dark."""
    xyz = np.column_stack([rng.uniform(-1, 1, (count, 2)), 2 + rng.normal(0, noise, count)])
    return Cloud(xyz, np.where(xyz[:, :1] < 0, 50, 200) + rng.integers(-20, 21, (count, 3)))


def test_noise_becomes_one_thin_layer() -> None:
    rng = np.random.default_rng(0)
    fused = VoxelMap(0.02)
    for _ in range(10):
        fused.add(wall(rng, 0.01), np.eye(4))
    cloud = fused.cloud()
    assert np.abs(cloud.xyz[:, 2] - 2).mean() < 0.003
    cells = np.unique(np.floor(cloud.xyz[:, :2] / 0.02), axis=0)
    assert len(cloud) < 1.5 * len(cells) and len(cells) > 9000  # of 10 000
    np.testing.assert_allclose(np.linalg.norm(cloud.normal, axis=1), 1, atol=1e-5)
    assert (cloud.normal[:, 2] < -0.9).mean() > 0.98  # toward the camera
    dark = cloud.rgb[cloud.xyz[:, 0] < -0.05].astype(float)
    assert np.abs(dark - 50).mean() < 6


def test_result_depends_on_poses_not_on_frames() -> None:
    rng = np.random.default_rng(0)
    pose = np.eye(4)
    pose[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    pose[:3, 3] = 5, -3, 1
    view = wall(rng, 0.0)
    turned, still = VoxelMap(0.02), VoxelMap(0.02)
    moved = Cloud(view.xyz @ pose[:3, :3].T + pose[:3, 3], view.rgb)
    turned.add(view, pose)
    still.add(moved, np.eye(4))
    assert abs(len(turned) - len(still)) < 0.01 * len(still)
    np.testing.assert_allclose(turned.cloud(1).xyz.mean(0), still.cloud(1).xyz.mean(0), atol=2e-3)
    far = VoxelMap(0.02, origin=np.array([5.0, -3, 1]))
    far.add(view, pose)
    np.testing.assert_allclose(far.cloud(1).xyz.mean(0) + [5, -3, 1], moved.xyz.mean(0), atol=5e-3)


def test_what_one_view_shows_is_dropped() -> None:
    rng = np.random.default_rng(0)
    fused = VoxelMap(0.02)
    passer_by = Cloud(rng.uniform(-0.2, 0.2, (500, 3)) + [0, 0, 1], np.zeros((500, 3)))
    fused.add(wall(rng, 0.0), np.eye(4))
    fused.add(passer_by, np.eye(4))
    fused.add(passer_by.take(np.arange(0)), np.eye(4))
    fused.add(wall(rng, 0.0), np.eye(4))
    assert fused.cloud().xyz[:, 2].min() > 1.9
    assert fused.cloud(1).xyz[:, 2].min() < 1.3


def test_better_measured_points_count_more() -> None:
    near, far = np.array([[0, 0, 1.0]]), np.array([[0, 0, 4.0]])
    fused = VoxelMap(1.0)
    step = np.eye(4)
    step[2, 3] = -3.2  # the far point lies at 0.8
    fused.add(Cloud(near - [0, 0, 0.5], [[255, 255, 255]]), np.eye(4))
    fused.add(Cloud(far, [[0, 0, 0]]), step)
    (point,) = fused.cloud().xyz
    assert point[2] == pytest.approx(0.5, abs=0.001)


def test_views_without_colour_and_missing_returns() -> None:
    fused = VoxelMap(0.05)
    rng = np.random.default_rng(0)
    view = wall(rng, 0.0, 2000)
    holes = view.xyz.copy()
    holes[::2] = np.nan
    fused.add(Cloud(holes), np.eye(4))
    assert fused.cloud(1).rgb is None
    assert np.isfinite(fused.cloud(1).xyz).all()
    assert len(VoxelMap(0.05).cloud()) == 0


def test_memory_does_not_grow_with_views() -> None:
    rng = np.random.default_rng(0)
    fused = VoxelMap(0.02)
    for number in range(30):
        fused.add(wall(rng, 0.0, 5000), np.eye(4))
        if number == 15:
            size = fused._mean.nbytes
    assert fused._mean.nbytes == size


def test_limits() -> None:
    with pytest.raises(InputError, match="edge of a voxel is 0"):
        VoxelMap(0)
    with pytest.raises(InputError, match=r"more than 10\.5 km from the start"):
        VoxelMap(0.01).add(Cloud(np.array([[2e4, 0, 0]])), np.eye(4))
