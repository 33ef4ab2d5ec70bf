"""Two views of one unmoved place do not see through each other's surfaces."""

import numpy as np

from otoc_ros.core.cloud import Cloud
from otoc_ros.site.fusing.odometry import Odometry
from otoc_ros.site.fusing.seen_through import seen_through


def table(box_at: float | None, camera_x: float = 0.0, seed: int = 0) -> np.ndarray:
    """A wall 2 m ahead and a floor, and a box of 0.6 m before them, in the camera's frame."""
    rng = np.random.default_rng(seed)
    u, v = np.meshgrid(np.linspace(-0.5, 0.5, 160), np.linspace(-0.4, 0.4, 120))
    ray = np.column_stack([u.ravel(), v.ravel(), np.ones(u.size)])
    down = np.where(ray[:, 1] > 0.05, 0.6 / np.maximum(ray[:, 1], 0.05), np.inf)
    depth = np.minimum(2.0, down)
    if box_at is not None:
        across = ray[:, 0] * 1.2 + camera_x - box_at
        depth = np.where((np.abs(across) < 0.3) & (ray[:, 1] > -0.1), 1.2, depth)
    return ray * (depth + rng.normal(0, 0.002, len(depth)))[:, None]


def test_a_camera_that_moves_past_a_thing_sees_nothing_through():
    before, now = table(0.0), table(0.0, camera_x=0.1, seed=1)
    assert seen_through(before - (0.1, 0, 0), now, 0.05) < 0.005


def test_a_thing_that_went_is_seen_through():
    assert seen_through(table(0.0), table(None, seed=1), 0.05) > 0.1
    assert seen_through(table(None), table(0.0, seed=1), 0.05) < 0.005  # it came: it hides
    assert seen_through(-table(0.0), table(0.0), 0.05) == 0.0  # nothing in common


def test_odometry_is_lost_where_the_things_were_changed():
    odometry = Odometry()
    for seed, place in enumerate((0.0, 0.0, 0.0)):
        assert odometry.follow(Cloud(table(place, seed=seed))) is not None
    assert odometry.follow(Cloud(table(0.7, seed=9))) is None
