"""Poses of frames that move, between the times at which they were told."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from otoc_ros.site.fusing.transforms import Transform, TransformError, TransformTree

S = 1_000_000_000


def turned(degrees: float) -> tuple[float, float, float, float]:
    return tuple(Rotation.from_euler("z", degrees, degrees=True).as_quat())


def moving() -> TransformTree:
    """odom > body turns by 90 degrees a second and moves by 1 m/s; body > lidar is fixed."""
    tree = TransformTree()
    tree.add(Transform("body", "/lidar", 0, (1, 0, 0), turned(0)), static=True)
    for second in (10, 11, 12):
        turn = turned(90 * (second - 10))
        tree.add(Transform("odom", "body", second * S, (second - 10, 0, 0), turn))
    return tree


def test_turns_and_moves_are_interpolated() -> None:
    pose = moving().lookup("odom", "lidar", 10 * S + S // 2)
    root = np.sqrt(0.5)
    np.testing.assert_allclose(pose[:3, 3], [0.5 + root, root, 0], atol=1e-9)
    np.testing.assert_allclose(pose[:2, :2], [[root, -root], [root, root]], atol=1e-9)
    back = moving().lookup("lidar", "odom", 10 * S + S // 2)
    np.testing.assert_allclose(back @ pose, np.eye(4), atol=1e-9)


def test_late_transforms_are_sorted_in() -> None:
    tree = TransformTree()
    for second in (10, 12, 11):
        tree.add(Transform("odom", "body", second * S, (second, 0, 0), turned(0)))
    assert tree.lookup("odom", "body", 11 * S + S // 4)[0, 3] == pytest.approx(11.25)


def test_nothing_is_made_up_outside_of_what_is_known() -> None:
    tree = moving()
    with pytest.raises(
        TransformError, match=r"'odom' to 'body' is known from 10\.000 to 12\.000 s, not at 9"
    ) as early:
        tree.lookup("odom", "lidar", 9 * S)
    assert not early.value.later
    with pytest.raises(TransformError, match=r"not at 12\.500 s") as late:
        tree.lookup("odom", "lidar", 12 * S + S // 2)
    assert late.value.later
    tree.add(Transform("odom", "body", 15 * S, (3, 0, 0), turned(0)))
    with pytest.raises(TransformError, match=r"a gap from 12\.000 to 15\.000 s, around 14\.000 s"):
        tree.lookup("odom", "lidar", 14 * S)
    with pytest.raises(
        TransformError,
        match="no transform connects 'map' with 'lidar': /tf has lidar < body < odom and map",
    ):
        tree.lookup("map", "lidar", 11 * S)


def test_clock_that_was_set_back_begins_again() -> None:
    tree = moving()
    tree.add(Transform("odom", "body", 1 * S, (7, 0, 0), turned(0)))
    tree.add(Transform("odom", "body", 2 * S, (8, 0, 0), turned(0)))
    assert tree.jumps == 1
    assert tree.lookup("odom", "body", S + S // 2)[0, 3] == pytest.approx(7.5)
    with pytest.raises(TransformError, match=r"known from 1\.000 to 2\.000"):
        tree.lookup("odom", "body", 11 * S)


def test_world_is_what_the_robot_moves_in() -> None:
    tree = moving()
    assert tree.world("lidar") == "odom"
    tree.add(Transform("map", "odom", 10 * S, (0, 0, 0), turned(0)))
    tree.add(Transform("earth", "map", 0, (4e6, 0, 0), turned(0)), static=True)
    assert tree.world("lidar") == "map"
    still = TransformTree()
    still.add(Transform("body", "lidar", 0, (1, 0, 0), turned(0)), static=True)
    with pytest.raises(
        TransformError, match=r"no transform moves 'lidar'.*child frames lidar.*--fuse odometry"
    ):
        still.world("lidar")


def test_circle_and_nonsense() -> None:
    tree = TransformTree()
    tree.add(Transform("a", "b", 0, (np.nan, 0, 0), turned(0)))
    tree.add(Transform("a", "b", 0, (0, 0, 0), (0, 0, 0, 0)))
    assert tree.ancestors("b") == ["b"]
    tree.add(Transform("a", "b", 0, (0, 0, 0), turned(0)))
    tree.add(Transform("b", "a", 0, (0, 0, 0), turned(0)))
    with pytest.raises(TransformError, match="form a circle: b > a > b"):
        tree.ancestors("b")


def test_memory_is_bounded() -> None:
    tree = TransformTree()
    for number in range(5000):
        tree.add(Transform("odom", "body", number * S // 10, (number, 0, 0), turned(0)))
    assert len(tree._edges["body"].samples) < 2000
