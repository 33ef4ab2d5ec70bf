import numpy as np
import pytest
from grey_box import grey_box_on_a_grey_floor

from otoc_ros.core.look import Look


def test_a_step_into_a_crease_costs_more_than_one_over_an_edge():
    # A floor, a wall on it; the top of a box, and its side: each pair turns by 90 degrees.
    center = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 1], [1, 0, 0]], np.float32)
    facing = np.array([[0, 0, 1], [1, 0, 0], [0, 0, 1], [1, 0, 0]], np.float32)
    x, y, z = facing.T
    look = Look(
        center=center,
        direction=np.column_stack([x * x, y * y, z * z, x * y, x * z, y * z]),
        facing=facing,
        ratio=np.ones((4, 3), np.float32),
        brightness=np.full(4, 0.5, np.float32),
        area=np.ones(4),
        voxel_size=0.05,
        size=0.2,
    )
    crease, edge = look.step(np.array([0, 2], np.int32), np.array([1, 3], np.int32))
    assert crease > edge + 0.1 > 0.1
    assert look.step(np.array([1], np.int32), np.array([0], np.int32)) == pytest.approx(crease)


def test_surfaces_face_the_sensor_that_saw_them():
    prepared, sensors = grey_box_on_a_grey_floor()
    seen, blind = Look.of(prepared, sensors), Look.of(prepared, sensors[:0])
    outward = seen.center[:, :2] + prepared.grid.origin[:2]
    side = (seen.direction[:, 2] < 0.2) & (np.abs(outward).max(axis=1) < 0.5)
    assert side.sum() >= 4
    assert (np.sum(seen.facing[side, :2] * outward[side], axis=1) > 0).all()
    assert np.abs(blind.facing[side]).max() < 0.3  # nobody knows which side was seen
    level = seen.direction[:, 2] > 0.9
    assert (seen.facing[level, 2] > 0.8).all() and (blind.facing[level, 2] > 0.8).all()
