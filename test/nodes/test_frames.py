"""Up from how a sensor is mounted, against URDF's convention and ROS's own conversions."""

import numpy as np
import pytest
from geometry_msgs.msg import PointStamped
from scipy.spatial.transform import Rotation

from otoc_ros.core.errors import InputError
from otoc_ros.nodes.frames import position_in, up_of_pose, up_of_rpy


def test_up_of_mounted_sensors() -> None:
    np.testing.assert_allclose(up_of_rpy((0, 0, 1.2)), [0, 0, 1], atol=1e-12)
    # roll turns about x: a sensor on its left side has gravity's up on its y axis
    np.testing.assert_allclose(up_of_rpy((np.pi / 2, 0, 0)), [0, 1, 0], atol=1e-12)
    # pitch about y, positive is nose down: up moves to where the sensor looks from
    np.testing.assert_allclose(up_of_rpy((0, np.pi / 2, 0)), [-1, 0, 0], atol=1e-12)
    # the optical frame of a level camera, as every URDF has it: up is -y
    np.testing.assert_allclose(up_of_rpy((-np.pi / 2, 0, -np.pi / 2)), [0, -1, 0], atol=1e-12)


def test_rotations_agree_with_tf_transformations() -> None:
    tf = pytest.importorskip("tf_transformations", reason="comes with a ROS 2 installation")
    for rpy in np.random.default_rng(0).uniform(-3, 3, (20, 3)):
        quaternion = tf.quaternion_from_euler(*rpy)
        expected = tf.quaternion_matrix(quaternion)[2, :3]
        np.testing.assert_allclose(up_of_rpy(rpy), expected, atol=1e-9)
        np.testing.assert_allclose(
            up_of_pose(Rotation.from_quat(quaternion).as_matrix()), expected, atol=1e-9
        )


def test_a_click_is_moved_into_the_frame_of_its_cloud_at_the_stamp_of_the_cloud() -> None:
    click = PointStamped()
    click.header.frame_id = "map"
    click.header.stamp.sec = 99
    click.point.x, click.point.y, click.point.z = 3.0, 4.0, 5.0
    asked = []

    def lookup(target: str, source: str, stamp: int, timeout: float) -> np.ndarray:
        asked.append((target, source, stamp, timeout))
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_euler("z", np.pi / 2).as_matrix()
        matrix[:3, 3] = 10, 0, 0
        return matrix

    moved = position_in(click, "camera", 7, lookup, 0.1)
    np.testing.assert_allclose(moved, [6, 3, 5], atol=1e-9)
    assert asked == [("camera", "map", 7, 0.1)]
    np.testing.assert_array_equal(position_in(click, "map", 7, None, 0.1), [3, 4, 5])
    with pytest.raises(InputError, match="set target_frame"):
        position_in(click, "camera", 7, None, 0.1)
