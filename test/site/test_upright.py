"""A person is warned of an up that surfaces speak against, and of no other."""

import numpy as np

from otoc_ros.site.fusing.upright import Up


def room() -> np.ndarray:
    """Floor and four walls, z up, float64 [N, 3]."""
    u, v = (part.ravel() for part in np.meshgrid(np.linspace(-2, 2, 80), np.linspace(0, 2.5, 50)))
    far = np.full(len(u), 2.0)
    floor = np.column_stack([u, 1.6 * v - 2, np.zeros(len(u))])
    walls = [(u, far, v), (u, -far, v), (far, u, v), (-far, u, v)]
    return np.concatenate([floor, *(np.column_stack(wall) for wall in walls)])


def test_what_a_camera_saw_first_is_not_doubted_because_of_its_frame():
    x, y, z = room().T
    optical = np.column_stack([x, -z, y])  # the frame of the first view: y down
    assert (
        Up(np.array([0.0, -1, 0]), "estimated from the first view", seen=True).doubt(optical) == ""
    )
    askew = np.array([np.sin(np.deg2rad(25)), -np.cos(np.deg2rad(25)), 0])
    said = Up(askew, "estimated from the first view", seen=True).doubt(optical)
    assert "25 degrees off" in said and "[0.0, -1.0" in said.replace("-0.0,", "0.0,")


def test_a_wrong_axis_is_told():
    assert Up(np.array([0.0, 0, 1]), "given").doubt(room()) == ""
    assert "90 degrees off" in Up(np.array([0.0, 1, 0]), "given").doubt(room())
